package replication

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

var partition0 = TopicPartition{Topic: testTopic}

// twoDirs returns a broker with two log directories that leads partition 0, whose log is in the
// first directory.
func twoDirs(t *testing.T, change ...func(*Options)) *testBroker {
	b := newTestBrokerOn(t, vfs.NewMem(), []string{testDir, otherDir}, change...)
	b.know(ourID)
	b.lead(0, []int32{ourID}, ourID)
	if dir := b.partition().Log().Dir(); dir != testDir {
		t.Fatalf("the log is in %s", dir)
	}
	return b
}

// moved waits until the partition's log is in the directory and has no future log.
func (b *testBroker) moved(dir string) {
	b.t.Helper()
	eventually(b.t, "the move to "+dir, func() bool {
		return b.partition().Log().Dir() == dir && b.logs.FutureLog(partition0) == nil
	})
}

// holdMoves throttles moves: the quota is exhausted when the next move starts.
func (b *testBroker) holdMoves() {
	b.quotas.moves.limit.Store(0)
	b.quotas.moves.record(1, b.now())
}

func TestAReplicaMovesToAnotherDirectory(t *testing.T) {
	b := twoDirs(t)
	for range 5 {
		b.mustProduce(3)
	}
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	b.moved(otherDir)
	b.mustProduce(3)
	if got := len(offsets(t, &b.fetch(0).Partitions[0])); got != 18 {
		t.Errorf("%d records after the move", got)
	}
	if err := b.AlterLogDir(partition0, testDir); err != nil {
		t.Fatal(err)
	}
	b.moved(testDir)
	if at := b.partition().Log().Offsets(); at.LogEnd != 18 || at.HighWatermark != 18 {
		t.Errorf("%+v after the move back", at)
	}
}

// Records written while a log moves are copied too, and the leader's epoch, which has no records,
// is in the new log.
func TestAMoveCopiesRecordsWrittenMeanwhileAndEpochs(t *testing.T) {
	b := twoDirs(t)
	b.mustProduce(3)
	b.lead(4, []int32{ourID}, ourID) // no records in this epoch
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			b.produce(1, 2)
		}
	}()
	for i := range 6 {
		dir := []string{otherDir, testDir}[i%2]
		if err := b.AlterLogDir(partition0, dir); err != nil {
			t.Fatal(err)
		}
		b.moved(dir)
		if epoch, end, err := b.EndOffsetForEpoch(testTopic, 0, 4, 4); err != nil || epoch != 4 || end < 3 {
			t.Fatalf("epoch 4 ends at (%d, %d), %v", epoch, end, err)
		}
	}
	<-done
	log := b.partition().Log()
	if end := log.Offsets().LogEnd; end != 403 {
		t.Errorf("the log ends at %d, want 403", end)
	}
	next := record.Offset(0)
	for next < 403 {
		got := offsets(t, &b.fetch(next).Partitions[0])
		for _, o := range got {
			if o >= next {
				if o != next {
					t.Fatalf("offset %d, want %d", o, next)
				}
				next++
			}
		}
		if len(got) == 0 {
			t.Fatalf("no records at %d", next)
		}
	}
}

// The directory of a future log is away while the current log is cleaned, so the future log has a value
// without the tombstone that deleted it.
func TestAFutureLogIsCopiedAgainIfItsLogWasCleanedMeanwhile(t *testing.T) {
	fs := vfs.NewMem()
	open := func(dirs ...string) *testBroker {
		b := newTestBrokerOn(t, fs, dirs, func(o *Options) { o.FetchPartitionBytes = 1 })
		c := b.topicDefaults()
		c.CleanupCompact, c.CleanupDelete, c.SegmentBytes, c.MinCleanableDirtyRatio, c.DeleteRetentionMs = true, false, 100, 0, 0
		b.topics[testTopic] = c
		b.logs.SetTopicConfig(testTopic, c)
		b.know(ourID)
		b.holdMoves()
		b.lead(0, []int32{ourID}, ourID)
		return b
	}
	b := open(testDir, otherDir)
	b.put("gone", "value")
	b.put("gone", "later value")
	if _, err := b.logs.CreateFuture(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	if outcome, err := newMove(b.Manager, b.partition()).step(new([]byte)); outcome != moveContinues || err != nil {
		t.Fatalf("the copy of the first batch: %d, %v", outcome, err)
	}
	b.stop()

	b = open(testDir)
	b.put("gone", "")
	o := storage.DefaultOptions()
	o.Cleaner.Backoff = time.Millisecond
	b.logs.SetLive(o)
	b.logs.Start()
	eventually(t, "the deleted key to be cleaned away", func() bool {
		b.put("last", "value") // each cleaning needs something new
		return !strings.Contains(b.keys(), "gone")
	})
	b.stop()

	b = open(testDir, otherDir)
	if future := b.logs.FutureLog(partition0); future == nil || future.Offsets().LogEnd != 1 {
		t.Fatalf("the future log is %v", future)
	}
	b.SetRates(Rates{Leader: NoQuota, Follower: NoQuota, Moves: NoQuota})
	b.moved(otherDir)
	if keys := b.keys(); strings.Contains(keys, "gone") || !strings.Contains(keys, "last") {
		t.Errorf("after the move the log has the keys %s", keys)
	}
}

// put appends a record with a key to partition 0. An empty value is a tombstone.
func (b *testBroker) put(key, value string) {
	b.t.Helper()
	w := record.NewBuilder(record.Defaults())
	v := []byte(value)
	if value == "" {
		v = nil
	}
	if err := w.Append(time.Now().UnixMilli(), []byte(key), v); err != nil {
		b.t.Fatal(err)
	}
	set, err := w.Build()
	if err != nil {
		b.t.Fatal(err)
	}
	p := b.NewProduce()
	p.Version, p.Acks = 9, 1
	p.Add(testTopic, 0, set)
	p.Append()
	wantCode(b.t, "produce", p.Partitions[0].Err, protocol.None)
}

// keys returns the keys of the records of partition 0, in order.
func (b *testBroker) keys() string {
	b.t.Helper()
	var keys []string
	log, buf := b.partition().Log(), []byte(nil)
	for next := log.Offsets().LogStart; next < log.Offsets().LogEnd; {
		data, err := log.Read(storage.Read{Offset: next, MaxBytes: 1 << 20})
		if err != nil {
			b.t.Fatal(err)
		}
		set, err := readAll(&data, &buf)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(set) == 0 {
			break
		}
		for batch, err := range record.Batches(set) {
			if err != nil {
				b.t.Fatal(err)
			}
			next = batch.NextOffset()
			if err := batch.Each(func(r *record.Record) error { keys = append(keys, string(r.Key)); return nil }); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	return strings.Join(keys, " ")
}

func TestRefusedMoves(t *testing.T) {
	b := twoDirs(t)
	unknown := TopicPartition{Topic: "nobody", Partition: 0}
	notHosted := TopicPartition{Topic: testTopic, Partition: 1} // known, but not hosted here
	long := TopicPartition{Topic: strings.Repeat("x", 240)}
	for _, c := range []struct {
		what string
		id   TopicPartition
		dir  string
		want protocol.ErrorCode
	}{
		{"no such directory", partition0, "/nowhere", protocol.LogDirNotFound},
		{"an unknown topic", unknown, otherDir, protocol.UnknownTopicOrPartition},
		{"a replica that is not hosted here", notHosted, otherDir, protocol.ReplicaNotAvailable},
		{"a name too long", long, otherDir, protocol.InvalidTopicException},
		{"the current directory", partition0, testDir, protocol.None},
	} {
		wantCode(t, c.what, b.AlterLogDir(c.id, c.dir), c.want)
	}
	if b.logs.FutureLog(partition0) != nil {
		t.Error("a future log exists")
	}
	// A directory chosen before the replica exists is remembered.
	if code := b.control(roleOf(1, ourID, 0, []int32{ourID}, ourID)); code != protocol.None {
		t.Fatal(code)
	}
	p, err := b.Partition(testTopic, 1)
	if err != nil || p.Log().Dir() != otherDir {
		t.Errorf("the new replica is in %s, %v", p.Log().Dir(), err)
	}
}

func TestAMoveIsThrottledReportedAndCanceled(t *testing.T) {
	b := twoDirs(t, func(o *Options) { o.FetchBackoff = 1 })
	b.holdMoves()
	b.mustProduce(7)
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, dir := range b.LogDirs(func(TopicPartition) bool { return true }) {
		for _, r := range dir.Replicas {
			shown += fmt.Sprintf("%s %s lag %d future %v\n", dir.Path, r.ID, r.Lag, r.Future)
		}
	}
	if want := "/data t-0 lag 0 future false\n/data2 t-0 lag 7 future true\n"; shown != want {
		t.Errorf("reported:\n%swant:\n%s", shown, want)
	}
	if err := b.AlterLogDir(partition0, testDir); err != nil { // the current directory: this cancels the move
		t.Fatal(err)
	}
	if b.logs.FutureLog(partition0) != nil {
		t.Error("the future log still exists")
	}
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	b.SetRates(Rates{Leader: NoQuota, Follower: NoQuota, Moves: NoQuota})
	b.moved(otherDir)
}

// movingFollower is a broker that follows broker 2 in epoch 3 and moves its log of two batches of
// epoch 0. The test drives the steps, each of one batch.
type movingFollower struct {
	*testBroker
	mv     *move
	future *storage.Log
	buf    []byte
	sync   func() // called once when the future log is flushed next
}

func moveFollower(t *testing.T) *movingFollower {
	t.Helper()
	m := &movingFollower{}
	fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if act := m.sync; act != nil && op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, otherDir) && strings.HasSuffix(op.Name, ".log") {
			m.sync = nil
			act()
		}
		return nil
	})
	m.testBroker = newTestBrokerOn(t, fs, []string{testDir, otherDir}, func(o *Options) { o.FetchPartitionBytes = 1 })
	m.know(ourID, 2)
	m.fetchers.close()
	m.lead(0, []int32{ourID, 2}, ourID, 2)
	m.holdMoves()
	m.mustProduce(5)
	m.mustProduce(5)
	if code := m.control(roleOf(0, 2, 3, []int32{ourID, 2}, 2, ourID)); code != protocol.None {
		t.Fatal(code)
	}
	if err := m.partition().Log().Flush(); err != nil { // so the future log has as much to flush
		t.Fatal(err)
	}
	future, err := m.logs.CreateFuture(partition0, otherDir)
	if err != nil {
		t.Fatal(err)
	}
	m.future = future
	m.mv = newMove(m.Manager, m.partition())
	m.mover.moves[partition0] = m.mv
	return m
}

func (m *movingFollower) step() moveOutcome {
	m.t.Helper()
	outcome, err := m.mv.step(&m.buf)
	if err != nil {
		m.t.Fatal(err)
	}
	return outcome
}

// cut truncates the log to nothing, as its leader demands, and appends the same number of records
// from the leader in batches of the given sizes.
func (m *movingFollower) cut(sizes ...int) {
	m.t.Helper()
	p := m.partition()
	if err := p.truncate(0, 3); err != nil {
		m.t.Error(err)
	}
	var set []byte
	next := 0
	for _, n := range sizes {
		set = append(set, batch(m.t, n, at(record.Offset(next), 3))...)
		next += n
	}
	if _, err := p.appendFetched(set, 0, 3, record.Offset(next), 0); err != nil {
		m.t.Error(err)
	}
}

// takesOver steps until the future log is the current one, and fails if the new log contains
// anything that was truncated.
func (m *movingFollower) takesOver() {
	m.t.Helper()
	for outcome := moveContinues; outcome == moveContinues; {
		outcome = m.step()
	}
	if m.partition().Log() != m.future {
		m.t.Fatal("the future log did not take over")
	}
	if epoch, end := m.future.EndOffsetForEpoch(3); epoch != 3 || end != 10 {
		m.t.Errorf("epoch 3 ends at (%d, %d) in the new log", epoch, end)
	}
	data, err := m.future.Read(storage.Read{MaxBytes: 1 << 20})
	if err != nil {
		m.t.Fatal(err)
	}
	set, err := readAll(&data, &m.buf)
	if err != nil {
		m.t.Fatal(err)
	}
	for len(set) > 0 {
		b, rest, err := record.Next(set)
		if err != nil {
			m.t.Fatal(err)
		}
		if epoch := b.PartitionLeaderEpoch(); epoch != 3 {
			m.t.Errorf("truncated records of epoch %d at offset %d are in the new log", epoch, b.BaseOffset())
		}
		set = rest
	}
}

// The leader epochs of a log that was truncated are not those of the records in its future log.
func TestTheLeaderEpochsOfATruncatedLogAreNotCopied(t *testing.T) {
	m := moveFollower(t)
	m.step()
	m.cut(10)
	if m.mv.copyEpochs() || m.future.LeaderEpoch() != 0 {
		t.Errorf("the future log has the leader epoch %d", m.future.LeaderEpoch())
	}
}

func TestAnEndedMoveChangesNothing(t *testing.T) {
	m := moveFollower(t)
	m.step()
	m.mv.end()
	if outcome, end := m.step(), m.future.Offsets().LogEnd; outcome != moveStopped || end != 5 {
		t.Errorf("outcome %d, the future log ends at %d", outcome, end)
	}
}

// A worker that is registered can be woken, and add starts no second one. After its last move, add
// must start it again.
func TestAWorkerIsRegisteredWhileItHasMoves(t *testing.T) {
	m := moveFollower(t)
	mr := m.mover
	worker := mr.workerOf(partition0)
	mr.workers[worker] = make(chan struct{}, 1)
	next, wakeup, left := mr.next(worker, nil)
	if next != m.mv || !left || mr.workers[worker] == nil {
		t.Fatalf("next move %v, moves are left: %v", next, left)
	}
	mr.wakeLocked(worker)
	within(t, "the worker is woken", wakeup)
	delete(mr.moves, partition0)
	if next, _, left := mr.next(worker, nil); next != nil || left || mr.workers[worker] != nil {
		t.Errorf("after the last move: next move %v, moves are left: %v", next, left)
	}
}

// shortFile is a file whose reads return fewer bytes than requested.
type shortFile struct {
	vfs.File
	n   int
	err error
}

func (f shortFile) ReadAt([]byte, int64) (int, error) { return f.n, f.err }

// If a file was truncated during a read, a move must not copy the old content of the buffer in
// place of the missing bytes.
func TestAShortReadReturnsNoRecords(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		file shortFile
		want error
	}{
		"whole":            {shortFile{n: 10}, nil},
		"whole at the end": {shortFile{n: 10, err: io.EOF}, nil},
		"at the end":       {shortFile{n: 9, err: io.EOF}, io.EOF},
		"broken":           {shortFile{n: 0, err: broken}, broken},
		"without an error": {shortFile{n: 9}, io.ErrUnexpectedEOF},
	} {
		buf := []byte("older records")
		set, err := readAll(&storage.Data{File: c.file, Length: 10}, &buf)
		if err != c.want || (len(set) == 10) != (c.want == nil) {
			t.Errorf("%s: %d bytes, %v", name, len(set), err)
		}
	}
}

// A follower's log is truncated while it moves. The copied part beyond the truncation must be
// removed.
func TestTruncatingALogTruncatesItsFutureLog(t *testing.T) {
	m := moveFollower(t)
	m.step()
	m.step()
	if end := m.future.Offsets().LogEnd; end != 10 {
		t.Fatalf("the future log ends at %d", end)
	}
	m.cut(10)
	m.takesOver()
}

// A truncation during a step, here during the flush before the future log takes over, neither waits
// for the step nor is missed.
func TestTruncationDoesNotWaitForAStepOfTheMove(t *testing.T) {
	m := moveFollower(t)
	m.step()
	m.step()
	m.sync = func() {
		done := make(chan struct{})
		go func() { m.cut(10); close(done) }()
		within(t, "a cut beside a step", done)
	}
	if outcome := m.step(); outcome != moveContinues || m.sync != nil || m.partition().Log() == m.future {
		t.Fatalf("outcome %d of a step with a truncation, the future log took over: %v", outcome, m.partition().Log() == m.future)
	}
	m.takesOver()
}

// Records that a step copies after a truncation follow truncated records and are removed with them.
// If they do not fit there, the next step starts with the truncation.
func TestRecordsCopiedAfterATruncationAreRemoved(t *testing.T) {
	for _, sizes := range [][]int{{5, 5}, {10}} {
		m := moveFollower(t)
		m.step()
		current, epoch, err := m.mv.partition.movable()
		if err != nil {
			t.Fatal(err)
		}
		m.cut(sizes...)
		if outcome, err := m.mv.copy(current, m.future, epoch, &m.buf); outcome != moveContinues || err != nil {
			t.Fatalf("batches of %v: outcome %d, %v", sizes, outcome, err)
		}
		m.takesOver()
	}
}

// A move interrupted by a stop continues after the next LeaderAndIsr request. The high watermark of
// the future log is in the checkpoint.
func TestPitfallReplication30_AMoveContinuesInTheNextEpochAndAfterARestart(t *testing.T) {
	b := twoDirs(t, func(o *Options) { o.FetchBackoff = 1 })
	b.mustProduce(10)
	b.holdMoves()
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	b.lead(1, []int32{ourID}, ourID)
	b.mustProduce(1)
	fs := b.fs
	b.stop()

	b = newTestBrokerOn(t, fs, []string{testDir, otherDir})
	b.know(ourID)
	if future := b.logs.FutureLog(partition0); future == nil || future.Dir() != otherDir {
		t.Fatal("the future log was not loaded")
	}
	b.lead(2, []int32{ourID}, ourID)
	b.moved(otherDir)
	if at := b.partition().Log().Offsets(); at.LogEnd != 11 {
		t.Errorf("%+v after the move", at)
	}
	b.mustProduce(1)
	b.lead(5, []int32{ourID}, ourID)
	if err := b.AlterLogDir(partition0, testDir); err != nil {
		t.Fatal(err)
	}
	b.moved(testDir)
}

// A broker may crash before it has written the topic id of a future log, or find one of a topic that
// was deleted and created again.
func TestAFutureLogHasTheTopicIDOfItsLog(t *testing.T) {
	for stored, moves := range map[string]bool{javatext.UUID(testTopicID): true, "": true, javatext.UUID(TopicID{0xee}): false} {
		b := twoDirs(t)
		b.mustProduce(10)
		b.holdMoves()
		if err := b.AlterLogDir(partition0, otherDir); err != nil {
			t.Fatal(err)
		}
		fs, file := b.fs, b.logs.FutureLog(partition0).Path()+"/partition.metadata"
		b.stop()
		if err := fs.Remove(file); err != nil {
			t.Fatal(err)
		}
		if stored != "" {
			f, err := fs.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("version: 0\ntopic_id: "+stored+"\n"), 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		b = newTestBrokerOn(t, fs, []string{testDir, otherDir})
		b.know(ourID)
		b.lead(1, []int32{ourID}, ourID)
		if moves {
			b.moved(otherDir)
		} else {
			eventually(t, "the end of the move", func() bool {
				b.mover.mu.Lock()
				defer b.mover.mu.Unlock()
				return len(b.mover.moves) == 0
			})
		}
		if log := b.partition().Log(); log.TopicID() != testTopicID || (log.Dir() == otherDir) != moves {
			t.Errorf("the stored id %q: the log in %s has the topic id %x", stored, log.Dir(), log.TopicID())
		}
	}
}

// A leader whose log has moved knows where each of its epochs ends, even if compaction
// has removed the first records of an epoch.
func TestALogKeepsItsLeaderEpochsWhenItMoves(t *testing.T) {
	b := twoDirs(t)
	b.mustProduce(5)
	b.lead(1, []int32{ourID}, ourID)
	if _, err := b.partition().Log().AppendAsFollower(batch(t, 3, at(7, 1)), 1); err != nil { // 5 and 6 were compacted
		t.Fatal(err)
	}
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	b.moved(otherDir)
	if epoch, end := b.partition().Log().EndOffsetForEpoch(0); epoch != 0 || end != 5 {
		t.Errorf("epoch 0 ends at (%d, %d), want offset 5", epoch, end)
	}
}

// A log whose beginning was deleted moves from its log start, even if that is in the middle of a
// batch.
func TestALogThatDoesNotStartAtZeroMoves(t *testing.T) {
	b := twoDirs(t)
	b.mustProduce(10)
	b.mustProduce(10)
	p := b.partition()
	if _, _, err := p.deleteRecords(13); err != nil {
		t.Fatal(err)
	}
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	b.moved(otherDir)
	if at := p.Log().Offsets(); at.LogStart != 13 || at.LogEnd != 20 {
		t.Errorf("%+v after the move", at)
	}
}

// Deleting a topic while it moves also deletes its future log.
func TestDeletingATopicDeletesItsFutureLog(t *testing.T) {
	b := twoDirs(t)
	b.holdMoves()
	b.mustProduce(10)
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	if code := b.stopReplica(0, 0, true); code != protocol.None {
		t.Fatal(code)
	}
	if b.logs.FutureLog(partition0) != nil || b.logs.Log(partition0) != nil {
		t.Error("a log still exists")
	}
}

func TestAFailureOfTheTargetDirectoryEndsOnlyTheMove(t *testing.T) {
	var fail atomic.Bool
	fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if fail.Load() && op.Kind == vfs.OpWrite && strings.HasPrefix(op.Name, otherDir) {
			return fmt.Errorf("broken disk")
		}
		return nil
	})
	b := newTestBrokerOn(t, fs, []string{testDir, otherDir})
	b.know(ourID)
	b.lead(0, []int32{ourID}, ourID)
	b.mustProduce(10)
	b.holdMoves()
	if err := b.AlterLogDir(partition0, otherDir); err != nil {
		t.Fatal(err)
	}
	fail.Store(true)
	b.SetRates(Rates{Leader: NoQuota, Follower: NoQuota, Moves: NoQuota})
	eventually(t, "the failure", func() bool { return b.logs.FutureLog(partition0) == nil })
	b.mustProduce(1)
	wantCode(t, "a move into the failed directory", b.AlterLogDir(partition0, otherDir), protocol.KafkaStorageError)
}

// The next move of a partition may be requested before the worker of the last one has forgotten
// that move.
func TestAMoveMayStartBeforeTheLastOneIsForgotten(t *testing.T) {
	m := moveFollower(t)
	for m.step() != moveDone {
	}
	if err := m.logs.SettleMove(partition0); err != nil {
		t.Fatal(err)
	}
	if _, err := m.logs.CreateFuture(partition0, testDir); err != nil {
		t.Fatal(err)
	}
	m.mover.add(m.partition())
	m.mover.forget(m.mv, true)
	if next := m.mover.moves[partition0]; next == nil || next == m.mv {
		t.Error("no new move was started")
	}
}

// A worker moves one partition after another: the last one while it is ready, otherwise the first
// by topic and number.
func TestTheOrderOfMoves(t *testing.T) {
	b := newTestBroker(t)
	mr := b.mover
	mr.threads = 1
	now := b.now()
	for _, id := range []TopicPartition{{Topic: "b", Partition: 0}, {Topic: "a", Partition: 2}, {Topic: "a", Partition: 10}} {
		mr.moves[id] = &move{m: b.Manager, id: id}
	}
	order := ""
	var last *move
	for {
		next, _, left := mr.next(0, last)
		if next == nil {
			if left {
				t.Error("a move is left")
			}
			break
		}
		if again, _, _ := mr.next(0, next); again != next {
			t.Errorf("%s gives way to %s", next.id, again.id)
		}
		next.delay(now.Add(time.Hour))
		if other, _, _ := mr.next(0, next); other == next {
			t.Errorf("%s is stepped although it waits", next.id)
		}
		order += next.id.String() + " "
		mr.forget(next, false)
		last = next
	}
	if want := "a-2 a-10 b-0 "; order != want {
		t.Errorf("order %q, want %q", order, want)
	}
}

// A new leader epoch makes the move compare the logs. It truncates nothing if they agree.
func TestANewEpochDoesNotTruncateAFutureLogThatAgrees(t *testing.T) {
	m := moveFollower(t)
	m.step()
	m.mv.mark(-1)
	if err := m.mv.align(m.partition().Log(), m.future); err != nil {
		t.Fatal(err)
	}
	if end := m.future.Offsets().LogEnd; end != 5 {
		t.Errorf("the future log ends at %d, want 5", end)
	}
}
