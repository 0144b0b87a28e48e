package group

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// TopicName is the offsets topic.
const TopicName = "__consumer_offsets"

// OffsetsTopic is the replicas of the offsets topic on this broker; Replicas
// makes one.
type OffsetsTopic interface {
	// Append appends a batch as the partition's leader and returns where it is.
	// verified is of Verify.
	Append(partition int32, batch []byte, verified *storage.Verification, acks int16) (replication.Written, error)
	// Verify asks the transaction's coordinator whether it knows of the one
	// partition named, where the transaction is not open in its log already
	// (KIP-890). An error is the code of the refusal.
	Verify(t *replication.Transaction, done <-chan struct{}) (*storage.Verification, error)
	// AwaitReplicated blocks until what Append wrote is on all in-sync replicas, for
	// at most timeout (REQUEST_TIMED_OUT) or until done is closed. A leadership that
	// was lost since is NOT_LEADER_OR_FOLLOWER, also where it was won again.
	AwaitReplicated(partition int32, w replication.Written, timeout time.Duration, done <-chan struct{}) error
	// Log returns the log of a partition that this broker leads; nil otherwise.
	Log(partition int32) Log
}

// Log is a partition's log as loading reads it.
type Log interface {
	Read(storage.Read) (storage.Data, error)
	Offsets() storage.Offsets
}

// Config is what a Coordinator needs.
type Config struct {
	Options Options
	Topic   OffsetsTopic
	Logger  *logrus.Logger
}

// Coordinator is a broker's group coordinator. It is a
// replication.LeadershipListener. Make it with NewCoordinator, Start it before
// requests are served and Stop it before the replication stops.
type Coordinator struct {
	opts    Options
	topic   OffsetsTopic
	formats formats
	log     *logrus.Entry
	logMeta *logrus.Entry

	partitions []partition
	timers     timers
	loads      chan struct{} // a slot for each partition that may be read at once
	txns       txnGroups
	counts     counts

	active atomic.Bool
	done   chan struct{} // closed by Stop

	life    sync.Mutex // a leaf; guards stopped, and wg against Stop
	stopped bool
	wg      sync.WaitGroup
}

// spawn runs work that Stop waits for; once it has been called, none is begun.
func (c *Coordinator) spawn(work func()) bool {
	c.life.Lock()
	defer c.life.Unlock()
	if !c.stopped {
		c.wg.Go(work)
	}
	return !c.stopped
}

// partition is one partition of the offsets topic.
type partition struct {
	mu       sync.Mutex
	epoch    int32 // leader epoch last heard of; -1: none
	tenure   tenure
	groups   map[string]*entry
	loadDone chan struct{} // closed when the load that runs has ended
}

// tenure says whether this broker coordinates a partition's groups.
type tenure int8

const (
	absent tenure = iota
	loading
	owned
)

// entry is a group with its lock.
type entry struct {
	partition int32

	mu    sync.Mutex // guards group and alarm; taken by Coordinator.lock
	group *Group
	alarm time.Duration // when the timer calls, since timers.began; noAlarm: not at all

	timer timer // guarded by timers.mu

	// shown is the group as of the last unlock, for those that must not wait for
	// mu, which is held while records are appended.
	shown atomic.Pointer[shownGroup]
	// deleted are partitions that are deleted and whose offsets the group still
	// has; the next lock removes them.
	deleted atomic.Pointer[deletion]
}

// shownGroup is what lists and statistics say of a group.
type shownGroup struct {
	state        State
	protocolType string
	offsets      int
}

func newEntry(partition int32, g *Group) *entry {
	e := &entry{partition: partition, group: g}
	e.show()
	return e
}

// show takes over what the group is now. The caller must hold mu, or have the
// entry to itself.
func (e *entry) show() {
	now := shownGroup{e.group.state, e.group.protocolType, e.group.offsets.committed.size()}
	if last := e.shown.Load(); last == nil || *last != now {
		e.shown.Store(&now)
	}
}

// lock takes the entry's lock. Offsets of partitions that were deleted are gone
// then: what is committed from now on is of their successors.
func (c *Coordinator) lock(e *entry) {
	e.mu.Lock()
	c.removeDeleted(e)
}

func (c *Coordinator) unlock(e *entry) {
	e.show()
	e.mu.Unlock()
}

// noAlarm is an entry's alarm where the timer does not call.
const noAlarm time.Duration = 0

// NewCoordinator returns a coordinator of no groups.
func NewCoordinator(cfg Config) *Coordinator {
	c := &Coordinator{
		opts: cfg.Options, topic: cfg.Topic, formats: formatsOf(cfg.Options.IBP),
		log:        kafkalog.For(cfg.Logger, "kafka.coordinator.group.GroupCoordinator"),
		logMeta:    kafkalog.For(cfg.Logger, "kafka.coordinator.group.GroupMetadataManager"),
		partitions: make([]partition, max(cfg.Options.Partitions, 1)),
		loads:      make(chan struct{}, max(cfg.Options.ParallelLoads, 1)),
		done:       make(chan struct{}),
	}
	for i := range c.partitions {
		c.partitions[i].epoch = -1
	}
	c.timers.init()
	return c
}

// Start lets requests in.
func (c *Coordinator) Start() {
	c.infof("Starting up.")
	// Each group by itself: one may wait for its lock while a disk is slow.
	c.spawn(func() { c.timers.run(c.done, func(e *entry) { c.spawn(func() { c.expire(e) }) }) })
	c.spawn(c.cleanRegularly)
	c.active.Store(true)
	c.infof("Startup complete.")
}

// Stop refuses requests from now on and ends all waits but those for answers of
// connections, which end with them.
func (c *Coordinator) Stop() {
	c.infof("Shutting down.")
	c.active.Store(false)
	c.life.Lock()
	c.stopped = true
	c.life.Unlock()
	close(c.done)
	c.wg.Wait()
	c.infof("Shutdown complete.")
}

func (c *Coordinator) infof(format string, args ...any) {
	c.log.Infof("[GroupCoordinator %d]: %s", c.opts.BrokerID, fmt.Sprintf(format, args...))
}

func (c *Coordinator) metaInfof(format string, args ...any) {
	c.logMeta.Infof("[GroupMetadataManager brokerId=%d] %s", c.opts.BrokerID, fmt.Sprintf(format, args...))
}

// PartitionFor is the partition of the offsets topic that keeps the group.
func (c *Coordinator) PartitionFor(group string) int32 {
	return HashPartition(group, int32(len(c.partitions)))
}

// checkGroup returns the code with which every request for the group is
// refused. mayBeEmpty: the API takes the group id "".
func (c *Coordinator) checkGroup(group string, mayBeEmpty bool) protocol.ErrorCode {
	if group == "" && !mayBeEmpty {
		return protocol.InvalidGroupID
	}
	if !c.active.Load() {
		return protocol.CoordinatorNotAvailable
	}
	p := &c.partitions[c.PartitionFor(group)]
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.tenure {
	case loading:
		return protocol.CoordinatorLoadInProgress
	case absent:
		return protocol.NotCoordinator
	}
	return protocol.None
}

// find returns the group's entry; nil where there is none.
func (c *Coordinator) find(group string) *entry {
	p := &c.partitions[c.PartitionFor(group)]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.groups[group]
}

// findOrCreate returns the group's entry, made where there is none; nil when
// the partition is not ours any more.
func (c *Coordinator) findOrCreate(group string) *entry {
	index := c.PartitionFor(group)
	p := &c.partitions[index]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tenure != owned {
		return nil
	}
	e := p.groups[group]
	if e == nil {
		e = newEntry(index, New(strings.Clone(group), c.opts.Rules, time.Now()))
		p.groups[e.group.ID] = e
	}
	return e
}

// forget takes a dead group out. e.mu may be held.
func (c *Coordinator) forget(e *entry) {
	p := &c.partitions[e.partition]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups[e.group.ID] == e {
		delete(p.groups, e.group.ID)
	}
}

// entries lists all groups.
func (c *Coordinator) entries() []*entry {
	var all []*entry
	for i := range c.partitions {
		p := &c.partitions[i]
		p.mu.Lock()
		for _, e := range p.groups {
			all = append(all, e)
		}
		p.mu.Unlock()
	}
	return all
}

// step does one step of a group and what follows from it.
func (c *Coordinator) step(e *entry, do func(g *Group, now time.Time) *Effects) {
	c.lock(e)
	effects := do(e.group, time.Now())
	stored := c.appendStore(e, effects)
	c.arm(e)
	c.unlock(e)
	c.deliver(e, effects)
	if stored != nil {
		c.awaitStored(e, stored)
	}
}

// arm has the timer call when the group's next deadline is there. e.mu is held.
func (c *Coordinator) arm(e *entry) {
	deadline, any := e.group.Deadline()
	if !any {
		return
	}
	at := max(deadline.Sub(c.timers.began), noAlarm+1)
	if e.alarm != noAlarm && at >= e.alarm {
		return
	}
	e.alarm = at
	c.timers.set(e, at)
}

// expire is the timer's call.
func (c *Coordinator) expire(e *entry) {
	c.step(e, func(g *Group, now time.Time) *Effects {
		e.alarm = noAlarm
		return g.Expire(now)
	})
}

// deliver gives the answers and writes the lines. Every channel has one slot
// and gets one answer.
func (c *Coordinator) deliver(e *entry, effects *Effects) {
	for _, a := range effects.Joins {
		a.To <- a.Result
	}
	for _, a := range effects.Syncs {
		a.To <- a.Result
	}
	for _, l := range effects.Lines {
		text := fmt.Sprintf("[GroupCoordinator %d]: %s", c.opts.BrokerID,
			strings.Replace(l.Text, topicPlaceholder, fmt.Sprintf("%s-%d", TopicName, e.partition), 1))
		switch l.Level {
		case Info:
			c.log.Info(text)
		case Warn:
			c.log.Warn(text)
		default:
			c.log.Error(text)
		}
	}
}

// storing is a group record that was appended.
type storing struct {
	store   *Store
	written replication.Written
}

// appendStore appends the record that the effects ask for. Where that fails the
// group hears of it at once. e.mu is held.
func (c *Coordinator) appendStore(e *entry, effects *Effects) *storing {
	s := effects.Store
	if s == nil {
		return nil
	}
	if s.purpose == assignment {
		c.counts.rebalances.Add(1)
	}
	key := appendGroupKey(nil, e.group.ID)
	value := c.formats.appendGroup(nil, e.group, s)
	batch, err := c.batch([]keyValue{{key, value}})
	if err == nil {
		var written replication.Written
		if written, err = c.topic.Append(e.partition, batch, nil, c.opts.CommitAcks); err == nil {
			return &storing{s, written}
		}
	}
	more := e.group.Stored(time.Now(), s, c.storeError(e, err))
	effects.Joins = append(effects.Joins, more.Joins...)
	effects.Syncs = append(effects.Syncs, more.Syncs...)
	effects.Lines = append(effects.Lines, more.Lines...)
	return nil
}

// awaitStored tells the group when its record is on all in-sync replicas:
// at once where it is already.
func (c *Coordinator) awaitStored(e *entry, s *storing) {
	err := c.awaitReplicated(e.partition, s.written, 0)
	if !errors.Is(err, protocol.RequestTimedOut) {
		c.stored(e, s, err)
		return
	}
	c.spawn(func() { c.stored(e, s, c.awaitReplicated(e.partition, s.written, c.opts.CommitTimeout)) })
}

func (c *Coordinator) stored(e *entry, s *storing, err error) {
	c.step(e, func(g *Group, now time.Time) *Effects { return g.Stored(now, s.store, c.storeError(e, err)) })
}

func (c *Coordinator) awaitReplicated(partition int32, w replication.Written, timeout time.Duration) error {
	if c.opts.CommitAcks != -1 {
		return nil
	}
	return c.topic.AwaitReplicated(partition, w, timeout, c.done)
}

// storeError is what a failed append of a group's record means for its members.
func (c *Coordinator) storeError(e *entry, err error) protocol.ErrorCode {
	if err == nil {
		return protocol.None
	}
	switch code := protocol.CodeOf(err); code {
	case protocol.UnknownTopicOrPartition, protocol.NotEnoughReplicas, protocol.NotEnoughReplicasAfterAppend:
		return protocol.CoordinatorNotAvailable
	case protocol.NotLeaderOrFollower, protocol.KafkaStorageError:
		return protocol.NotCoordinator
	case protocol.RequestTimedOut:
		return protocol.RebalanceInProgress
	case protocol.MessageTooLarge, protocol.RecordListTooLarge, protocol.InvalidFetchSize:
		c.log.Errorf("[GroupCoordinator %d]: Appending metadata message for group %s failed due to %s, returning UNKNOWN error code to the client: %v",
			c.opts.BrokerID, e.group.ID, code.Exception(), err)
		return protocol.UnknownServerError
	default:
		c.log.Errorf("[GroupCoordinator %d]: Appending metadata message for group %s failed due to unexpected error: %v", c.opts.BrokerID, e.group.ID, err)
		return code
	}
}
