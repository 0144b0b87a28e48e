package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/monedula/monedula/record"
)

// The format of a producer snapshot; all numbers are big endian:
//
//	int16  version, 1
//	uint32 CRC-32C of everything that follows
//	int32  count
//	count times:
//	  int64 producer id             int32 offset delta of the last batch (0)
//	  int16 producer epoch          int64 timestamp of the last batch or marker
//	  int32 last sequence (-1)      int32 coordinator epoch (-1)
//	  int64 last data offset (-1)   int64 first offset of the open transaction (-1)
const (
	snapshotVersion    = 1
	snapshotHeaderSize = 10
	snapshotCRCEnd     = 6
	snapshotEntrySize  = 46
)

// errCorruptSnapshot is wrapped by the errors of decodeSnapshot.
var errCorruptSnapshot = errors.New("corrupt producer snapshot")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeSnapshot encodes the producers in Kafka's format, sorted by id. Of each producer's batches
// the format keeps only the last one.
func encodeSnapshot(producers map[int64]*producerEntry) []byte {
	ids := make([]int64, 0, len(producers))
	for id := range producers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	be := binary.BigEndian
	b := make([]byte, snapshotHeaderSize, snapshotHeaderSize+snapshotEntrySize*len(ids))
	be.PutUint16(b, snapshotVersion)
	be.PutUint32(b[snapshotCRCEnd:], uint32(len(ids)))
	for _, id := range ids {
		e := producers[id]
		lastOffset, delta := record.Offset(-1), int32(0)
		if last, ok := e.lastBatch(); ok {
			lastOffset, delta = last.lastOffset, last.offsetDelta
		}
		b = be.AppendUint64(b, uint64(id))
		b = be.AppendUint16(b, uint16(e.epoch))
		b = be.AppendUint32(b, uint32(e.lastSequence()))
		b = be.AppendUint64(b, uint64(lastOffset))
		b = be.AppendUint32(b, uint32(delta))
		b = be.AppendUint64(b, uint64(e.lastTimestamp))
		b = be.AppendUint32(b, uint32(e.coordinatorEpoch))
		b = be.AppendUint64(b, uint64(e.txnFirstOffset))
	}
	be.PutUint32(b[2:], crc32.Checksum(b[snapshotCRCEnd:], castagnoli))
	return b
}

// decodeSnapshot decodes the content of a snapshot file.
func decodeSnapshot(b []byte) ([]producerEntry, error) {
	be := binary.BigEndian
	if len(b) < snapshotHeaderSize {
		return nil, fmt.Errorf("%w: %d bytes are too short for a header", errCorruptSnapshot, len(b))
	}
	if v := int16(be.Uint16(b)); v != snapshotVersion {
		return nil, fmt.Errorf("%w: Snapshot contained an unknown file version %d", errCorruptSnapshot, v)
	}
	stored, computed := be.Uint32(b[2:]), crc32.Checksum(b[snapshotCRCEnd:], castagnoli)
	if stored != computed {
		return nil, fmt.Errorf("%w: Snapshot is corrupt (CRC is no longer valid). Stored crc: %d. Computed crc: %d",
			errCorruptSnapshot, stored, computed)
	}
	count := int64(int32(be.Uint32(b[snapshotCRCEnd:])))
	b = b[snapshotHeaderSize:]
	if count < 0 || count*snapshotEntrySize > int64(len(b)) {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", errCorruptSnapshot, count, len(b))
	}
	entries := make([]producerEntry, count)
	for i := range entries {
		entries[i] = decodeSnapshotEntry(b[i*snapshotEntrySize:])
	}
	return entries, nil
}

func decodeSnapshotEntry(b []byte) producerEntry {
	be := binary.BigEndian
	e := producerEntry{
		producerID:       int64(be.Uint64(b)),
		epoch:            int16(be.Uint16(b[8:])),
		lastTimestamp:    int64(be.Uint64(b[26:])),
		coordinatorEpoch: int32(be.Uint32(b[34:])),
		txnFirstOffset:   max(record.Offset(be.Uint64(b[38:])), -1),
	}
	if lastOffset := record.Offset(be.Uint64(b[14:])); lastOffset >= 0 {
		e.addBatch(producerBatch{
			lastSequence: int32(be.Uint32(b[10:])), lastOffset: lastOffset,
			offsetDelta: int32(be.Uint32(b[22:])), timestamp: e.lastTimestamp,
		})
	}
	return e
}

// reloadSnapshots lists the snapshot files in the directory again.
func (s *producerState) reloadSnapshots() error {
	s.snapshots = nil
	files, err := s.fs.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if offset, suffix, ok := parseOffsetFileName(f.Name()); ok && suffix == snapshotSuffix && f.Type().IsRegular() {
			s.snapshots = append(s.snapshots, offset)
		}
	}
	slices.Sort(s.snapshots)
	return nil
}

func (s *producerState) snapshotFile(offset record.Offset) string {
	return filepath.Join(s.dir, offsetFileName(offset, snapshotSuffix))
}

// takeSnapshot writes the state to a snapshot file at mapEnd, unless nothing was added since the
// last one. If sync is set, the content is made durable, but not the file's name. It returns the
// path, "" if nothing was written. The file is written in place; a torn write is detected by the
// CRC.
func (s *producerState) takeSnapshot(sync bool) (path string, err error) {
	if s.end <= s.snapEnd {
		return "", nil
	}
	start := time.Now()
	path = s.snapshotFile(s.end)
	write := writeFile
	if sync {
		write = writeFileSynced
	}
	if err := write(s.fs, path, encodeSnapshot(s.entries)); err != nil {
		return "", err
	}
	if !sync {
		s.content.note()
	}
	s.noteNames()
	s.log.Infof("%sWrote producer snapshot at offset %d with %d producer ids in %d ms.",
		s.prefix(), s.end, len(s.entries), time.Since(start).Milliseconds())
	if i, found := slices.BinarySearch(s.snapshots, s.end); !found {
		s.snapshots = slices.Insert(s.snapshots, i, s.end)
	}
	s.snapEnd = s.end
	return path, nil
}

// syncLatest makes the content of the newest snapshot durable.
func (s *producerState) syncLatest() error {
	return s.content.settle(func() error {
		offset, ok := s.latestSnapshot()
		if !ok {
			return nil
		}
		f, err := s.fs.OpenFile(s.snapshotFile(offset), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// settleSnapshots returns the path of the snapshot at the offset, which the caller must make durable. If
// there is none, it removes all earlier snapshots. The caller must make the names durable.
func (s *producerState) settleSnapshots(at record.Offset) (path string, err error) {
	if _, found := slices.BinarySearch(s.snapshots, at); found {
		return s.snapshotFile(at), nil
	}
	for len(s.snapshots) > 0 && s.snapshots[0] < at {
		if err := s.removeSnapshot(s.snapshots[0]); err != nil {
			return "", err
		}
		s.noteNames()
	}
	return "", nil
}

// truncateAndReload makes the state that of the log range [logStart, logEnd]. It removes snapshots
// outside the range. Unless the state ends at logEnd, it loads the newest remaining snapshot,
// without the producers that have expired at now (ms), and adds the earlier batches that the old
// state remembers. The caller must replay the log from mapEnd on.
func (s *producerState) truncateAndReload(logStart, logEnd record.Offset, now int64) error {
	for _, offset := range slices.Clone(s.snapshots) {
		if offset > logEnd || offset <= logStart {
			if err := s.removeSnapshot(offset); err != nil {
				return err
			}
		}
	}
	if s.end == logEnd {
		s.logStartAdvanced(logStart)
		return nil
	}
	former := maps.Clone(s.entries)
	s.clear()
	if err := s.load(logStart, now); err != nil {
		return err
	}
	s.recall(former)
	return nil
}

// load loads the newest readable snapshot and removes unreadable ones. Without a snapshot the state
// begins at logStart.
func (s *producerState) load(logStart record.Offset, now int64) error {
	for len(s.snapshots) > 0 {
		offset := s.snapshots[len(s.snapshots)-1]
		path := s.snapshotFile(offset)
		s.log.Infof("%sLoading producer state from snapshot file 'SnapshotFile(offset=%d, file=%s)'", s.prefix(), offset, path)
		data, err := readFile(s.fs, path)
		if err != nil {
			return err
		}
		entries, err := decodeSnapshot(data)
		if err == nil {
			s.take(entries, now)
			s.end, s.snapEnd = offset, offset
			return nil
		}
		s.log.Warnf("%sFailed to load producer snapshot from '%s': %v", s.prefix(), path, err)
		if err := s.removeSnapshot(offset); err != nil {
			return err
		}
	}
	s.end, s.snapEnd = logStart, logStart
	return nil
}

func (s *producerState) take(entries []producerEntry, now int64) {
	for i := range entries {
		e := &entries[i]
		if s.expired(e, now) {
			continue
		}
		own := *e // a copy, so that one entry does not keep all of them in memory
		s.put(&own)
		if e.txnFirstOffset >= 0 {
			s.ongoing = insertTxn(s.ongoing, openTxn{producerID: e.producerID, firstOffset: e.txnFirstOffset, lastOffset: -1})
		}
	}
}

// truncateFullyAndStartAt drops the state and all snapshots.
func (s *producerState) truncateFullyAndStartAt(offset record.Offset) error {
	s.clear()
	for len(s.snapshots) > 0 {
		if err := s.removeSnapshot(s.snapshots[0]); err != nil {
			return err
		}
	}
	s.end, s.snapEnd = offset, 0
	return nil
}

// removeStraySnapshots removes all snapshots except those at the segments' base offsets and the
// newest one if it is above them all, which was written at close.
func (s *producerState) removeStraySnapshots(bases []record.Offset) error {
	if err := s.reloadSnapshots(); err != nil {
		return err
	}
	newest := record.Offset(-1)
	if len(s.snapshots) > 0 {
		newest = s.snapshots[len(s.snapshots)-1]
	}
	for _, offset := range slices.Clone(s.snapshots) {
		above := offset == newest && (len(bases) == 0 || offset > slices.Max(bases))
		if above || slices.Contains(bases, offset) {
			continue
		}
		if err := s.removeSnapshot(offset); err != nil {
			return err
		}
	}
	return nil
}

// latestSnapshot returns the newest snapshot's offset; ok is false if there is none.
func (s *producerState) latestSnapshot() (offset record.Offset, ok bool) {
	if n := len(s.snapshots); n > 0 {
		return s.snapshots[n-1], true
	}
	return 0, false
}

// forgetSnapshot removes the snapshot from the list and reports whether it was listed.
func (s *producerState) forgetSnapshot(offset record.Offset) bool {
	i, found := slices.BinarySearch(s.snapshots, offset)
	if found {
		s.snapshots = slices.Delete(s.snapshots, i, i+1)
	}
	return found
}

func (s *producerState) removeSnapshot(offset record.Offset) error {
	if !s.forgetSnapshot(offset) {
		return nil
	}
	if err := s.fs.Remove(s.snapshotFile(offset)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// markSnapshotDeleted renames the snapshot at the offset to .deleted and returns its new path, ""
// if there is none.
func (s *producerState) markSnapshotDeleted(offset record.Offset) (path string, err error) {
	if !s.forgetSnapshot(offset) {
		return "", nil
	}
	live := s.snapshotFile(offset)
	path = live + deletedSuffix
	if err := s.fs.Rename(live, path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return path, nil
}

// moved sets the partition directory after a rename.
func (s *producerState) moved(dir string) { s.dir = dir }
