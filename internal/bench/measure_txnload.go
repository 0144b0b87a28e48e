package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// txnStateSegment is the size of the segments of the transaction topic, as both sides set it.
const txnStateSegment = 100 << 20

// loadedID returns the transactional id with a number, in the partition to load.
func loadedID(n int) string { return fmt.Sprintf("application-%08d", n) }

// loadedProducerID is the producer id of the first transactional id; the others follow.
const loadedProducerID = 1_000_000

// measureTxnLoad starts brokers with a partition of the transaction topic that has very many
// transactional ids, and measures how long it takes until their coordinator answers for one of them.
func measureTxnLoad(ctx context.Context, b *bench) error {
	ids := b.sizes.loadedIDs
	row := func(what, unit string, g goal) *metric {
		return b.report.metric(fmt.Sprintf("%d transactional ids: %s", ids, what), unit, g)
	}
	load, start := row("load of their partition", "s", halfTheTime), row("from the start of the broker to the first answer", "s", halfTheTime)
	live, peak := row("live heap for each", "B", memoryGoal), row("resident memory, highest", "MiB", memoryGoal)
	b.report.note("Transactional ids: the partition has one record of each, in batches of their own, as after compaction; the time of the load is what the broker logs. Both sides read the same files. The live heap is that after a full collection, less that of a broker with one id.")
	b.coolDown()
	log, err := b.newPreparedLog("transactional-ids", txnStateSegment)
	if err != nil {
		return err
	}
	defer os.RemoveAll(log.dir)
	if err := log.fillWithIDs(ids); err != nil {
		return err
	}
	filled, empty := map[*side]*broker{}, map[*side]held{}
	for _, s := range b.sides() {
		br, err := b.newMeteredBroker(s, "transaction.state.log.num.partitions=1")
		if err != nil {
			return err
		}
		defer br.remove()
		filled[s] = br
		if empty[s], err = b.holdOneID(ctx, br); err != nil {
			return err
		}
		if err := log.stopAndPlace(ctx, br, metadata.TransactionStateTopic); err != nil {
			return err
		}
	}
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br := filled[s]
		begin := time.Now()
		if err := br.start(); err != nil {
			return err
		}
		if err := awaitTransactionalID(ctx, br, ids-1); err != nil {
			return err
		}
		start.add(s, time.Since(begin).Seconds())
		took, err := loadLogged(br.proc, ids)
		if err != nil {
			return err
		}
		load.add(s, took.Seconds())
		_, most, err := residentMiB(br.pid())
		if err != nil {
			return err
		}
		peak.add(s, most)
		after, err := b.held(ctx, br)
		if err != nil {
			return err
		}
		live.add(s, (after.live-empty[s].live)*(1<<20)/float64(ids))
		b.progress("  %s: loaded in %.2f s, answered after %.2f s, %.0f B for each, %.0f MiB", s.name, took.Seconds(), last(start.samples[s.name]), last(live.samples[s.name]), most)
		if _, err := br.stopCleanly(ctx); err != nil {
			return err
		}
		return br.awaitDeregistered(ctx)
	})
}

// holdOneID starts a broker and returns its memory with one transactional id.
func (b *bench) holdOneID(ctx context.Context, br *broker) (held, error) {
	if _, _, err := br.startServing(ctx, "ready", 1); err != nil {
		return held{}, err
	}
	if err := eachClient(ctx, br, 1, func(conn net.Conn, _ int) error {
		_, err := initProducerID(conn, "first")
		return err
	}); err != nil {
		return held{}, err
	}
	return b.held(ctx, br)
}

// fillWithIDs writes the record of each transactional id, whose last transaction was committed now.
func (l *preparedLog) fillWithIDs(ids int) error {
	now := time.Now().UnixMilli()
	var key, value []byte
	for n := range ids {
		k := kmsg.TxnMetadataKey{TransactionalID: loadedID(n)}
		v := kmsg.TxnMetadataValue{ProducerID: loadedProducerID + int64(n), ProducerEpoch: 1, TimeoutMillis: 60_000, State: kmsg.TransactionStateCompleteCommit,
			Topics: []kmsg.TxnMetadataValueTopic{}, LastUpdateTimestamp: now, StartTimestamp: now}
		key, value = k.AppendTo(key[:0]), v.AppendTo(value[:0])
		if err := l.append(func(b *record.Builder) error { return b.Append(now, key, value) }); err != nil {
			return err
		}
	}
	return l.finish()
}

// awaitTransactionalID waits until a starting broker answers for a loaded transactional id.
func awaitTransactionalID(ctx context.Context, br *broker, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		producerID, err := connectAndInit(ctx, br, loadedID(n))
		if err == nil {
			if want := loadedProducerID + int64(n); producerID != want {
				return fmt.Errorf("%s: transactional id %s has producer id %d after the load, want %d", br.name, loadedID(n), producerID, want)
			}
			return nil
		}
		if pause(ctx, probeInterval) != nil {
			return fmt.Errorf("%s did not serve %s: %w; its last output:\n%s", br.name, loadedID(n), err, lastLines(br.proc.Output(), 15))
		}
	}
}

func connectAndInit(ctx context.Context, br *broker, id string) (producerID int64, err error) {
	conn, err := br.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	response, err := initProducerID(conn, id)
	if err != nil {
		return 0, err
	}
	return response.ProducerID, nil
}

// loadLogged returns how long the load of the transactional ids took, as the broker logs it. The
// line follows the first answer.
func loadLogged(p *testkit.Process, ids int) (time.Duration, error) {
	before, after := fmt.Sprintf("Finished loading %d transaction metadata from %s-0 in ", ids, metadata.TransactionStateTopic), " milliseconds"
	if err := p.AwaitOutput(before, 10*time.Second); err != nil {
		return 0, err
	}
	return millisecondsBetween(p.Output(), before, after)
}

// millisecondsBetween parses the last number between two texts.
func millisecondsBetween(output, before, after string) (time.Duration, error) {
	_, rest, _ := strings.Cut(output[max(0, strings.LastIndex(output, before)):], before)
	digits, _, found := strings.Cut(rest, after)
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !found {
		return 0, fmt.Errorf("the output has no number between %q and %q", before, after)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
