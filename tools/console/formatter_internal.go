package console

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/decode"
)

// Formatters of the internal topics, with their current names and their names before 3.9. The
// current ones print JSON, the old ones the text of Scala classes.
const (
	offsetsFormatterClass        = "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"
	groupFormatterClass          = "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter"
	transactionFormatterClass    = "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter"
	oldOffsetsFormatterClass     = "kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter"
	oldGroupFormatterClass       = "kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter"
	oldTransactionFormatterClass = "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter"
)

var internalFormatters = map[string]formatter{
	offsetsFormatterClass:        jsonFormatter(offsetKeyData, 3, decode.OffsetCommit),
	groupFormatterClass:          jsonFormatter(groupKeyData, 3, func(raw []byte) (int16, string, error) { return decode.GroupMetadata(raw, false) }),
	transactionFormatterClass:    jsonFormatter(transactionKeyData, 1, transactionData),
	oldOffsetsFormatterClass:     lineFormatter(oldOffsetLine),
	oldGroupFormatterClass:       lineFormatter(oldGroupLine),
	oldTransactionFormatterClass: lineFormatter(oldTransactionLine),
}

// unknownData is printed for a key or value of an unknown version.
const unknownData = `"unknown"`

// jsonFormatter prints a record as {"key":{"version":..,"data":..},"value":..} on a line. keyData
// returns "" for keys whose records are skipped.
func jsonFormatter(keyData func(version int16, raw []byte) (string, error), newest int16, valueData func(raw []byte) (int16, string, error)) formatter {
	return func(w *bufio.Writer, r *kgo.Record) error {
		key, value := "null", "null"
		if r.Key != nil {
			version, err := versionOf(r.Key)
			if err != nil {
				return err
			}
			data, err := keyData(version, r.Key)
			if err != nil {
				return unreadable(err)
			}
			if data == "" {
				return nil
			}
			key = cli.JSONObject("version", fmt.Sprint(version), "data", data)
		}
		if r.Value != nil {
			version, err := versionOf(r.Value)
			if err != nil {
				return err
			}
			data := unknownData
			if version >= 0 && version <= newest {
				if _, data, err = valueData(r.Value); err != nil {
					return unreadable(err)
				}
			}
			value = cli.JSONObject("version", fmt.Sprint(version), "data", data)
		}
		_, err := w.WriteString(cli.JSONObject("key", key, "value", value) + "\n")
		return err
	}
}

func versionOf(raw []byte) (int16, error) {
	if len(raw) < 2 {
		return 0, cli.NewJavaError("java.nio.BufferUnderflowException", "")
	}
	return int16(binary.BigEndian.Uint16(raw)), nil
}

func unreadable(err error) error {
	return cli.NewJavaError("java.lang.RuntimeException", "the record cannot be read: "+err.Error())
}

func offsetKeyData(version int16, raw []byte) (string, error) {
	switch version {
	case 0, 1:
		k := kmsg.NewOffsetCommitKey()
		err := k.ReadFrom(raw)
		return cli.JSONObject("group", cli.JSONString(k.Group), "topic", cli.JSONString(k.Topic), "partition", fmt.Sprint(k.Partition)), err
	case 2:
		return "", nil
	}
	return unknownData, nil
}

func groupKeyData(version int16, raw []byte) (string, error) {
	switch version {
	case 0, 1:
		return "", nil
	case 2:
		k := kmsg.NewGroupMetadataKey()
		err := k.ReadFrom(raw)
		return cli.JSONObject("group", cli.JSONString(k.Group)), err
	}
	return unknownData, nil
}

func transactionKeyData(version int16, raw []byte) (string, error) {
	if version != 0 {
		return unknownData, nil
	}
	k := kmsg.NewTxnMetadataKey()
	err := k.ReadFrom(raw)
	return cli.JSONObject("transactionalId", cli.JSONString(k.TransactionalID)), err
}

func transactionData(raw []byte) (int16, string, error) {
	v := kmsg.NewTxnMetadataValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	partitions := "null"
	if v.Topics != nil {
		partitions = cli.JSONList(v.Topics, func(t kmsg.TxnMetadataValueTopic) string {
			return cli.JSONObject("topic", cli.JSONString(t.Topic), "partitionIds", cli.JSONList(t.Partitions, cli.JSONNumber))
		})
	}
	return v.Version, cli.JSONObject("producerId", fmt.Sprint(v.ProducerID), "producerEpoch", fmt.Sprint(v.ProducerEpoch),
		"transactionTimeoutMs", fmt.Sprint(v.TimeoutMillis), "transactionStatus", fmt.Sprint(int8(v.State)), "transactionPartitions", partitions,
		"transactionLastUpdateTimestampMs", fmt.Sprint(v.LastUpdateTimestamp), "transactionStartTimestampMs", fmt.Sprint(v.StartTimestamp)), nil
}

// lineFormatter prints the text of a record. It skips records without a key, and those for which
// text returns "".
func lineFormatter(text func(version int16, key, value []byte) (string, error)) formatter {
	return func(w *bufio.Writer, r *kgo.Record) error {
		if r.Key == nil {
			return nil
		}
		version, err := versionOf(r.Key)
		if err != nil {
			return err
		}
		line, err := text(version, r.Key, r.Value)
		if err != nil {
			return unreadable(err)
		}
		if line != "" {
			_, err = w.WriteString(line + "\n")
		}
		return err
	}
}

// optionText formats a number that may be unset like a Scala Option.
func optionText(kind string, set bool, value any) string {
	if !set {
		return map[string]string{"Some": "None", "Optional": "Optional.empty"}[kind]
	}
	if kind == "Some" {
		return fmt.Sprintf("Some(%v)", value)
	}
	return fmt.Sprintf("Optional[%v]", value)
}

func oldOffsetLine(version int16, key, value []byte) (string, error) {
	k, v := kmsg.NewOffsetCommitKey(), kmsg.NewOffsetCommitValue()
	if version < 0 || version > 1 {
		return "", nil
	}
	if err := k.ReadFrom(key); err != nil {
		return "", err
	}
	text := "NULL"
	if value != nil {
		if err := v.ReadFrom(value); err != nil {
			return "", err
		}
		text = fmt.Sprintf("OffsetAndMetadata(offset=%d, leaderEpoch=%s, metadata=%s, commitTimestamp=%d, expireTimestamp=%s)", v.Offset,
			optionText("Optional", v.Version >= 3 && v.LeaderEpoch >= 0, v.LeaderEpoch), v.Metadata, v.CommitTimestamp,
			optionText("Some", v.Version == 1 && v.ExpireTimestamp >= 0, v.ExpireTimestamp))
	}
	return fmt.Sprintf("[%s,%s,%d]::%s", k.Group, k.Topic, k.Partition, text), nil
}

func oldGroupLine(version int16, key, value []byte) (string, error) {
	k, v := kmsg.NewGroupMetadataKey(), kmsg.NewGroupMetadataValue()
	if version != 2 {
		return "", nil
	}
	if err := k.ReadFrom(key); err != nil {
		return "", err
	}
	if value == nil {
		return k.Group + "::NULL", nil
	}
	if err := v.ReadFrom(value); err != nil {
		return "", err
	}
	state, protocol := "Stable", ""
	if len(v.Members) == 0 {
		state = "Empty"
	}
	if v.Protocol != nil {
		protocol = *v.Protocol
	}
	members := make([]string, len(v.Members))
	for i, m := range v.Members {
		instance := optionText("Some", false, nil)
		if m.InstanceID != nil {
			instance = optionText("Some", true, *m.InstanceID)
		}
		rebalance := m.RebalanceTimeoutMillis
		if v.Version == 0 {
			rebalance = m.SessionTimeoutMillis
		}
		members[i] = fmt.Sprintf("%s -> MemberMetadata(memberId=%s, groupInstanceId=%s, clientId=%s, clientHost=%s, sessionTimeoutMs=%d, rebalanceTimeoutMs=%d, supportedProtocols=List(%s))",
			m.MemberID, m.MemberID, instance, m.ClientID, m.ClientHost, m.SessionTimeoutMillis, rebalance, protocol)
	}
	return fmt.Sprintf("%s::GroupMetadata(groupId=%s, generation=%d, protocolType=Some(%s), currentState=%s, members=HashMap(%s))",
		k.Group, k.Group, v.Generation, v.ProtocolType, state, strings.Join(members, ", ")), nil
}

func oldTransactionLine(version int16, key, value []byte) (string, error) {
	k, v := kmsg.NewTxnMetadataKey(), kmsg.NewTxnMetadataValue()
	if version != 0 {
		return fmt.Sprintf("unknown::version=%d", version), nil
	}
	if err := k.ReadFrom(key); err != nil {
		return "", err
	}
	if value == nil {
		return k.TransactionalID + "::NULL", nil
	}
	if err := v.ReadFrom(value); err != nil {
		return "", err
	}
	state := fmt.Sprint(int8(v.State))
	if v.State >= 0 && int(v.State) < len(decode.TransactionStates) {
		state = decode.TransactionStates[v.State]
	}
	var partitions []string
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, fmt.Sprintf("%s-%d", t.Topic, p))
		}
	}
	return fmt.Sprintf("%s::TransactionMetadata(transactionalId=%s, producerId=%d, producerEpoch=%d, txnTimeoutMs=%d, state=%s, pendingState=None, topicPartitions=HashSet(%s), txnStartTimestamp=%d, txnLastUpdateTimestamp=%d)",
		k.TransactionalID, k.TransactionalID, v.ProducerID, v.ProducerEpoch, v.TimeoutMillis, state, strings.Join(partitions, ", "), v.StartTimestamp, v.LastUpdateTimestamp), nil
}
