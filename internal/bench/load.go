package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// shape is a kind of load.
type shape struct {
	name       string
	batchBytes int32 // the producer's limit for one batch
	bytes      int64 // of record values in one round
}

// recordBytes is the size of each record's value.
const recordBytes = 1024

// loadPartitions is the number of partitions of a topic under load.
const loadPartitions = 4

func (s shape) records() int64 { return s.bytes / recordBytes }

func newClient(br *broker, options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(br.address()), kgo.MetadataMinAge(50 * time.Millisecond)}, options...)...)
}

// createTopic creates a topic, with configs of the form "name=value". With one replica it waits until
// all partitions accept writes.
func createTopic(ctx context.Context, br *broker, topic string, partitions int, configs ...string) error {
	client, err := newClient(br)
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 120_000
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, int32(partitions), br.replicas
	for _, c := range configs {
		name, value, _ := strings.Cut(c, "=")
		wanted.Configs = append(wanted.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		if t.ErrorCode != 0 {
			return fmt.Errorf("%s: creating topic %s answers error %d", br.name, topic, t.ErrorCode)
		}
	}
	if br.replicas > 1 {
		return nil
	}
	return produceOnce(ctx, br, topic, partitions)
}

// alterTopic sets a config of a topic.
func alterTopic(ctx context.Context, br *broker, topic, name, value string) error {
	return configured{kmsg.ConfigResourceTypeTopic, topic}.set(ctx, br, name, value)
}

// configured is a resource with dynamic configs. The one of all brokers has no name.
type configured struct {
	kind kmsg.ConfigResourceType
	name string
}

// set sets a dynamic config.
func (c configured) set(ctx context.Context, br *broker, key, value string) error {
	client, err := newClient(br)
	if err != nil {
		return err
	}
	defer client.Close()
	change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	change.Name, change.Value = key, &value
	changed := kmsg.NewIncrementalAlterConfigsRequestResource()
	changed.ResourceType, changed.ResourceName, changed.Configs = c.kind, c.name, append(changed.Configs, change)
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, changed)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Resources[0].ErrorCode)
}

// deleteTopic deletes a topic to free its disk space.
func deleteTopic(ctx context.Context, br *broker, topic string) error {
	client, err := newClient(br)
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = 30_000
	request.TopicNames = []string{topic}
	unwanted := kmsg.NewDeleteTopicsRequestTopic()
	unwanted.Topic = &topic
	request.Topics = append(request.Topics, unwanted)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		if t.ErrorCode != 0 {
			return fmt.Errorf("%s: deleting topic %s answers error %d", br.name, topic, t.ErrorCode)
		}
	}
	return nil
}

// batchMeter counts the batches that a producer has written, and their bytes.
type batchMeter struct{ batches, bytes atomic.Int64 }

// OnProduceBatchWritten implements kgo.HookProduceBatchWritten.
func (m *batchMeter) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, metrics kgo.ProduceBatchMetrics) {
	m.batches.Add(1)
	m.bytes.Add(int64(metrics.CompressedBytes))
}

// meanKiB returns the mean size of a batch.
func (m *batchMeter) meanKiB() float64 {
	return float64(m.bytes.Load()) / float64(max(1, m.batches.Load())) / 1024
}

// produce sends the records of a round as fast as they are acknowledged (acks=all, idempotent, no
// compression, which are the defaults of clients) and returns the time until the last
// acknowledgement. The linger keeps batches full however fast the broker answers, so both brokers
// receive the same batches.
func produce(ctx context.Context, br *broker, topic string, s shape, meter *batchMeter) (time.Duration, error) {
	client, err := newClient(br, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(s.batchBytes), kgo.WithHooks(meter),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(20*time.Millisecond), kgo.MaxBufferedRecords(20_000))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	value := payload()
	acknowledged := func(_ *kgo.Record, err error) {
		if err != nil {
			fail(fmt.Errorf("%s: produce: %w", br.name, err))
		}
	}
	begin := time.Now()
	for range s.records() {
		if ctx.Err() != nil {
			break
		}
		client.Produce(ctx, &kgo.Record{Value: value}, acknowledged)
	}
	if err := client.Flush(ctx); err != nil {
		return 0, context.Cause(ctx)
	}
	return time.Since(begin), context.Cause(ctx)
}

// fetch reads the given number of records of a topic from its beginning, discards them and returns
// how long that took.
func fetch(ctx context.Context, br *broker, topic string, records int64) (time.Duration, error) {
	begin := time.Now()
	client, err := newClient(br, consumeAll(topic, loadPartitions, kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	for records > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("%s: fetch: %w", br.name, err)
		}
		records -= int64(fetches.NumRecords())
	}
	return time.Since(begin), nil
}

// endOffsets returns the sum of the end offsets of a topic's partitions.
func endOffsets(ctx context.Context, br *broker, topic string, partitions int) (int64, error) {
	client, err := newClient(br)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	request := kmsg.NewPtrListOffsetsRequest()
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	for p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = int32(p), -1
		asked.Partitions = append(asked.Partitions, one)
	}
	request.Topics = append(request.Topics, asked)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return 0, fmt.Errorf("%s: the end offset of %s-%d answers error %d", br.name, topic, p.Partition, p.ErrorCode)
			}
			sum += p.Offset
		}
	}
	return sum, nil
}

// consumeAll names every partition of a topic, so no group is needed.
func consumeAll(topic string, partitions int, from kgo.Offset) kgo.Opt {
	offsets := map[int32]kgo.Offset{}
	for p := range partitions {
		offsets[int32(p)] = from
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})
}

// payload returns a value that is neither constant nor worth compressing.
func payload() []byte {
	value := make([]byte, recordBytes)
	state := uint32(1)
	for i := range value {
		state = state*1664525 + 1013904223
		value[i] = byte(state >> 24)
	}
	return value
}

// watchMemory samples the resident memory of a broker until stop is called. stop returns the
// largest sample in MiB.
func watchMemory(br *broker) (stop func() float64) {
	var most atomic.Int64 // KiB
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			if now, _, err := residentMiB(br.pid()); err == nil {
				most.Store(max(most.Load(), int64(now*1024)))
			}
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() float64 {
		close(done)
		<-stopped
		return float64(most.Load()) / 1024
	}
}
