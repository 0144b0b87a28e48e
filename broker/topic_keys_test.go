package broker

import (
	"context"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// topicKeys are the topic's keys of Kafka 3.9, each with a test that sees the effect of the key,
// before and after it is changed while the topic is in use.
var topicKeys = map[string]func(k *topicOfKey){
	"cleanup.policy": func(k *topicOfKey) {
		k.produce(k.now)
		k.roll()
		k.overwrite("a")
		k.set("compact")
		k.refused(k.now, protocol.InvalidRecord) // without a key
		k.eventually("the log to be compacted", func() bool { return k.stored("a") == 1 })
	},
	"compression.type": func(k *topicOfKey) {
		for _, codec := range []string{"gzip", "zstd", "uncompressed"} {
			before := k.lastBatch().Codec()
			k.set(codec)
			want, _ := record.CodecOf(codec)
			if got := k.lastBatch().Codec(); got != want || got == before {
				k.t.Errorf("codec %v after the change to %s, %v before", got, codec, before)
			}
		}
	},
	"compression.gzip.level": func(k *topicOfKey) { k.compressesBetter("gzip", "1", "9") },
	"compression.lz4.level":  func(k *topicOfKey) { k.compressesBetter("lz4", "1", "17") },
	"compression.zstd.level": func(k *topicOfKey) { k.compressesBetter("zstd", "1", "19") },

	"max.message.bytes": func(k *topicOfKey) {
		k.produce(k.now)
		k.set("100")
		k.refused(k.now, protocol.MessageTooLarge)
	},
	"message.timestamp.type": func(k *topicOfKey) {
		if got := k.produce(k.now).LogAppendTime; got != -1 {
			k.t.Errorf("append time %d", got)
		}
		k.set("LogAppendTime")
		if got := k.produce(k.now).LogAppendTime; got < k.now {
			k.t.Errorf("append time %d", got)
		}
	},
	"message.timestamp.after.max.ms":      func(k *topicOfKey) { k.refusesTimestamp(time.Hour) },
	"message.timestamp.before.max.ms":     func(k *topicOfKey) { k.refusesTimestamp(-time.Hour) },
	"message.timestamp.difference.max.ms": func(k *topicOfKey) { k.refusesTimestamp(-time.Hour) },
	"message.downconversion.enable": func(k *topicOfKey) {
		k.produce(k.now)
		if code := k.fetchV1(); code != 0 {
			k.t.Errorf("code %d before", code)
		}
		k.set("false")
		if code := k.fetchV1(); code != int16(protocol.UnsupportedVersion) {
			k.t.Errorf("code %d after", code)
		}
	},
	"message.format.version": func(k *topicOfKey) { // ignored since Kafka 3.0
		k.set("0.10.0")
		if magic := k.lastBatch().Magic(); magic != 2 {
			k.t.Errorf("format %d", magic)
		}
	},
	"min.insync.replicas": func(k *topicOfKey) { // of the two replicas, that on broker 1 is offline
		k.produce(k.now)
		k.set("2")
		k.refused(k.now, protocol.NotEnoughReplicas)
	},

	"flush.messages": func(k *topicOfKey) {
		k.produce(k.now)
		if point := k.log().RecoveryPoint(); point != 0 {
			k.t.Errorf("recovery point %d before", point)
		}
		k.set("1")
		k.produce(k.now)
		if point := k.log().RecoveryPoint(); point != 2 {
			k.t.Errorf("recovery point %d after", point)
		}
	},
	"flush.ms": func(k *topicOfKey) {
		k.produce(k.now)
		k.ticks()
		if point := k.log().RecoveryPoint(); point != 0 {
			k.t.Errorf("recovery point %d before", point)
		}
		k.set("1")
		k.eventually("the log to be flushed", func() bool { return k.log().RecoveryPoint() == 1 })
	},
	"index.interval.bytes": func(k *topicOfKey) {
		k.produceTimes(5, 0)
		k.roll()
		before := k.log().Offsets().LogEnd
		k.set("0")
		k.produceTimes(5, 0)
		k.roll()
		if a, b := k.size(0, ".index"), k.size(before, ".index"); a != 0 || b < 4*8 {
			k.t.Errorf("indexes of %d and %d bytes", a, b)
		}
	},
	"preallocate": func(k *topicOfKey) {
		k.produce(k.now)
		k.set("true")
		k.roll()
		k.produce(k.now)
		if a, b := k.size(0, ".log"), k.size(1, ".log"); a > 1000 || b != 1<<20 {
			k.t.Errorf("segments of %d and %d bytes", a, b)
		}
	},
	"segment.bytes": func(k *topicOfKey) {
		k.produceTimes(10, 0)
		k.segments(1)
		k.set("300")
		k.produceTimes(10, 0)
		k.segments(6)
	},
	"segment.index.bytes": func(k *topicOfKey) { // an index of 2 entries, and one for each batch
		k.produceTimes(10, 0)
		k.segments(1)
		k.set("24")
		k.roll()
		k.produceTimes(10, 0)
		k.segments(6)
	},
	"segment.ms": func(k *topicOfKey) {
		k.produceTimes(5, time.Hour)
		k.segments(1)
		k.set("1800000")
		k.produceTimes(5, time.Hour)
		k.segments(6)
	},
	"segment.jitter.ms": func(k *topicOfKey) { // a segment spans an hour, or up to an hour less
		k.produceTimes(60, 30*time.Minute)
		before := k.log().SegmentCount()
		k.set("3600000")
		k.produceTimes(60, 30*time.Minute)
		if after := k.log().SegmentCount() - before; after < before+6 {
			k.t.Errorf("%d segments before, %d after", before, after)
		}
	},

	"retention.bytes": func(k *topicOfKey) { k.deletes("0") },
	"retention.ms":    func(k *topicOfKey) { k.deletes("1") },
	"file.delete.delay.ms": func(k *topicOfKey) {
		set := func() {
			k.produce(k.now)
			k.roll()
			if err := k.log().IncrementLogStart(k.log().Offsets().LogEnd); err != nil {
				k.t.Fatal(err)
			}
		}
		set()
		k.eventually("a file to be set aside", func() bool { return k.exists("00000000000000000000.log.deleted") })
		k.set("0")
		set()
		k.eventually("the files to be removed", func() bool {
			return !k.exists("00000000000000000001.log") && !k.exists("00000000000000000001.log.deleted")
		})
		if !k.exists("00000000000000000000.log.deleted") {
			k.t.Error("a file was removed before its delay")
		}
	},
	"max.compaction.lag.ms": func(k *topicOfKey) { // also limits the age of the active segment
		k.now -= 600_000
		for range 3 {
			k.overwrite("a")
			k.now += 60_000
		}
		k.ticks()
		if got := k.stored("a"); got != 6 {
			k.t.Errorf("%d records before, want 6", got)
		}
		k.set("30000")
		k.produceKeyed("a")
		k.eventually("the log to be compacted", func() bool { return k.stored("a") <= 2 })
		k.eventually("an old active segment to be rolled", func() bool { // a cleaning may still merge segments
			before := k.log().SegmentCount()
			k.now += 60_000
			k.produceKeyed("a")
			return k.log().SegmentCount() == before+1
		})
	},
	"min.cleanable.dirty.ratio": func(k *topicOfKey) { k.compacts("0") },
	"min.compaction.lag.ms":     func(k *topicOfKey) { k.compacts("0") },
	"delete.retention.ms": func(k *topicOfKey) { // at the first compaction of a tombstone; see KIP-534
		for _, key := range []string{"a", "b"} {
			k.overwrite(key)
			k.accepted(k.send(k.now, []byte(key), nil))
			k.roll()
			k.eventually("only the tombstone to remain", func() bool { return k.stored(key) <= 1 })
			k.set("0")
		}
		k.overwrite("c") // so that the log is compacted again
		k.eventually("the second tombstone to be removed", func() bool { return k.stored("b") == 0 })
		if k.stored("a") != 1 {
			k.t.Error("the first tombstone was removed")
		}
	},

	"leader.replication.throttled.replicas":   func(k *topicOfKey) { k.throttles("0:0") },
	"follower.replication.throttled.replicas": func(k *topicOfKey) { k.throttles("0:1") },
	"unclean.leader.election.enable":          electsUncleanly,

	// Tiered storage is not supported, as in a Kafka broker that does not enable it. The local limits
	// are stored and have no effect.
	"local.retention.bytes":        func(k *topicOfKey) { k.set("1"); k.produce(k.now); k.ticks(); k.logStart(0) },
	"local.retention.ms":           func(k *topicOfKey) { k.set("1"); k.produce(k.now); k.ticks(); k.logStart(0) },
	"remote.storage.enable":        func(k *topicOfKey) { k.setRefused("true") },
	"remote.log.copy.disable":      func(k *topicOfKey) { k.setRefused("true") },
	"remote.log.delete.on.disable": func(k *topicOfKey) { k.setRefused("true") },
}

// lastKeys are the keys that are tested last: the first of them stops broker 1. Their topics have
// replicas on both brokers.
var lastKeys = []string{"unclean.leader.election.enable", "min.insync.replicas"}

// topicsOfKeys are the configurations with which the topics of some keys are created.
var topicsOfKeys = map[string]map[string]string{
	"compression.gzip.level":    {"compression.type": "gzip", "compression.gzip.level": "1"},
	"compression.lz4.level":     {"compression.type": "lz4", "compression.lz4.level": "1"},
	"compression.zstd.level":    {"compression.type": "zstd", "compression.zstd.level": "1"},
	"flush.ms":                  {"flush.ms": "3600000"},
	"preallocate":               {"segment.bytes": "1048576"},
	"segment.index.bytes":       {"index.interval.bytes": "0"},
	"segment.jitter.ms":         {"segment.ms": "3600000"},
	"file.delete.delay.ms":      {"file.delete.delay.ms": "3600000"},
	"max.compaction.lag.ms":     {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1"},
	"min.cleanable.dirty.ratio": {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1"},
	"min.compaction.lag.ms":     {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "min.compaction.lag.ms": "3600000"},
	"delete.retention.ms":       {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "delete.retention.ms": "3600000"},
}

func TestEveryTopicKeyTakesEffectLive(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(string(golden.Read(t, "topic-configs-3.9.csv")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, row := range rows[1:] {
		keys = append(keys, row[0])
		if topicKeys[row[0]] == nil {
			t.Fatalf("no test of %s", row[0])
		}
	}
	pair := startPair(t)
	var create kmsg.CreateTopicsRequest
	create.Version, create.TimeoutMillis = 5, 30_000
	for _, key := range keys {
		create.Topics = append(create.Topics, pair.topicFor(key))
	}
	for _, a := range pair.ask(&create).(*kmsg.CreateTopicsResponse).Topics {
		if a.ErrorCode != 0 {
			t.Fatalf("creating %s: %v", a.Topic, protocol.ErrorCode(a.ErrorCode))
		}
	}
	slices.SortStableFunc(keys, func(a, b string) int { return slices.Index(lastKeys, a) - slices.Index(lastKeys, b) })
	for _, key := range keys {
		t.Run(key, func(t *testing.T) {
			k := &topicOfKey{pair: pair, t: t, key: key, name: topicName(key), now: time.Now().UnixMilli()}
			k.eventually("its leader", func() bool { l := k.log(); return l != nil && k.leads() })
			topicKeys[key](k)
		})
	}
}

func topicName(key string) string { return strings.ReplaceAll(key, ".", "-") }

// brokerPair is two complete brokers in this process. Requests go to broker 0, which is the
// controller.
type brokerPair struct {
	t       *testing.T
	brokers [2]*Broker
	stops   [2]func()
	dirs    [2]string
	store   string
	links   [2]*peerlink.Link
}

func startPair(t *testing.T) *brokerPair {
	p := &brokerPair{t: t, store: testkit.ZooKeeper(t)}
	for id := range p.brokers {
		p.dirs[id] = t.TempDir()
		port := testkit.FreePort(t)
		cfg, err := settings.FromMap(map[string]string{
			"broker.id": strconv.Itoa(id), "zookeeper.connect": p.store, "log.dirs": p.dirs[id],
			"listeners":                 "PLAINTEXT://127.0.0.1:" + strconv.Itoa(port),
			"auto.create.topics.enable": "false", "log.initial.task.delay.ms": "0",
			"log.retention.check.interval.ms": "50", "log.flush.scheduler.interval.ms": "50", "log.cleaner.backoff.ms": "20", "log.cleaner.dedupe.buffer.size": "4000000",
			"replica.fetch.max.bytes": "1", "replica.fetch.backoff.ms": "50", "controlled.shutdown.enable": "false",
		})
		if err != nil {
			t.Fatal(err)
		}
		b := New(cfg, kafkalog.Discard())
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.brokers[id] = b
		p.stops[id] = sync.OnceFunc(b.Stop)
		t.Cleanup(p.stops[id])
		p.links[id] = peerlink.New(peerlink.Config{Address: "127.0.0.1:" + strconv.Itoa(port), ClientID: "test"})
		t.Cleanup(p.links[id].Close)
		if !b.cache.Await(t.Context(), time.Minute, func(s *metadata.Snapshot) bool { return s.Heard && s.Complete && len(s.Brokers) == id+1 }) {
			t.Fatal("no controller")
		}
	}
	return p
}

func (p *brokerPair) ask(req kmsg.Request) kmsg.Response {
	p.t.Helper()
	return p.askOf(0, req)
}

func (p *brokerPair) askOf(broker int, req kmsg.Request) kmsg.Response {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	resp, err := p.links[broker].Do(ctx, req)
	if err != nil {
		p.t.Fatalf("%T: %v", req, err)
	}
	return resp
}

// topicFor returns the topic for a key.
func (p *brokerPair) topicFor(key string) kmsg.CreateTopicsRequestTopic {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = topicName(key), -1, -1
	replicas := []int32{0}
	if slices.Contains(lastKeys, key) {
		replicas = []int32{1, 0}
	}
	topic.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: replicas}}
	for name, value := range topicsOfKeys[key] {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	return topic
}

// alter sets a key of a topic or, with a request to it, of a broker. It returns the error code of the
// response.
func (p *brokerPair) alter(kind kmsg.ConfigResourceType, name, key, value string) protocol.ErrorCode {
	p.t.Helper()
	broker := 0
	if kind == kmsg.ConfigResourceTypeBroker {
		broker, _ = strconv.Atoi(name)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: name,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: &value}}}}
	return protocol.ErrorCode(p.askOf(broker, req).(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode)
}

// topicOfKey is the topic on which a key is tested. It has one partition, which broker 0 leads.
type topicOfKey struct {
	pair *brokerPair
	t    *testing.T
	key  string
	name string
	now  int64 // ms
}

func (k *topicOfKey) tp() storage.TopicPartition { return storage.TopicPartition{Topic: k.name} }

func (k *topicOfKey) log() *storage.Log { return k.pair.brokers[0].logs.Log(k.tp()) }

func (k *topicOfKey) leads() bool {
	p := k.pair.brokers[0].cache.Snapshot().Partition(k.name, 0)
	return p != nil && p.Leader >= 0
}

func (k *topicOfKey) eventually(what string, holds func() bool) {
	k.t.Helper()
	testkit.Eventually(k.t, 30*time.Second, what, holds)
}

// set changes the key and waits until the broker has applied the change.
func (k *topicOfKey) set(value string) {
	k.t.Helper()
	if code := k.pair.alter(kmsg.ConfigResourceTypeTopic, k.name, k.key, value); code != protocol.None {
		k.t.Fatalf("%s=%s: %v", k.key, value, code)
	}
	k.eventually("the change to be applied", func() bool { return k.log().Config().Overrides[k.key] == value })
}

func (k *topicOfKey) setRefused(value string) {
	k.t.Helper()
	if code := k.pair.alter(kmsg.ConfigResourceTypeTopic, k.name, k.key, value); code != protocol.InvalidConfig {
		k.t.Errorf("%s=%s: %v", k.key, value, code)
	}
}

// ticks waits for several periods of the broker's periodic work.
func (k *topicOfKey) ticks() { <-time.After(300 * time.Millisecond) }

// send produces a batch of one record with acks=all.
func (k *topicOfKey) send(timestamp int64, key, value []byte) kmsg.ProduceResponseTopicPartition {
	k.t.Helper()
	w := record.NewBuilder(record.Defaults())
	if err := w.Append(timestamp, key, value); err != nil {
		k.t.Fatal(err)
	}
	set, err := w.Build()
	if err != nil {
		k.t.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 10_000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: k.name, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: set}}}}
	return k.pair.ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
}

func (k *topicOfKey) accepted(a kmsg.ProduceResponseTopicPartition) kmsg.ProduceResponseTopicPartition {
	k.t.Helper()
	if a.ErrorCode != 0 {
		k.t.Fatalf("a record is refused: %v", protocol.ErrorCode(a.ErrorCode))
	}
	return a
}

// produce writes a record without a key, of about 130 bytes with its batch.
func (k *topicOfKey) produce(timestamp int64) kmsg.ProduceResponseTopicPartition {
	k.t.Helper()
	return k.accepted(k.send(timestamp, nil, make([]byte, 60)))
}

func (k *topicOfKey) produceKeyed(key string) {
	k.t.Helper()
	k.accepted(k.send(k.now, []byte(key), make([]byte, 60)))
}

// produceTimes writes n records whose timestamps are step apart.
func (k *topicOfKey) produceTimes(n int, step time.Duration) {
	k.t.Helper()
	for range n {
		k.produce(k.now)
		k.now += step.Milliseconds()
	}
}

func (k *topicOfKey) refused(timestamp int64, want protocol.ErrorCode) {
	k.t.Helper()
	if code := protocol.ErrorCode(k.send(timestamp, nil, make([]byte, 60)).ErrorCode); code != want {
		k.t.Errorf("a record has the code %v, want %v", code, want)
	}
}

func (k *topicOfKey) refusesTimestamp(ahead time.Duration) {
	k.t.Helper()
	k.produce(k.now + ahead.Milliseconds())
	k.set("60000")
	k.produce(time.Now().UnixMilli())
	k.refused(k.now+ahead.Milliseconds(), protocol.InvalidTimestamp)
}

// batchAt reads the batch at or after an offset, nil if there is none.
func (k *topicOfKey) batchAt(offset record.Offset) record.Batch {
	k.t.Helper()
	data, err := k.log().Read(storage.Read{Offset: offset, MaxBytes: 1 << 20, MinOneMessage: true})
	if err != nil {
		k.t.Fatal(err)
	}
	defer data.Release()
	if data.Length == 0 {
		return nil // up to the log end, the last records were removed
	}
	set := make([]byte, data.Length)
	if _, err := data.File.ReadAt(set, data.Position); err != nil {
		k.t.Fatal(err)
	}
	b, err := record.First(set)
	if err != nil || b == nil {
		k.t.Fatal(err)
	}
	return b
}

// lastBatch produces a record and returns its batch as stored.
func (k *topicOfKey) lastBatch() record.Batch {
	k.t.Helper()
	return k.batchAt(record.Offset(k.produce(k.now).BaseOffset))
}

// compressesBetter changes the level of a codec, and expects smaller batches with the second value.
func (k *topicOfKey) compressesBetter(codec, level, better string) {
	k.t.Helper()
	words := make([]string, 3000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range words {
		words[i] = fmt.Sprintf("word%d", random.IntN(500))
	}
	text := []byte(strings.Join(words, " "))
	size := func() int { return len(k.batchAt(record.Offset(k.accepted(k.send(k.now, nil, text)).BaseOffset))) }
	before := size()
	k.set(better)
	if after := size(); after >= before {
		k.t.Errorf("%s: %d bytes with level %s, %d with %s", codec, before, level, after, better)
	}
}

// fetchV1 fetches with version 1, for which the records must be converted, and returns the error
// code.
func (k *topicOfKey) fetchV1() int16 {
	k.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxWaitMillis, req.MinBytes = 1, -1, 100, 1
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: k.name, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return k.pair.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode
}

func (k *topicOfKey) roll() {
	k.t.Helper()
	if err := k.log().Roll(); err != nil {
		k.t.Fatal(err)
	}
}

func (k *topicOfKey) segments(want int) {
	k.t.Helper()
	if got := k.log().SegmentCount(); got != want {
		k.t.Errorf("%d segments, want %d", got, want)
	}
}

func (k *topicOfKey) logStart(want record.Offset) {
	k.t.Helper()
	if got := k.log().Offsets().LogStart; got != want {
		k.t.Errorf("the log starts at %d, want %d", got, want)
	}
}

// size returns the size of a file of the segment at base.
func (k *topicOfKey) size(base record.Offset, suffix string) int64 {
	k.t.Helper()
	info, err := os.Stat(filepath.Join(k.log().Path(), fmt.Sprintf("%020d%s", base, suffix)))
	if err != nil {
		k.t.Fatal(err)
	}
	return info.Size()
}

func (k *topicOfKey) exists(file string) bool {
	_, err := os.Stat(filepath.Join(k.log().Path(), file))
	return err == nil
}

// deletes expects that retention deletes nothing before the key has the value, and everything
// after.
func (k *topicOfKey) deletes(value string) {
	k.t.Helper()
	k.produceTimes(3, 0)
	k.roll()
	k.ticks()
	k.logStart(0)
	k.set(value)
	k.eventually("the first segment to be deleted", func() bool { return k.log().Offsets().LogStart == 3 })
}

// overwrite writes two records with a key, and rolls.
func (k *topicOfKey) overwrite(key string) {
	k.t.Helper()
	for range 2 {
		k.produceKeyed(key)
	}
	k.roll()
}

// stored returns the number of records with a key in the log.
func (k *topicOfKey) stored(key string) (n int) {
	k.t.Helper()
	at := k.log().Offsets()
	for next := at.LogStart; next < at.LogEnd; {
		b := k.batchAt(next)
		if b == nil {
			break
		}
		if err := b.Each(func(r *record.Record) error {
			if string(r.Key) == key {
				n++
			}
			return nil
		}); err != nil {
			k.t.Fatal(err)
		}
		next = b.NextOffset()
	}
	return n
}

// compacts expects that the log is not compacted before the key has the value, and is afterwards.
func (k *topicOfKey) compacts(value string) {
	k.t.Helper()
	k.overwrite("a")
	k.ticks()
	if got := k.stored("a"); got != 2 {
		k.t.Errorf("%d records before, want 2", got)
	}
	k.set(value)
	k.eventually("the log to be compacted", func() bool { return k.stored("a") == 1 })
}

// throttles adds a replica on broker 1 while replication of the listed replica is throttled to
// almost nothing, and then removes the throttle. Each fetch returns one batch.
func (k *topicOfKey) throttles(list string) {
	k.t.Helper()
	for _, id := range []string{"0", "1"} {
		for _, key := range []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate"} {
			if code := k.pair.alter(kmsg.ConfigResourceTypeBroker, id, key, "1"); code != protocol.None {
				k.t.Fatal(code)
			}
		}
	}
	const records = 40
	k.produceTimes(records, 0)
	k.set(list)
	other := k.pair.brokers[1]
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = 10_000
	p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Replicas = []int32{0, 1}
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: k.name, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{p}}}
	resp := k.pair.ask(req).(*kmsg.AlterPartitionAssignmentsResponse)
	if resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		k.t.Fatalf("%+v", resp)
	}
	end := func() record.Offset {
		if l := other.logs.Log(k.tp()); l != nil {
			return l.Offsets().LogEnd
		}
		return 0
	}
	k.eventually("the first batch to be replicated", func() bool { return end() > 0 })
	k.ticks()
	if at := end(); at > records/2 {
		k.t.Errorf("%d of %d records were replicated in spite of the throttle", at, records)
	}
	k.set("")
	k.eventually("all records to be replicated", func() bool { return end() == records })
}

// electsUncleanly stops the only in-sync replica, broker 1. The other one leads once the key allows
// it.
func electsUncleanly(k *topicOfKey) {
	k.eventually("broker 1 to lead", func() bool { return k.leader() == 1 })
	conn, _, err := zk.Connect([]string{strings.SplitN(k.pair.store, "/", 2)[0]}, 5*time.Second, zk.WithLogInfo(false))
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	path := "/" + strings.SplitN(k.pair.store, "/", 2)[1] + "/brokers/topics/" + k.name + "/partitions/0/state"
	if _, err := conn.Set(path, []byte(`{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1]}`), -1); err != nil {
		k.t.Fatal(err)
	}
	k.pair.stops[1]()
	k.eventually("the partition to be offline", func() bool { return k.leader() == -1 })
	k.set("true")
	k.eventually("an unclean election", func() bool { return k.leader() == 0 })
}

func (k *topicOfKey) leader() metadata.BrokerID {
	p := k.pair.brokers[0].cache.Snapshot().Partition(k.name, 0)
	if p == nil {
		return -2
	}
	return p.Leader
}
