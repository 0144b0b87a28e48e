package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

const testExpirationMs = 86_400_000

var producersTP = TopicPartition{Topic: "t", Partition: 3}

// expiration returns producer.id.expiration.ms in the form that a log holds.
func expiration(ms int64) *atomic.Int64 {
	v := &atomic.Int64{}
	v.Store(ms)
	return v
}

func openProducers(t testing.TB, fsys vfs.FS) *producerState {
	t.Helper()
	s, err := openProducerState(fsys, "/d", producersTP, expiration(testExpirationMs), logrus.NewEntry(kafkalog.Discard()))
	noError(t, err)
	return s
}

// dataBatch describes a batch of records from a producer.
type dataBatch struct {
	id            int64
	epoch         int16
	first, last   int32 // sequences
	offset        record.Offset
	timestamp     int64
	transactional bool
}

func (d dataBatch) bytes(t testing.TB) record.Batch {
	t.Helper()
	o := record.Defaults()
	o.BaseOffset, o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = d.offset, d.id, d.epoch, d.first, d.transactional
	b := record.NewBuilder(o)
	n := int64(d.last) - int64(d.first)
	if n < 0 {
		n += 1 << 31
	}
	for range n + 1 {
		noError(t, b.Append(d.timestamp, nil, []byte("v")))
	}
	set, err := b.Build()
	noError(t, err)
	return record.Batch(set)
}

func marker(t testing.TB, id int64, epoch int16, offset record.Offset, kind record.ControlType, coordinatorEpoch int32, timestamp int64) record.Batch {
	t.Helper()
	o := record.Defaults()
	o.BaseOffset, o.ProducerID, o.ProducerEpoch = offset, id, epoch
	b, err := record.EndTxnMarker(o, kind, coordinatorEpoch, timestamp)
	noError(t, err)
	return b
}

// appendTo appends batches in one append, without a log.
func appendTo(s *producerState, origin record.Origin, batches ...record.Batch) ([]completedTxn, error) {
	var u producerAppend
	u.begin(s, origin)
	for _, b := range batches {
		if err := u.add(b); err != nil {
			return nil, err
		}
	}
	s.apply(&u)
	for _, t := range u.completed {
		s.complete(t)
	}
	s.setMapEnd(batches[len(batches)-1].NextOffset())
	return slices.Clone(u.completed), nil
}

func mustAppend(t testing.TB, s *producerState, origin record.Origin, batches ...record.Batch) []completedTxn {
	t.Helper()
	done, err := appendTo(s, origin, batches...)
	noError(t, err)
	return done
}

func wantCode(t testing.TB, err error, code protocol.ErrorCode, text string) {
	t.Helper()
	if !errors.Is(err, code) || err.Error() != text {
		t.Errorf("error %v\nwant  %s", err, text)
	}
}

func TestSequencesOfAClientMustBeConsecutive(t *testing.T) {
	s := openProducers(t, memDir(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, epoch: 2, first: 7, last: 9, offset: 0}.bytes(t)) // unknown: any sequence
	_, err := appendTo(s, record.FromClient, dataBatch{id: 1, epoch: 2, first: 11, last: 12, offset: 3}.bytes(t))
	wantCode(t, err, protocol.OutOfOrderSequenceNumber,
		"Out of order sequence number for producer 1 at offset 3 in partition t-3: 11 (incoming seq. number), 9 (current end sequence number)")
	_, err = appendTo(s, record.FromClient, dataBatch{id: 1, epoch: 1, first: 0, last: 0, offset: 3}.bytes(t))
	wantCode(t, err, protocol.InvalidProducerEpoch,
		"Epoch of producer 1 at offset 3 in t-3 is 1, which is smaller than the last seen epoch 2")
	_, err = appendTo(s, record.FromClient, dataBatch{id: 1, epoch: 3, first: 10, last: 10, offset: 3}.bytes(t))
	wantCode(t, err, protocol.OutOfOrderSequenceNumber,
		"Invalid sequence number for new epoch of producer 1at offset 3 in partition t-3: 3 (request epoch), 10 (seq. number), 2 (current producer epoch)")
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, epoch: 2, first: 10, last: 10, offset: 3}.bytes(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, epoch: 3, first: 0, last: 0, offset: 4}.bytes(t))
	if _, found := s.duplicate(dataBatch{id: 1, epoch: 2, first: 10, last: 10}.bytes(t)); found {
		t.Error("a batch of the old epoch is remembered")
	}
}

func TestConsecutiveBatchesInOneAppendAreAccepted(t *testing.T) {
	s := openProducers(t, memDir(t))
	a := dataBatch{id: 1, first: 0, last: 0, offset: 0}.bytes(t)
	b := dataBatch{id: 1, first: 1, last: 2, offset: 1}.bytes(t)
	gap := dataBatch{id: 1, first: 4, last: 4, offset: 3}.bytes(t)
	mustAppend(t, s, record.FromClient, a, b)
	_, err := appendTo(s, record.FromClient, gap)
	wantError(t, err, protocol.OutOfOrderSequenceNumber)
	wantEqual(t, "last sequence", s.entries[1].lastSequence(), 2)
}

func TestSequencesWrapAround(t *testing.T) {
	s := openProducers(t, memDir(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: maxSequence - 1, last: maxSequence, offset: 0}.bytes(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: 0, last: 1, offset: 2}.bytes(t))
	s2 := openProducers(t, memDir(t))
	across := dataBatch{id: 1, first: maxSequence, last: 1, offset: 0}.bytes(t)
	wantEqual(t, "last sequence", across.LastSequence(), 1)
	mustAppend(t, s2, record.FromClient, across)
	found, ok := s2.duplicate(across)
	if !ok || found.firstSequence() != maxSequence || found.firstOffset() != 0 {
		t.Errorf("duplicate: %+v, %v", found, ok)
	}
}

func TestTheLastFiveBatchesAreRemembered(t *testing.T) {
	s := openProducers(t, memDir(t))
	var batches []record.Batch
	for i := range int32(7) {
		b := dataBatch{id: 9, first: i * 2, last: i*2 + 1, offset: record.Offset(i) * 10, timestamp: int64(i)}.bytes(t)
		batches = append(batches, b)
		mustAppend(t, s, record.FromClient, b)
	}
	for i, b := range batches {
		found, ok := s.duplicate(b)
		wantEqual(t, fmt.Sprint("batch ", i, " remembered"), ok, i >= 2)
		if ok && (found.firstOffset() != record.Offset(i)*10 || found.lastOffset != record.Offset(i)*10+1 || found.timestamp != int64(i)) {
			t.Errorf("batch %d: %+v", i, found)
		}
	}
	if _, ok := s.duplicate(dataBatch{id: 9, first: 12, last: 12}.bytes(t)); ok {
		t.Error("a part of a batch counts as a duplicate")
	}
	if _, ok := s.duplicate(dataBatch{id: 8, first: 12, last: 13}.bytes(t)); ok {
		t.Error("another producer's batch counts as a duplicate")
	}
}

func TestFollowersAcceptWhatTheirLeaderAccepted(t *testing.T) {
	s := openProducers(t, memDir(t))
	mustAppend(t, s, record.FromReplication, dataBatch{id: 1, epoch: 5, first: 3, last: 3, offset: 0}.bytes(t))
	mustAppend(t, s, record.FromReplication, dataBatch{id: 1, epoch: 5, first: 9, last: 9, offset: 1}.bytes(t))
	mustAppend(t, s, record.FromReplication, dataBatch{id: 1, epoch: 4, first: 9, last: 9, offset: 2}.bytes(t))
	wantEqual(t, "epoch", s.entries[1].epoch, 4)
	mustAppend(t, s, record.FromReplication, dataBatch{id: 1, epoch: 4, first: 1, last: 1, offset: 3, transactional: true}.bytes(t))
	_, err := appendTo(s, record.FromReplication, dataBatch{id: 1, epoch: 4, first: 2, last: 2, offset: 4}.bytes(t))
	wantCode(t, err, protocol.InvalidTxnState,
		"Expected transactional write from producer 1 at offset (offset=4, segment=[-1:-1]) in partition t-3")
}

func TestCoordinatorsAreCheckedForEpochsOnly(t *testing.T) {
	s := openProducers(t, memDir(t))
	mustAppend(t, s, record.FromCoordinator, dataBatch{id: 1, epoch: 5, first: 3, last: 3, offset: 0, transactional: true}.bytes(t))
	mustAppend(t, s, record.FromCoordinator, dataBatch{id: 1, epoch: 5, first: 8, last: 8, offset: 1, transactional: true}.bytes(t))
	_, err := appendTo(s, record.FromCoordinator, dataBatch{id: 1, epoch: 4, first: 9, last: 9, offset: 2, transactional: true}.bytes(t))
	wantError(t, err, protocol.InvalidProducerEpoch)
	_, err = appendTo(s, record.FromCoordinator, dataBatch{id: 1, epoch: 5, first: 9, last: 9, offset: 2}.bytes(t))
	wantError(t, err, protocol.InvalidTxnState)
}

func TestMarkersEndTransactions(t *testing.T) {
	s := openProducers(t, memDir(t))
	done := mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: 0, last: 1, offset: 10, timestamp: 500, transactional: true}.bytes(t))
	wantEqual(t, "completed by data", len(done), 0)
	wantEqual(t, "open", s.hasOpenTxn(1), true)
	wantEqual(t, "oldest timestamp", s.oldestTxnTimestamp(), 500)
	done = mustAppend(t, s, record.FromCoordinator, marker(t, 1, 0, 12, record.Abort, 7, 900))
	if len(done) != 1 || done[0] != (completedTxn{1, 10, 12, true}) {
		t.Errorf("completed %+v", done)
	}
	e := s.entries[1]
	if e.coordinatorEpoch != 7 || e.lastTimestamp != 900 || e.txnFirstOffset != -1 || e.n != 1 {
		t.Errorf("entry %+v", e)
	}
	wantEqual(t, "oldest timestamp", s.oldestTxnTimestamp(), -1)

	done = mustAppend(t, s, record.FromCoordinator, marker(t, 1, 0, 13, record.Commit, 7, 901)) // KAFKA-10702
	wantEqual(t, "completed without a transaction", len(done), 0)
	_, err := appendTo(s, record.FromCoordinator, marker(t, 1, 0, 14, record.Commit, 6, 902))
	wantCode(t, err, protocol.TransactionCoordinatorFenced,
		"Invalid coordinator epoch for producerId 1 at offset 14 in partition t-3: 6 (zombie), 7 (current)")
	mustAppend(t, s, record.FromReplication, marker(t, 1, 0, 14, record.Commit, 6, 902))
	mustAppend(t, s, record.FromCoordinator, marker(t, 1, 3, 15, record.Abort, 7, 903))
	wantEqual(t, "batches after a higher epoch", s.entries[1].n, 0)
	_, err = appendTo(s, record.FromCoordinator, marker(t, 1, 2, 16, record.Abort, 7, 904))
	wantError(t, err, protocol.InvalidProducerEpoch)
}

func TestAfterAMarkerOfANewProducerTheSequenceBeginsAtZero(t *testing.T) {
	s := openProducers(t, memDir(t))
	mustAppend(t, s, record.FromCoordinator, marker(t, 1, 0, 0, record.Abort, 1, 5))
	_, err := appendTo(s, record.FromClient, dataBatch{id: 1, first: 4, last: 4, offset: 1}.bytes(t))
	wantError(t, err, protocol.OutOfOrderSequenceNumber)
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: 0, last: 0, offset: 1}.bytes(t))
}

func TestOneAppendMayEndAndBeginTransactions(t *testing.T) {
	s := openProducers(t, memDir(t))
	txn := func(id int64, sequence int32, offset record.Offset) record.Batch {
		return dataBatch{id: id, first: sequence, last: sequence, offset: offset, transactional: true}.bytes(t)
	}
	var u producerAppend
	u.begin(s, record.FromReplication)
	for _, b := range []record.Batch{
		txn(1, 0, 0), txn(2, 0, 1), marker(t, 1, 0, 2, record.Commit, 0, 0), txn(1, 1, 3), marker(t, 2, 0, 4, record.Abort, 0, 0),
	} {
		noError(t, u.add(b))
	}
	if _, ok := s.firstUnstable(); ok || !s.isEmpty() {
		t.Error("the state changed before apply")
	}
	s.apply(&u)
	wantEqual(t, "completed", len(u.completed), 2)
	wantEqual(t, "last stable after the commit", s.lastStableAfter(u.completed[0]), 1)
	s.complete(u.completed[0])
	wantEqual(t, "last stable after the abort", s.lastStableAfter(u.completed[1]), 3)
	s.complete(u.completed[1])
	s.setMapEnd(5)
	first, ok := s.firstUnstable()
	if first != 0 || !ok {
		t.Errorf("first unstable %d, %v", first, ok)
	}
	s.highWatermarkAdvanced(3)
	first, _ = s.firstUnstable()
	wantEqual(t, "first unstable with the commit replicated", first, 1)
	s.highWatermarkAdvanced(5)
	first, _ = s.firstUnstable()
	wantEqual(t, "first unstable with both replicated", first, 3)
}

func TestManyProducersInOneAppend(t *testing.T) {
	s := openProducers(t, memDir(t))
	var batches []record.Batch
	for i := range record.Offset(100) {
		batches = append(batches, dataBatch{id: int64(i % 30), first: int32(i / 30), last: int32(i / 30), offset: i}.bytes(t))
	}
	mustAppend(t, s, record.FromClient, batches...)
	wantEqual(t, "producers", len(s.entries), 30)
	for _, p := range s.producers() {
		want := int32(2)
		if p.ProducerID < 10 {
			want = 3
		}
		wantEqual(t, fmt.Sprint("last sequence of ", p.ProducerID), p.LastSequence, want)
	}
}

func TestProducersExpireByTheirRecordsTimestamps(t *testing.T) {
	const now = 1_700_000_000_000
	s := openProducers(t, memDir(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, offset: 0, timestamp: now - testExpirationMs}.bytes(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 2, offset: 1, timestamp: now - testExpirationMs + 1}.bytes(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 3, offset: 2, timestamp: 5, transactional: true}.bytes(t))
	s.expire(now)
	wantEqual(t, "left", fmt.Sprint(slices.Sorted(maps.Keys(s.entries))), "[2 3]")
}

func TestAVerificationKeepsTheLowestSequence(t *testing.T) {
	s := openProducers(t, memDir(t))
	guard := s.verify(1, 5, 0, 100)
	wantEqual(t, "verified", s.verified(1, guard) && !s.verified(1, nil) && !s.verified(2, guard), true)
	if s.verify(1, 3, 0, 101) != guard {
		t.Error("a second request got another guard")
	}
	_, err := appendTo(s, record.FromClient, dataBatch{id: 1, first: 5, last: 5, offset: 0, transactional: true}.bytes(t))
	wantCode(t, err, protocol.OutOfOrderSequenceNumber,
		"Out of order sequence number for producer 1 at offset 0 in partition t-3: 5 (incoming seq. number), 3 (earliest seen sequence)")
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: 3, last: 3, offset: 0, transactional: true}.bytes(t))
	wantEqual(t, "verified after the transaction began", s.verified(1, guard), false)
	guard = s.verify(2, 7, 0, 100)
	s.verify(2, 9, 1, 101)
	wantEqual(t, "lowest of the new epoch", guard.lowestSequence, 9)
	s.expire(100 + testExpirationMs)
	wantEqual(t, "verified after expiry", s.verified(2, guard), false)
}

// A batch of an earlier transaction may arrive again when the next transaction is being verified. It
// is a duplicate, and must not prevent the next batch.
func TestALateDuplicateThatIsVerifiedDoesNotPreventTheNextBatch(t *testing.T) {
	s := openProducers(t, memDir(t))
	for i := range int32(2) {
		mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: i, last: i, offset: record.Offset(i), transactional: true}.bytes(t))
	}
	mustAppend(t, s, record.FromCoordinator, marker(t, 1, 0, 2, record.Commit, 0, 5))
	s.verify(1, 0, 0, 100)
	s.verify(1, 2, 0, 101)
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, first: 2, last: 2, offset: 3, transactional: true}.bytes(t))
}

func TestSnapshotsOfKafkaRoundTrip(t *testing.T) {
	for _, path := range append(goldenFiles(t, "*.snapshot"), goldenFiles(t, "*.snapshot.deleted")...) {
		want := mustRead(t, path)
		entries, err := decodeSnapshot(want)
		noError(t, err)
		all := map[int64]*producerEntry{}
		for i := range entries {
			all[entries[i].producerID] = &entries[i]
		}
		wrote := encodeSnapshot(all)
		wantEqual(t, "size of "+path, len(wrote), len(want))
		if len(entries) <= 1 && !bytes.Equal(wrote, want) {
			t.Errorf("%s: wrote %x, Kafka %x", path, wrote, want)
		}
		again, err := decodeSnapshot(wrote)
		noError(t, err)
		for _, e := range again {
			wantEqual(t, path, e, *all[e.producerID])
		}
		wantEqual(t, "entries of "+path, len(again), len(all))
	}
}

// dumpedSnapshot formats entries as kafka-dump-log.sh does.
func dumpedSnapshot(entries []producerEntry) []string {
	var lines []string
	for _, e := range entries {
		txn := "OptionalLong.empty"
		if e.txnFirstOffset >= 0 {
			txn = fmt.Sprintf("OptionalLong[%d]", e.txnFirstOffset)
		}
		line := fmt.Sprintf("producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d ",
			e.producerID, e.epoch, e.coordinatorEpoch, txn, e.lastTimestamp)
		if b, ok := e.lastBatch(); ok {
			line += fmt.Sprintf("firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
				b.firstSequence(), b.lastSequence, b.lastOffset, b.offsetDelta, b.timestamp)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	slices.Sort(lines)
	return lines
}

func TestSnapshotsHoldWhatKafkasDumpToolShows(t *testing.T) {
	line := regexp.MustCompile(`(?m)^producerId: .*$`)
	for _, path := range goldenFiles(t, "*.snapshot") {
		dump := regexp.MustCompile(`/logdir-3.9.1/(crash|clean|oldformat)/`).ReplaceAllString(path, "/logdir-3.9.1/$1.dump/") + ".txt"
		entries, err := decodeSnapshot(mustRead(t, path))
		noError(t, err)
		var want []string
		for _, l := range line.FindAllString(string(mustRead(t, dump)), -1) {
			want = append(want, strings.TrimSpace(l))
		}
		slices.Sort(want)
		if got := dumpedSnapshot(entries); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", path, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Replaying a log that Kafka wrote up to the offset of a snapshot yields the state in Kafka's
// snapshot.
func TestReplayingALogYieldsKafkasSnapshots(t *testing.T) {
	for _, name := range []string{"idempotent-0", "txn-0"} {
		dir := golden.Path(t, "logdir-3.9.1/clean/"+name)
		snapshots, err := filepath.Glob(filepath.Join(dir, "*.snapshot"))
		noError(t, err)
		for _, path := range snapshots {
			end, _, _ := parseOffsetFileName(filepath.Base(path))
			s := openProducers(t, memDir(t))
			logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
			noError(t, err)
			slices.Sort(logs)
			for _, log := range logs {
				for rest := mustRead(t, log); len(rest) > 0; {
					var b record.Batch
					b, rest, err = record.Next(rest)
					noError(t, err)
					if b.BaseOffset() < end {
						mustAppend(t, s, record.FromReplication, b)
					}
				}
			}
			want, err := decodeSnapshot(mustRead(t, path))
			noError(t, err)
			got, err := decodeSnapshot(encodeSnapshot(s.entries))
			noError(t, err)
			if !slices.Equal(dumpedSnapshot(got), dumpedSnapshot(want)) {
				t.Errorf("%s:\n%s\nwant\n%s", path, strings.Join(dumpedSnapshot(got), "\n"), strings.Join(dumpedSnapshot(want), "\n"))
			}
		}
	}
}

func TestDamagedSnapshotsAreDetected(t *testing.T) {
	good := golden.Read(t, "logdir-3.9.1/clean/txn-0/00000000000000000047.snapshot")
	for n := range len(good) {
		if _, err := decodeSnapshot(good[:n]); !errors.Is(err, errCorruptSnapshot) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, err := decodeSnapshot(bad); !errors.Is(err, errCorruptSnapshot) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

// The checksum is correct, as if a faulty program had written the file.
func TestASnapshotWithAWrongCountIsDamaged(t *testing.T) {
	good := golden.Read(t, "logdir-3.9.1/clean/txn-0/00000000000000000047.snapshot")
	entries := uint32(len(good)-snapshotHeaderSize) / snapshotEntrySize
	for count, sound := range map[uint32]bool{entries: true, entries + 1: false, math.MaxInt32: false, 1 << 31: false, math.MaxUint32: false} {
		changed := bytes.Clone(good)
		binary.BigEndian.PutUint32(changed[snapshotCRCEnd:], count)
		got, err := decodeSnapshot(withChecksum(changed))
		if sound && (err != nil || len(got) != int(entries)) || !sound && !errors.Is(err, errCorruptSnapshot) {
			t.Errorf("%d of %d entries: %v", int32(count), entries, err)
		}
	}
}

func withChecksum(content []byte) []byte {
	content = bytes.Clone(content)
	binary.BigEndian.PutUint32(content[2:], crc32.Checksum(content[snapshotCRCEnd:], castagnoli))
	return content
}

func snapshotNames(t testing.TB, fsys vfs.FS) string {
	t.Helper()
	entries, err := fsys.ReadDir("/d")
	noError(t, err)
	var names []string
	for _, e := range entries {
		offset, suffix, _ := parseOffsetFileName(e.Name())
		names = append(names, fmt.Sprint(offset)+strings.TrimPrefix(suffix, snapshotSuffix))
	}
	return strings.Join(names, " ")
}

// withSnapshots returns a state that wrote a snapshot at each offset, after one batch of the
// producer with the same number.
func withSnapshots(t testing.TB, fsys vfs.FS, offsets ...record.Offset) *producerState {
	t.Helper()
	s := openProducers(t, fsys)
	for _, at := range offsets {
		mustAppend(t, s, record.FromClient, dataBatch{id: int64(at), offset: at - 1, timestamp: 1000}.bytes(t))
		path, err := s.takeSnapshot(false)
		noError(t, err)
		wantEqual(t, "path", path, s.snapshotFile(at))
	}
	return s
}

func TestASnapshotIsTakenOncePerOffset(t *testing.T) {
	mem := memDir(t)
	s := withSnapshots(t, mem, 5)
	path, err := s.takeSnapshot(true)
	noError(t, err)
	wantEqual(t, "second snapshot at the same offset", path, "")
	s.setMapEnd(6)
	path, err = s.takeSnapshot(true)
	noError(t, err)
	noError(t, mem.SyncDir("/d"))
	wantEqual(t, "path", path, "/d/00000000000000000006.snapshot")
	after := mem.CrashClone(vfs.SyncedOnly, 0)
	wantEqual(t, "synced", len(fileContent(t, after, path)), snapshotHeaderSize+snapshotEntrySize)
	wantEqual(t, "unsynced", fileContent(t, after, "/d/00000000000000000005.snapshot"), "")
}

func TestReloadingUsesTheNewestIntactSnapshot(t *testing.T) {
	mem := memDir(t)
	withSnapshots(t, mem, 5, 8, 12)
	noError(t, writeFile(mem, "/d/00000000000000000012.snapshot", []byte("torn")))
	s := openProducers(t, mem)
	noError(t, s.truncateAndReload(0, 20, 2000))
	wantEqual(t, "map end", s.mapEnd(), 8)
	wantEqual(t, "producers", fmt.Sprint(slices.Sorted(maps.Keys(s.entries))), "[5 8]")
	wantEqual(t, "files", snapshotNames(t, mem), "5 8")
	noError(t, s.truncateAndReload(0, 7, 2000))
	wantEqual(t, "map end", s.mapEnd(), 5)
	wantEqual(t, "files", snapshotNames(t, mem), "5")
	noError(t, s.truncateAndReload(5, 7, 2000))
	wantEqual(t, "map end without a snapshot", s.mapEnd(), 5)
	wantEqual(t, "producers", len(s.entries), 0)
	wantEqual(t, "files", snapshotNames(t, mem), "")
}

func TestReloadingDropsExpiredProducersAndFindsOpenTransactions(t *testing.T) {
	mem := memDir(t)
	s := openProducers(t, mem)
	mustAppend(t, s, record.FromClient, dataBatch{id: 1, offset: 0, timestamp: 100}.bytes(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 2, offset: 1, timestamp: 100, transactional: true}.bytes(t))
	mustAppend(t, s, record.FromClient, dataBatch{id: 3, offset: 2, timestamp: 200}.bytes(t))
	_, err := s.takeSnapshot(true)
	noError(t, err)
	again := openProducers(t, mem)
	noError(t, again.truncateAndReload(0, 3, 100+testExpirationMs))
	wantEqual(t, "producers", fmt.Sprint(slices.Sorted(maps.Keys(again.entries))), "[2 3]")
	first, ok := again.firstUnstable()
	if first != 1 || !ok {
		t.Errorf("first unstable %d, %v", first, ok)
	}
	done := mustAppend(t, again, record.FromCoordinator, marker(t, 2, 0, 3, record.Commit, 0, 300))
	if len(done) != 1 || done[0].firstOffset != 1 {
		t.Errorf("completed %v", done)
	}
}

func TestAStateThatEndsAtTheLogEndIsKept(t *testing.T) {
	mem := memDir(t)
	s := withSnapshots(t, mem, 5, 8)
	noError(t, s.truncateAndReload(5, 8, 1<<60))
	wantEqual(t, "producers", len(s.entries), 2)
	wantEqual(t, "files", snapshotNames(t, mem), "8")
}

func TestStraySnapshotsAreRemoved(t *testing.T) {
	for _, c := range []struct {
		bases []record.Offset
		want  string
	}{
		{[]record.Offset{0, 5, 8}, "5 8 15"}, {[]record.Offset{0, 5, 8, 20}, "5 8"}, {[]record.Offset{0, 15}, "15"}, {[]record.Offset{0}, "15"}, {nil, "15"}, {[]record.Offset{5, 12}, "5 12 15"},
	} {
		mem := memDir(t)
		withSnapshots(t, mem, 5, 8, 12, 15)
		s := openProducers(t, mem)
		noError(t, s.removeStraySnapshots(c.bases))
		wantEqual(t, fmt.Sprint("left with segments ", c.bases), snapshotNames(t, mem), c.want)
	}
}

func TestSnapshotFilesOfDeletedSegments(t *testing.T) {
	mem := memDir(t)
	s := withSnapshots(t, mem, 5, 8, 12)
	path, err := s.markSnapshotDeleted(8)
	noError(t, err)
	wantEqual(t, "path", path, "/d/00000000000000000008.snapshot.deleted")
	path, err = s.markSnapshotDeleted(8)
	noError(t, err)
	wantEqual(t, "path of none", path, "")
	wantEqual(t, "files", snapshotNames(t, mem), "5 8.deleted 12")
	latest, _ := s.latestSnapshot()
	wantEqual(t, "latest", latest, 12)
	noError(t, mem.Rename("/d", "/e"))
	s.moved("/e")
	noError(t, s.truncateFullyAndStartAt(30))
	if _, ok := s.latestSnapshot(); ok || s.mapEnd() != 30 || !s.isEmpty() {
		t.Errorf("after a full truncation: %v, end %d", s.snapshots, s.mapEnd())
	}
}

func TestTheLogStartMovesAnEmptyState(t *testing.T) {
	s := openProducers(t, memDir(t))
	s.logStartAdvanced(10)
	wantEqual(t, "map end", s.mapEnd(), 10)
	path, err := s.takeSnapshot(false)
	noError(t, err)
	wantEqual(t, "snapshot of nothing", path, "")
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(golden.Read(f, "logdir-3.9.1/clean/txn-0/00000000000000000047.snapshot"))
	f.Add(golden.Read(f, "logdir-3.9.1/clean/segments-0/00000000000000000059.snapshot"))
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, content []byte) {
		// Correct the checksum, so that the code after its check is reached.
		if len(content) >= snapshotHeaderSize {
			content = withChecksum(content)
		}
		entries, err := decodeSnapshot(content)
		if err != nil {
			wantError(t, err, errCorruptSnapshot)
			return
		}
		all := map[int64]*producerEntry{}
		for i := range entries {
			all[entries[i].producerID] = &entries[i]
		}
		again, err := decodeSnapshot(encodeSnapshot(all))
		noError(t, err)
		wantEqual(t, "entries", len(again), len(all))
	})
}
