// Package metadata holds what the controller sent this broker in UpdateMetadata requests: the live
// brokers, the leader and the replicas of every partition, topic ids and the controller's id.
// Readers get an immutable Snapshot through an atomic pointer; one writer at a time replaces it.
package metadata

import (
	"context"
	"maps"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicID is a topic's id. The zero value means that no id is known.
type TopicID [16]byte

// Endpoint is the address at which a broker listens under one listener name.
type Endpoint struct {
	Listener         string
	Host             string
	Port             int32
	SecurityProtocol int16 // 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
}

// Address returns the endpoint as host:port.
func (e Endpoint) Address() string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// Broker is a broker that the controller reports as live or shutting down.
type Broker struct {
	ID        BrokerID
	Rack      *string
	Endpoints map[string]Endpoint // by listener name
}

// Partition is the state of a partition as last sent by the controller. Its slices are never
// changed.
type Partition struct {
	Leader          BrokerID // NoBroker if none
	LeaderEpoch     LeaderEpoch
	ControllerEpoch ControllerEpoch
	PartitionEpoch  PartitionEpoch // version of the state znode
	ISR             []BrokerID
	Replicas        []BrokerID
	Offline         []BrokerID
}

// Topic is a topic with its partitions by index.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions map[int32]*Partition
}

// Snapshot is an immutable state of the cluster. Its maps must only be read.
type Snapshot struct {
	// Heard reports whether a controller has sent an UpdateMetadata request since this broker
	// started or last lost its ZooKeeper session. Until then Brokers is empty or may be out of
	// date.
	Heard bool
	// Complete reports whether a topic or partition that is missing here does not exist. A new
	// controller first sends the brokers and only then the partitions, so Complete is false until
	// the first partitions have arrived.
	Complete bool

	ControllerID BrokerID // NoBroker while no controller is known
	Brokers      map[BrokerID]*Broker
	Topics       map[string]*Topic
	Names        map[TopicID]string
}

// Partition returns a partition, or nil if the topic or the index is unknown.
func (s *Snapshot) Partition(topic string, index int32) *Partition {
	if t := s.Topics[topic]; t != nil {
		return t.Partitions[index]
	}
	return nil
}

// Cache holds the broker's current Snapshot and wakes goroutines that wait for the next one.
type Cache struct {
	current atomic.Pointer[Snapshot]

	mu      sync.Mutex // orders writers; guards changed
	changed chan struct{}
}

// NewCache returns a cache without brokers and topics.
func NewCache() *Cache {
	c := &Cache{changed: make(chan struct{})}
	c.current.Store(&Snapshot{
		ControllerID: NoBroker,
		Brokers:      map[BrokerID]*Broker{},
		Topics:       map[string]*Topic{},
		Names:        map[TopicID]string{},
	})
	return c
}

// Snapshot returns the current snapshot.
func (c *Cache) Snapshot() *Snapshot { return c.current.Load() }

// Changed returns a channel that is closed when the snapshot is replaced after this call. To wait
// for a condition, take the channel, check Snapshot, and only then receive.
func (c *Cache) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Await waits until done returns true for the current snapshot, until the timeout, or until ctx
// ends. It returns the last result of done, or false if ctx ended.
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

// Apply merges an UpdateMetadata request. It replaces the listed partitions (LeaderDuringDelete
// removes one), and always the brokers and the controller id. The caller must have checked the
// epochs of the controller and the broker. Apply returns the removed partitions.
func (c *Cache) Apply(req *kmsg.UpdateMetadataRequest) (deleted []TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current.Load()
	next := &Snapshot{
		Heard:        true,
		Complete:     old.Complete,
		ControllerID: BrokerID(req.ControllerID),
		Brokers:      brokersOf(req),
		Topics:       old.Topics,
		Names:        old.Names,
	}
	if next.ControllerID < 0 {
		next.ControllerID = NoBroker
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
			t.ID = was.ID
			maps.Copy(t.Partitions, was.Partitions)
		}
		next.Topics[name] = t
		return t
	}
	put := func(t *Topic, s kmsg.UpdateMetadataRequestTopicPartition) {
		if BrokerID(s.Leader) == LeaderDuringDelete {
			if _, known := t.Partitions[s.Partition]; known {
				delete(t.Partitions, s.Partition)
				deleted = append(deleted, TopicPartition{t.Name, s.Partition})
			}
			return
		}
		next.Complete = true
		t.Partitions[s.Partition] = &Partition{
			Leader: BrokerID(s.Leader), LeaderEpoch: LeaderEpoch(s.LeaderEpoch), ControllerEpoch: ControllerEpoch(s.ControllerEpoch),
			PartitionEpoch: PartitionEpoch(s.ZKVersion),
			ISR:            append([]BrokerID(nil), BrokerIDs(s.ISR)...),
			Replicas:       append([]BrokerID(nil), BrokerIDs(s.Replicas)...),
			Offline:        append([]BrokerID(nil), BrokerIDs(s.OfflineReplicas)...),
		}
	}
	for _, s := range req.PartitionStates { // v0-v4 have no ids, so a known id is kept
		put(edit(s.Topic), s)
	}
	for i := range req.TopicStates {
		states := &req.TopicStates[i]
		t := edit(states.Topic)
		t.ID = states.TopicID // zero in v5 and v6: such a controller gives topics no ids
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

// renamed returns the names of the next snapshot. They are the old snapshot's map, unless an edited
// topic was added or removed or has another id.
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

// id returns the topic's id, or zero if t is nil.
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

// Confirm marks the snapshot as complete although no controller has sent a partition, because there
// is none to send. It has no effect unless Heard is true.
func (c *Cache) Confirm() { c.mark(func(s *Snapshot) { s.Complete = s.Heard }) }

// Doubt marks the snapshot as incomplete, because this broker has lost its ZooKeeper session and no
// controller sends it anything until it has registered again. The contents of the snapshot are
// kept.
func (c *Cache) Doubt() { c.mark(func(s *Snapshot) { s.Heard, s.Complete = false, false }) }

func (c *Cache) mark(change func(*Snapshot)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.current.Load()
	change(&next)
	c.replaceLocked(&next)
}

// TopicPartition identifies a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns the name of the partition, such as topic-0.
func (p TopicPartition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.Partition)) }

func brokersOf(req *kmsg.UpdateMetadataRequest) map[BrokerID]*Broker {
	brokers := make(map[BrokerID]*Broker, len(req.LiveBrokers))
	for i := range req.LiveBrokers {
		b := &req.LiveBrokers[i]
		broker := &Broker{ID: BrokerID(b.ID), Rack: b.Rack, Endpoints: map[string]Endpoint{}}
		if b.Host != "" { // v0 has no endpoints
			broker.Endpoints["PLAINTEXT"] = Endpoint{Listener: "PLAINTEXT", Host: b.Host, Port: b.Port}
		}
		for _, e := range b.Endpoints {
			name := e.ListenerName
			if name == "" { // v0-v2 contain only the security protocol
				name = securityProtocolName(e.SecurityProtocol)
			}
			broker.Endpoints[name] = Endpoint{Listener: name, Host: e.Host, Port: e.Port, SecurityProtocol: e.SecurityProtocol}
		}
		brokers[broker.ID] = broker
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
