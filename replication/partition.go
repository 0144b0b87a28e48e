package replication

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// Partition is one hosted partition: a log, this broker's role and, while it leads, the progress of
// its followers. All methods are safe for concurrent use.
type Partition struct {
	id TopicPartition
	m  *Manager

	waits   waitList // observers of the partition
	traffic *traffic // of the topic
	// gone is set when retired is. The owner of a pointer to the partition must then look it up
	// again.
	gone atomic.Bool

	// mu guards the fields down to progressMu. Appends and reads hold it shared, so the role does
	// not change during them. A change of role or of the in-sync set holds it exclusively. The log
	// itself orders appends.
	mu sync.RWMutex
	// retired is the reason why the partition no longer serves requests: KAFKA_STORAGE_ERROR after
	// its log directory failed, NOT_LEADER_OR_FOLLOWER after it was deleted; nil while it is
	// hosted. It is never reset: if the partition is created again, it is a new Partition.
	retired        error
	log            *storage.Log            // nil before the first LeaderAndIsr and after retirement
	leader         metadata.BrokerID       // broker id, metadata.NoBroker while unknown
	leaderEpoch    metadata.LeaderEpoch    // -1 before the first LeaderAndIsr
	partitionEpoch metadata.PartitionEpoch // -1 likewise; never decreases
	// controllerEpoch is the epoch of the controller that chose this leader.
	controllerEpoch metadata.ControllerEpoch
	reassigning     bool    // replicas are being added or removed
	adding          members // by a reassignment
	// replicationFactor does not count the replicas that a reassignment adds.
	replicationFactor int
	// term identifies this broker's current or last leadership of the partition. A wait for
	// replication carries the term in which its records were appended. Between two terms the log
	// may have been truncated, so an offset of one term means nothing in another.
	term int64
	// epochStart is the log end offset at the start of this broker's leadership; -1 unless this
	// broker leads.
	epochStart record.Offset
	replicas   []metadata.BrokerID
	isr        *inSync // notLeading unless this broker leads

	// progressMu guards the followers' progress and makes "compute the high watermark and set it"
	// one step, so the high watermark never decreases. It is taken with mu held; shared is enough.
	progressMu sync.Mutex
	followers  followers // nil unless this broker leads; replaced only with mu held exclusively
}

// newPartition returns a partition without a log.
func newPartition(id TopicPartition, m *Manager, t *traffic) *Partition {
	return &Partition{
		id: id, m: m, traffic: t,
		leader: metadata.NoBroker, leaderEpoch: metadata.NoLeaderEpoch, partitionEpoch: -1, epochStart: -1,
		isr: notLeading,
	}
}

// ID returns the partition's name.
func (p *Partition) ID() TopicPartition { return p.id }

// State is a partition's role at one moment.
type State struct {
	Leading        bool
	Leader         metadata.BrokerID // -1 while unknown
	LeaderEpoch    metadata.LeaderEpoch
	PartitionEpoch metadata.PartitionEpoch
	Replicas       []metadata.BrokerID
	// ReplicationFactor counts Replicas without those that a reassignment adds (KIP-352).
	ReplicationFactor int
	ISR               []metadata.BrokerID // empty unless Leading
	Reassigning       bool
	MinISR            int // effective min.insync.replicas; 0 unless Leading
}

// UnderReplicated reports whether this broker leads and a replica is not in sync. Replicas that a
// reassignment adds do not count until they are in sync (KIP-352).
func (s *State) UnderReplicated() bool { return s.Leading && len(s.ISR) < s.ReplicationFactor }

// UnderMinISR reports whether this broker leads and refuses acks=all.
func (s *State) UnderMinISR() bool { return s.Leading && len(s.ISR) < s.MinISR }

// AtMinISR reports whether this broker leads and would refuse acks=all with one in-sync replica
// fewer.
func (s *State) AtMinISR() bool { return s.Leading && len(s.ISR) == s.MinISR }

// State returns the partition's role.
func (p *Partition) State() State {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := State{
		Leading: p.leadsLocked(), Leader: p.leader, LeaderEpoch: p.leaderEpoch, PartitionEpoch: p.partitionEpoch,
		Replicas: p.replicas, ReplicationFactor: p.replicationFactor, ISR: p.isr.committed, Reassigning: p.reassigning,
	}
	if s.Leading {
		s.MinISR = p.minISRLocked()
	}
	return s
}

// Log returns the partition's log, or nil if it has none.
func (p *Partition) Log() *storage.Log {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.log
}

func (p *Partition) leadsLocked() bool { return p.leader == p.m.opts.BrokerID && p.log != nil }

// checkEpochLocked compares a request's leader epoch with the partition's. A request without one
// (-1) passes (KIP-320).
func (p *Partition) checkEpochLocked(requested metadata.LeaderEpoch) error {
	switch {
	case requested < 0 || requested == p.leaderEpoch:
		return nil
	case requested < p.leaderEpoch:
		return protocol.FencedLeaderEpoch
	default:
		return protocol.UnknownLeaderEpoch
	}
}

// readableLocked returns the log for a reader that claims the given leader epoch.
func (p *Partition) readableLocked(epoch metadata.LeaderEpoch, leaderOnly bool) (*storage.Log, error) {
	if p.retired != nil {
		return nil, p.retired
	}
	if err := p.checkEpochLocked(epoch); err != nil {
		return nil, err
	}
	if p.log == nil || leaderOnly && !p.leadsLocked() {
		return nil, protocol.NotLeaderOrFollower
	}
	return p.log, nil
}

// minISRLocked returns the effective min.insync.replicas. It may be called only while this broker
// leads.
func (p *Partition) minISRLocked() int {
	return effectiveMinISR(p.log.Config().MinInSyncReplicas, len(p.followers)+1)
}

func (p *Partition) underMinISRLocked() bool { return len(p.isr.committed) < p.minISRLocked() }

// advanceLocked raises the high watermark as far as the in-sync replicas allow and reports whether
// it moved. The caller must hold mu (shared is enough) and progressMu.
//
// The high watermark does not move below min.insync.replicas (Kafka 3.7+, KIP-966): data
// acknowledged with acks=1 would become visible and then be lost with the last replica. Nor does it
// move while an in-sync replica is no longer assigned. Such a replica fetches nothing, but at the
// end of a reassignment the controller removes replicas from the assignment first and from the
// in-sync set afterwards, and a controller elected in between may still make one of them the
// leader.
func (p *Partition) advanceLocked(nowMs int64) bool {
	if p.underMinISRLocked() || p.unassignedInSyncLocked() {
		return false
	}
	at := p.log.Offsets()
	candidate := highWatermarkCandidate(at.LogEnd, p.isr.inMaximal, p.followers, p.m.alive, nowMs-p.m.lagMaxMs)
	if candidate <= at.HighWatermark {
		return false
	}
	_, moved := p.log.SetHighWatermark(candidate)
	return moved
}

func (p *Partition) unassignedInSyncLocked() bool {
	return slices.ContainsFunc(p.isr.inMaximal, func(id metadata.BrokerID) bool { return id != p.m.opts.BrokerID && p.followers.of(id) == nil })
}

// advance is like advanceLocked. The caller must hold mu (shared is enough) and not progressMu.
func (p *Partition) advance(now time.Time) bool {
	p.progressMu.Lock()
	defer p.progressMu.Unlock()
	return p.advanceLocked(now.UnixMilli())
}

// retire ends the partition's service for the given reason, unless it has already ended, and wakes
// all waiters.
func (p *Partition) retire(reason error) {
	p.mu.Lock()
	if p.retired == nil {
		p.retired = reason
	}
	p.log = nil
	p.isr, p.followers, p.epochStart = notLeading, nil, -1
	p.gone.Store(true)
	p.mu.Unlock()
	p.waits.wake(stateChanged)
}

// observe notifies the partition's observers whenever the log's offsets move.
func (p *Partition) observe(log *storage.Log) {
	log.Observe(func() { p.waits.wake(offsetsMoved) })
}

// offline reports whether the partition's log directory has failed.
func (p *Partition) offline() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.retired == protocol.KafkaStorageError
}

// leaderErrorLocked returns why a request to the leader is refused, or nil while this broker leads.
func (p *Partition) leaderErrorLocked() error {
	switch {
	case p.retired != nil:
		return p.retired
	case !p.leadsLocked():
		return protocol.NotLeaderOrFollower
	}
	return nil
}

// ledSinceLocked is like leaderErrorLocked, for a request that began in the given term of this
// broker's leadership. After the end of that term it returns an error, even if this broker leads
// again.
func (p *Partition) ledSinceLocked(term int64) error {
	if err := p.leaderErrorLocked(); err != nil {
		return err
	}
	if p.term != term {
		return protocol.NotLeaderOrFollower
	}
	return nil
}

// leaderHint returns the leader that this partition knows, for responses that refuse a request.
func (p *Partition) leaderHint() protocol.LeaderIDEpoch {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return protocol.LeaderIDEpoch{LeaderID: int32(p.leader), LeaderEpoch: int32(p.leaderEpoch)}
}
