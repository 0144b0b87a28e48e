package partitions

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ReplicaVerificationTool is kafka-replica-verification.
var ReplicaVerificationTool = cli.Tool{
	Name:    "kafka-replica-verification",
	Summary: "Continuously compares the replicas of partitions.",
	Run:     runReplicaVerification,
}

const replicaVerificationClass = "org.apache.kafka.tools.ReplicaVerificationTool"

type verificationOptions struct {
	*cli.Options
	brokerList, fetchSize, maxWait, whiteList, include, time, interval *cli.Option
}

func newVerificationOptions(env *cli.Env) *verificationOptions {
	o := &verificationOptions{Options: cli.NewOptions(env, "kafka-replica-verification", "Validate that all replicas for a set of topics have the same data.")}
	o.brokerList = o.Value("broker-list", "String: hostname:port,...,hostname:port", "REQUIRED: The brokers to connect to first.")
	o.fetchSize = o.Value("fetch-size", "Integer: bytes", "The maximum number of bytes to fetch from a partition at once. (default: 1048576)")
	o.maxWait = o.Value("max-wait-ms", "Integer: ms", "The maximum time in ms that a fetch waits for records. (default: 1000)")
	o.whiteList = o.Value("topic-white-list", "String: Java regex (String)", "DEPRECATED: use --topics-include. A regular expression for the topics to verify. (default: .*)")
	o.include = o.Value("topics-include", "String: Java regex (String)", "A regular expression for the topics to verify. (default: .*)")
	o.time = o.Value("time", "Long: timestamp/-1(latest)/-2(earliest)", "Where to start: a time in ms since 1970, -1 for the latest offset or -2 for the earliest. (default: -1)")
	o.interval = o.Value("report-interval-ms", "Long: ms", "The interval between reports of the largest lag, in ms. (default: 30000)")
	return o
}

func runReplicaVerification(env *cli.Env, args []string) int {
	env.Logger(replicaVerificationClass).Warn("This tool is deprecated and may be removed in a future major release.")
	o := newVerificationOptions(env)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: o.Summary})
	}
	err := o.Parse(args)
	if err == nil {
		err = o.run()
	}
	switch err.(type) {
	case nil:
		return 0
	case silentFailure:
		return 1
	}
	if errors.Is(err, cli.ErrDone) || errors.As(err, new(cli.UsageError)) {
		return o.Fail(err)
	}
	env.ComplainWithStack(err)
	return 1
}

func (o *verificationOptions) run() error {
	if err := o.Require(o.brokerList); err != nil {
		return err
	}
	if err := o.Exclude(o.include, o.whiteList); err != nil {
		return err
	}
	servers, err := client.ParseBootstrap(o.brokerList.Or(""))
	if err != nil {
		return cli.UsageError{Text: "Please provide valid host:port like host1:9091,host2:9092\n"}
	}
	topics, err := client.IncludeList(o.include.Or(o.whiteList.Or(".*")))
	if err != nil {
		return err
	}
	v := &verification{o: o, replicas: map[client.TopicPartition][]metadata.BrokerID{}, next: map[client.TopicPartition]record.Offset{}}
	if v.from, err = o.Number(o.time, client.LatestOffset); err != nil {
		return err
	}
	fetchSize, err := o.Number(o.fetchSize, 1<<20)
	if err != nil {
		return err
	}
	maxWait, err := o.Number(o.maxWait, 1000)
	if err != nil {
		return err
	}
	interval, err := o.Number(o.interval, 30000)
	if err != nil {
		return err
	}
	v.fetchSize, v.maxWait, v.interval = int32(fetchSize), int32(maxWait), cli.Millis(interval)
	v.admin = &client.Admin{Env: o.Env, ID: "adminclient-1", Servers: servers, Timeout: client.AdminTimeout}
	defer v.admin.Close()
	return v.run(topics)
}

// verification compares replicas batch by batch, beginning at one offset.
type verification struct {
	o                  *verificationOptions
	admin              *client.Admin
	from               int64 // a time in ms since 1970, or a special time
	fetchSize, maxWait int32
	interval           time.Duration

	replicas map[client.TopicPartition][]metadata.BrokerID // the brokers that have a replica
	next     map[client.TopicPartition]record.Offset       // the next offset to fetch
}

func (v *verification) run(topics *regexp.Regexp) error {
	meta, err := v.admin.Metadata("listTopics", nil)
	if err != nil {
		return client.Execution(err)
	}
	for _, t := range meta.Topics {
		if t.Topic == nil || !topics.MatchString(*t.Topic) {
			continue
		}
		for _, p := range t.Partitions {
			v.replicas[client.TopicPartition{Topic: *t.Topic, Partition: p.Partition}] = metadata.BrokerIDs(p.Replicas)
		}
	}
	if len(v.replicas) == 0 {
		v.o.Env.Logger(replicaVerificationClass).Error("No topics found. [topics-include] if specified, is either filtering out all topics or there is no topic.")
		return silentFailure{}
	}
	if err := v.begin(); err != nil {
		return err
	}
	ctx, cancel := v.o.Env.UntilUnread()
	defer cancel()
	v.o.Env.Printf("%s: verification process is started\n", logTime())
	reported := time.Now()
	for ctx.Err() == nil {
		fetched := v.fetchAll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		worst, lag := client.TopicPartition{}, int64(-1)
		for _, tp := range client.SortedPartitions(v.replicas) {
			next, findings, ok := compareReplicas(v.next[tp], fetched[tp], len(v.replicas[tp]))
			v.next[tp] = next
			for _, line := range findings {
				v.o.Env.Printf("%s: partition %s%s\n", logTime(), tp, line)
			}
			if !ok {
				return silentFailure{}
			}
			if behind := int64(highest(fetched[tp]) - next); behind > lag {
				worst, lag = tp, behind
			}
		}
		if time.Since(reported) > v.interval {
			v.o.Env.Printf("%s: max lag is %d for partition %s at offset %d among %d partitions\n", logTime(), lag, worst, v.next[worst], len(v.replicas))
			reported = time.Now()
		}
	}
	return nil
}

// silentFailure ends a tool with exit code 1 after it has printed its error.
type silentFailure struct{}

func (silentFailure) Error() string { return "" }

func logTime() string {
	return strings.Replace(time.Now().Format("2006-01-02 15:04:05.000"), ".", ",", 1)
}

// begin finds the first offset to compare in each partition: its end if no offset matches the time.
func (v *verification) begin() error {
	found, err := v.admin.Offsets(client.SortedPartitions(v.replicas), v.from)
	if err != nil {
		return client.Execution(err)
	}
	var none []client.TopicPartition
	for tp, offset := range found {
		if offset < 0 {
			none = append(none, tp)
		}
		v.next[tp] = offset
	}
	ends, err := v.admin.Offsets(none, client.LatestOffset)
	if err != nil {
		return client.Execution(err)
	}
	for tp, offset := range ends {
		v.next[tp] = offset
	}
	return nil
}

// replicaData is the answer of one replica for a partition.
type replicaData struct {
	broker  metadata.BrokerID
	highest record.Offset // its high watermark
	batches []byte
}

// fetchAll fetches the next batches from all brokers concurrently. A broker that does not answer
// contributes no data.
func (v *verification) fetchAll(ctx context.Context) map[client.TopicPartition][]replicaData {
	byBroker := map[metadata.BrokerID][]client.TopicPartition{}
	for _, tp := range client.SortedPartitions(v.replicas) {
		for _, id := range v.replicas[tp] {
			byBroker[id] = append(byBroker[id], tp)
		}
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	fetched := map[client.TopicPartition][]replicaData{}
	for id, partitions := range byBroker {
		wait.Add(1)
		go func() {
			defer wait.Done()
			answer, err := v.fetch(ctx, id, partitions)
			if err != nil && ctx.Err() == nil {
				select { // pause before the next attempt
				case <-ctx.Done():
				case <-time.After(cli.Millis(int64(v.maxWait))):
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, tp := range partitions {
				data := answer[tp]
				data.broker = id
				fetched[tp] = append(fetched[tp], data)
			}
		}()
	}
	wait.Wait()
	return fetched
}

// debuggingConsumer is the replica id of Kafka's own tools. It allows them to read from followers.
const debuggingConsumer = -2

// fetch fetches from one broker. Version 12 is the last version with topic names.
func (v *verification) fetch(ctx context.Context, id metadata.BrokerID, partitions []client.TopicPartition) (map[client.TopicPartition]replicaData, error) {
	link, err := v.admin.Cluster().Broker(ctx, id)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = debuggingConsumer, v.maxWait, 1, 1<<31-1
	req.SessionEpoch = -1
	for _, tp := range partitions {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic = tp.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LogStartOffset = tp.Partition, int64(v.next[tp]), v.fetchSize, -1, 0
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	resp, err := link.Negotiated(ctx, req, 12)
	if err != nil {
		return nil, err
	}
	found := map[client.TopicPartition]replicaData{}
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			found[client.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = replicaData{highest: record.Offset(p.HighWatermark), batches: p.RecordBatches}
		}
	}
	return found, nil
}

func highest(replicas []replicaData) record.Offset {
	most := record.Offset(-1)
	for _, r := range replicas {
		most = max(most, r.highest)
	}
	return most
}

// compareReplicas compares the batches that all replicas have below their high watermarks. It
// returns the offset after those batches and what does not match. ok is false if offsets differ,
// because then there is no point in comparing further.
func compareReplicas(from record.Offset, replicas []replicaData, expected int) (next record.Offset, findings []string, ok bool) {
	next = from
	if len(replicas) < expected {
		return next, nil, true
	}
	replicated := make([][]record.Batch, len(replicas))
	for i, r := range replicas {
		replicated[i] = r.replicated()
	}
	for n := 0; ; n++ {
		var first record.Batch
		for i := range replicas {
			if n == len(replicated[i]) {
				return next, findings, true
			}
			batch := replicated[i][n]
			switch {
			case first == nil:
				first = batch
			case first.LastOffset() != batch.LastOffset():
				return next, append(findings, fmt.Sprintf(": replica %d's offset %d doesn't match replica %d's offset %d",
					replicas[0].broker, first.LastOffset(), replicas[i].broker, batch.LastOffset())), false
			case first.CRC() != batch.CRC():
				findings = append(findings, fmt.Sprintf(" has unmatched checksum at offset %d; replica %d's checksum %d; replica %d's checksum %d",
					batch.LastOffset(), replicas[0].broker, first.CRC(), replicas[i].broker, batch.CRC()))
			}
		}
		next = first.NextOffset()
	}
}

// replicated returns the batches below the high watermark.
func (r *replicaData) replicated() (batches []record.Batch) {
	for b, err := range record.Batches(r.batches) {
		if err != nil || b.LastOffset() >= r.highest {
			break
		}
		batches = append(batches, b)
	}
	return batches
}
