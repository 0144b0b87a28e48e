package group

import (
	"slices"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// Offset is a committed offset.
type Offset struct {
	Offset      int64
	LeaderEpoch int32 // of the last consumed record; -1 for none
	Metadata    string
	CommittedMs int64 // ms
	ExpiresMs   int64 // ms; -1: after the retention of the broker
	// recordAt is the log offset of the batch that holds the record: of two
	// commits the one appended later holds.
	recordAt int64
}

// noExpiry is ExpiresMs of an offset that has no expiry of its own.
const noExpiry int64 = -1

// Commit is one partition's offset to be committed.
type Commit struct {
	Partition TopicPartition
	Offset    Offset
}

// offsets are a group's committed offsets and those on their way.
type offsets struct {
	committed few[TopicPartition, Offset]
	// staged are commits that are appended but not acknowledged by all replicas.
	// The last one of a partition is kept; its number tells it from others. nil:
	// none is on its way.
	staged *few[TopicPartition, uint64]
	stages uint64 // the last number given out
	txns   txnOffsets

	plainCommits, txnCommits bool // seen in this generation
}

func (o *offsets) newGeneration() { o.plainCommits, o.txnCommits = false, false }

func (o *offsets) empty() bool {
	return o.committed.size() == 0 && o.staged == nil && o.txns.empty()
}

// unstable reports whether a commit of the partition is on its way.
func (o *offsets) unstable(p TopicPartition) bool { return o.stage(p) != 0 || o.txns.holds(p) }

// stage is the number of the partition's commit on its way; 0: there is none.
func (o *offsets) stage(p TopicPartition) uint64 {
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

func (o *offsets) put(p TopicPartition, v Offset) {
	if have, known := o.committed.get(p); !known || have.recordAt < v.recordAt {
		o.committed.put(p, v)
	}
}

// CheckCommit says whether the sender may commit, and keeps its session alive
// where it is a member. Transactional commits of old producers carry no member.
func (g *Group) CheckCommit(now time.Time, memberID string, instanceID *string, generation int32, transactional bool) protocol.ErrorCode {
	switch {
	case g.state == Dead:
		return protocol.CoordinatorNotAvailable
	case generation < 0 && g.state == Empty:
		return protocol.None
	case generation >= 0 || memberID != "" || instanceID != nil:
		if code := g.checkMember(memberID, instanceID); code != protocol.None {
			return code
		}
		if generation != g.generation {
			return protocol.IllegalGeneration
		}
	case !transactional && g.state != Empty:
		return protocol.UnknownMemberID
	}
	if transactional {
		return protocol.None
	}
	if g.state == CompletingRebalance {
		return protocol.RebalanceInProgress
	}
	if m := g.member(memberID); m != nil {
		g.renew(now, m)
	}
	return protocol.None
}

// Mixed says that consumers and transactional producers have both committed in
// this generation, which Kafka warns of.
func (g *Group) Mixed() bool { return g.offsets.plainCommits && g.offsets.txnCommits }

// Stage notes commits that are about to be appended and returns their number.
func (g *Group) Stage(commits []Commit) uint64 {
	o := &g.offsets
	o.plainCommits = true
	o.stages++
	if o.staged == nil && len(commits) > 0 {
		o.staged = &few[TopicPartition, uint64]{}
	}
	for i := range commits {
		o.staged.put(commits[i].Partition, o.stages)
	}
	return o.stages
}

// Staged ends what Stage began: the commits are durable at the log offset
// recordAt, or, where ok is false, have failed. Offsets of a topic deleted
// meanwhile stay away.
func (g *Group) Staged(commits []Commit, stage uint64, recordAt int64, ok bool) {
	o := &g.offsets
	for i := range commits {
		c := &commits[i]
		last := o.stage(c.Partition)
		if ok && last != 0 && g.state != Dead {
			v := c.Offset
			v.recordAt = recordAt
			o.put(c.Partition, v)
		}
		if last == stage {
			o.unstage(c.Partition)
		}
	}
}

// StageTxn notes the commits of a transaction, which hold once it ends well.
func (g *Group) StageTxn(producerID int64, commits []Commit) {
	g.offsets.txnCommits = true
	for _, c := range commits {
		c.Offset.recordAt = -1
		g.offsets.txns.put(producerID, c.Partition, c.Offset)
	}
}

// StagedTxn takes where the records of StageTxn are, or that they failed. It
// reports whether the producer has commits here that its transaction's end settles.
func (g *Group) StagedTxn(producerID int64, commits []Commit, recordAt int64, ok bool) (open bool) {
	txns := &g.offsets.txns
	for _, c := range commits {
		have, open := txns.get(producerID, c.Partition)
		switch {
		case !open:
		case ok:
			have.recordAt = recordAt
			txns.put(producerID, c.Partition, have)
		default:
			txns.remove(producerID, c.Partition)
		}
	}
	return txns.open(producerID)
}

// EndTxn ends a producer's transaction: its commits hold, or are dropped.
func (g *Group) EndTxn(producerID int64, committed bool) {
	txn := g.offsets.txns.end(producerID)
	if !committed {
		return
	}
	for p, v := range txn {
		if v.recordAt >= 0 {
			g.offsets.put(p, v)
		}
	}
}

// Fetched is what OffsetFetch answers for a partition.
type Fetched struct {
	Partition TopicPartition
	Offset    Offset // Offset -1 where nothing is committed
	Err       protocol.ErrorCode
}

func nothingCommitted(p TopicPartition, code protocol.ErrorCode) Fetched {
	return Fetched{Partition: p, Offset: Offset{Offset: -1, LeaderEpoch: -1}, Err: code}
}

// Fetch returns the committed offsets of the partitions; nil: of all that have
// one. stable: a partition with a commit on its way is answered with
// UNSTABLE_OFFSET_COMMIT (KIP-447).
func (g *Group) Fetch(partitions []TopicPartition, stable bool) []Fetched {
	if g.state == Dead {
		return fetchNothing(partitions)
	}
	if partitions == nil {
		list := make([]Fetched, 0, g.offsets.committed.size())
		for p := range g.offsets.committed.all() {
			list = append(list, g.fetchOne(p, stable))
		}
		return list
	}
	list := make([]Fetched, len(partitions))
	for i, p := range partitions {
		list[i] = g.fetchOne(p, stable)
	}
	return list
}

func (g *Group) fetchOne(p TopicPartition, stable bool) Fetched {
	if stable && g.offsets.unstable(p) {
		return nothingCommitted(p, protocol.UnstableOffsetCommit)
	}
	if v, known := g.offsets.committed.get(p); known {
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

// RemoveOffsets forgets the offsets of the partitions, those on their way too,
// and returns the partitions that had one.
func (g *Group) RemoveOffsets(partitions []TopicPartition) []TopicPartition {
	o := &g.offsets
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

// RemoveAllOffsets forgets everything that is committed.
func (g *Group) RemoveAllOffsets() []TopicPartition {
	all := make([]TopicPartition, 0, g.offsets.committed.size())
	for p := range g.offsets.committed.all() {
		all = append(all, p)
	}
	return g.RemoveOffsets(all)
}

// ExpireOffsets forgets the offsets whose time is over (KIP-211) and returns
// their partitions. While a group has members only offsets of topics that a
// consumer group has no interest in any more can expire.
func (g *Group) ExpireOffsets(nowMs, retentionMs int64) []TopicPartition {
	sinceEmpty := false
	var keep []string // sorted
	switch {
	case !g.hasProtocolType():
	case g.state == Empty:
		sinceEmpty = g.stateSince != noTime
	case g.protocolType == consumerProtocol && g.state == Stable && g.subscribed != nil:
		keep = g.subscribed
	default:
		return nil
	}
	var expired []TopicPartition
	for p, v := range g.offsets.committed.all() {
		if g.offsets.stage(p) != 0 || contains(keep, p.Topic) {
			continue
		}
		base := v.CommittedMs
		if sinceEmpty {
			base = g.stateSince
		}
		if v.ExpiresMs != noExpiry && nowMs >= v.ExpiresMs || v.ExpiresMs == noExpiry && nowMs-base >= retentionMs {
			expired = append(expired, p)
		}
	}
	for _, p := range expired {
		g.offsets.committed.remove(p)
	}
	return expired
}

// DieIfIdle ends a group that has neither members nor offsets and says whether
// it is dead.
func (g *Group) DieIfIdle(now time.Time) bool {
	if g.state == Empty && g.offsets.empty() {
		g.become(Dead, now)
	}
	return g.state == Dead
}

func contains(sorted []string, s string) bool {
	_, found := slices.BinarySearch(sorted, s)
	return found
}

// undeletable says why offsets of the group cannot be deleted: of a topic that
// members are subscribed to, or of a group with members of another kind.
func (g *Group) undeletable(topic string) protocol.ErrorCode {
	if g.state == Empty {
		return protocol.None
	}
	if g.subscribed == nil || contains(g.subscribed, topic) {
		return protocol.GroupSubscribedToTopic
	}
	return protocol.None
}
