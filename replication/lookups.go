package replication

import (
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// EndOffsetForEpoch answers OffsetForLeaderEpoch. It returns the largest epoch at or below epoch
// that the leader's log knows, and the offset where that epoch ends; (-1, -1) if there is none.
// Only the leader answers. A currentEpoch of -1 is not checked.
func (m *Manager) EndOffsetForEpoch(topic string, partition int32, currentEpoch, epoch metadata.LeaderEpoch) (found metadata.LeaderEpoch, end record.Offset, err error) {
	p, err := m.Partition(topic, partition)
	if err != nil {
		return metadata.NoLeaderEpoch, record.NoOffset, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(currentEpoch, true)
	if err != nil {
		return metadata.NoLeaderEpoch, record.NoOffset, err
	}
	found, end = log.EndOffsetForEpoch(epoch)
	return found, end, nil
}

// Producers answers DescribeProducers for a hosted partition, led or followed.
func (m *Manager) Producers(topic string, partition int32) ([]storage.ProducerStatus, error) {
	p, err := m.Partition(topic, partition)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(metadata.NoLeaderEpoch, false)
	if err != nil {
		return nil, err
	}
	return log.Producers(), nil
}

// CurrentLeader returns the leader of a partition that this broker knows, for responses that
// redirect clients (KIP-951). Unknown fields are -1.
func (m *Manager) CurrentLeader(topic string, partition int32) protocol.LeaderIDEpoch {
	if p := m.hosted.get(topic, partition); p != nil && !p.offline() {
		return p.leaderHint()
	}
	if p := m.Metadata().Partition(topic, partition); p != nil {
		return protocol.LeaderIDEpoch{LeaderID: int32(p.Leader), LeaderEpoch: int32(p.LeaderEpoch)}
	}
	return protocol.LeaderIDEpoch{LeaderID: int32(metadata.NoBroker), LeaderEpoch: int32(metadata.NoLeaderEpoch)}
}

// PartitionDelete is one partition of a DeleteRecords request and its answer.
type PartitionDelete struct {
	Topic     string
	Partition int32
	Offset    record.Offset // delete records below it; -1: below the high watermark

	Err          error
	LowWatermark record.Offset // lowest log start of the live replicas; -1 if nothing was deleted

	partition *Partition
	wanted    record.Offset
	term      int64 // of this broker's leadership
	waiting   bool
}

// DeleteRecords raises the log start offsets and waits until the live followers have raised theirs.
// Partitions whose followers do not do so in time get REQUEST_TIMED_OUT. The data is removed by the
// next run of retention. Partitions with Err set are skipped.
func (m *Manager) DeleteRecords(partitions []PartitionDelete, timeout time.Duration, done <-chan struct{}) {
	waiting := 0
	for i := range partitions {
		d := &partitions[i]
		d.LowWatermark = -1
		if d.Err == nil {
			d.Err = m.startDelete(d)
		}
		if d.waiting = d.Err == nil; d.waiting {
			waiting++
		}
	}
	settled := func() bool { return deletesSettled(partitions) }
	if settled() {
		return
	}
	w := m.waiters.get(waiting)
	defer m.waiters.put(w)
	for i := range partitions {
		if d := &partitions[i]; d.waiting {
			w.watch(&d.partition.waits, lowWatermarkMoved|stateChanged)
		}
	}
	if m.meters.waits.await(parkedDelete, w, timeout, done, settled) == satisfied {
		return
	}
	for i := range partitions {
		if d := &partitions[i]; d.waiting {
			d.Err = protocol.RequestTimedOut
		}
	}
}

func (m *Manager) startDelete(d *PartitionDelete) error {
	if metadata.IsInternal(d.Topic) {
		return protocol.InvalidTopicException
	}
	p, err := m.Partition(d.Topic, d.Partition)
	if err != nil {
		return err
	}
	d.partition = p
	if d.wanted, d.term, err = p.deleteRecords(d.Offset); err != nil {
		return err
	}
	// Other requests may wait for the leader's own log start.
	p.waits.wake(lowWatermarkMoved)
	return nil
}

func deletesSettled(partitions []PartitionDelete) bool {
	all := true
	for i := range partitions {
		d := &partitions[i]
		if !d.waiting {
			continue
		}
		low, err := d.partition.lowWatermark(d.term)
		if err != nil {
			d.waiting, d.Err, d.LowWatermark = false, err, -1
			continue
		}
		d.LowWatermark = low
		if d.waiting = low < d.wanted; d.waiting {
			all = false
		}
	}
	return all
}

// LogDir is one log directory with its logs, for DescribeLogDirs.
type LogDir struct {
	storage.DirStatus
	Replicas []LogDirReplica
}

// LogDirReplica is one log of a directory.
type LogDirReplica struct {
	ID   TopicPartition
	Size int64
	// Lag is the distance from the log end to the high watermark; for a future log, to the end of
	// the current log; -1 for a log without a role.
	Lag    int64
	Future bool
}

// LogDirs describes the log directories with the logs for which want returns true.
func (m *Manager) LogDirs(want func(TopicPartition) bool) []LogDir {
	dirs := m.cfg.Logs.Dirs()
	described := make([]LogDir, len(dirs))
	byPath := make(map[string]*LogDir, len(dirs))
	for i := range dirs {
		described[i].DirStatus = dirs[i]
		byPath[dirs[i].Path] = &described[i]
	}
	add := func(log *storage.Log) {
		id := log.TopicPartition()
		if dir := byPath[log.Dir()]; dir != nil && want(id) {
			dir.Replicas = append(dir.Replicas, LogDirReplica{ID: id, Size: log.Size(), Lag: m.logLag(log), Future: log.IsFuture()})
		}
	}
	for _, log := range m.cfg.Logs.Logs() {
		add(log)
	}
	for _, log := range m.cfg.Logs.FutureLogs() {
		add(log)
	}
	return described
}

func (m *Manager) logLag(log *storage.Log) int64 {
	id := log.TopicPartition()
	p := m.hosted.get(id.Topic, id.Partition)
	if p == nil || p.Log() == nil {
		return -1
	}
	end := log.Offsets().LogEnd
	current := p.Log().Offsets()
	if log.IsFuture() {
		return int64(current.LogEnd - end)
	}
	return int64(max(0, current.HighWatermark-end))
}
