package zkstore

import (
	"strconv"
	"strings"

	"github.com/monedula/monedula/metadata"
)

type (
	// TopicPartition names a partition.
	TopicPartition = metadata.TopicPartition
	// TopicID is a topic's id; zero means none.
	TopicID = metadata.TopicID
)

// Paths of nodes, relative to the chroot. Callers watch the exported ones or name them in messages.
const (
	BrokerIDsPath          = "/brokers/ids"
	TopicsPath             = "/brokers/topics"
	ControllerPath         = "/controller"
	ControllerEpochPath    = "/controller_epoch"
	DeleteTopicsPath       = "/admin/delete_topics"
	ReassignPartitionsPath = "/admin/reassign_partitions"
	PreferredElectionPath  = "/admin/preferred_replica_election"
	ISRChangesPath         = "/isr_change_notification"
	LogDirEventsPath       = "/log_dir_event_notification"
	ConfigChangesPath      = "/config/changes"
	FeaturePath            = "/feature"

	brokerSequencePath  = "/brokers/seqid"
	consumersPath       = "/consumers"
	clusterIDPath       = "/cluster/id"
	configPath          = "/config"
	producerIDBlockPath = "/latest_producer_id_block"

	configChangePrefix = "config_change_"
	isrChangePrefix    = "isr_change_"
	logDirEventPrefix  = "log_dir_event_"
)

// startupPaths returns the paths that each broker creates at startup, in Kafka's order.
func startupPaths() []string {
	return []string{
		consumersPath,
		BrokerIDsPath,
		TopicsPath,
		ConfigChangesPath,
		DeleteTopicsPath,
		brokerSequencePath,
		ISRChangesPath,
		producerIDBlockPath,
		LogDirEventsPath,
		configPath + "/topics",
		configPath + "/clients",
		configPath + "/users",
		configPath + "/brokers",
		configPath + "/ips",
	}
}

// BrokerPath returns /brokers/ids/id.
func BrokerPath(id metadata.BrokerID) string { return BrokerIDsPath + "/" + strconv.Itoa(int(id)) }

// TopicPath returns /brokers/topics/name.
func TopicPath(name string) string { return TopicsPath + "/" + name }

// PartitionStatePath returns /brokers/topics/T/partitions/P/state.
func PartitionStatePath(tp TopicPartition) string { return partitionPath(tp) + "/state" }

func partitionsPath(topic string) string { return TopicPath(topic) + "/partitions" }

func partitionPath(tp TopicPartition) string {
	return partitionsPath(tp.Topic) + "/" + strconv.Itoa(int(tp.Partition))
}

func topicDeletionPath(topic string) string { return DeleteTopicsPath + "/" + topic }

// EntityPath returns /config/type/name. name must be sanitised (see SanitizeEntity).
func EntityPath(t EntityType, name string) string {
	return configPath + "/" + string(t) + "/" + name
}

func consumerOffsetPath(group string, tp TopicPartition) string {
	return consumersPath + "/" + group + "/offsets/" + tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

// SanitizeEntity encodes a user or client name for use in a path, as Kafka does: URL-encoded UTF-8,
// in which '*' is encoded too and a space is %20.
func SanitizeEntity(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// DesanitizeEntity reverses SanitizeEntity. It returns a name with an invalid encoding unchanged.
func DesanitizeEntity(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return name
		}
		c, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return name
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String()
}

func joinPath(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

// notificationNumber returns the number at the end of a sequential node's name.
func notificationNumber(node, prefix string) (int64, bool) {
	text, ok := strings.CutPrefix(node, prefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseInt(text, 10, 64)
	return number, err == nil
}
