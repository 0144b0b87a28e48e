package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/metadata"
)

// measureClusterLoad writes to a replicated topic with one client as fast as possible, and divides
// the CPU time of all three brokers by the volume of record values.
func measureClusterLoad(ctx context.Context, b *bench) error {
	for _, load := range b.sizes.shapes() {
		load.bytes = b.sizes.clusterBytes(load)
		row := func(what, unit string, g goal) *metric {
			return b.report.metric("cluster: "+what+", "+load.name, unit, g)
		}
		cpu, rate := row("CPU of all brokers per GB produced", "s/GB", goal{ratio: 0.25}), row("produced", "MB/s", goal{})
		batch := row("mean batch", "KiB", goal{})
		err := b.alternate(ctx, func(ctx context.Context, s *side) error {
			c, err := b.warmCluster(ctx, s)
			if err != nil {
				return err
			}
			topic := b.newTopic("load")
			if err := createTopic(ctx, c.brokers[0], topic, loadPartitions); err != nil {
				return err
			}
			if err := c.produceEverywhere(ctx, c.brokers, topic, loadPartitions, true); err != nil {
				return err
			}
			var written batchMeter
			spent, took, err := charge(c.brokers, func() (time.Duration, error) { return produce(ctx, c.brokers[0], topic, load, &written) })
			if err != nil {
				return err
			}
			cpu.add(s, spent/(float64(load.bytes)/1e9))
			rate.add(s, float64(load.bytes)/1e6/took.Seconds())
			batch.add(s, written.meanKiB())
			b.progress("  %s, %s: %.2f s/GB at %.0f MB/s", s.name, load.name, last(cpu.samples[s.name]), last(rate.samples[s.name]))
			return deleteTopic(ctx, c.brokers[0], topic)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// measureClusterLatency is like measureLatency for a replicated partition.
func measureClusterLatency(ctx context.Context, b *bench) error {
	row := func(what string) *metric {
		return b.report.metric(fmt.Sprintf("cluster: end-to-end latency at %d records/s, %s", latencyRate, what), "ms", goal{})
	}
	p50, p99, p999 := row("p50"), row("p99"), row("p99.9")
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		c, err := b.warmCluster(ctx, s)
		if err != nil {
			return err
		}
		topic := b.newTopic("latency")
		if err := createTopic(ctx, c.brokers[0], topic, 1); err != nil {
			return err
		}
		if err := c.produceEverywhere(ctx, c.brokers, topic, 1, true); err != nil {
			return err
		}
		taken, err := latencies(ctx, c.brokers[0], topic, b.sizes.latency)
		if err != nil {
			return err
		}
		slices.Sort(taken)
		p50.add(s, percentile(taken, 0.5))
		p99.add(s, percentile(taken, 0.99))
		p999.add(s, percentile(taken, 0.999))
		b.progress("  %s: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms", s.name,
			last(p50.samples[s.name]), last(p99.samples[s.name]), last(p999.samples[s.name]))
		return deleteTopic(ctx, c.brokers[0], topic)
	})
}

// measureClusterTopics measures how long it takes to create a topic with many partitions, until a
// record is acknowledged on each, and to delete it, until its node and directories are gone.
func measureClusterTopics(ctx context.Context, b *bench) error {
	row := func(what string) *metric {
		return b.report.metric(fmt.Sprintf("cluster: %d partitions %s", b.sizes.partitions, what), "s", goal{ratio: 0.1})
	}
	created, deleted := row("created, to a record on each"), row("deleted")
	b.report.note("Creation and deletion: deleted logs stay in their renamed directories (log.segment.delete.delay.ms). ext4 skips inodes freed in the last minutes one by one, so each side would pay for what the other has just removed.")
	for _, s := range b.sides() {
		c, err := b.warmCluster(ctx, s)
		if err == nil {
			err = c.keepDeleted(ctx)
		}
		if err != nil {
			return err
		}
	}
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		c, err := b.warmCluster(ctx, s)
		if err != nil {
			return err
		}
		topic := b.newTopic("many")
		begin := time.Now()
		if err := createTopic(ctx, c.brokers[0], topic, b.sizes.partitions); err != nil {
			return err
		}
		asked := time.Since(begin)
		if err := c.produceEverywhere(ctx, c.brokers, topic, b.sizes.partitions, true); err != nil {
			return err
		}
		created.add(s, time.Since(begin).Seconds())
		begin = time.Now()
		if err := deleteTopic(ctx, c.brokers[0], topic); err != nil {
			return err
		}
		if err := c.awaitDeleted(ctx, topic); err != nil {
			return err
		}
		deleted.add(s, time.Since(begin).Seconds())
		b.progress("  %s: created %.2f s (answered after %.2f s), deleted %.2f s", s.name, last(created.samples[s.name]), asked.Seconds(), last(deleted.samples[s.name]))
		return nil
	})
}

// awaitDeleted waits until the topic's node and its directories are gone.
func (c *cluster) awaitDeleted(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, fmt.Errorf("%s: topic %s is not deleted", c.name, topic))
	defer cancel()
	for {
		topics, err := c.store.Topics(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(topics, topic) && !c.hasLog(topic) {
			return nil
		}
		if err := pause(ctx, clusterInterval); err != nil {
			return err
		}
	}
}

// hasLog reports whether any broker has a log of the topic that is not being deleted.
func (c *cluster) hasLog(topic string) bool {
	for _, br := range c.brokers {
		logs, _ := filepath.Glob(filepath.Join(br.dir, topic+"-*"))
		if slices.ContainsFunc(logs, func(f string) bool { return !strings.HasSuffix(f, "-delete") }) {
			return true
		}
	}
	return false
}

// measureFailover kills the controller, which also leads a third of many partitions, and waits
// until a record is acknowledged on every partition.
func measureFailover(ctx context.Context, b *bench) error {
	n := b.sizes.partitions
	after := b.report.metric(fmt.Sprintf("cluster: kill -9 of controller and leader, %d partitions: from the end of its session to a record on each", n), "s", goal{below: 0.5})
	all := b.report.metric("cluster: the same from the kill", "s", goal{})
	back := b.report.metric(fmt.Sprintf("cluster: the killed broker's start to all replicas of %d partitions in sync", n), "s", goal{})
	b.report.note("Failover: session timeout %v; the time that the goal is about begins when ZooKeeper ends the dead broker's session. The record is acknowledged by all in-sync replicas.", b.sizes.session)
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		c, err := b.warmCluster(ctx, s)
		if err != nil {
			return err
		}
		topic, err := b.wideTopic(ctx, c)
		if err != nil {
			return err
		}
		victim, err := c.controller(ctx)
		if err != nil {
			return err
		}
		rest := c.others(victim)
		begin := time.Now()
		victim.kill()
		if err := c.store.AwaitBrokerGone(ctx, metadata.BrokerID(victim.id)); err != nil {
			return err
		}
		gone := time.Now()
		if err := c.awaitView(ctx, rest, topic, n, clusterInterval, without(victim.id)); err != nil {
			return err
		}
		seen := time.Since(gone)
		if err := c.produceEverywhere(ctx, rest, topic, n, false); err != nil {
			return err
		}
		after.add(s, time.Since(gone).Seconds())
		all.add(s, time.Since(begin).Seconds())
		begin = time.Now()
		if err := victim.start(); err != nil {
			return err
		}
		if err := c.awaitView(ctx, c.brokers, topic, n, 5*clusterInterval, inSync(clusterSize)); err != nil {
			return err
		}
		back.add(s, time.Since(begin).Seconds())
		b.progress("  %s: %.3f s after the session's end (leaders known after %.3f s), %.2f s in all; back in sync %.2f s", s.name,
			last(after.samples[s.name]), seen.Seconds(), last(all.samples[s.name]), last(back.samples[s.name]))
		return nil
	})
}

// measureShutdown stops a broker that is not the controller, cleanly, and starts it again.
func measureShutdown(ctx context.Context, b *bench) error {
	n := b.sizes.partitions
	took := b.report.metric(fmt.Sprintf("cluster: controlled shutdown with %d partitions", n), "s", goal{})
	back := b.report.metric(fmt.Sprintf("cluster: its start to all replicas of %d partitions in sync", n), "s", goal{})
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		c, err := b.warmCluster(ctx, s)
		if err != nil {
			return err
		}
		topic, err := b.wideTopic(ctx, c)
		if err != nil {
			return err
		}
		controller, err := c.controller(ctx)
		if err != nil {
			return err
		}
		leaver := c.others(controller)[0]
		stopped, err := leaver.stopCleanly(ctx)
		if err != nil {
			return err
		}
		took.add(s, stopped.Seconds())
		begin := time.Now()
		if err := leaver.start(); err != nil {
			return err
		}
		if err := c.awaitView(ctx, c.brokers, topic, n, 5*clusterInterval, inSync(clusterSize)); err != nil {
			return err
		}
		back.add(s, time.Since(begin).Seconds())
		b.progress("  %s: stopped in %.2f s, back in sync %.2f s", s.name, stopped.Seconds(), last(back.samples[s.name]))
		return nil
	})
}

// measureClusterStop stops all brokers of a cluster, one after the other. The last broker cannot
// hand its leaderships over. It runs once on each side.
func measureClusterStop(ctx context.Context, b *bench) error {
	each := []*metric{}
	for _, which := range []string{"first", "second", "last"} {
		each = append(each, b.report.metric("cluster: stop of all brokers in order, the "+which, "s", goal{}))
	}
	b.coolDown()
	for _, s := range b.sides() {
		c, err := b.newCluster(ctx, s)
		if err != nil {
			return err
		}
		for i, br := range c.brokers {
			took, err := br.stopCleanly(ctx)
			if err != nil {
				return errors.Join(err, c.remove())
			}
			each[i].add(s, took.Seconds())
		}
		b.progress("  %s: %s, %s, %s s", s.name, summary(each[0].samples[s.name]), summary(each[1].samples[s.name]), summary(each[2].samples[s.name]))
		if err := c.remove(); err != nil {
			return err
		}
	}
	return nil
}

// measureManyPartitions reads the memory and threads of a broker with very many idle partitions,
// once on each side.
func measureManyPartitions(ctx context.Context, b *bench) error {
	n := b.sizes.manyPartitions
	memory := b.report.metric(fmt.Sprintf("cluster: resident memory of a broker with %d idle replicas", n), "MiB", memoryGoal)
	threads := b.report.metric(fmt.Sprintf("cluster: threads of a broker with %d idle replicas", n), "", goal{})
	idle := b.report.metric(fmt.Sprintf("cluster: CPU of three brokers with %d idle partitions", n), "ms/s", goal{})
	b.coolDown()
	for _, s := range b.sides() {
		c, err := b.newCluster(ctx, s)
		if err != nil {
			return err
		}
		err = b.fillWithPartitions(ctx, c, n)
		if err == nil {
			err = pause(ctx, b.sizes.idle)
		}
		if err == nil {
			var spent float64
			spent, _, err = charge(c.brokers, func() (time.Duration, error) { return 0, pause(ctx, b.sizes.idle) })
			idle.add(s, spent*1000/b.sizes.idle.Seconds())
		}
		for _, br := range c.brokers {
			if err != nil {
				break
			}
			var now float64
			if now, _, err = residentMiB(br.pid()); err == nil {
				memory.add(s, now)
				threads.add(s, float64(threadCount(br.pid())))
			}
		}
		if err != nil {
			return errors.Join(err, c.remove())
		}
		b.progress("  %s: %s MiB, %s threads", s.name, summary(memory.samples[s.name]), summary(threads.samples[s.name]))
		if err := c.remove(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fillWithPartitions(ctx context.Context, c *cluster, n int) error {
	for n > 0 {
		some := min(n, 1000)
		topic := b.newTopic("idle")
		if err := createTopic(ctx, c.brokers[0], topic, some); err != nil {
			return err
		}
		if err := c.awaitView(ctx, c.brokers, topic, some, 100*time.Millisecond, inSync(clusterSize)); err != nil {
			return err
		}
		n -= some
	}
	return nil
}

// threadCount returns the number of threads of a process.
func threadCount(pid int) int {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(tasks)
}
