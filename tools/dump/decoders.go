package dump

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/decode"
)

// recordDecoder converts a record's key and value to text. nil prints nothing.
type recordDecoder func(r *record.Record) (key, value *string, err error)

// always returns a decoder for which every record can be printed.
func always(decode func(r *record.Record) (key, value *string)) recordDecoder {
	return func(r *record.Record) (*string, *string, error) {
		key, value := decode(r)
		return key, value, nil
	}
}

// decodeWith returns the decoder for the given Java decoder classes.
func decodeWith(keyClass, valueClass string, note func(text string)) (recordDecoder, error) {
	key, err := decoderOf(keyClass, note)
	if err != nil {
		return nil, err
	}
	value, err := decoderOf(valueClass, note)
	if err != nil {
		return nil, err
	}
	return func(r *record.Record) (*string, *string, error) {
		keyText, err := decoded(key, r.Key)
		if err != nil {
			return nil, nil, err
		}
		valueText, err := decoded(value, r.Value)
		return keyText, valueText, err
	}, nil
}

func decoded(decode fieldDecoder, field []byte) (*string, error) {
	if field == nil {
		return nil, nil
	}
	if len(field) < decode.least {
		return nil, cli.NewJavaError("java.nio.BufferUnderflowException", "")
	}
	text := decode.text(field)
	return &text, nil
}

// fieldDecoder converts a key or a value of at least some bytes to text.
type fieldDecoder struct {
	least int
	text  func([]byte) string
}

// decoderOf returns the decoder with the name of a Java class. It notes names that Kafka has
// replaced.
func decoderOf(class string, note func(text string)) (fieldDecoder, error) {
	const current, replaced = "org.apache.kafka.tools.api.", "kafka.serializer."
	name, old := strings.CutPrefix(class, replaced)
	if !old {
		name = strings.TrimPrefix(class, current)
	}
	decode, found := fieldDecoders[name]
	if class == name && class != "" || !found {
		return fieldDecoder{}, cli.NewJavaError("java.lang.ClassNotFoundException", class)
	}
	if old {
		note(class + " is deprecated. Please use " + current + name + " instead")
	}
	return decode, nil
}

var fieldDecoders = map[string]fieldDecoder{
	"":               {0, javatext.Decode},
	"StringDecoder":  {0, javatext.Decode},
	"DefaultDecoder": {0, func(b []byte) string { return fmt.Sprintf("[B@%x", len(b)) }}, // Java prints where the bytes are
	"LongDecoder":    {8, func(b []byte) string { return fmt.Sprint(int64(binary.BigEndian.Uint64(b))) }},
	"IntegerDecoder": {4, func(b []byte) string { return fmt.Sprint(int32(binary.BigEndian.Uint32(b))) }},
}

// decodeOffsets decodes records of __consumer_offsets.
func decodeOffsets(r *record.Record) (*string, *string) {
	skip := func(format string, args ...any) (*string, *string) {
		text := fmt.Sprintf(format, args...)
		return &text, nil
	}
	if r.Key == nil {
		return skip("Failed to decode message at offset %d using offset topic decoder (message had a missing key)", r.Offset)
	}
	if len(r.Key) < 2 {
		return skip("Error at offset %d, skipping. Could not read record with version 0's key due to: null.", r.Offset)
	}
	var key string
	var value *string
	kind := int16(r.Key[0])<<8 | int16(r.Key[1])
	switch kind {
	case 0, 1:
		k := kmsg.NewOffsetCommitKey()
		if err := k.ReadFrom(r.Key); err != nil {
			return skip("Error at offset %d, skipping. Could not read record with version %d's key due to: %s.", r.Offset, kind, err)
		}
		key = cli.JSONObject("type", cli.JSONString(fmt.Sprint(kind)), "data", cli.JSONObject("group", cli.JSONString(k.Group), "topic", cli.JSONString(k.Topic), "partition", fmt.Sprint(k.Partition)))
		if r.Value != nil {
			text, err := offsetCommitJSON(r.Value)
			if err != nil {
				return skip("Error at offset %d, skipping. Could not read record with version %d's value due to: %s.", r.Offset, kind, err)
			}
			value = &text
		}
	case 2:
		k := kmsg.NewGroupMetadataKey()
		if err := k.ReadFrom(r.Key); err != nil {
			return skip("Error at offset %d, skipping. Could not read record with version %d's key due to: %s.", r.Offset, kind, err)
		}
		key = cli.JSONObject("type", cli.JSONString("2"), "data", cli.JSONObject("group", cli.JSONString(k.Group)))
		if r.Value != nil {
			text, err := groupMetadataJSON(r.Value)
			if err != nil {
				return skip("Error at offset %d, skipping. Could not read record with version %d's value due to: %s.", r.Offset, kind, err)
			}
			value = &text
		}
	default:
		return skip("Unknown record type %d at offset %d, skipping.", kind, r.Offset)
	}
	if value == nil {
		deleted := "<DELETE>"
		value = &deleted
	}
	return &key, value
}

func offsetCommitJSON(raw []byte) (string, error) {
	version, data, err := decode.OffsetCommit(raw)
	return cli.JSONObject("version", cli.JSONString(fmt.Sprint(version)), "data", data), err
}

func groupMetadataJSON(raw []byte) (string, error) {
	version, data, err := decode.GroupMetadata(raw, true)
	return cli.JSONObject("version", cli.JSONString(fmt.Sprint(version)), "data", data), err
}

// decodeTransaction decodes records of __transaction_state.
func decodeTransaction(r *record.Record) (*string, *string) {
	k := kmsg.NewTxnMetadataKey()
	if len(r.Key) < 2 || r.Key[0] != 0 || r.Key[1] != 0 || k.ReadFrom(r.Key) != nil {
		text := fmt.Sprintf("unknown::version=%d", keyVersion(r.Key))
		return &text, nil
	}
	key, value := "transaction_metadata::transactionalId="+k.TransactionalID, "<DELETE>"
	if r.Value == nil {
		return &key, &value
	}
	v := kmsg.NewTxnMetadataValue()
	if err := v.ReadFrom(r.Value); err != nil {
		value = err.Error()
		return &key, &value
	}
	state := fmt.Sprint(v.State)
	if int(v.State) >= 0 && int(v.State) < len(decode.TransactionStates) {
		state = decode.TransactionStates[v.State]
	}
	var partitions []string
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, fmt.Sprintf("%s-%d", t.Topic, p))
		}
	}
	value = fmt.Sprintf("producerId:%d,producerEpoch:%d,state=%s,partitions=[%s],txnLastUpdateTimestamp=%d,txnTimeoutMs=%d",
		v.ProducerID, v.ProducerEpoch, state, strings.Join(partitions, ","), v.LastUpdateTimestamp, v.TimeoutMillis)
	return &key, &value
}

func keyVersion(key []byte) int16 {
	if len(key) < 2 {
		return -1
	}
	return int16(key[0])<<8 | int16(key[1])
}
