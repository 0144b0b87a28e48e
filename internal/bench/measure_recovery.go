package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// recoveryPartitions is the number of partitions of the topic to recover.
const recoveryPartitions = 10

// recoveryTopic is the topic to recover.
const recoveryTopic = "recovery"

// measureRecovery fills a log, kills the broker and measures how long a start takes until every
// partition accepts writes. Before each start the recovery points are removed, so the whole log is
// recovered however long ago it was written.
func measureRecovery(ctx context.Context, b *bench) error {
	size := float64(b.sizes.recoveryBytes) / 1e9
	row := b.report.metric(fmt.Sprintf("recovery after kill -9 with %.3g GB of log, to a record on every partition", size), "s", goal{})
	b.report.note("Recovery: %d partitions, no recovery points, the registration gone; the log is read from the page cache where memory allows.", recoveryPartitions)
	b.coolDown()
	filled := map[*side]*broker{}
	for _, s := range b.sides() {
		br, err := b.newBroker(s)
		if err != nil {
			return err
		}
		defer br.remove()
		b.progress("  %s: writing %.3g GB", s.name, size)
		if err := br.fill(ctx, b.sizes.recoveryBytes); err != nil {
			return err
		}
		filled[s] = br
	}
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br := filled[s]
		if err := forgetRecoveryPoints(br.dir); err != nil {
			return err
		}
		took, _, err := br.startServing(ctx, recoveryTopic, recoveryPartitions)
		if err != nil {
			return err
		}
		held, err := endOffsets(ctx, br, recoveryTopic, recoveryPartitions)
		if err != nil {
			return err
		}
		if written := b.sizes.recoveryBytes / recordBytes; held < written {
			return fmt.Errorf("%s has %d records after recovery; %d were acknowledged before the kill", s.name, held, written)
		}
		row.add(s, took.Seconds())
		b.progress("  %s: %.2f s", s.name, took.Seconds())
		br.kill()
		return br.awaitDeregistered(ctx)
	})
}

// fill starts a broker, writes the log and kills the broker.
func (br *broker) fill(ctx context.Context, bytes int64) error {
	if _, _, err := br.startServing(ctx, "ready", 1); err != nil {
		return err
	}
	if err := createTopic(ctx, br, recoveryTopic, recoveryPartitions); err != nil {
		return err
	}
	if _, err := produce(ctx, br, recoveryTopic, shape{batchBytes: 256 << 10, bytes: bytes}, &batchMeter{}); err != nil {
		return err
	}
	br.kill()
	return br.awaitDeregistered(ctx)
}

// forgetRecoveryPoints makes a dead broker's directory look as if it was never flushed.
func forgetRecoveryPoints(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err == nil {
		return fmt.Errorf("%s was stopped cleanly", dir)
	}
	err := os.Remove(filepath.Join(dir, "recovery-point-offset-checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
