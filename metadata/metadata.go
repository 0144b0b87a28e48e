// Package metadata holds what the controller told this broker in UpdateMetadata
// requests: the live brokers, every partition's leader and replicas, topic ids
// and who the controller is. Readers take an immutable Snapshot behind one
// atomic pointer; one writer replaces it.
package metadata

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicID is the 16 bytes of a topic's id; the zero value means none is known.
type TopicID [16]byte

// Endpoint is where a broker listens under one listener name.
type Endpoint struct {
	Listener         string
	Host             string
	Port             int32
	SecurityProtocol int16 // 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
}

// Broker is a live (or shutting down) broker as the controller sees it.
type Broker struct {
	ID        int32
	Rack      *string
	Endpoints map[string]Endpoint // by listener name
}

// Partition is the state of one partition as the controller last sent it. The
// slices are never changed.
type Partition struct {
	Leader          int32 // -1 none
	LeaderEpoch     int32
	ControllerEpoch int32
	PartitionEpoch  int32 // the state znode's version
	ISR             []int32
	Replicas        []int32
	Offline         []int32
}

// Topic is one topic with its partitions by index.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions map[int32]*Partition
}

// NoController is Snapshot.ControllerID while no controller is known.
const NoController int32 = -1

// Snapshot is one immutable state of the cluster. Its maps are only read.
type Snapshot struct {
	// Heard reports whether a controller has sent an UpdateMetadata since this
	// broker started or last lost its ZooKeeper session. Until then Brokers is
	// empty or may be out of date.
	Heard bool
	// Complete reports whether a topic or partition that is missing here does not
	// exist. A new controller first sends the brokers and only then the
	// partitions, so this is false until the first partitions have come.
	Complete bool

	ControllerID int32
	Brokers      map[int32]*Broker
	Topics       map[string]*Topic
	Names        map[TopicID]string
}

// Partition returns the partition, or nil where topic or index is unknown.
func (s *Snapshot) Partition(topic string, index int32) *Partition {
	if t := s.Topics[topic]; t != nil {
		return t.Partitions[index]
	}
	return nil
}

// Cache is the broker's current Snapshot and those who wait for a next one.
type Cache struct {
	current atomic.Pointer[Snapshot]

	mu      sync.Mutex // orders writers; guards changed
	changed chan struct{}
}

// NewCache returns a cache that knows no broker and no topic.
func NewCache() *Cache {
	c := &Cache{changed: make(chan struct{})}
	c.current.Store(&Snapshot{
		ControllerID: NoController,
		Brokers:      map[int32]*Broker{},
		Topics:       map[string]*Topic{},
		Names:        map[TopicID]string{},
	})
	return c
}

// Snapshot returns the current state.
func (c *Cache) Snapshot() *Snapshot { return c.current.Load() }

// Changed returns a channel that is closed when the snapshot is replaced after
// this call. Wait by: take the channel, look at Snapshot, then receive.
func (c *Cache) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Await waits until done returns true for the current snapshot, for at most the
// timeout or until ctx ends, and returns what done returned last.
func (c *Cache) Await(ctx context.Context, timeout time.Duration, done func(*Snapshot) bool) bool {
	if done(c.Snapshot()) {
		return true
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		changed := c.Changed()
		if done(c.Snapshot()) {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return done(c.Snapshot())
		case <-ctx.Done():
			return false
		}
	}
}

// The leader that UpdateMetadata sends for a partition of a topic being
// deleted (LeaderAndIsr.LeaderDuringDelete in Kafka).
const leaderDuringDelete = -2

// Apply merges an UpdateMetadata request: the listed partitions are replaced
// (leader -2 removes one), the broker list and the controller id always. The
// caller has checked the controller's and the broker's epoch. It returns the
// partitions that were removed.
func (c *Cache) Apply(req *kmsg.UpdateMetadataRequest) (deleted []TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current.Load()
	next := &Snapshot{
		Heard:        true,
		Complete:     old.Complete,
		ControllerID: req.ControllerID,
		Brokers:      brokersOf(req),
		Topics:       old.Topics,
		Names:        old.Names,
	}
	if next.ControllerID < 0 {
		next.ControllerID = NoController
	}
	if len(req.PartitionStates)+len(req.TopicStates) > 0 {
		next.Topics = maps.Clone(old.Topics)
	}
	owned := map[string]bool{}
	edit := func(name string) *Topic {
		if owned[name] {
			return next.Topics[name]
		}
		owned[name] = true
		t := &Topic{Name: name, Partitions: map[int32]*Partition{}}
		if was := next.Topics[name]; was != nil {
			maps.Copy(t.Partitions, was.Partitions)
		}
		next.Topics[name] = t
		return t
	}
	put := func(t *Topic, s kmsg.UpdateMetadataRequestTopicPartition) {
		if s.Leader == leaderDuringDelete {
			if _, known := t.Partitions[s.Partition]; known {
				delete(t.Partitions, s.Partition)
				deleted = append(deleted, TopicPartition{t.Name, s.Partition})
			}
			return
		}
		next.Complete = true
		t.Partitions[s.Partition] = &Partition{
			Leader: s.Leader, LeaderEpoch: s.LeaderEpoch, ControllerEpoch: s.ControllerEpoch,
			PartitionEpoch: s.ZKVersion,
			ISR:            append([]int32(nil), s.ISR...),
			Replicas:       append([]int32(nil), s.Replicas...),
			Offline:        append([]int32(nil), s.OfflineReplicas...),
		}
	}
	for _, s := range req.PartitionStates { // v0-v4: ungrouped, and without ids, so that a known one stays
		put(edit(s.Topic), s)
	}
	for i := range req.TopicStates {
		states := &req.TopicStates[i]
		t := edit(states.Topic)
		t.ID = states.TopicID // v5 and v6 have none: such a controller gives topics no ids
		for _, s := range states.PartitionStates {
			put(t, s)
		}
	}
	for name := range owned {
		if len(next.Topics[name].Partitions) == 0 {
			delete(next.Topics, name)
		}
	}
	next.Names = renamed(old, next, owned)
	c.replaceLocked(next)
	return deleted
}

// renamed returns the names of the next snapshot: those of the old one itself, unless one of
// the edited topics has come, gone or changed its id.
func renamed(old, next *Snapshot, edited map[string]bool) map[TopicID]string {
	names, own := old.Names, false
	for name := range edited {
		before, after := old.Topics[name].id(), next.Topics[name].id()
		if before == after {
			continue
		}
		if !own {
			names, own = maps.Clone(names), true
		}
		if names[before] == name {
			delete(names, before)
		}
		if after != (TopicID{}) {
			names[after] = name
		}
	}
	return names
}

// id is zero for a topic that is nil.
func (t *Topic) id() TopicID {
	if t == nil {
		return TopicID{}
	}
	return t.ID
}

// replaceLocked publishes the next snapshot. The caller must hold mu.
func (c *Cache) replaceLocked(next *Snapshot) {
	c.current.Store(next)
	close(c.changed)
	c.changed = make(chan struct{})
}

// Confirm makes the snapshot complete although no controller has sent a
// partition: there is none to send. Without a word of a controller nothing is
// complete, so that it does nothing before Heard.
func (c *Cache) Confirm() { c.mark(func(s *Snapshot) { s.Complete = s.Heard }) }

// Doubt makes the snapshot incomplete: this broker has lost its ZooKeeper
// session, and no controller sends it anything until it has registered again.
// What the snapshot holds is kept.
func (c *Cache) Doubt() { c.mark(func(s *Snapshot) { s.Heard, s.Complete = false, false }) }

func (c *Cache) mark(change func(*Snapshot)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.current.Load()
	change(&next)
	c.replaceLocked(&next)
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func brokersOf(req *kmsg.UpdateMetadataRequest) map[int32]*Broker {
	brokers := make(map[int32]*Broker, len(req.LiveBrokers))
	for i := range req.LiveBrokers {
		b := &req.LiveBrokers[i]
		broker := &Broker{ID: b.ID, Rack: b.Rack, Endpoints: map[string]Endpoint{}}
		if b.Host != "" { // v0, which has no endpoints
			broker.Endpoints["PLAINTEXT"] = Endpoint{Listener: "PLAINTEXT", Host: b.Host, Port: b.Port}
		}
		for _, e := range b.Endpoints {
			name := e.ListenerName
			if name == "" { // v0-v2 name the security protocol only
				name = securityProtocolName(e.SecurityProtocol)
			}
			broker.Endpoints[name] = Endpoint{Listener: name, Host: e.Host, Port: e.Port, SecurityProtocol: e.SecurityProtocol}
		}
		brokers[b.ID] = broker
	}
	return brokers
}

func securityProtocolName(id int16) string {
	switch id {
	case 1:
		return "SSL"
	case 2:
		return "SASL_PLAINTEXT"
	case 3:
		return "SASL_SSL"
	default:
		return "PLAINTEXT"
	}
}
