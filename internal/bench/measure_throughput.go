package main

import (
	"context"
	"fmt"
	"time"
)

// shapes returns the loads of the throughput measurement and of the warm-up.
func (z sizes) shapes() []shape {
	return []shape{
		{name: "256 KiB batches", batchBytes: 256 << 10, bytes: z.largeBytes},
		{name: "4 KiB batches", batchBytes: 4 << 10, bytes: z.smallBytes},
	}
}

// measureThroughput writes to a topic with one client as fast as possible and reads it back, and
// divides the broker's CPU time by the volume of record values.
func measureThroughput(ctx context.Context, b *bench) error {
	b.report.note("Load: one franz-go client on the same machine, %d-byte records, %d partitions, acks=all, idempotent, no compression; reads come from the page cache. GB and MB are decimal and count record values.", recordBytes, loadPartitions)
	for _, s := range b.sizes.shapes() {
		if err := measureShape(ctx, b, s); err != nil {
			return err
		}
	}
	peak := b.report.metric("resident memory, highest since start (VmHWM)", "MiB", goal{})
	for _, s := range b.sides() {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		_, most, err := residentMiB(br.pid())
		if err != nil {
			return err
		}
		peak.add(s, most)
	}
	return nil
}

func measureShape(ctx context.Context, b *bench, load shape) error {
	row := func(what, unit string, g goal) *metric { return b.report.metric(what+", "+load.name, unit, g) }
	produceCPU, fetchCPU := row("broker CPU per GB produced", "s/GB", goal{ratio: 0.5}), row("broker CPU per GB fetched", "s/GB", goal{ratio: 0.8})
	produceRate, fetchRate := row("produced", "MB/s", goal{}), row("fetched", "MB/s", goal{})
	memory, batch := row("resident memory under load", "MiB", memoryGoal), row("mean batch", "KiB", goal{})
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		topic := b.newTopic("load")
		if err := createTopic(ctx, br, topic, loadPartitions); err != nil {
			return err
		}
		resident := watchMemory(br)
		defer func() { memory.add(s, resident()) }()
		var written batchMeter
		cpu, took, err := charge([]*broker{br}, func() (time.Duration, error) { return produce(ctx, br, topic, load, &written) })
		if err != nil {
			return err
		}
		batch.add(s, written.meanKiB())
		produceCPU.add(s, cpu/(float64(load.bytes)/1e9))
		produceRate.add(s, float64(load.bytes)/1e6/took.Seconds())

		passes := int(max(1, b.sizes.fetchBytes/load.bytes))
		cpu, took, err = charge([]*broker{br}, func() (time.Duration, error) { return fetchTimes(ctx, br, topic, load.records(), passes) })
		if err != nil {
			return err
		}
		fetched := float64(load.bytes) * float64(passes)
		fetchCPU.add(s, cpu/(fetched/1e9))
		fetchRate.add(s, fetched/1e6/took.Seconds())
		b.progress("  %s, %s: produce %.2f s/GB at %.0f MB/s, fetch %.2f s/GB at %.0f MB/s", s.name, load.name,
			last(produceCPU.samples[s.name]), last(produceRate.samples[s.name]), last(fetchCPU.samples[s.name]), last(fetchRate.samples[s.name]))
		return deleteTopic(ctx, br, topic)
	})
}

// fetchTimes reads the same records several times.
func fetchTimes(ctx context.Context, br *broker, topic string, records int64, passes int) (time.Duration, error) {
	var total time.Duration
	for range passes {
		took, err := fetch(ctx, br, topic, records)
		if err != nil {
			return 0, err
		}
		total += took
	}
	return total, nil
}

// charge runs a load and returns the CPU seconds that the brokers used during it.
func charge(brokers []*broker, load func() (time.Duration, error)) (cpu float64, took time.Duration, err error) {
	before, err := cpuOf(brokers)
	if err != nil {
		return 0, 0, err
	}
	if took, err = load(); err != nil {
		return 0, 0, err
	}
	after, err := cpuOf(brokers)
	return after - before, took, err
}

// cpuOf returns the CPU time that the brokers have used.
func cpuOf(brokers []*broker) (float64, error) {
	var sum float64
	for _, br := range brokers {
		used, err := cpuSeconds(br.pid())
		if err != nil {
			return 0, fmt.Errorf("%s has ended under load: %w; its last output:\n%s", br.name, err, lastLines(br.proc.Output(), 15))
		}
		sum += used
	}
	return sum, nil
}
