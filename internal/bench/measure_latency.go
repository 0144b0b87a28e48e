package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// latencyRate is the fixed rate of the latency measurement in records per second.
const latencyRate = 2000

// latencyWarmUp is the part of each latency round that is discarded.
const latencyWarmUp = time.Second

// measureLatency sends records at a fixed rate and measures the time from the call that sends a
// record until the same process has received it.
func measureLatency(ctx context.Context, b *bench) error {
	row := func(what string, g goal) *metric {
		return b.report.metric(fmt.Sprintf("end-to-end latency at %d records/s, %s", latencyRate, what), "ms", g)
	}
	p50, p99, p999 := row("p50", goal{}), row("p99", goal{ratio: 1. / 3}), row("p99.9", goal{})
	b.report.note("Latency: one partition, %d-byte records, acks=all, linger 0, producer and consumer in one process, %v a round.", recordBytes, b.sizes.latency)
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		topic := b.newTopic("latency")
		if err := createTopic(ctx, br, topic, 1); err != nil {
			return err
		}
		taken, err := latencies(ctx, br, topic, b.sizes.latency)
		if err != nil {
			return err
		}
		slices.Sort(taken)
		p50.add(s, percentile(taken, 0.5))
		p99.add(s, percentile(taken, 0.99))
		p999.add(s, percentile(taken, 0.999))
		b.progress("  %s: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms", s.name,
			last(p50.samples[s.name]), last(p99.samples[s.name]), last(p999.samples[s.name]))
		return deleteTopic(ctx, br, topic)
	})
}

// latencies runs one round and returns the latency in milliseconds of each record after the
// warm-up.
func latencies(ctx context.Context, br *broker, topic string, length time.Duration) ([]float64, error) {
	producer, err := newClient(br, kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	consumer, err := newClient(br, consumeAll(topic, 1, kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	count := int((length + latencyWarmUp).Seconds() * latencyRate)
	begin := time.Now()
	go sendAtRate(ctx, producer, begin, count, fail)

	taken := make([]float64, 0, count)
	for received := 0; received < count; {
		fetches := consumer.PollFetches(ctx)
		now := time.Since(begin)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: latency: %w", br.name, context.Cause(ctx))
		}
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%s: latency: %w", br.name, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if len(r.Value) != recordBytes {
				return // a record that was sent to try the topic
			}
			received++
			if sent := time.Duration(binary.BigEndian.Uint64(r.Value)); sent >= latencyWarmUp {
				taken = append(taken, milliseconds(now-sent))
			}
		})
	}
	return taken, nil
}

// sendAtRate sends count records, each at its own time after begin. The first eight bytes of a
// record are the time at which it was sent.
func sendAtRate(ctx context.Context, producer *kgo.Client, begin time.Time, count int, fail func(error)) {
	for i := range count {
		due := time.Duration(i) * time.Second / latencyRate
		if wait := due - time.Since(begin); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			return
		}
		value := payload()
		binary.BigEndian.PutUint64(value, uint64(time.Since(begin)))
		producer.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				fail(fmt.Errorf("produce: %w", err))
			}
		})
	}
}
