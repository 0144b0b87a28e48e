package console

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/decode"
)

// formatter writes a record like one of Kafka's formatter classes.
type formatter func(w *bufio.Writer, r *kgo.Record) error

// Formatter classes, with all the names that Kafka has given them.
const (
	defaultFormatterClass = "org.apache.kafka.tools.consumer.DefaultMessageFormatter"
	loggingFormatterClass = "org.apache.kafka.tools.consumer.LoggingMessageFormatter"
	noOpFormatterClass    = "org.apache.kafka.tools.consumer.NoOpMessageFormatter"
)

var renamedFormatters = map[string]string{
	"kafka.tools.DefaultMessageFormatter": defaultFormatterClass,
	"kafka.tools.LoggingMessageFormatter": loggingFormatterClass,
	"kafka.tools.NoOpMessageFormatter":    noOpFormatterClass,
	oldOffsetsFormatterClass:              offsetsFormatterClass,
	oldGroupFormatterClass:                groupFormatterClass,
	oldTransactionFormatterClass:          transactionFormatterClass,
}

// newFormatter returns the formatter for a class with its properties.
func newFormatter(env *cli.Env, class string, props map[string]string) (formatter, error) {
	if now, old := renamedFormatters[class]; old {
		env.Complainf("WARNING: %s is deprecated and will be removed in the next major release. Please use %s instead", class, now)
		if internalFormatters[class] == nil { // the old names of internal formatters have their own format
			class = now
		}
	}
	if f := internalFormatters[class]; f != nil {
		return f, nil
	}
	f, err := newDefaultFormatter(env.Logger(defaultFormatterClass), props)
	if err != nil {
		return nil, err
	}
	switch class {
	case defaultFormatterClass:
		return f.write, nil
	case noOpFormatterClass:
		return func(*bufio.Writer, *kgo.Record) error { return nil }, nil
	case loggingFormatterClass:
		log := env.Logger(loggingFormatterClass)
		return func(w *bufio.Writer, r *kgo.Record) error {
			if err := f.write(w, r); err != nil {
				return err
			}
			log.Info(loggedRecord(r))
			return nil
		}, nil
	}
	// Kafka's tool prints the text of its ClassNotFoundException.
	return nil, cli.UsageError{Text: class}
}

func loggedRecord(r *kgo.Record) string {
	text := ""
	if name := timestampTypeName(r); name != "" {
		text = fmt.Sprintf("%s:%d, ", name, r.Timestamp.UnixMilli())
	}
	if r.Key == nil {
		text += "key:null "
	} else {
		text += "key:" + string(r.Key) + ", "
	}
	if r.Value == nil {
		return text + "value:null"
	}
	return text + "value:" + string(r.Value)
}

// timestampTypeName returns CreateTime, LogAppendTime, or "" for a v0 message.
func timestampTypeName(r *kgo.Record) string {
	switch r.Attrs.TimestampType() {
	case 0:
		return "CreateTime"
	case 1:
		return "LogAppendTime"
	default:
		return ""
	}
}

// defaultFormatter has the properties of DefaultMessageFormatter.
type defaultFormatter struct {
	timestamp, key, value, partition, offset, headers          bool
	keySeparator, lineSeparator, headersSeparator, nullLiteral string
	keyOf, valueOf, headerOf                                   decode.Deserializer
}

func newDefaultFormatter(log *logrus.Entry, props map[string]string) (*defaultFormatter, error) {
	get := func(key, def string) string {
		if v, ok := props[key]; ok {
			return v
		}
		return def
	}
	yes := func(key, def string) bool { return strings.EqualFold(strings.TrimSpace(get(key, def)), "true") }
	of := func(key string) decode.Deserializer {
		class, set := props[key]
		if !set {
			return nil
		}
		d := decode.Deserializers[class[strings.LastIndex(class, ".")+1:]]
		if d == nil {
			log.WithError(cli.AsException(cli.NewJavaError("java.lang.ClassNotFoundException", class))).Errorf("Unable to instantiate a deserializer from %s", class)
		}
		return d
	}
	return &defaultFormatter{
		timestamp: yes("print.timestamp", ""), key: yes("print.key", ""), value: yes("print.value", "true"),
		partition: yes("print.partition", ""), offset: yes("print.offset", ""), headers: yes("print.headers", ""),
		keySeparator: get("key.separator", "\t"), lineSeparator: get("line.separator", "\n"),
		headersSeparator: get("headers.separator", ","), nullLiteral: get("null.literal", "null"),
		keyOf: of("key.deserializer"), valueOf: of("value.deserializer"), headerOf: of("headers.deserializer"),
	}, nil
}

func (f *defaultFormatter) write(w *bufio.Writer, r *kgo.Record) error {
	separate := func(more bool) {
		if more {
			w.WriteString(f.keySeparator)
		} else {
			w.WriteString(f.lineSeparator)
		}
	}
	if f.timestamp {
		if name := timestampTypeName(r); name != "" {
			fmt.Fprintf(w, "%s:%d", name, r.Timestamp.UnixMilli())
		} else {
			w.WriteString("NO_TIMESTAMP")
		}
		separate(f.offset || f.partition || f.headers || f.key || f.value)
	}
	if f.partition {
		fmt.Fprintf(w, "Partition:%d", r.Partition)
		separate(f.offset || f.headers || f.key || f.value)
	}
	if f.offset {
		fmt.Fprintf(w, "Offset:%d", r.Offset)
		separate(f.headers || f.key || f.value)
	}
	if f.headers {
		if err := f.writeHeaders(w, r.Headers); err != nil {
			return err
		}
		separate(f.key || f.value)
	}
	if f.key {
		if err := f.writeField(w, f.keyOf, r.Key); err != nil {
			return err
		}
		separate(f.value)
	}
	if f.value {
		if err := f.writeField(w, f.valueOf, r.Value); err != nil {
			return err
		}
		w.WriteString(f.lineSeparator)
	}
	return nil
}

func (f *defaultFormatter) writeHeaders(w *bufio.Writer, headers []kgo.RecordHeader) error {
	if len(headers) == 0 {
		w.WriteString("NO_HEADERS")
	}
	for i, h := range headers {
		if i > 0 {
			w.WriteString(f.headersSeparator)
		}
		w.WriteString(h.Key + ":")
		if err := f.writeField(w, f.headerOf, h.Value); err != nil {
			return err
		}
	}
	return nil
}

func (f *defaultFormatter) writeField(w *bufio.Writer, of decode.Deserializer, field []byte) error {
	if field == nil {
		field = []byte(f.nullLiteral)
	}
	if of != nil {
		var err error
		if field, err = of(field); err != nil {
			return err
		}
	}
	_, err := w.Write(field)
	return err
}
