package group

import (
	"strings"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// BecameLeader starts loading the groups of a partition that this broker leads now. Until they are
// loaded, requests for them are answered with COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) BecameLeader(id TopicPartition, epoch metadata.LeaderEpoch) {
	if !c.rt.Has(id) {
		return
	}
	c.infof("Elected as the group coordinator for partition %d in epoch %d", id.Partition, epoch)
	switch outcome, known := c.rt.Elect(id.Partition, epoch); outcome {
	case coordinator.Outdated:
		c.metaInfof("Not loading offsets and group metadata for %s-%d in epoch %d since current epoch is %d", metadata.GroupOffsetsTopic, id.Partition, epoch, known)
	case coordinator.AlreadyOwned:
		c.metaInfof("Already loading offsets and group metadata from %s-%d", metadata.GroupOffsetsTopic, id.Partition)
	}
}

// Resigned drops the groups of a partition that this broker no longer leads. An epoch below 0 means
// that the replica was deleted. Resigned takes the groups' locks, which are held while records are
// appended. It does not wait for an append, because earlier ones have returned before it is called
// (replication.LeadershipListener) and later ones are refused.
func (c *Coordinator) Resigned(id TopicPartition, epoch metadata.LeaderEpoch) {
	if !c.rt.Has(id) {
		return
	}
	c.infof("Resigned as the group coordinator for partition %d in epoch %d", id.Partition, epoch)
	dropped := c.rt.Resign(id.Partition, epoch)
	if dropped.Outdated {
		c.metaInfof("Not removing offsets and group metadata for %s-%d in epoch %d since current epoch is %d", metadata.GroupOffsetsTopic, id.Partition, epoch, dropped.Known)
		return
	}
	c.txns.dropPartition(id.Partition)
	offsets := 0
	for _, e := range dropped.Entries {
		c.step(e, func(g *Group, now time.Time) *Effects {
			offsets += g.offsets.committed.size()
			return g.Kill(now)
		})
	}
	if dropped.WasOwned {
		c.metaInfof("Finished unloading %s-%d for coordinator epoch %d. Removed %d cached offsets and %d cached groups.",
			metadata.GroupOffsetsTopic, id.Partition, epoch, offsets, len(dropped.Entries))
	}
}

// load loads the groups of a partition. It implements coordinator.Load.
type load struct {
	*loader
	c *Coordinator
}

func (c *Coordinator) newLoad(partition int32, epoch metadata.LeaderEpoch) coordinator.Load[entry] {
	c.metaInfof("Scheduling loading of offsets and group metadata from %s-%d for epoch %d", metadata.GroupOffsetsTopic, partition, epoch)
	return &load{newLoader(partition, c.opts.Rules, c.logMeta.Warnf, c.logMeta.Errorf), c}
}

// Oversized implements coordinator.Load.
func (l *load) Oversized(bytes int) {
	l.warnf("Loaded offsets and group metadata from %s-%d with buffer larger (%d bytes) than configured offsets.load.buffer.size (%d bytes)",
		metadata.GroupOffsetsTopic, l.partition, bytes, l.c.opts.LoadBuffer)
}

// Entries implements coordinator.Load.
func (l *load) Entries(err error) map[string]*entry {
	switch {
	case err == coordinator.ErrNoLog:
		l.warnf("[GroupMetadataManager brokerId=%d] Attempted to load offsets and group metadata from %s-%d, but found no log", l.c.opts.BrokerID, metadata.GroupOffsetsTopic, l.partition)
	case err != nil:
		l.errorf("[GroupMetadataManager brokerId=%d] Error loading offsets from %s-%d: %v", l.c.opts.BrokerID, metadata.GroupOffsetsTopic, l.partition, err)
	}
	groups := map[string]*entry{}
	for id, g := range l.finish(time.Now()) {
		groups[id] = newEntry(l.partition, g)
	}
	return groups
}

// Publishing implements coordinator.Load. It registers the open transactions before their markers are
// handled.
func (l *load) Publishing(groups []*entry) {
	for _, e := range groups {
		for producer := range e.group.offsets.txns.byProducer {
			l.c.txns.add(producer, e)
		}
	}
}

// Published implements coordinator.Load.
func (l *load) Published(groups []*entry, t coordinator.Term) {
	for _, e := range groups {
		l.c.step(e, func(g *Group, now time.Time) *Effects {
			l.c.infof("Loading group metadata for %s with generation %d", g.ID, g.generation)
			return g.Loaded(now)
		})
	}
	l.c.metaInfof("Finished loading offsets and group metadata from %s-%d in %d milliseconds for epoch %d, of which %d milliseconds was spent in the scheduler.",
		metadata.GroupOffsetsTopic, l.partition, time.Since(t.Began).Milliseconds(), t.Epoch, t.Waited.Milliseconds())
}

// loader builds the groups of a partition from its records.
type loader struct {
	partition     int32
	rules         Rules
	warnf, errorf func(format string, args ...any)

	groups map[string]*loadedGroup
	open   map[int64]map[*loadedGroup]bool // groups with commits of a producer's open transaction
	topics map[string]string               // one copy of each topic name
}

// loadedGroup is the state of a group according to the records read so far.
type loadedGroup struct {
	id      string
	group   *Group // nil: the group has no record of its own
	offsets map[TopicPartition]CommittedOffset
	txns    txnOffsets
}

func newLoader(partition int32, rules Rules, warnf, errorf func(string, ...any)) *loader {
	return &loader{partition: partition, rules: rules, warnf: warnf, errorf: errorf,
		groups: map[string]*loadedGroup{}, open: map[int64]map[*loadedGroup]bool{}, topics: map[string]string{}}
}

// Apply applies a batch. Records that do not parse are skipped and logged.
func (l *loader) Apply(b record.Batch) {
	if b.Magic() >= 2 && b.IsControl() {
		l.control(b)
		return
	}
	producer := record.NoProducerID
	if b.Magic() >= 2 && b.IsTransactional() {
		producer = b.ProducerID()
	}
	first := record.NoOffset
	err := b.Each(func(r *record.Record) error {
		if first == record.NoOffset {
			first = r.Offset
		}
		if err := l.record(r, producer, first); err != nil {
			l.errorf("Skipping the record at offset %d of %s-%d: %v", r.Offset, metadata.GroupOffsetsTopic, l.partition, err)
		}
		return nil
	})
	if err != nil {
		l.errorf("Skipping the rest of the batch at offset %d of %s-%d (up to offset %d): %v", b.BaseOffset(), metadata.GroupOffsetsTopic, l.partition, b.LastOffset(), err)
	}
}

// record applies one record. It does not keep the record's bytes.
func (l *loader) record(r *record.Record, producer int64, batchAt record.Offset) error {
	key, err := parseKey(r.Key)
	switch {
	case err != nil:
		return err
	case key.unknown:
		l.warnf("Unknown message key with version %d while loading offsets and group metadata from %s-%d. Ignoring it. It could be a left over from an aborted upgrade.",
			key.version, metadata.GroupOffsetsTopic, l.partition)
		return nil
	case key.isGroup:
		return l.groupRecord(key.group, r.Value)
	}
	return l.offsetRecord(&key, r.Value, producer, batchAt)
}

func (l *loader) group(id string) *loadedGroup {
	g := l.groups[id]
	if g == nil {
		id = strings.Clone(id)
		g = &loadedGroup{id: id, offsets: map[TopicPartition]CommittedOffset{}}
		l.groups[id] = g
	}
	return g
}

func (l *loader) groupRecord(id string, value []byte) error {
	if value == nil {
		l.group(id).group = nil
		return nil
	}
	g := l.group(id)
	parsed, err := parseGroup(g.id, l.rules, value)
	if err != nil {
		return err
	}
	g.group = parsed
	return nil
}

func (l *loader) offsetRecord(key *recordKey, value []byte, producer int64, batchAt record.Offset) error {
	var offset CommittedOffset
	if value != nil {
		var err error
		if offset, err = parseOffset(value); err != nil {
			return err
		}
		offset.Metadata, offset.recordAt = strings.Clone(offset.Metadata), batchAt
	}
	topic, known := l.topics[key.partition.Topic]
	if !known {
		topic = strings.Clone(key.partition.Topic)
		l.topics[topic] = topic
	}
	g := l.group(key.group)
	p := TopicPartition{Topic: topic, Partition: key.partition.Partition}
	switch {
	case producer == record.NoProducerID && value == nil:
		delete(g.offsets, p)
	case producer == record.NoProducerID:
		g.offsets[p] = offset
	case value == nil:
		g.txns.remove(producer, p)
	default:
		g.txns.put(producer, p, offset)
		if l.open[producer] == nil {
			l.open[producer] = map[*loadedGroup]bool{}
		}
		l.open[producer][g] = true
	}
	return nil
}

// control ends a producer's transaction.
func (l *loader) control(b record.Batch) {
	control, found, err := b.Control()
	if err != nil {
		l.errorf("Skipping the marker at offset %d of %s-%d: %v", b.BaseOffset(), metadata.GroupOffsetsTopic, l.partition, err)
		return
	}
	if !found {
		return
	}
	for g := range l.open[b.ProducerID()] {
		txn := g.txns.end(b.ProducerID())
		if control.Type == record.Commit {
			for p, v := range txn {
				if have, known := g.offsets[p]; !known || have.recordAt < v.recordAt {
					g.offsets[p] = v
				}
			}
		}
	}
	delete(l.open, b.ProducerID())
}

// finish returns the groups that have a record of their own and those that only have offsets.
func (l *loader) finish(now time.Time) map[string]*Group {
	groups := map[string]*Group{}
	for id, loaded := range l.groups {
		g := loaded.group
		if g == nil {
			if len(loaded.offsets) == 0 && loaded.txns.empty() {
				continue
			}
			g = New(id, l.rules, now)
		}
		g.offsets.committed = smallMapOf(loaded.offsets)
		g.offsets.txns = loaded.txns
		groups[id] = g
	}
	return groups
}
