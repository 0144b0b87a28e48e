package tools

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

// recordDecoder converts a record's key and value to text. nil prints nothing.
type recordDecoder func(r *record.Record) (key, value *string)

// decodeWith returns the decoder for the given Java decoder classes.
func decodeWith(keyClass, valueClass string) (recordDecoder, error) {
	key, err := fieldDecoder(keyClass)
	if err != nil {
		return nil, err
	}
	value, err := fieldDecoder(valueClass)
	if err != nil {
		return nil, err
	}
	return func(r *record.Record) (*string, *string) {
		return decoded(key, r.Key), decoded(value, r.Value)
	}, nil
}

func decoded(decode func([]byte) string, field []byte) *string {
	if field == nil {
		return nil
	}
	text := decode(field)
	return &text
}

func fieldDecoder(class string) (func([]byte) string, error) {
	switch class[strings.LastIndex(class, ".")+1:] {
	case "", "StringDecoder":
		return javaString, nil
	case "DefaultDecoder":
		return func(b []byte) string { return fmt.Sprintf("[B@%x", len(b)) }, nil
	case "LongDecoder":
		return fixedDecoder("LongDeserializer"), nil
	case "IntegerDecoder":
		return fixedDecoder("IntegerDeserializer"), nil
	}
	return nil, javaError{"java.lang.ClassNotFoundException", class}
}

func fixedDecoder(class string) func([]byte) string {
	return func(b []byte) string {
		text, err := deserializers[class](b)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
}

// javaString converts bytes to text like Java does for UTF-8.
func javaString(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
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
		key = object("type", quoted(fmt.Sprint(kind)), "data", object("group", quoted(k.Group), "topic", quoted(k.Topic), "partition", fmt.Sprint(k.Partition)))
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
		key = object("type", quoted("2"), "data", object("group", quoted(k.Group)))
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

// object formats a JSON object from alternating names and encoded values, in order.
func object(pairs ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(pairs[i]) + ":" + pairs[i+1])
	}
	b.WriteByte('}')
	return b.String()
}

func quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)
	return strings.TrimSuffix(b.String(), "\n")
}

func quotedOrNull(text *string) string {
	if text == nil {
		return "null"
	}
	return quoted(*text)
}

func bytesOrNull(b []byte) string {
	if b == nil {
		return "null"
	}
	return quoted(base64.StdEncoding.EncodeToString(b))
}

func list[T any](items []T, text func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = text(item)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func number32(n int32) string { return fmt.Sprint(n) }

func offsetCommitJSON(raw []byte) (string, error) {
	version, data, err := offsetCommitData(raw)
	return object("version", quoted(fmt.Sprint(version)), "data", data), err
}

// offsetCommitData formats the value of a committed offset like Kafka's JSON converter.
func offsetCommitData(raw []byte) (version int16, data string, err error) {
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	fields := []string{"offset", fmt.Sprint(v.Offset)}
	if v.Version >= 3 {
		fields = append(fields, "leaderEpoch", fmt.Sprint(v.LeaderEpoch))
	}
	fields = append(fields, "metadata", quoted(v.Metadata), "commitTimestamp", fmt.Sprint(v.CommitTimestamp))
	if v.Version == 1 {
		fields = append(fields, "expireTimestamp", fmt.Sprint(v.ExpireTimestamp))
	}
	return v.Version, object(fields...), nil
}

func groupMetadataJSON(raw []byte) (string, error) {
	version, data, err := groupMetadataData(raw, true)
	return object("version", quoted(fmt.Sprint(version)), "data", data), err
}

// groupMetadataData formats the value of a group like Kafka's JSON converter. If consumers is set,
// subscriptions and assignments are decoded instead of printed as bytes.
func groupMetadataData(raw []byte, consumers bool) (version int16, data string, err error) {
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	fields := []string{"protocolType", quoted(v.ProtocolType), "generation", fmt.Sprint(v.Generation),
		"protocol", quotedOrNull(v.Protocol), "leader", quotedOrNull(v.Leader)}
	if v.Version >= 2 {
		fields = append(fields, "currentStateTimestamp", fmt.Sprint(v.CurrentStateTimestamp))
	}
	consumers = consumers && v.ProtocolType == "consumer"
	fields = append(fields, "members", list(v.Members, func(m kmsg.GroupMetadataValueMember) string { return memberJSON(v.Version, consumers, m) }))
	return v.Version, object(fields...), nil
}

func memberJSON(version int16, consumer bool, m kmsg.GroupMetadataValueMember) string {
	fields := []string{"memberId", quoted(m.MemberID)}
	if version >= 3 {
		fields = append(fields, "groupInstanceId", quotedOrNull(m.InstanceID))
	}
	fields = append(fields, "clientId", quoted(m.ClientID), "clientHost", quoted(m.ClientHost))
	if version >= 1 {
		fields = append(fields, "rebalanceTimeout", fmt.Sprint(m.RebalanceTimeoutMillis))
	}
	subscription, assignment := bytesOrNull(m.Subscription), bytesOrNull(m.Assignment)
	if consumer {
		subscription, assignment = subscriptionJSON(m.Subscription), assignmentJSON(m.Assignment)
	}
	fields = append(fields, "sessionTimeout", fmt.Sprint(m.SessionTimeoutMillis), "subscription", subscription, "assignment", assignment)
	return object(fields...)
}

func subscriptionJSON(raw []byte) string {
	v := kmsg.NewConsumerMemberMetadata()
	if err := v.ReadFrom(raw); err != nil {
		return bytesOrNull(raw)
	}
	fields := []string{"topics", list(v.Topics, quoted), "userData", bytesOrNull(v.UserData)}
	if v.Version >= 1 {
		fields = append(fields, "ownedPartitions", list(v.OwnedPartitions, func(p kmsg.ConsumerMemberMetadataOwnedPartition) string {
			return object("topic", quoted(p.Topic), "partitions", list(p.Partitions, number32))
		}))
	}
	if v.Version >= 2 {
		fields = append(fields, "generationId", fmt.Sprint(v.Generation))
	}
	if v.Version >= 3 {
		fields = append(fields, "rackId", quotedOrNull(v.Rack))
	}
	return object(fields...)
}

func assignmentJSON(raw []byte) string {
	v := kmsg.NewConsumerMemberAssignment()
	if err := v.ReadFrom(raw); err != nil {
		return bytesOrNull(raw)
	}
	return object("assignedPartitions", list(v.Topics, func(t kmsg.ConsumerMemberAssignmentTopic) string {
		return object("topic", quoted(t.Topic), "partitions", list(t.Partitions, number32))
	}), "userData", bytesOrNull(v.UserData))
}

// transactionStates are the names of the states of a transaction, by number.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// decodeTransaction decodes records of __transaction_state.
func decodeTransaction(r *record.Record) (*string, *string) {
	k := kmsg.NewTxnMetadataKey()
	if r.Key == nil || len(r.Key) < 2 || r.Key[0] != 0 || r.Key[1] != 0 || k.ReadFrom(r.Key) != nil {
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
	if int(v.State) >= 0 && int(v.State) < len(transactionStates) {
		state = transactionStates[v.State]
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
