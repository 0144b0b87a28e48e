package group

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// OffsetsTopic is this broker's replicas of the offsets topic. It is made by Replicas.
type OffsetsTopic interface {
	coordinator.Topic
	// Verify asks the transaction's coordinator whether the transaction's only partition belongs
	// to it, unless the transaction is already open in the partition's log (KIP-890). Its error
	// is the code of the refusal.
	Verify(t *replication.Transaction, done <-chan struct{}) (*storage.Verification, error)
}

// Replicas returns the replicas of the offsets topic that a replication.Manager hosts. manager is
// called only when a partition is used.
func Replicas(manager func() *replication.Manager) OffsetsTopic {
	return replicas{coordinator.Replicas{TopicName: metadata.GroupOffsetsTopic, Manager: manager}}
}

type replicas struct{ coordinator.Replicas }

func (r replicas) Verify(t *replication.Transaction, done <-chan struct{}) (*storage.Verification, error) {
	return r.Manager().VerifyTransaction(t, done)
}

var _ replication.LeadershipListener = (*Coordinator)(nil)

// Config is what a Coordinator needs.
type Config struct {
	Options Options
	Topic   OffsetsTopic
	Logger  *logrus.Logger
}

// Coordinator is a broker's group coordinator. It implements replication.LeadershipListener. Create
// it with NewCoordinator, call Start before requests are served and Stop before the replication
// stops.
type Coordinator struct {
	opts    Options
	topic   OffsetsTopic
	formats formats
	log     *logrus.Entry
	logMeta *logrus.Entry

	rt     *coordinator.Runtime[entry]
	timers *coordinator.Timers[*entry]
	txns   txnGroups
	counts counts
}

// entry is a group with its lock.
type entry struct {
	partition int32

	mu    sync.Mutex // guards group, and the use of Alarm; taken by Coordinator.lock
	group *Group

	coordinator.Alarm

	// shown describes the group as of the last unlock, for readers that must not wait for mu,
	// which is held while records are appended.
	shown atomic.Pointer[shownGroup]
	// deleted lists deleted partitions whose offsets the group may still have. The next lock
	// removes them.
	deleted atomic.Pointer[deletion]
}

// shownGroup is what lists and statistics show of a group.
type shownGroup struct {
	state        State
	protocolType string
	offsets      int
	members      int
}

func newEntry(partition int32, g *Group) *entry {
	e := &entry{partition: partition, group: g}
	e.show()
	return e
}

// show updates shown from the group. The caller must hold mu or be the only user of the entry.
func (e *entry) show() {
	now := shownGroup{e.group.state, e.group.protocolType, e.group.offsets.committed.size(), e.group.members.size}
	if last := e.shown.Load(); last == nil || *last != now {
		e.shown.Store(&now)
	}
}

// lock locks the entry and removes the offsets of deleted partitions. Later commits belong to new
// partitions of the same name.
func (c *Coordinator) lock(e *entry) {
	e.mu.Lock()
	c.removeDeleted(e)
}

func (c *Coordinator) unlock(e *entry) {
	e.show()
	e.mu.Unlock()
}

// NewCoordinator returns a coordinator without groups. It refuses requests until Start is called.
func NewCoordinator(cfg Config) *Coordinator {
	c := &Coordinator{
		opts: cfg.Options, topic: cfg.Topic, formats: formatsOf(cfg.Options.IBP),
		log:     kafkalog.For(cfg.Logger, "kafka.coordinator.group.GroupCoordinator"),
		logMeta: kafkalog.For(cfg.Logger, "kafka.coordinator.group.GroupMetadataManager"),
		timers:  coordinator.NewTimers[*entry](time.Now),
	}
	c.rt = coordinator.New(coordinator.Config[entry]{
		TopicName: metadata.GroupOffsetsTopic, Partitions: cfg.Options.Partitions, Topic: cfg.Topic,
		ParallelLoads: cfg.Options.ParallelLoads, LoadBuffer: cfg.Options.LoadBuffer, NewLoad: c.newLoad,
	})
	return c
}

// Start makes the coordinator accept requests.
func (c *Coordinator) Start() {
	c.infof("Starting up.")
	// Each group gets its own goroutine, which may wait for its lock while a disk is slow.
	c.rt.Go(func() { c.timers.Run(c.rt.Done(), func(e *entry) { c.rt.Go(func() { c.expire(e) }) }) })
	c.rt.Every(c.opts.RetentionCheck, c.Clean)
	c.rt.Start()
	c.infof("Startup complete.")
}

// Stop refuses further requests and waits until all goroutines of the coordinator have ended. It
// does not end Join and Sync, which wait until their done channel is closed.
func (c *Coordinator) Stop() {
	c.infof("Shutting down.")
	c.rt.Stop()
	c.infof("Shutdown complete.")
}

func (c *Coordinator) infof(format string, args ...any) {
	c.log.Infof("[GroupCoordinator %d]: %s", c.opts.BrokerID, fmt.Sprintf(format, args...))
}

func (c *Coordinator) metaInfof(format string, args ...any) {
	c.logMeta.Infof("[GroupMetadataManager brokerId=%d] %s", c.opts.BrokerID, fmt.Sprintf(format, args...))
}

// PartitionFor returns the partition of the offsets topic that stores the group.
func (c *Coordinator) PartitionFor(group string) int32 { return c.rt.PartitionFor(group) }

// lookup returns the group's entry, or nil if it does not exist, and the code with which a request
// for the group must be refused now, or None. mayBeEmpty is set if the API accepts the group id "".
func (c *Coordinator) lookup(group string, mayBeEmpty bool) (*entry, protocol.ErrorCode) {
	if group == "" && !mayBeEmpty {
		return nil, protocol.InvalidGroupID
	}
	return c.rt.Lookup(group)
}

// findOrCreate returns the group's entry and creates it if it does not exist. It returns nil if the
// broker no longer owns the partition.
func (c *Coordinator) findOrCreate(group string) *entry {
	return c.rt.FindOrCreate(group, func(partition int32, _ metadata.LeaderEpoch) (string, *entry) {
		g := New(strings.Clone(group), c.opts.Rules, time.Now())
		return g.ID, newEntry(partition, g)
	})
}

// step makes one step of a group and carries out its effects.
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

// arm sets the timer to the group's next deadline. The caller must hold e.mu.
func (c *Coordinator) arm(e *entry) {
	if deadline, any := e.group.Deadline(); any {
		c.timers.Arm(e, deadline)
	}
}

// expire handles the deadlines of a group that are due. It is called by the timer.
func (c *Coordinator) expire(e *entry) {
	c.step(e, func(g *Group, now time.Time) *Effects {
		e.Fired()
		return g.Expire(now)
	})
}

// deliver sends the answers and logs the lines. It does not block, because every channel has one
// slot and gets one answer.
func (c *Coordinator) deliver(e *entry, effects *Effects) {
	for _, a := range effects.Joins {
		a.To <- a.Result
	}
	for _, a := range effects.Syncs {
		a.To <- a.Result
	}
	for _, l := range effects.Lines {
		text := fmt.Sprintf("[GroupCoordinator %d]: %s", c.opts.BrokerID,
			strings.Replace(l.Text, topicPlaceholder, fmt.Sprintf("%s-%d", metadata.GroupOffsetsTopic, e.partition), 1))
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

// storing is an appended group record whose outcome is not known yet.
type storing struct {
	store   *Store
	written replication.Written
}

// appendStore appends the record of the effects, if any. If that fails, it passes the error to the
// group at once and adds the resulting effects. The caller must hold e.mu.
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

// awaitStored passes the outcome to the group when its record is on all in-sync replicas.
func (c *Coordinator) awaitStored(e *entry, s *storing) {
	if c.opts.CommitAcks != -1 {
		c.stored(e, s, nil)
		return
	}
	c.rt.AfterReplicated(e.partition, s.written, c.opts.CommitTimeout, func(err error) { c.stored(e, s, err) })
}

func (c *Coordinator) stored(e *entry, s *storing, err error) {
	c.step(e, func(g *Group, now time.Time) *Effects { return g.Stored(now, s.store, c.storeError(e, err)) })
}

// storeError returns the code for members if appending a group's record failed with err.
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
