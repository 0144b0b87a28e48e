package broker

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkserver"
)

// monitoredPair is two brokers in this process whose requests are measured. Broker 0 is the
// controller.
type monitoredPair struct {
	t       *testing.T
	keeper  *zkserver.Server
	dirs    [2][2]string // two log directories of each broker
	ports   [2]int
	brokers [2]*Broker
	stops   [2]func()
	links   [2]*peerlink.Link
}

// startKeeper starts the embedded ZooKeeper server in this process. It ends with the test.
func startKeeper(t *testing.T) *zkserver.Server {
	c := zkserver.DefaultConfig()
	c.FS, c.DataDir, c.Host, c.Port, c.PreallocateSize = vfs.NewMem(), "/zookeeper", "127.0.0.1", 0, 0
	s, err := zkserver.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func startMonitoredPair(t *testing.T) *monitoredPair {
	p := &monitoredPair{t: t, keeper: startKeeper(t)}
	for id := range p.brokers {
		p.dirs[id] = [2]string{t.TempDir(), t.TempDir()}
		p.ports[id] = testkit.FreePort(t)
		p.start(id)
	}
	return p
}

// start starts a broker and waits until all brokers know it.
func (p *monitoredPair) start(id int) {
	p.t.Helper()
	address := "127.0.0.1:" + strconv.Itoa(p.ports[id])
	cfg, err := settings.FromMap(map[string]string{
		"broker.id": strconv.Itoa(id), "zookeeper.connect": p.keeper.Address(), "log.dirs": p.dirs[id][0] + "," + p.dirs[id][1],
		"listeners": "PLAINTEXT://" + address, "monedula.metrics.listener": "127.0.0.1:0",
		"auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "300000", "replica.fetch.backoff.ms": "50",
		"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1",
		"transaction.state.log.num.partitions": "1", "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
		"transaction.max.timeout.ms": "60000", "controlled.shutdown.max.retries": "1",
	})
	if err != nil {
		p.t.Fatal(err)
	}
	b := New(cfg, kafkalog.Discard())
	if err := b.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.brokers[id], p.stops[id] = b, sync.OnceFunc(b.Stop)
	p.t.Cleanup(p.stops[id])
	p.links[id] = peerlink.New(peerlink.Config{Address: address, ClientID: "test"})
	p.t.Cleanup(p.links[id].Close)
	for i := range id + 1 {
		if !p.brokers[i].cache.Await(p.t.Context(), time.Minute, func(s *metadata.Snapshot) bool { return s.Complete && len(s.Brokers) == id+1 }) {
			p.t.Fatal("the brokers do not know each other")
		}
	}
}

// ask sends a request at the highest common version up to max (-1: no limit).
func (p *monitoredPair) ask(broker int, req kmsg.Request, max int16) kmsg.Response {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	resp, err := p.links[broker].Negotiated(ctx, req, max)
	if err != nil {
		p.t.Fatalf("%T: %v", req, err)
	}
	return resp
}

// createTopic creates a topic with one partition on the given brokers.
func (p *monitoredPair) createTopic(name string, replicas []int32, config ...string) {
	p.t.Helper()
	req, topic := kmsg.NewPtrCreateTopicsRequest(), kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	topic.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: replicas}}
	for i := 0; i+1 < len(config); i += 2 {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: config[i], Value: &config[i+1]})
	}
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 60_000
	if code := p.ask(0, req, -1).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; code != 0 {
		p.t.Fatalf("topic %s: %v", name, protocol.ErrorCode(code))
	}
}

// set returns a set of records with the given keys.
func (p *monitoredPair) set(change func(*record.Options), keys ...string) []byte {
	p.t.Helper()
	o := record.Defaults()
	if change != nil {
		change(&o)
	}
	b := record.NewBuilder(o)
	for _, key := range keys {
		k := []byte(key)
		if key == "" {
			k = nil
		}
		if err := b.Append(time.Now().UnixMilli(), k, []byte("value")); err != nil {
			p.t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		p.t.Fatal(err)
	}
	return set
}

// produce sends records to partition 0 of a topic and returns the code of the answer.
func (p *monitoredPair) produce(broker int, topic string, set []byte, change ...func(*kmsg.ProduceRequest)) protocol.ErrorCode {
	p.t.Helper()
	req, t, part := kmsg.NewPtrProduceRequest(), kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	req.Acks, req.TimeoutMillis, t.Topic, part.Records = -1, 10_000, topic, set
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	version := int16(-1)
	if record.Batch(set).Magic() < 2 {
		version = 2
	}
	for _, f := range change {
		f(req)
	}
	return protocol.ErrorCode(p.ask(broker, req, version).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

func (p *monitoredPair) mustProduce(broker int, topic string, set []byte, change ...func(*kmsg.ProduceRequest)) {
	p.t.Helper()
	if code := p.produce(broker, topic, set, change...); code != protocol.None {
		p.t.Fatalf("produce to %s: %v", topic, code)
	}
}

// fetch reads partition 0 of a topic from the beginning.
func (p *monitoredPair) fetch(broker int, topic string, maxVersion int16, wait time.Duration, from int64) {
	p.t.Helper()
	req, t, part := kmsg.NewPtrFetchRequest(), kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = int32(wait.Milliseconds()), 1, 1<<20, -1
	t.Topic, part.PartitionMaxBytes, part.FetchOffset = topic, 1<<20, from
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	resp := p.ask(broker, req, maxVersion).(*kmsg.FetchResponse)
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
		p.t.Fatalf("fetch %s: %v", topic, protocol.ErrorCode(code))
	}
}

// seriesOf parses the page of a broker.
func seriesOf(t testing.TB, b *Broker) map[string]float64 {
	t.Helper()
	series := map[string]float64{}
	_, text := getPage(b, "/metrics")
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[line[:at]] = value
	}
	return series
}

// sum adds up the series whose name and labels match a pattern.
func sum(series map[string]float64, pattern string) (total float64) {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	for name, value := range series {
		if re.MatchString(name) {
			total += value
		}
	}
	return total
}

// moves checks that an event increases all the series on the page of a broker. Each is a name, or a
// pattern for a name with labels.
func (p *monitoredPair) moves(broker int, event string, do func(), patterns ...string) {
	p.t.Helper()
	before := seriesOf(p.t, p.brokers[broker])
	do()
	deadline := time.Now().Add(20 * time.Second)
	for {
		after, missing := seriesOf(p.t, p.brokers[broker]), []string{}
		for _, pattern := range patterns {
			if was, is := sum(before, pattern), sum(after, pattern); is <= was {
				missing = append(missing, pattern)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("%s: broker %d does not count %q", event, broker, missing)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// labelled returns a pattern for the series of a metric with the labels.
func labelled(metric string, labels ...string) string {
	return metric + `\{.*` + regexp.QuoteMeta(strings.Join(labels, ",")) + `.*\}`
}

// errorsOf returns a pattern for the errors in the answers to a type of requests.
func errorsOf(request string, code protocol.ErrorCode) string {
	return labelled("kafka_network_requestmetrics_errors_total", `request="`+request+`"`, `error="`+code.Name()+`"`)
}

// Each metric of the golden list moves when its event happens. The state machines of the packages
// have tests of their own; this one shows that the events reach the page.
func TestMetricsMoveWhenTheirEventsHappen(t *testing.T) {
	p := startMonitoredPair(t)
	p.topicsAndRecords()
	p.refusedRecords()
	p.conversions()
	p.producersAndTransactions()
	p.groups()
	p.moveOfAReplica()
	p.aFollowerThatReturns()
	p.describesItself()
	p.matchesTheList()
	p.exportsWhatTheFilesName()
}

func (p *monitoredPair) topicsAndRecords() {
	topics := func() {
		p.createTopic("t", []int32{0, 1}, "flush.messages", "1")
		p.createTopic("throttled", []int32{0, 1}, "leader.replication.throttled.replicas", "*")
		p.createTopic("compacted", []int32{0}, "cleanup.policy", "compact")
		p.createTopic("packed", []int32{0}, "compression.type", "lz4")
		p.createTopic("second", []int32{1})
		p.createTopic("__consumer_offsets", []int32{0})
		p.createTopic("__transaction_state", []int32{0})
	}
	p.moves(0, "topics are created", topics,
		errorsOf("CreateTopics", protocol.None), labelled("kafka_network_requestmetrics_requests_total", `request="CreateTopics"`),
		"kafka_controller_controllereventmanager_eventqueuetimems_count", "kafka_controller_controllerstats_topicchangerateandtimems_count",
		"kafka_controller_controllerstats_leaderandisrresponsereceivedrateandtimems_count", "kafka_controller_kafkacontroller_globaltopiccount",
		"kafka_controller_kafkacontroller_globalpartitioncount", "kafka_server_replicamanager_partitioncount", "kafka_server_replicamanager_leadercount",
		"kafka_server_zookeeperclientmetrics_zookeeperrequestlatencyms_count", "kafka_server_socket_server_metrics_response_total",
		labelled("kafka_server_socket_server_metrics_connections", `clientSoftwareName="monedula"`))
	p.moves(0, "records are produced", func() { p.mustProduce(0, "t", p.set(nil, "a", "b")) },
		"kafka_server_brokertopicmetrics_messagesin_total", "kafka_server_brokertopicmetrics_bytesin_total", "kafka_server_brokertopicmetrics_totalproducerequests_total",
		"kafka_log_logflushstats_logflushrateandtimems_count", errorsOf("Produce", protocol.None), "kafka_server_brokertopicmetrics_replicationbytesout_total",
		labelled("kafka_log_log_logendoffset", `topic="t"`), labelled("kafka_log_log_size", `topic="t"`),
		labelled("kafka_network_requestmetrics_totaltimems_count", `request="Produce"`), "kafka_server_kafkaserver_linux_disk_write_bytes")
	p.moves(1, "records are followed", func() { p.mustProduce(0, "t", p.set(nil, "c")) },
		"kafka_server_brokertopicmetrics_replicationbytesin_total",
		labelled("kafka_server_fetcherstats_bytes_total", `clientId="ReplicaFetcherThread-0-0",brokerHost="127.0.0.1"`),
		labelled("kafka_server_fetcherstats_requests_total", `clientId="ReplicaFetcherThread-0-0"`))
	p.moves(0, "throttled records are followed", func() { p.mustProduce(0, "throttled", p.set(nil, "c")) },
		"kafka_server_leaderreplication_byte_rate")
	p.moves(0, "records are consumed", func() { p.fetch(0, "t", 12, 0, 0) },
		"kafka_server_brokertopicmetrics_bytesout_total", "kafka_server_brokertopicmetrics_totalfetchrequests_total", errorsOf("Fetch", protocol.None),
		labelled("kafka_network_requestmetrics_totaltimems_count", `request="FetchConsumer"`))
	p.moves(0, "a consumer waits in vain", func() { p.fetch(0, "t", 12, 10*time.Millisecond, 3) },
		labelled("kafka_server_delayedfetchmetrics_expires_total", `fetcherType="consumer"`))
	p.moves(0, "a follower waits in vain", func() {}, labelled("kafka_server_delayedfetchmetrics_expires_total", `fetcherType="follower"`))
	waiting := make(chan struct{})
	p.moves(1, "a consumer waits", func() {
		go func() {
			defer close(waiting)
			p.fetch(1, "second", 12, 30*time.Second, 0)
		}()
	}, labelled("kafka_server_delayedoperationpurgatory_numdelayedoperations", `delayedOperation="Fetch"`),
		labelled("kafka_server_delayedoperationpurgatory_purgatorysize", `delayedOperation="Fetch"`))
	// The link of the waiting fetch is in use, so the records come from another one.
	other := peerlink.New(peerlink.Config{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.ports[1])), ClientID: "other"})
	p.t.Cleanup(other.Close)
	busy := p.links[1]
	p.links[1] = other
	p.mustProduce(1, "second", p.set(nil, "x"))
	<-waiting
	p.links[1] = busy
	p.moves(0, "an unknown topic is asked for", func() {
		req, topic := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr("unknown")
		req.Topics = append(req.Topics, topic)
		p.ask(0, req, 9)
	}, errorsOf("Metadata", protocol.UnknownTopicOrPartition))
	p.moves(0, "reassignments are listed", func() { p.ask(0, kmsg.NewPtrListPartitionReassignmentsRequest(), -1) },
		"kafka_controller_controllerstats_listpartitionreassignmentrateandtimems_count")
	p.moves(0, "leaders are elected", func() {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
		req.TimeoutMillis = 1000
		p.ask(0, req, -1)
	}, "kafka_controller_controllerstats_manualleaderbalancerateandtimems_count")
}

func (p *monitoredPair) refusedRecords() {
	corrupt := p.set(nil, "a")
	corrupt[len(corrupt)-1] ^= 1
	p.moves(0, "a checksum is wrong", func() { p.produce(0, "t", corrupt) },
		"kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total", errorsOf("Produce", protocol.CorruptMessage))
	b := record.NewBuilder(record.Defaults())
	if err := b.Append(time.Now().UnixMilli(), []byte("k"), nil); err != nil {
		p.t.Fatal(err)
	}
	b.OverrideLastOffset(5)
	gap, err := b.Build()
	if err != nil {
		p.t.Fatal(err)
	}
	p.moves(0, "offsets are missing", func() { p.produce(0, "t", gap) }, "kafka_server_brokertopicmetrics_invalidoffsetorsequencerecords_total",
		"kafka_server_brokertopicmetrics_failedproducerequests_total")
	inFormat := func(magic int8) []byte { return p.set(func(o *record.Options) { o.Magic = magic }, "a") }
	p.moves(0, "formats are mixed", func() { p.produce(0, "t", append(inFormat(0), inFormat(1)...)) },
		"kafka_server_brokertopicmetrics_invalidmagicnumberrecords_total")
	p.moves(0, "keys are missing", func() { p.produce(0, "compacted", p.set(nil, "", "")) },
		"kafka_server_brokertopicmetrics_nokeycompactedtopicrecords_total", errorsOf("Produce", protocol.InvalidRecord))
}

func (p *monitoredPair) conversions() {
	p.moves(0, "records are recompressed", func() { p.mustProduce(0, "packed", p.set(func(o *record.Options) { o.Codec = record.Gzip }, "a")) },
		"kafka_server_brokertopicmetrics_producemessageconversions_total", labelled("kafka_server_brokertopicmetrics_producemessageconversions_total", `topic="packed"`),
		labelled("kafka_network_requestmetrics_messageconversionstimems_sum", `request="Produce"`),
		labelled("kafka_network_requestmetrics_temporarymemorybytes_sum", `request="Produce"`))
	p.moves(0, "an old consumer fetches", func() { p.fetch(0, "t", 3, 0, 0) },
		"kafka_server_brokertopicmetrics_fetchmessageconversions_total",
		labelled("kafka_network_requestmetrics_messageconversionstimems_sum", `request="FetchConsumer"`),
		labelled("kafka_network_requestmetrics_temporarymemorybytes_sum", `request="Fetch"`))
}

func (p *monitoredPair) producersAndTransactions() {
	transactional := func(id int64, epoch int16, old time.Duration) []byte {
		o := record.Defaults()
		o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = id, epoch, 0, true
		b := record.NewBuilder(o)
		if err := b.Append(time.Now().Add(-old).UnixMilli(), []byte("k"), nil); err != nil {
			p.t.Fatal(err)
		}
		set, err := b.Build()
		if err != nil {
			p.t.Fatal(err)
		}
		return set
	}
	begin := func(id string) (int64, int16) {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
		for {
			resp := p.ask(0, req, -1).(*kmsg.InitProducerIDResponse)
			switch code := protocol.ErrorCode(resp.ErrorCode); {
			case code == protocol.None:
				return resp.ProducerID, resp.ProducerEpoch
			case !code.Retriable():
				p.t.Fatalf("transactional id %s: %v", id, code)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	add := func(id string, producer int64, epoch int16) {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, producer, epoch
		req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "second", Partitions: []int32{0}}}
		p.ask(0, req, 3)
	}
	p.moves(1, "a producer gets an id", func() { p.ask(1, kmsg.NewPtrInitProducerIDRequest(), -1) },
		labelled("kafka_server_forwarding_metrics_request_total", `BrokerId="1"`))
	producer, epoch := begin("x")
	in := func(id string) func(*kmsg.ProduceRequest) {
		return func(r *kmsg.ProduceRequest) { r.TransactionID = &id }
	}
	p.moves(1, "a transaction does not have the partition", func() { p.produce(1, "second", transactional(producer, epoch, 0), in("x")) },
		"kafka_server_addpartitionstotxnmanager_verificationfailurerate_count")
	add("x", producer, epoch)
	p.moves(1, "records of a transaction are produced", func() { p.mustProduce(1, "second", transactional(producer, epoch, time.Hour), in("x")) },
		"kafka_server_addpartitionstotxnmanager_verificationtimems_count", "kafka_server_addpartitionsmanager_channel_metrics_request_total",
		"kafka_server_replicamanager_produceridcount", "kafka_server_replicamanager_partitionswithlatetransactionscount",
		labelled("kafka_cluster_partition_laststableoffsetlag", `topic="second"`))
	p.moves(0, "a transaction ends", func() {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = "x", producer, epoch, true
		p.ask(0, req, 3)
	}, "kafka_server_txn_marker_channel_metrics_request_total", "kafka_server_txn_marker_channel_metrics_incoming_byte_total")
}

func (p *monitoredPair) groups() {
	// The group waits for more members until the test ends, so a busy machine misses nothing.
	waits := peerlink.New(peerlink.Config{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.ports[0])), ClientID: "member"})
	p.t.Cleanup(waits.Close)
	join := func() {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "g", "consumer", 30_000, 300_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
		_, _ = waits.Negotiated(context.Background(), req, 3)
	}
	p.moves(0, "a group waits for members", func() { go join() },
		labelled("kafka_server_delayedoperationpurgatory_numdelayedoperations", `delayedOperation="Rebalance"`),
		labelled("kafka_server_delayedoperationpurgatory_numdelayedoperations", `delayedOperation="Heartbeat"`),
		"kafka_coordinator_group_groupmetadatamanager_numgroups", "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance")
	p.moves(0, "offsets are committed", func() { p.commit("idle", "t", 1); p.commit("idle", "second", 1) },
		"kafka_coordinator_group_groupmetadatamanager_numoffsets", "kafka_server_group_coordinator_metrics_offset_commit_count",
		labelled("monedula_consumer_group_lag", `group="idle",storage="kafka",topic="t"`),
		labelled("monedula_consumer_group_offset", `group="idle",storage="kafka",topic="second"`))
	p.lags()
}

// lags checks the lag of a group in partitions that its coordinator leads and that the other broker
// leads, and that of a group whose offsets are in ZooKeeper. None of them are on the other broker.
func (p *monitoredPair) lags() {
	p.moves(0, "an old consumer commits to ZooKeeper", func() {
		old := p.brokers[0].store
		if err := old.SetConsumerOffset(p.t.Context(), "old", metadata.TopicPartition{Topic: "second"}, 0); err != nil {
			p.t.Fatal(err)
		}
	}, labelled("monedula_consumer_group_lag", `group="old",storage="zookeeper",topic="second",partition="0"`))
	here, elsewhere := seriesOf(p.t, p.brokers[0]), seriesOf(p.t, p.brokers[1])
	end := func(series map[string]float64, topic string) float64 {
		return series[`kafka_log_log_logendoffset{topic="`+topic+`",partition="0"}`]
	}
	lag := func(group, storage, topic string) string {
		return `monedula_consumer_group_lag{group="` + group + `",storage="` + storage + `",topic="` + topic + `",partition="0"}`
	}
	for series, want := range map[string]float64{
		lag("idle", "kafka", "t"):                                          end(here, "t") - 1,
		lag("idle", "kafka", "second"):                                     end(elsewhere, "second") - 1,
		lag("old", "zookeeper", "second"):                                  end(elsewhere, "second"),
		`monedula_consumer_group_members{group="idle",storage="kafka"}`:    0,
		`monedula_consumer_group_members{group="old",storage="zookeeper"}`: 0,
		`monedula_consumer_group_left_out{reason="leader"}`:                0,
	} {
		if got, exists := here[series]; !exists || got != want {
			p.t.Errorf("%s is %g (exists: %t), want %g", series, got, exists, want)
		}
	}
	if _, leftOut, err := coordinatedGroups(p.brokers[0].groups, 1); leftOut != 2 || err != nil {
		p.t.Errorf("beyond a limit of one offset, %d are left out: %v", leftOut, err)
	}
	if _, leftOut, err := zooKeeperGroups(p.t.Context(), p.brokers[0].store, 0); leftOut != 1 || err != nil {
		p.t.Errorf("with a limit of no offsets in ZooKeeper, %d are left out: %v", leftOut, err)
	}
	for series := range elsewhere {
		if strings.HasPrefix(series, "monedula_consumer_group_lag") {
			p.t.Errorf("%s is also on the broker that coordinates no groups", series)
		}
	}
}

// commit commits an offset of partition 0 for a group without members.
func (p *monitoredPair) commit(group, topic string, offset int64) {
	p.t.Helper()
	req, t, part := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	req.Group, req.Generation, t.Topic, part.Offset = group, -1, topic, offset
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	if code := p.ask(0, req, -1).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		p.t.Fatalf("commit: %v", protocol.ErrorCode(code))
	}
}

func (p *monitoredPair) moveOfAReplica() {
	p.mustProduce(0, "compacted", p.set(nil, "a", "b"))
	reassign := func() {
		req, topic := kmsg.NewPtrAlterPartitionAssignmentsRequest(), kmsg.NewAlterPartitionAssignmentsRequestTopic()
		topic.Topic = "compacted"
		topic.Partitions = []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0, Replicas: []int32{1}}}
		req.Topics, req.TimeoutMillis = append(req.Topics, topic), 10_000
		p.ask(0, req, -1)
	}
	before := seriesOf(p.t, p.brokers[1])
	p.moves(0, "a partition is reassigned", reassign, "kafka_controller_controllerstats_partitionreassignmentrateandtimems_count",
		"kafka_server_brokertopicmetrics_reassignmentbytesout_total", "kafka_server_replicamanager_isrexpands_total",
		labelled("kafka_server_alter_partition_metrics_request_total", `BrokerId="0"`), "kafka_controller_controllerstats_isrchangerateandtimems_count")
	const in = "kafka_server_brokertopicmetrics_reassignmentbytesin_total"
	if is := seriesOf(p.t, p.brokers[1])[in]; is <= before[in] {
		p.t.Errorf("the new replica received %g bytes", is-before[in])
	}
}

func (p *monitoredPair) aFollowerThatReturns() {
	p.moves(0, "a broker leaves", func() { p.stops[1]() }, "kafka_controller_controllerstats_controlledshutdownrateandtimems_count",
		"kafka_controller_controllerstats_leaderelectionrateandtimems_count", "kafka_server_replicamanager_underreplicatedpartitions",
		"kafka_controller_kafkacontroller_offlinepartitionscount")
	p.moves(0, "the broker returns", func() { p.start(1) }, "kafka_server_replicamanager_isrexpands_total", "kafka_controller_kafkacontroller_activebrokercount")
}

// describesItself checks the metrics that do not count events.
func (p *monitoredPair) describesItself() {
	series := seriesOf(p.t, p.brokers[1])
	for pattern, want := range map[string]float64{
		`kafka_server_app_info_version\{version="3\.9\.1"\}`:                                              1,
		`kafka_server_metadataloader_currentcontrollerid`:                                                 0,
		`kafka_controller_kafkacontroller_zkmigrationstate`:                                               4,
		`kafka_controller_kafkacontroller_controllerstate`:                                                0,
		`kafka_server_replicafetchermanager_deadthreadcount\{clientId="Replica"\}`:                        0,
		`kafka_server_replicaalterlogdirsmanager_failedpartitionscount\{clientId="ReplicaAlterLogDirs"\}`: 0,
	} {
		found := false
		for name := range series {
			found = found || regexp.MustCompile("^(?:"+pattern+")$").MatchString(name)
		}
		if got := sum(series, pattern); !found || got != want {
			p.t.Errorf("%s is %g (exists: %t), want %g", pattern, got, found, want)
		}
	}
	if status, r := getReport(p.t, p.brokers[1], "/ready"); status != 200 {
		p.t.Errorf("a broker that serves requests is not ready: %+v", r)
	}
}

// listedBean is a row of docs/mbeans.md.
var listedBean = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$")

// matchesTheList compares docs/mbeans.md with the golden list of a real broker's MBeans, and with
// the pages of the brokers after everything has happened to them.
func (p *monitoredPair) matchesTheList() {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "docs", "mbeans.md"))
	if err != nil {
		p.t.Fatal(err)
	}
	listed, exported := map[string]bool{}, map[string]bool{}
	for _, row := range listedBean.FindAllStringSubmatch(string(text), -1) {
		listed[row[1]] = true
		for _, metric := range regexp.MustCompile("`(kafka_[a-z0-9_]+)`").FindAllStringSubmatch(row[2], -1) {
			exported[metric[1]] = true
		}
	}
	for line := range strings.Lines(string(golden.Read(p.t, "mbeans-zk-3.9.1.txt"))) {
		bean, _, _ := strings.Cut(line, "|")
		if bean = strings.TrimSpace(bean); !listed[bean] {
			p.t.Errorf("docs/mbeans.md does not list %s", bean)
		}
		delete(listed, bean)
	}
	for bean := range listed {
		p.t.Errorf("docs/mbeans.md lists %s, which no real broker has", bean)
	}
	on := map[string]bool{}
	for _, b := range p.brokers {
		_, page := getPage(b, "/metrics")
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (kafka_[a-z0-9_]+) `).FindAllStringSubmatch(page, -1) {
			on[m[1]] = true
			if !exported[m[1]] {
				p.t.Errorf("docs/mbeans.md does not list %s", m[1])
			}
		}
	}
	for metric := range exported {
		if !on[metric] {
			p.t.Errorf("docs/mbeans.md lists %s, which no broker exports", metric)
		}
	}
}
