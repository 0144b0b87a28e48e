package integration

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/txnhistory"
)

// read reads both topics until the clients end.
func (c *txnChaos) read(level kgo.IsolationLevel) {
	r := txnhistory.Reading{Reader: "a reader of all", Records: map[txnhistory.Partition][]txnhistory.Entry{}}
	if level == kgo.ReadCommitted() {
		r.Reader, r.Committed = "a reader of committed records", true
	}
	client, err := kgo.NewClient(c.patient(kgo.ConsumeTopics("load", "copies"), kgo.FetchIsolationLevel(level), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		c.t.Error(err)
		c.end()
		return
	}
	defer client.Close()
	for c.running.Err() == nil {
		client.PollFetches(c.running).EachRecord(func(record *kgo.Record) {
			p := txnhistory.Partition{Topic: record.Topic, Index: record.Partition}
			r.Records[p] = append(r.Records[p], entryOf(record))
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Readings = append(c.history.Readings, r)
}

// entryOf returns the entry of a record or of a marker.
func entryOf(r *kgo.Record) txnhistory.Entry {
	e := txnhistory.Entry{Offset: r.Offset, Producer: r.ProducerID, Epoch: r.ProducerEpoch}
	if !r.Attrs.IsControl() {
		e.Value = string(r.Value)
		return e
	}
	e.Time, e.Marker = r.Timestamp, txnhistory.AbortMarker
	if len(r.Key) >= 4 && r.Key[3] == 1 {
		e.Marker = txnhistory.CommitMarker
	}
	return e
}

// awaitEnded waits until no partition of the topic has an open transaction. The last ones time out.
// The checker reports those that remain.
func (c *txnChaos) awaitEnded(topic string, partitions int32) {
	c.t.Helper()
	if !within(txnTimeout+30*time.Second, func() bool { return c.allEnded(topic, partitions) }) {
		c.t.Logf("some transactions in %s do not end", topic)
	}
}

// endOffsets returns the end of each partition for readers of an isolation level.
func (c *txnChaos) endOffsets(topic string, committed bool) (ends kadm.ListedOffsets) {
	c.admin(func(ctx context.Context, client *kgo.Client) (err error) {
		if committed {
			ends, err = kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
		} else {
			ends, err = kadm.NewClient(client).ListEndOffsets(ctx, topic)
		}
		return err
	})
	return ends
}

// allEnded reports whether no partition of the topic has an open transaction.
func (c *txnChaos) allEnded(topic string, partitions int32) bool {
	stable, ends := c.endOffsets(topic, true), c.endOffsets(topic, false)
	for p := range partitions {
		a, _ := stable.Lookup(topic, p)
		b, _ := ends.Lookup(topic, p)
		if a.Err != nil || b.Err != nil || a.Offset != b.Offset || b.Offset <= 0 {
			return false
		}
	}
	return true
}

// readAll reads a topic with both isolation levels. A log ends with a marker unless a transaction
// never ended.
func (c *txnChaos) readAll(topic string, partitions int32) {
	c.t.Helper()
	for _, committed := range []bool{false, true} {
		level := kgo.ReadUncommitted()
		if committed {
			level = kgo.ReadCommitted()
		}
		starts, left := map[int32]kgo.Offset{}, map[int32]int64{}
		ends := c.endOffsets(topic, committed)
		for p := range partitions {
			end, _ := ends.Lookup(topic, p)
			starts[p], left[p] = kgo.NewOffset().AtStart(), end.Offset
		}
		client, err := kgo.NewClient(c.patient(kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond),
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))...)
		if err != nil {
			c.t.Fatal(err)
		}
		logs := map[txnhistory.Partition][]txnhistory.Entry{}
		ctx, cancel := context.WithTimeout(background(), time.Minute)
		for len(left) > 0 && ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				p := txnhistory.Partition{Topic: r.Topic, Index: r.Partition}
				logs[p] = append(logs[p], entryOf(r))
				if r.Offset >= left[r.Partition]-1 {
					delete(left, r.Partition)
				}
			})
		}
		cancel()
		client.Close()
		if len(left) > 0 {
			c.t.Errorf("reading %s (committed only: %t) did not reach %v", topic, committed, left)
		}
		if !committed {
			for p, log := range logs {
				c.history.Logs[p] = log
			}
			continue
		}
		for p, log := range logs {
			logs[p] = withoutMarkers(log)
		}
		c.history.Readings = append(c.history.Readings, txnhistory.Reading{Reader: "the last reader of committed records", Committed: true, Complete: true, Records: logs})
	}
}

func withoutMarkers(log []txnhistory.Entry) (records []txnhistory.Entry) {
	for _, e := range log {
		if e.Marker == txnhistory.NoMarker {
			records = append(records, e)
		}
	}
	return records
}

// stableOffsets returns the committed offsets of the copiers once no transaction has pending ones.
func (c *txnChaos) stableOffsets() (offsets map[txnhistory.Partition]int64) {
	c.t.Helper()
	testkit.Eventually(c.t, txnTimeout+20*time.Second, "the group to have stable offsets", func() (stable bool) {
		offsets, stable = c.offsets()
		return stable
	})
	return offsets
}

// offsets returns the committed offsets of the copiers, and whether no transaction has pending ones.
func (c *txnChaos) offsets() (offsets map[txnhistory.Partition]int64, stable bool) {
	c.t.Helper()
	offsets = map[txnhistory.Partition]int64{}
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.RequireStable = true
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group = copyGroup
		req.Groups = append(req.Groups, group)
		resp, err := req.RequestWith(ctx, client)
		if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 {
			return err
		}
		stable = true
		for _, topic := range resp.Groups[0].Topics {
			for _, p := range topic.Partitions {
				stable = stable && p.ErrorCode == 0
				offsets[txnhistory.Partition{Topic: topic.Topic, Index: p.Partition}] = p.Offset
			}
		}
		return nil
	})
	return offsets, stable
}
