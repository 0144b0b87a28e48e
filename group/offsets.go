package group

import (
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// TopicPartition identifies a partition.
type TopicPartition = metadata.TopicPartition

// CommittedOffset is an offset that a group has committed, with its metadata and times.
type CommittedOffset struct {
	Offset      record.Offset
	LeaderEpoch metadata.LeaderEpoch // of the last consumed record; -1 for none
	Metadata    string
	CommittedMs int64 // ms
	ExpiresMs   int64 // ms; -1: the broker's retention applies
	// recordAt is the log offset of the batch with the record. Of two commits the one that was
	// appended later is valid.
	recordAt record.Offset
}

// noExpiry is the ExpiresMs of an offset without its own expiry.
const noExpiry int64 = -1

// Commit is an offset to commit for one partition.
type Commit struct {
	Partition TopicPartition
	Offset    CommittedOffset
}

// offsets has a group's committed offsets and those that are being committed. A commit is staged
// before its record is appended, and settled once the record is on all in-sync replicas or has
// failed. The zero value is empty.
type offsets struct {
	committed smallMap[TopicPartition, CommittedOffset]
	// staged has the commits that have not been settled, as the number that stage returned for the
	// latest commit of each partition. nil: none.
	staged *smallMap[TopicPartition, uint64]
	stages uint64 // the last number that stage returned
	txns   txnOffsets

	plainCommits, txnCommits bool // seen in this generation
}

func (o *offsets) newGeneration() { o.plainCommits, o.txnCommits = false, false }

func (o *offsets) empty() bool {
	return o.committed.size() == 0 && o.staged == nil && o.txns.empty()
}

// unstable reports whether an offset of the partition is being committed.
func (o *offsets) unstable(p TopicPartition) bool { return o.stageOf(p) != 0 || o.txns.holds(p) }

// stageOf returns the number of the partition's commit in staged, or 0 if it has none.
func (o *offsets) stageOf(p TopicPartition) uint64 {
	if o.staged == nil {
		return 0
	}
	return o.staged.of(p)
}

func (o *offsets) unstage(p TopicPartition) {
	if o.staged == nil {
		return
	}
	if o.staged.remove(p); o.staged.size() == 0 {
		o.staged = nil
	}
}

func (o *offsets) put(p TopicPartition, v CommittedOffset) {
	if have, known := o.committed.get(p); !known || have.recordAt < v.recordAt {
		o.committed.put(p, v)
	}
}

// mixed reports whether both consumers and transactional producers have committed in this
// generation. If so, Kafka logs a warning.
func (o *offsets) mixed() bool { return o.plainCommits && o.txnCommits }

// stage records commits that are about to be appended. It returns a number for settle.
func (o *offsets) stage(commits []Commit) uint64 {
	o.plainCommits = true
	o.stages++
	if o.staged == nil && len(commits) > 0 {
		o.staged = &smallMap[TopicPartition, uint64]{}
	}
	for i := range commits {
		o.staged.put(commits[i].Partition, o.stages)
	}
	return o.stages
}

// settle ends commits that stage began with the number stage. If ok is true they are valid: they
// are at the log offset recordAt. If it is false they have failed. Offsets that were removed in the
// meantime, because their topic or the group was deleted, are dropped.
func (o *offsets) settle(commits []Commit, stage uint64, recordAt record.Offset, ok bool) {
	for i := range commits {
		c := &commits[i]
		last := o.stageOf(c.Partition)
		if ok && last != 0 {
			v := c.Offset
			v.recordAt = recordAt
			o.put(c.Partition, v)
		}
		if last == stage {
			o.unstage(c.Partition)
		}
	}
}

// stageTxn records commits of a transaction that are about to be appended. They become valid when
// the transaction is committed.
func (o *offsets) stageTxn(producerID int64, commits []Commit) {
	o.txnCommits = true
	for _, c := range commits {
		c.Offset.recordAt = -1
		o.txns.put(producerID, c.Partition, c.Offset)
	}
}

// settleTxn records that the commits of stageTxn are at the log offset recordAt, or drops them if
// ok is false. It reports whether the producer's open transaction still has commits in the group.
func (o *offsets) settleTxn(producerID int64, commits []Commit, recordAt record.Offset, ok bool) (open bool) {
	for _, c := range commits {
		have, open := o.txns.get(producerID, c.Partition)
		switch {
		case !open:
		case ok:
			have.recordAt = recordAt
			o.txns.put(producerID, c.Partition, have)
		default:
			o.txns.remove(producerID, c.Partition)
		}
	}
	return o.txns.open(producerID)
}

// endTxn ends a producer's transaction: its commits become valid if committed is true and are
// dropped otherwise.
func (o *offsets) endTxn(producerID int64, committed bool) {
	txn := o.txns.end(producerID)
	if !committed {
		return
	}
	for p, v := range txn {
		if v.recordAt >= 0 {
			o.put(p, v)
		}
	}
}

// Fetched is the result of OffsetFetch for a partition.
type Fetched struct {
	Partition TopicPartition
	Offset    CommittedOffset // its Offset is -1 if nothing is committed
	Err       protocol.ErrorCode
}

func nothingCommitted(p TopicPartition, code protocol.ErrorCode) Fetched {
	return Fetched{Partition: p, Offset: CommittedOffset{Offset: -1, LeaderEpoch: -1}, Err: code}
}

// fetch returns the committed offsets of the partitions, or of all that have one if partitions is
// nil. If stable is set, a partition whose offset is being committed is answered with
// UNSTABLE_OFFSET_COMMIT (KIP-447).
func (o *offsets) fetch(partitions []TopicPartition, stable bool) []Fetched {
	if partitions == nil {
		list := make([]Fetched, 0, o.committed.size())
		for p := range o.committed.all() {
			list = append(list, o.fetchOne(p, stable))
		}
		return list
	}
	list := make([]Fetched, len(partitions))
	for i, p := range partitions {
		list[i] = o.fetchOne(p, stable)
	}
	return list
}

func (o *offsets) fetchOne(p TopicPartition, stable bool) Fetched {
	if stable && o.unstable(p) {
		return nothingCommitted(p, protocol.UnstableOffsetCommit)
	}
	if v, known := o.committed.get(p); known {
		return Fetched{Partition: p, Offset: v}
	}
	return nothingCommitted(p, protocol.None)
}

func fetchNothing(partitions []TopicPartition) []Fetched {
	list := make([]Fetched, len(partitions))
	for i, p := range partitions {
		list[i] = nothingCommitted(p, protocol.None)
	}
	return list
}

// remove removes the offsets of the partitions, including those that are being committed, and
// returns the partitions that had a committed offset.
func (o *offsets) remove(partitions []TopicPartition) []TopicPartition {
	var removed []TopicPartition
	for _, p := range partitions {
		o.unstage(p)
		o.txns.drop(p)
		if _, known := o.committed.get(p); known {
			o.committed.remove(p)
			removed = append(removed, p)
		}
	}
	return removed
}

// removeAll removes all committed offsets and returns their partitions.
func (o *offsets) removeAll() []TopicPartition {
	all := make([]TopicPartition, 0, o.committed.size())
	for p := range o.committed.all() {
		all = append(all, p)
	}
	return o.remove(all)
}

// expire removes the expired offsets and returns their partitions. An offset without a time of its
// own expires retentionMs after it was committed or, if emptySince is not noTime, after emptySince.
// Offsets of the topics in keep, which is sorted, and those that are being committed stay.
func (o *offsets) expire(nowMs, retentionMs, emptySince int64, keep []string) []TopicPartition {
	var expired []TopicPartition
	for p, v := range o.committed.all() {
		if o.stageOf(p) != 0 || contains(keep, p.Topic) {
			continue
		}
		base := v.CommittedMs
		if emptySince != noTime {
			base = emptySince
		}
		if v.ExpiresMs != noExpiry && nowMs >= v.ExpiresMs || v.ExpiresMs == noExpiry && nowMs-base >= retentionMs {
			expired = append(expired, p)
		}
	}
	for _, p := range expired {
		o.committed.remove(p)
	}
	return expired
}

func contains(sorted []string, s string) bool {
	_, found := slices.BinarySearch(sorted, s)
	return found
}

// ExpireOffsets removes the expired offsets (KIP-211) and returns their partitions. If a group has
// members, offsets expire only in a stable consumer group, and only those of topics to which no
// member is subscribed.
func (g *Group) ExpireOffsets(nowMs, retentionMs int64) []TopicPartition {
	switch {
	case !g.hasProtocolType():
		return g.offsets.expire(nowMs, retentionMs, noTime, nil)
	case g.state == Empty:
		return g.offsets.expire(nowMs, retentionMs, g.stateSince, nil)
	case g.protocolType == consumerProtocol && g.state == Stable && g.subscribed != nil:
		return g.offsets.expire(nowMs, retentionMs, noTime, g.subscribed)
	}
	return nil
}

// undeletable returns None if offsets of the topic may be deleted, else the code to answer: for a
// topic to which members are subscribed, and if the subscriptions are unknown.
func (g *Group) undeletable(topic string) protocol.ErrorCode {
	if g.state == Empty {
		return protocol.None
	}
	if g.subscribed == nil || contains(g.subscribed, topic) {
		return protocol.GroupSubscribedToTopic
	}
	return protocol.None
}
