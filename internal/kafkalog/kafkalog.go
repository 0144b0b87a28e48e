// Package kafkalog writes log lines in Kafka's pattern, [2026-01-02 15:04:05,678] INFO message
// (logger), so searches written for Kafka's logs work.
package kafkalog

import (
	"bytes"
	"io"
	"strings"

	"github.com/sirupsen/logrus"
)

const loggerField = "logger"

// New returns a logger at INFO that writes lines in Kafka's pattern to out.
func New(out io.Writer) *logrus.Logger {
	l := logrus.New()
	l.SetOutput(out)
	l.SetFormatter(formatter{newLevels(l)})
	return l
}

// Discard returns a logger that drops everything, for tests.
func Discard() *logrus.Logger { return New(io.Discard) }

// For returns an entry that names the logger at the end of each line. By convention that is the
// class that logs the same line in Kafka: kafkalog.For(l, "kafka.server.KafkaServer"). Calls with
// the same name return the same entry if l was made by New.
func For(l *logrus.Logger, name string) *logrus.Entry {
	levels := LevelsOf(l)
	if levels == nil {
		return l.WithField(loggerField, name)
	}
	return levels.entry(name)
}

// formatter formats a line, or returns nothing if levels is not nil and suppresses it.
type formatter struct{ levels *Levels }

func (f formatter) Format(e *logrus.Entry) ([]byte, error) {
	if !f.levels.wants(e) {
		return nil, nil
	}
	b := e.Buffer
	if b == nil {
		b = &bytes.Buffer{}
	}
	b.WriteByte('[')
	b.WriteString(strings.Replace(e.Time.Format("2006-01-02 15:04:05.000"), ".", ",", 1))
	b.WriteString("] ")
	b.WriteString(levelName(e.Level))
	b.WriteByte(' ')
	b.WriteString(e.Message)
	if name, ok := e.Data[loggerField].(string); ok {
		b.WriteString(" (" + name + ")")
	}
	b.WriteByte('\n')
	if err, ok := e.Data[logrus.ErrorKey].(error); ok && err != nil {
		b.WriteString(err.Error())
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

func levelName(l logrus.Level) string {
	switch l {
	case logrus.WarnLevel:
		return "WARN"
	case logrus.PanicLevel, logrus.FatalLevel:
		return "FATAL"
	default:
		return strings.ToUpper(l.String())
	}
}
