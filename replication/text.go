package replication

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// These functions spell values as Kafka does in log lines and error messages.

// name returns a partition's name, such as topic-0.
func name(p TopicPartition) string { return p.Topic + "-" + strconv.Itoa(int(p.Partition)) }

func commaList(ids []int32) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	return b.String()
}

func idList(ids []int32) string { return "[" + commaList(ids) + "]" }

// idSet formats ids as a Scala Set.
func idSet(ids []int32) string {
	return "Set(" + strings.ReplaceAll(commaList(ids), ",", ", ") + ")"
}

func optionalLeader(id int32) string {
	if id < 0 {
		return "None"
	}
	return fmt.Sprintf("Some(%d)", id)
}

func optionalID(id TopicID) string {
	if id == (TopicID{}) {
		return "None"
	}
	return "Some(" + uuid(id) + ")"
}

// uuid formats an id as Kafka does: URL-safe base64 without padding.
func uuid(id TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func nameList(ids []TopicPartition) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = name(id)
	}
	return strings.Join(names, ",")
}
