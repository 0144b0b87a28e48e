package zkstore

import (
	"fmt"
	"math"
	"net"
	"sort"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// The types in this file are the contents of nodes, which are JSON. Decoders (decode.go) accept any
// order of keys and ignore unknown keys. Encoders (this file) write exactly the bytes that Kafka
// writes, including the order of keys, so that tools that compare or grep nodes see no difference.

// BrokerInfo is the content of /brokers/ids/N.
type BrokerInfo struct {
	ID          metadata.BrokerID
	Endpoints   []metadata.Endpoint // in the order of advertised.listeners
	Rack        *string
	JMXPort     int32                   // -1 if none
	Features    map[string]FeatureRange // always empty in practice
	JSONVersion int                     // 5 since IBP 2.7-IV0, 4 since 0.10.0-IV1, 2 before; writes take 0 as 5
	Epoch       int64                   // czxid; set by reads
	Timestamp   int64                   // in ms; set by reads, and to the current time by writes
}

// FeatureRange is the range of a feature's levels that a broker supports.
type FeatureRange struct{ Min, Max int16 }

// brokerJSONNewest is the JSON version of the broker node that Kafka 3.9 writes.
const brokerJSONNewest = 5

// encodeBroker lists the protocols of the listeners in the order of Kafka's immutable map.
func encodeBroker(b BrokerInfo, timestamp int64) []byte {
	version := b.JSONVersion
	if version == 0 {
		version = brokerJSONNewest
	}
	var w objectWriter
	if version >= 5 {
		w.key("features").object(func(w *objectWriter) {
			for _, name := range sortedKeys(b.Features) {
				r := b.Features[name]
				w.key(name).object(func(w *objectWriter) {
					w.key("min_version").int(int64(r.Min))
					w.key("max_version").int(int64(r.Max))
				})
			}
		})
	}
	if version >= 4 {
		w.key("listener_security_protocol_map").object(func(w *objectWriter) {
			for _, e := range javatext.ImmutableOrder(b.Endpoints, listenerHash) {
				w.key(e.Listener).string(securityProtocols[e.SecurityProtocol&3])
			}
		})
	}
	w.key("endpoints").list(len(b.Endpoints), func(w *objectWriter, i int) { w.string(endpointText(b.Endpoints[i])) })
	if version >= 3 && b.Rack != nil {
		w.key("rack").string(*b.Rack)
	}
	w.key("jmx_port").int(int64(b.JMXPort))
	if e := plaintextEndpoint(b.Endpoints); e != nil {
		w.key("port").int(int64(e.Port))
		w.key("host").string(e.Host)
	} else {
		w.key("port").int(-1)
		w.key("host").raw("null")
	}
	w.key("version").int(int64(version))
	w.key("timestamp").string(strconv.FormatInt(timestamp, 10))
	return w.bytes()
}

// securityProtocols are the names of security protocols, indexed by
// metadata.Endpoint.SecurityProtocol.
var securityProtocols = [4]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// plaintextEndpoint returns the first PLAINTEXT endpoint, to which readers of the first JSON
// versions connect, or nil if there is none.
func plaintextEndpoint(endpoints []metadata.Endpoint) *metadata.Endpoint {
	for i := range endpoints {
		if endpoints[i].SecurityProtocol == 0 {
			return &endpoints[i]
		}
	}
	return nil
}

func endpointText(e metadata.Endpoint) string {
	host := e.Host
	if strings.Contains(host, ":") {
		return e.Listener + "://" + net.JoinHostPort(host, strconv.Itoa(int(e.Port)))
	}
	return e.Listener + "://" + host + ":" + strconv.Itoa(int(e.Port))
}

// Assignment is a partition's replicas in /brokers/topics/T.
type Assignment struct {
	Replicas, Adding, Removing []metadata.BrokerID
}

// TopicNode is the content of /brokers/topics/T.
type TopicNode struct {
	Name       string
	ID         TopicID // zero if none
	Partitions map[int32]Assignment
	Version    Version // dataVersion; set by reads
}

// encodeTopic lists the partitions in the order of Kafka's mutable map.
func encodeTopic(t TopicNode) []byte {
	lists := func(key string, w *objectWriter, of func(Assignment) []metadata.BrokerID, always bool) {
		var names []string
		for p, a := range t.Partitions {
			if always || len(of(a)) > 0 {
				names = append(names, strconv.Itoa(int(p)))
			}
		}
		w.key(key).object(func(w *objectWriter) {
			for _, name := range javatext.MutableOrder(names, javatext.StringHash) {
				p, _ := strconv.Atoi(name)
				w.key(name).brokerIDs(of(t.Partitions[int32(p)]))
			}
		})
	}
	var w objectWriter
	lists("partitions", &w, func(a Assignment) []metadata.BrokerID { return a.Replicas }, true)
	if t.ID != (TopicID{}) {
		w.key("topic_id").string(javatext.UUID(t.ID))
	}
	lists("adding_replicas", &w, func(a Assignment) []metadata.BrokerID { return a.Adding }, false)
	lists("removing_replicas", &w, func(a Assignment) []metadata.BrokerID { return a.Removing }, false)
	w.key("version").int(3)
	return w.bytes()
}

// TopicNodeBytes returns the size of the topic's node in bytes.
func TopicNodeBytes(t TopicNode) int { return len(encodeTopic(t)) }

// PartitionsMax returns an upper bound for the number of partitions of a topic. With more, the
// topic's node is too large to be stored. replicas is the number of replicas of each partition. The
// shortest entry of a partition is `"0":[1],`.
func PartitionsMax(replicas int) int { return NodeBytesMax / (6 + 2*replicas) }

// PartitionState is the content of /brokers/topics/T/partitions/P/state.
type PartitionState struct {
	ControllerEpoch metadata.ControllerEpoch // of the controller that decided on the leadership
	Leader          metadata.BrokerID        // NoBroker if none
	LeaderEpoch     metadata.LeaderEpoch
	ISR             []metadata.BrokerID
	Recovering      bool    // leader_recovery_state is 1
	Version         Version // dataVersion, which is the partition epoch
	Zxid            int64   // mzxid, the id of the transaction that wrote the state; set by reads
}

func encodePartitionState(p PartitionState) []byte {
	var w objectWriter
	w.key("controller_epoch").int(int64(p.ControllerEpoch))
	w.key("leader").int(int64(p.Leader))
	w.key("version").int(1)
	if p.Recovering {
		w.key("leader_recovery_state").int(1)
	}
	w.key("leader_epoch").int(int64(p.LeaderEpoch))
	w.key("isr").brokerIDs(p.ISR)
	return w.bytes()
}

func listenerHash(e metadata.Endpoint) int32 { return javatext.StringHash(e.Listener) }

func encodeController(id metadata.BrokerID, timestamp int64) []byte {
	var w objectWriter
	w.key("version").int(2)
	w.key("brokerid").int(int64(id))
	w.key("timestamp").string(strconv.FormatInt(timestamp, 10))
	w.key("kraftControllerEpoch").int(-1)
	return w.bytes()
}

func encodeClusterID(id string) []byte {
	var w objectWriter
	w.key("version").string("1")
	w.key("id").string(id)
	return w.bytes()
}

// FeatureNode is the content of /feature.
type FeatureNode struct {
	JSONVersion int  // 2 since IBP 3.3-IV0, 1 before
	Enabled     bool // false before IBP 2.7-IV0
	Features    map[string]FinalizedFeature
	Version     Version // dataVersion, which is the epoch of the finalized features; set by reads
}

// FinalizedFeature is the range of levels of a finalized feature. Only JSON version 1 has Min.
type FinalizedFeature struct{ Min, Max int16 }

func encodeFeature(n FeatureNode) []byte {
	var w objectWriter
	w.key("features").object(func(w *objectWriter) {
		for _, name := range sortedKeys(n.Features) {
			f := n.Features[name]
			w.key(name).object(func(w *objectWriter) {
				w.key("max_version_level").int(int64(f.Max))
				if n.JSONVersion == 1 {
					w.key("min_version_level").int(int64(f.Min))
				}
			})
		}
	})
	status := int64(0)
	if n.Enabled {
		status = 1
	}
	w.key("version").int(int64(n.JSONVersion))
	w.key("status").int(status)
	return w.bytes()
}

// ProducerIDBlock is the content of /latest_producer_id_block: the producer ids from Start to End,
// both inclusive, and the broker to which they were allocated.
type ProducerIDBlock struct {
	Broker     metadata.BrokerID
	Start, End int64
}

// producerIDBlockSize is the number of ids in a block.
const producerIDBlockSize = 1000

// next returns the block after b, allocated to broker.
func (b ProducerIDBlock) next(broker metadata.BrokerID) (ProducerIDBlock, error) {
	if b.End > math.MaxInt64-producerIDBlockSize {
		return ProducerIDBlock{}, fmt.Errorf("zkstore: have exhausted all producerIds as the next producerId range would exceed long max; the latest block ends at %d", b.End)
	}
	return ProducerIDBlock{Broker: broker, Start: b.End + 1, End: b.End + producerIDBlockSize}, nil
}

func encodeProducerIDBlock(b ProducerIDBlock) []byte {
	var w objectWriter
	w.key("version").int(1)
	w.key("broker").int(int64(b.Broker))
	w.key("block_start").string(strconv.FormatInt(b.Start, 10))
	w.key("block_end").string(strconv.FormatInt(b.End, 10))
	return w.bytes()
}

// encodeConfig lists the keys in the order of a java.util.Properties that they were put into in the
// order of the alphabet.
func encodeConfig(config map[string]string) []byte {
	var w objectWriter
	w.key("version").int(1)
	w.key("config").object(func(w *objectWriter) {
		for _, key := range javatext.PropertiesOrder(sortedKeys(config)) {
			w.key(key).string(config[key])
		}
	})
	return w.bytes()
}

func encodeConfigChange(entityPath string) []byte {
	var w objectWriter
	w.key("version").int(2)
	w.key("entity_path").string(entityPath)
	return w.bytes()
}

// encodePartitions encodes the data of isr_change and preferred_replica_election nodes.
func encodePartitions(tps []TopicPartition) []byte {
	var w objectWriter
	w.key("version").int(1)
	w.key("partitions").list(len(tps), func(w *objectWriter, i int) {
		w.object(func(w *objectWriter) {
			w.key("topic").string(tps[i].Topic)
			w.key("partition").int(int64(tps[i].Partition))
		})
	})
	return w.bytes()
}

func encodeLogDirEvent(broker metadata.BrokerID) []byte {
	var w objectWriter
	w.key("version").int(1)
	w.key("broker").int(int64(broker))
	w.key("event").int(1)
	return w.bytes()
}

func encodeReassignments(r map[TopicPartition][]metadata.BrokerID) []byte {
	tps := sortedPartitions(r)
	var w objectWriter
	w.key("version").int(1)
	w.key("partitions").list(len(tps), func(w *objectWriter, i int) {
		w.object(func(w *objectWriter) {
			w.key("topic").string(tps[i].Topic)
			w.key("partition").int(int64(tps[i].Partition))
			w.key("replicas").brokerIDs(r[tps[i]])
		})
	})
	return w.bytes()
}

// sortedPartitions returns the keys of m sorted by topic and partition, which makes writes
// deterministic.
func sortedPartitions[V any](m map[TopicPartition]V) []TopicPartition {
	tps := make([]TopicPartition, 0, len(m))
	for tp := range m {
		tps = append(tps, tp)
	}
	sort.Slice(tps, func(i, j int) bool {
		if tps[i].Topic != tps[j].Topic {
			return tps[i].Topic < tps[j].Topic
		}
		return tps[i].Partition < tps[j].Partition
	})
	return tps
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
