package replication

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/storage"
)

// noEpoch stands for a leader epoch that is not known, or not to be checked.
const noEpoch int32 = -1

// noLeader is the leader of a partition that has none.
const noLeader int32 = -1

// Partition is one hosted partition: a log, the role this broker has for it,
// and, while it leads, what it knows of its followers. All methods are safe for
// concurrent use.
type Partition struct {
	id TopicPartition
	m  *Manager

	waits   waitList // who observes the partition
	traffic *traffic // of the topic
	// gone is set once retired is: what kept a pointer to the partition must look
	// it up again.
	gone atomic.Bool

	// mu guards what follows, up to moving. Appends and reads hold it shared, so
	// that the role does not change under them; a change of role or of the
	// in-sync set holds it alone. The log itself orders appends.
	mu sync.RWMutex
	// retired is why the partition serves nothing any more: KAFKA_STORAGE_ERROR
	// once its log directory is offline, NOT_LEADER_OR_FOLLOWER once it is
	// deleted; nil while it is hosted. It never changes back: a partition that
	// comes again is a new Partition.
	retired        error
	log            *storage.Log // nil until the first LeaderAndIsr made or found it, and when retired
	leader         int32        // broker id, noLeader while unknown
	leaderEpoch    int32        // -1 before the first LeaderAndIsr
	partitionEpoch int32        // -1 likewise; never falls
	// controllerEpoch is of the controller that decided on this leader.
	controllerEpoch int32
	reassigning     bool // replicas are being added or removed
	// term identifies our present or last leadership of the partition: a wait for
	// replication carries the one its records were appended in. Between two terms
	// the log may have been truncated, so an offset says nothing then.
	term int64
	// epochStart is the log end offset at which our leadership began; -1 unless
	// we lead.
	epochStart int64
	replicas   []int32
	isr        *inSync // notLeading unless we lead

	// moving guards the followers' progress and makes "compute the high watermark,
	// then set it" one step, so that it never moves back. Taken with mu held
	// (shared is enough).
	moving    sync.Mutex
	followers followers // nil unless we lead; replaced only under mu held alone
}

// newPartition is called with the manager's mu held.
func newPartition(id TopicPartition, m *Manager) *Partition {
	return &Partition{
		id: id, m: m, traffic: m.trafficLocked(id.Topic),
		leader: noLeader, leaderEpoch: noEpoch, partitionEpoch: -1, epochStart: -1,
		isr: notLeading,
	}
}

// ID names the partition.
func (p *Partition) ID() TopicPartition { return p.id }

// State is a partition's role at one moment.
type State struct {
	Leading        bool
	Leader         int32 // -1 while unknown
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas       []int32
	ISR            []int32 // empty unless leading
	Reassigning    bool
	MinISR         int // effective min.insync.replicas; 0 unless leading
}

// State returns the partition's role.
func (p *Partition) State() State {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := State{
		Leading: p.leadsLocked(), Leader: p.leader, LeaderEpoch: p.leaderEpoch, PartitionEpoch: p.partitionEpoch,
		Replicas: p.replicas, ISR: p.isr.committed, Reassigning: p.reassigning,
	}
	if s.Leading {
		s.MinISR = p.minISRLocked()
	}
	return s
}

// Log returns the partition's log, nil while there is none.
func (p *Partition) Log() *storage.Log {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.log
}

func (p *Partition) leadsLocked() bool { return p.leader == p.m.opts.BrokerID && p.log != nil }

// checkEpochLocked compares the leader epoch a request was made in with ours; a
// request without one (-1) passes (KIP-320).
func (p *Partition) checkEpochLocked(requested int32) error {
	switch {
	case requested < 0 || requested == p.leaderEpoch:
		return nil
	case requested < p.leaderEpoch:
		return protocol.FencedLeaderEpoch
	default:
		return protocol.UnknownLeaderEpoch
	}
}

// readableLocked returns the log for a reader that claims the leader epoch.
func (p *Partition) readableLocked(epoch int32, leaderOnly bool) (*storage.Log, error) {
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

// minISRLocked is the effective min.insync.replicas; only while leading.
func (p *Partition) minISRLocked() int {
	return effectiveMinISR(p.log.Config().MinInSyncReplicas, len(p.followers)+1)
}

func (p *Partition) underMinISRLocked() bool { return len(p.isr.committed) < p.minISRLocked() }

// advanceLocked moves the high watermark up as far as the in-sync replicas
// allow, and says whether it moved. mu is held (shared is enough), moving too.
//
// Below min.insync.replicas it does not move (Kafka 3.7+, KIP-966): else data
// acknowledged by acks=1 would be seen and then lost with the last replica. Nor
// does it while somebody in sync is no assigned replica any more, which fetches
// nothing: at the end of a reassignment the controller takes replicas out of the
// assignment first and out of the in-sync set after, and a controller that comes
// in between may still elect them.
func (p *Partition) advanceLocked(nowMs int64) bool {
	if p.underMinISRLocked() || p.unassignedInSyncLocked() {
		return false
	}
	at := p.log.Offsets()
	candidate := highWatermarkCandidate(at.LogEnd, p.isr.inMaximal, p.followers, p.m.alive, nowMs, p.m.lagMaxMs)
	if candidate <= at.HighWatermark {
		return false
	}
	_, moved := p.log.SetHighWatermark(candidate)
	return moved
}

func (p *Partition) unassignedInSyncLocked() bool {
	return slices.ContainsFunc(p.isr.inMaximal, func(id int32) bool { return id != p.m.opts.BrokerID && p.followers.of(id) == nil })
}

// advance is advanceLocked for who holds mu only.
func (p *Partition) advance(now time.Time) bool {
	p.moving.Lock()
	defer p.moving.Unlock()
	return p.advanceLocked(now.UnixMilli())
}

// retire ends the partition's service for the reason given, unless it has ended,
// and wakes all waiters.
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

// observe has the partition's observers learn of all moves of the log's offsets.
func (p *Partition) observe(log *storage.Log) {
	log.Observe(func() { p.waits.wake(offsetsMoved) })
}

// offline says whether the partition's log directory has failed.
func (p *Partition) offline() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.retired == protocol.KafkaStorageError
}

// leaderErrorLocked is why a request to the leader is refused; nil while this
// broker leads.
func (p *Partition) leaderErrorLocked() error {
	switch {
	case p.retired != nil:
		return p.retired
	case !p.leadsLocked():
		return protocol.NotLeaderOrFollower
	}
	return nil
}

// ledSinceLocked is leaderErrorLocked for a request that began in a term of our
// leadership: once that has ended it is refused, also if this broker leads again.
func (p *Partition) ledSinceLocked(term int64) error {
	if err := p.leaderErrorLocked(); err != nil {
		return err
	}
	if p.term != term {
		return protocol.NotLeaderOrFollower
	}
	return nil
}

// leaderHint names the leader as this partition knows it, for answers that
// refuse a request here.
func (p *Partition) leaderHint() protocol.LeaderIDEpoch {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return protocol.LeaderIDEpoch{LeaderID: p.leader, LeaderEpoch: p.leaderEpoch}
}
