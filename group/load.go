package group

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// BecameLeader starts loading the groups of a partition that this broker leads now. Until they are
// loaded, requests for them are answered with COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) BecameLeader(id TopicPartition, epoch metadata.LeaderEpoch) {
	p := c.partitionOf(id)
	if p == nil {
		return
	}
	c.infof("Elected as the group coordinator for partition %d in epoch %d", id.Partition, epoch)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case epoch < p.epoch:
		c.metaInfof("Not loading offsets and group metadata for %s-%d in epoch %d since current epoch is %d", TopicName, id.Partition, epoch, p.epoch)
		return
	case p.ownership != notOwned:
		c.metaInfof("Already loading offsets and group metadata from %s-%d", TopicName, id.Partition)
		p.epoch = epoch
		return
	}
	c.metaInfof("Scheduling loading of offsets and group metadata from %s-%d for epoch %d", TopicName, id.Partition, epoch)
	p.epoch, p.ownership, p.loadDone = epoch, loading, make(chan struct{})
	done := p.loadDone
	began := time.Now()
	c.spawn(func() {
		defer close(done)
		c.load(id.Partition, p, done, began)
	})
}

// Resigned drops the groups of a partition that this broker no longer leads. An epoch below 0 means
// that the replica was deleted: if the topic is created again it starts with epoch 0. Resigned
// takes the groups' locks, which are held while records are appended. It does not wait for an
// append, because earlier ones have returned before it is called (replication.LeadershipListener)
// and later ones are refused.
func (c *Coordinator) Resigned(id TopicPartition, epoch metadata.LeaderEpoch) {
	p := c.partitionOf(id)
	if p == nil {
		return
	}
	c.infof("Resigned as the group coordinator for partition %d in epoch %d", id.Partition, epoch)
	p.mu.Lock()
	if epoch >= 0 && epoch < p.epoch {
		p.mu.Unlock()
		c.metaInfof("Not removing offsets and group metadata for %s-%d in epoch %d since current epoch is %d", TopicName, id.Partition, epoch, p.epoch)
		return
	}
	if p.epoch = max(p.epoch, epoch); epoch < 0 {
		p.epoch = -1
	}
	dropped := p.groups
	was := p.ownership
	p.ownership, p.groups, p.loadDone = notOwned, nil, nil
	p.mu.Unlock()
	c.txns.dropPartition(id.Partition)
	offsets := 0
	for _, e := range dropped {
		c.step(e, func(g *Group, now time.Time) *Effects {
			offsets += g.offsets.committed.size()
			return g.Kill(now)
		})
	}
	if was != notOwned {
		c.metaInfof("Finished unloading %s-%d for coordinator epoch %d. Removed %d cached offsets and %d cached groups.",
			TopicName, id.Partition, epoch, offsets, len(dropped))
	}
}

// partitionOf returns the state of a partition of the offsets topic. It returns nil for other
// topics and for partitions that were added after the broker started.
func (c *Coordinator) partitionOf(id TopicPartition) *partition {
	if id.Topic != TopicName || id.Partition < 0 || int(id.Partition) >= len(c.partitions) {
		return nil
	}
	return &c.partitions[id.Partition]
}

// load reads the partition and publishes its groups, unless the leadership is lost in the meantime.
// ticket is the partition's loadDone channel for this load: if it has been replaced, the load is
// obsolete.
func (c *Coordinator) load(index int32, p *partition, ticket chan struct{}, began time.Time) {
	c.loads <- struct{}{}
	defer func() { <-c.loads }()
	waited := time.Since(began)
	wanted := func() bool {
		select {
		case <-c.done:
			return false
		default:
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.loadDone == ticket
	}
	l := newLoader(index, c.opts.Rules, c.logMeta.Warnf, c.logMeta.Errorf)
	log := c.topic.Log(index)
	if log == nil {
		c.logMeta.Warnf("[GroupMetadataManager brokerId=%d] Attempted to load offsets and group metadata from %s-%d, but found no log", c.opts.BrokerID, TopicName, index)
	} else if err := l.read(log, c.opts.LoadBuffer, wanted); err != nil {
		c.logMeta.Errorf("[GroupMetadataManager brokerId=%d] Error loading offsets from %s-%d: %v", c.opts.BrokerID, TopicName, index, err)
	}
	groups := map[string]*entry{}
	var loaded []*entry // a copy, since groups changes once it is published
	for id, g := range l.finish(time.Now()) {
		e := newEntry(index, g)
		groups[id], loaded = e, append(loaded, e)
	}
	p.mu.Lock()
	if p.loadDone != ticket {
		p.mu.Unlock()
		return
	}
	for _, e := range loaded { // before requests and markers are handled
		for producer := range e.group.offsets.txns.byProducer {
			c.txns.add(producer, e)
		}
	}
	p.ownership, p.groups, p.loadDone = owned, groups, nil
	epoch := p.epoch
	p.mu.Unlock()
	for _, e := range loaded {
		c.step(e, func(g *Group, now time.Time) *Effects {
			c.infof("Loading group metadata for %s with generation %d", g.ID, g.generation)
			return g.Loaded(now)
		})
	}
	c.counts.loads.add(time.Now(), time.Since(began))
	c.metaInfof("Finished loading offsets and group metadata from %s-%d in %d milliseconds for epoch %d, of which %d milliseconds was spent in the scheduler.",
		TopicName, index, time.Since(began).Milliseconds(), epoch, waited.Milliseconds())
}

// loader builds the groups of a partition from its records.
type loader struct {
	partition     int32
	rules         Rules
	warnf, errorf func(format string, args ...any)

	groups map[string]*loadedGroup
	open   map[int64]map[*loadedGroup]bool // groups with commits of a producer's open transaction
	topics map[string]string               // one copy of each topic name
	buffer []byte
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

// read reads the log from its start to its current end, with one buffer. It stops when wanted,
// which is called between reads, returns false.
func (l *loader) read(log Log, bufferSize int, wanted func() bool) error {
	at := log.Offsets().LogStart
	for at < log.Offsets().LogEnd && wanted() {
		set, err := l.chunk(log, at, bufferSize)
		if err != nil {
			return fmt.Errorf("reading from offset %d: %w", at, err)
		}
		if len(set) == 0 {
			return nil
		}
		next, err := l.apply(set, at)
		if err != nil {
			return err
		}
		if next <= at {
			return fmt.Errorf("no progress at offset %d", at)
		}
		at = next
	}
	return nil
}

// chunk reads the next batches. The last one may be incomplete, but not if it is the only one.
func (l *loader) chunk(log Log, at record.Offset, size int) ([]byte, error) {
	data, err := log.Read(storage.Read{Offset: at, MaxBytes: int32(size), MinOneMessage: true, Bound: storage.UpToLogEnd})
	if err != nil {
		return nil, err
	}
	defer data.Release()
	if data.Length == 0 {
		return nil, nil
	}
	if int(data.Length) > size && len(l.buffer) < int(data.Length) {
		l.warnf("Loaded offsets and group metadata from %s-%d with buffer larger (%d bytes) than configured offsets.load.buffer.size (%d bytes)",
			TopicName, l.partition, data.Length, size)
	}
	if len(l.buffer) < int(data.Length) {
		l.buffer = make([]byte, data.Length)
	}
	n, err := data.File.ReadAt(l.buffer[:data.Length], data.Position)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return l.buffer[:n], nil
}

// apply applies the complete batches of set and returns the offset after the last one. An
// incomplete batch at the end is left to the next read. Records that do not parse are skipped and
// logged.
func (l *loader) apply(set []byte, from record.Offset) (next record.Offset, err error) {
	next = from
	for batch, err := range record.Batches(set) {
		if err != nil {
			return next, fmt.Errorf("the batch after offset %d does not parse: %w", next, err)
		}
		if batch.NextOffset() > from {
			l.applyBatch(batch)
		}
		next = batch.NextOffset()
	}
	return next, nil
}

func (l *loader) applyBatch(b record.Batch) {
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
			l.errorf("Skipping the record at offset %d of %s-%d: %v", r.Offset, TopicName, l.partition, err)
		}
		return nil
	})
	if err != nil {
		l.errorf("Skipping the rest of the batch at offset %d of %s-%d (up to offset %d): %v", b.BaseOffset(), TopicName, l.partition, b.LastOffset(), err)
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
			key.version, TopicName, l.partition)
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
		l.errorf("Skipping the marker at offset %d of %s-%d: %v", b.BaseOffset(), TopicName, l.partition, err)
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
