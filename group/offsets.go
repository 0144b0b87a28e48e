package group

import (
	"slices"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// TopicPartition identifies a partition.
type TopicPartition = metadata.TopicPartition

// Offset is a committed offset.
type Offset struct {
	Offset      int64
	LeaderEpoch int32 // of the last consumed record; -1 for none
	Metadata    string
	CommittedMs int64 // ms
	ExpiresMs   int64 // ms; -1: the broker's retention applies
	// recordAt is the log offset of the batch with the record. Of two commits the one that was
	// appended later is valid.
	recordAt int64
}

// noExpiry is the ExpiresMs of an offset without its own expiry.
const noExpiry int64 = -1

// Commit is an offset to commit for one partition.
type Commit struct {
	Partition TopicPartition
	Offset    Offset
}

// offsets has a group's committed offsets and those that are being committed.
type offsets struct {
	committed smallMap[TopicPartition, Offset]
	// staged has the commits that are not on all in-sync replicas yet, as the number that Stage
	// returned for the latest commit of each partition. nil: none.
	staged *smallMap[TopicPartition, uint64]
	stages uint64 // the last number that Stage returned
	txns   txnOffsets

	plainCommits, txnCommits bool // seen in this generation
}

func (o *offsets) newGeneration() { o.plainCommits, o.txnCommits = false, false }

func (o *offsets) empty() bool {
	return o.committed.size() == 0 && o.staged == nil && o.txns.empty()
}

// unstable reports whether an offset of the partition is being committed.
func (o *offsets) unstable(p TopicPartition) bool { return o.stage(p) != 0 || o.txns.holds(p) }

// stage returns the number of the partition's commit in staged, or 0 if it has none.
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

// CheckCommit returns None if the sender may commit, else the code to answer, and keeps the session
// alive if the sender is a member. Transactional commits of old producers have no member.
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

// Mixed reports whether both consumers and transactional producers have committed in this
// generation. Kafka logs a warning then.
func (g *Group) Mixed() bool { return g.offsets.plainCommits && g.offsets.txnCommits }

// Stage records commits that are about to be appended. It returns a number for Staged.
func (g *Group) Stage(commits []Commit) uint64 {
	o := &g.offsets
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

// Staged ends commits that Stage began with the number stage. If ok is true they are valid: they
// are at the log offset recordAt. If it is false they have failed. Offsets of a topic that was
// deleted in the meantime are dropped.
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

// StageTxn records commits of a transaction that are about to be appended. They become valid when
// the transaction is committed.
func (g *Group) StageTxn(producerID int64, commits []Commit) {
	g.offsets.txnCommits = true
	for _, c := range commits {
		c.Offset.recordAt = -1
		g.offsets.txns.put(producerID, c.Partition, c.Offset)
	}
}

// StagedTxn records that the commits of StageTxn are at the log offset recordAt, or drops them if
// ok is false. It reports whether the producer's open transaction still has commits in the group.
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

// EndTxn ends a producer's transaction: its commits become valid if committed is true and are
// dropped otherwise.
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

// Fetched is the result of OffsetFetch for a partition.
type Fetched struct {
	Partition TopicPartition
	Offset    Offset // its Offset is -1 if nothing is committed
	Err       protocol.ErrorCode
}

func nothingCommitted(p TopicPartition, code protocol.ErrorCode) Fetched {
	return Fetched{Partition: p, Offset: Offset{Offset: -1, LeaderEpoch: -1}, Err: code}
}

// Fetch returns the committed offsets of the partitions, or of all that have one if partitions is
// nil. If stable is set, a partition whose offset is being committed is answered with
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

// RemoveOffsets removes the offsets of the partitions, including those that are being committed,
// and returns the partitions that had a committed offset.
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

// RemoveAllOffsets removes all committed offsets and returns their partitions.
func (g *Group) RemoveAllOffsets() []TopicPartition {
	all := make([]TopicPartition, 0, g.offsets.committed.size())
	for p := range g.offsets.committed.all() {
		all = append(all, p)
	}
	return g.RemoveOffsets(all)
}

// ExpireOffsets removes the expired offsets (KIP-211) and returns their partitions. If a group has
// members, offsets expire only in a stable consumer group, and only those of topics to which no
// member is subscribed.
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

// DieIfIdle makes a group dead that has neither members nor offsets. It reports whether the group
// is dead.
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
