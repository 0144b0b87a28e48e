package group

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// BecameLeader loads the groups of a partition that this broker leads from now
// on. Until that is done requests for them are answered with
// COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) BecameLeader(id TopicPartition, epoch int32) {
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
	case p.tenure != absent:
		c.metaInfof("Already loading offsets and group metadata from %s-%d", TopicName, id.Partition)
		p.epoch = epoch
		return
	}
	c.metaInfof("Scheduling loading of offsets and group metadata from %s-%d for epoch %d", TopicName, id.Partition, epoch)
	p.epoch, p.tenure, p.loadDone = epoch, loading, make(chan struct{})
	done := p.loadDone
	began := time.Now()
	c.spawn(func() {
		defer close(done)
		c.load(id.Partition, p, done, began)
	})
}

// Resigned drops the groups of a partition that this broker does not lead any
// more. An epoch below 0 means that the replica is gone: a topic that is made
// again begins with epoch 0. It takes the groups' locks, which are held while
// records are appended: those appends have returned by now
// (replication.LeadershipListener), and later ones are refused.
func (c *Coordinator) Resigned(id TopicPartition, epoch int32) {
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
	was := p.tenure
	p.tenure, p.groups, p.loadDone = absent, nil, nil
	p.mu.Unlock()
	c.txns.dropPartition(id.Partition)
	offsets := 0
	for _, e := range dropped {
		c.step(e, func(g *Group, now time.Time) *Effects {
			offsets += g.offsets.committed.size()
			return g.Kill(now)
		})
	}
	if was != absent {
		c.metaInfof("Finished unloading %s-%d for coordinator epoch %d. Removed %d cached offsets and %d cached groups.",
			TopicName, id.Partition, epoch, offsets, len(dropped))
	}
}

// partitionOf returns the partition of the offsets topic; nil for another
// topic, or for a partition that was added after the start.
func (c *Coordinator) partitionOf(id TopicPartition) *partition {
	if id.Topic != TopicName || id.Partition < 0 || int(id.Partition) >= len(c.partitions) {
		return nil
	}
	return &c.partitions[id.Partition]
}

// load reads the partition and makes its groups known, unless the leadership
// was lost meanwhile: then another load, or none, owns the place.
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
	var loaded []*entry // groups changes once it is known to others
	for id, g := range l.finish(time.Now()) {
		e := newEntry(index, g)
		groups[id], loaded = e, append(loaded, e)
	}
	p.mu.Lock()
	if p.loadDone != ticket {
		p.mu.Unlock()
		return
	}
	for _, e := range loaded { // before requests and markers are let in
		for producer := range e.group.offsets.txns.byProducer {
			c.txns.add(producer, e)
		}
	}
	p.tenure, p.groups, p.loadDone = owned, groups, nil
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

// loader builds groups from the records of a partition.
type loader struct {
	partition     int32
	rules         Rules
	warnf, errorf func(format string, args ...any)

	groups map[string]*loadedGroup
	open   map[int64]map[*loadedGroup]bool // groups with commits of a producer's open transaction
	topics map[string]string               // topic names, each kept once
	buffer []byte
}

// loadedGroup is what the records read so far say of a group.
type loadedGroup struct {
	id      string
	group   *Group // nil: no record of the group itself
	offsets map[TopicPartition]Offset
	txns    txnOffsets
}

func newLoader(partition int32, rules Rules, warnf, errorf func(string, ...any)) *loader {
	return &loader{partition: partition, rules: rules, warnf: warnf, errorf: errorf,
		groups: map[string]*loadedGroup{}, open: map[int64]map[*loadedGroup]bool{}, topics: map[string]string{}}
}

// read reads the log from its start to its end, as far as that is when it gets
// there, with one buffer. wanted is asked between reads.
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

// chunk reads some whole batches, the last of which may be cut.
func (l *loader) chunk(log Log, at int64, size int) ([]byte, error) {
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
	set := l.buffer[:data.Length]
	if n, err := data.File.ReadAt(set, data.Position); n < len(set) && err != nil && err != io.EOF {
		return nil, err
	} else if n < len(set) {
		set = set[:n]
	}
	return set, nil
}

// apply applies whole batches and returns the offset after the last one. A
// batch or record that does not parse is left out with an error that names it.
func (l *loader) apply(set []byte, from int64) (next int64, err error) {
	next = from
	for len(set) > 0 {
		batch, rest, err := record.Next(set)
		if err != nil {
			return next, fmt.Errorf("the batch after offset %d does not parse: %w", next, err)
		}
		if batch == nil {
			return next, nil // cut: the next read has it whole
		}
		if batch.NextOffset() > from {
			l.applyBatch(batch)
		}
		next, set = batch.NextOffset(), rest
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
			l.errorf("The record at offset %d of %s-%d is left out: %v", r.Offset, TopicName, l.partition, err)
		}
		return nil
	})
	if err != nil {
		l.errorf("What follows in the batch at offset %d of %s-%d (up to offset %d) is left out: %v", b.BaseOffset(), TopicName, l.partition, b.LastOffset(), err)
	}
}

// record applies one record; its bytes are used until it returns.
func (l *loader) record(r *record.Record, producer, batchAt int64) error {
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
		g = &loadedGroup{id: id, offsets: map[TopicPartition]Offset{}}
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

func (l *loader) offsetRecord(key *recordKey, value []byte, producer, batchAt int64) error {
	var offset Offset
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
		l.errorf("The marker at offset %d of %s-%d is left out: %v", b.BaseOffset(), TopicName, l.partition, err)
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

// finish returns the groups: those with a record of their own, and those that
// only have offsets.
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
		g.offsets.committed = fewOf(loaded.offsets)
		g.offsets.txns = loaded.txns
		groups[id] = g
	}
	return groups
}
