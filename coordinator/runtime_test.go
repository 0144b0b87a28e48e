package coordinator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

const topicName = "__test"

// item is an entry: the value of the last record with its key.
type item struct{ value string }

// recorder makes loads and notes what was called.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf(format, args...))
}

func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := strings.Join(r.calls, "; ")
	r.calls = nil
	return calls
}

func (r *recorder) newLoad(partition int32, epoch metadata.LeaderEpoch) coordinator.Load[item] {
	r.note("scheduled %d in epoch %d", partition, epoch)
	return &itemLoad{r: r, items: map[string]*item{}}
}

// itemLoad implements coordinator.Load.
type itemLoad struct {
	r     *recorder
	items map[string]*item
}

func (l *itemLoad) Apply(b record.Batch) {
	if err := b.Each(func(r *record.Record) error {
		l.items[string(r.Key)] = &item{string(r.Value)}
		return nil
	}); err != nil {
		l.r.note("%v", err)
	}
}

func (l *itemLoad) Oversized(bytes int) { l.r.note("oversized %d", bytes) }

func (l *itemLoad) Entries(err error) map[string]*item {
	if err != nil {
		l.r.note("failed: %v", err)
	}
	return l.items
}

func (l *itemLoad) Publishing(entries []*item) { l.r.note("publishing %d", len(entries)) }

func (l *itemLoad) Published(entries []*item, t coordinator.Term) {
	l.r.note("published %d in epoch %d", len(entries), t.Epoch)
}

func newRuntime(topic coordinator.Topic, change ...func(*coordinator.Config[item])) (*coordinator.Runtime[item], *recorder) {
	r := &recorder{}
	cfg := coordinator.Config[item]{TopicName: topicName, Partitions: 1, Topic: topic, ParallelLoads: 1, LoadBuffer: 1 << 20, NewLoad: r.newLoad}
	for _, c := range change {
		c(&cfg)
	}
	rt := coordinator.New(cfg)
	rt.Start()
	return rt, r
}

func write(t *testing.T, topic *topictest.Topic, partition int32, key, value string) {
	t.Helper()
	if _, err := topic.Append(partition, batchOf(t, key, value), nil, -1); err != nil {
		t.Fatal(err)
	}
}

func batchOf(t *testing.T, key, value string) []byte {
	t.Helper()
	b := record.NewBuilder(record.Defaults())
	if err := b.Append(1, []byte(key), []byte(value)); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// lookup describes the result of Lookup.
func lookup(rt *coordinator.Runtime[item], key string) string {
	e, code := rt.Lookup(key)
	switch {
	case code != protocol.None:
		return code.Name()
	case e == nil:
		return "missing"
	}
	return e.value
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestPartitionsOfKeys(t *testing.T) {
	// The values are from Java's String.hashCode. polygenelubricants hashes to Integer.MIN_VALUE.
	for id, want := range map[string]int32{"": 0, "a": 97 % 50, "console-consumer-1": -1, "polygenelubricants": 0, "\U0001f600": 1772899 % 50} {
		if got := coordinator.HashPartition(id, 50); want >= 0 && got != want || got < 0 || got >= 50 {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
}

func TestEntriesAreFoundWhileTheirPartitionIsLed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		write(t, topic, 0, "k", "1")
		write(t, topic, 0, "k", "2")
		rt, calls := newRuntime(topic)
		expect(t, "before the election", lookup(rt, "k"), "NOT_COORDINATOR")
		topic.Reading = make(chan struct{})
		rt.Elect(0, 3)
		synctest.Wait()
		expect(t, "during the load", lookup(rt, "k"), "COORDINATOR_LOAD_IN_PROGRESS")
		if e := rt.FindOrCreate("new", nil); e != nil {
			t.Error("an entry was created during the load")
		}
		if _, loading := rt.All(); !loading {
			t.Error("All does not report the load")
		}
		close(topic.Reading)
		rt.AwaitLoaded(0)
		expect(t, "after the load", lookup(rt, "k"), "2")
		expect(t, "another key", lookup(rt, "x"), "missing")
		expect(t, "calls", calls.take(), "scheduled 0 in epoch 3; publishing 1; published 1 in epoch 3")
		e := rt.FindOrCreate("new", func(partition int32, epoch metadata.LeaderEpoch) (string, *item) {
			return "new", &item{fmt.Sprintf("of partition %d in epoch %d", partition, epoch)}
		})
		expect(t, "created", lookup(rt, "new"), "of partition 0 in epoch 3")
		rt.Remove("new", &item{})
		expect(t, "after another entry was removed", lookup(rt, "new"), "of partition 0 in epoch 3")
		rt.Remove("new", e)
		expect(t, "removed", lookup(rt, "new"), "missing")
		if dropped := rt.Resign(0, 4); len(dropped.Entries) != 1 || !dropped.WasOwned || dropped.Known != 3 {
			t.Errorf("resigned: %+v", dropped)
		}
		expect(t, "after the resignation", lookup(rt, "k"), "NOT_COORDINATOR")
		if n, _, _ := rt.LoadTimes(); n != 1 {
			t.Errorf("%d loads were timed", n)
		}
		rt.Stop()
		expect(t, "after the stop", lookup(rt, "k"), "COORDINATOR_NOT_AVAILABLE")
	})
}

func TestOldEpochsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		write(t, topic, 0, "k", "1")
		rt, _ := newRuntime(topic)
		defer rt.Stop()
		rt.Resign(0, 5)
		if outcome, known := rt.Elect(0, 4); outcome != coordinator.Outdated || known != 5 {
			t.Errorf("elected in an old epoch: %v, known %d", outcome, known)
		}
		expect(t, "after the old election", lookup(rt, "k"), "NOT_COORDINATOR")
		rt.Elect(0, 6)
		rt.AwaitLoaded(0)
		if dropped := rt.Resign(0, 5); !dropped.Outdated || dropped.Known != 6 || dropped.Entries != nil {
			t.Errorf("resigned in an old epoch: %+v", dropped)
		}
		expect(t, "after the old resignation", lookup(rt, "k"), "1")
		rt.Resign(0, metadata.NoLeaderEpoch) // the replica was deleted
		if outcome, _ := rt.Elect(0, 0); outcome != coordinator.Scheduled {
			t.Errorf("elected in the first epoch of a new topic: %v", outcome)
		}
		rt.AwaitLoaded(0)
		expect(t, "in the new topic", lookup(rt, "k"), "1")
	})
}

// A load that was interrupted publishes nothing, even if the broker leads again before it ends.
func TestAnInterruptedLoadPublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		write(t, topic, 0, "k", "1")
		rt, calls := newRuntime(topic, func(c *coordinator.Config[item]) { c.ParallelLoads = 2 })
		defer rt.Stop()
		topic.Reading = make(chan struct{})
		rt.Elect(0, 1)
		synctest.Wait()
		rt.Resign(0, 2)
		expect(t, "resigned during the load", lookup(rt, "k"), "NOT_COORDINATOR")
		rt.Elect(0, 3)
		close(topic.Reading)
		synctest.Wait()
		expect(t, "after both loads", lookup(rt, "k"), "1")
		got := calls.take()
		expect(t, "publications", fmt.Sprint(strings.Count(got, "publishing"), strings.Count(got, "published 1 in epoch 3")), "1 1")
	})
}

// A load that Stop interrupts publishes nothing: what it has read so far is outdated, and a
// transaction coordinator would append to the log what follows from it.
func TestALoadThatIsStoppedPublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		write(t, topic, 0, "k", "outdated")
		write(t, topic, 0, "k", "latest")
		rt, calls := newRuntime(topic, func(c *coordinator.Config[item]) { c.LoadBuffer = 1 })
		topic.Reading = make(chan struct{})
		rt.Elect(0, 1)
		synctest.Wait()
		go func() {
			<-rt.Done()
			close(topic.Reading)
		}()
		rt.Stop()
		if got := calls.take(); strings.Contains(got, "publish") {
			t.Errorf("calls: %s", got)
		}
	})
}

// The newer epoch counts at the end of the load.
func TestAnotherElectionKeepsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		rt, calls := newRuntime(topic)
		defer rt.Stop()
		write(t, topic, 0, "k", "1")
		topic.Reading = make(chan struct{})
		rt.Elect(0, 1)
		if outcome, known := rt.Elect(0, 2); outcome != coordinator.AlreadyOwned || known != 1 {
			t.Errorf("elected again: %v, known %d", outcome, known)
		}
		close(topic.Reading)
		rt.AwaitLoaded(0)
		synctest.Wait()
		expect(t, "calls", calls.take(), "scheduled 0 in epoch 1; publishing 1; published 1 in epoch 2")
	})
}

// countingTopic counts the logs that are read at the same time.
type countingTopic struct {
	*topictest.Topic
	now, most atomic.Int32
	release   chan struct{}
}

func (t *countingTopic) Log(partition int32) coordinator.Log {
	t.most.Store(max(t.most.Load(), t.now.Add(1)))
	<-t.release
	t.now.Add(-1)
	return t.Topic.Log(partition)
}

func TestFewPartitionsAreLoadedAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &countingTopic{Topic: topictest.New(), release: make(chan struct{})}
		rt, calls := newRuntime(topic, func(c *coordinator.Config[item]) { c.Partitions, c.ParallelLoads = 9, 3 })
		defer rt.Stop()
		for p := range int32(9) {
			rt.Elect(p, 0)
		}
		synctest.Wait()
		if n := topic.now.Load(); n != 3 {
			t.Errorf("%d partitions are being loaded", n)
		}
		for range 9 {
			topic.release <- struct{}{}
		}
		synctest.Wait()
		if n := strings.Count(calls.take(), "published"); n != 9 || topic.most.Load() != 3 {
			t.Errorf("%d partitions were loaded, %d at the same time", n, topic.most.Load())
		}
	})
}

// brokenTopic has a log that cannot be read, or none.
type brokenTopic struct {
	*topictest.Topic
	log coordinator.Log
}

func (t brokenTopic) Log(int32) coordinator.Log { return t.log }

type unreadable struct{ err error }

func (unreadable) Offsets() storage.Offsets { return storage.Offsets{LogStart: 3, LogEnd: 9} }

func (u unreadable) Read(storage.Read) (storage.Data, error) { return storage.Data{}, u.err }

// unreadableFile is a log whose file cannot be read.
type unreadableFile struct{ unreadable }

func (unreadableFile) Read(storage.Read) (storage.Data, error) {
	return storage.Data{File: failingFile{}, Length: 80}, nil
}

// failingFile is a file on a disk that fails.
type failingFile struct{ vfs.File }

func (failingFile) ReadAt([]byte, int64) (int, error) { return 0, syscall.EIO }

// What was read before an error is used, as in Kafka. Without a log, another broker has to coordinate.
func TestFailedLoadsAreReported(t *testing.T) {
	damaged := topictest.New()
	write(t, damaged, 0, "k", "1")
	bad := batchOf(t, "l", "1")
	bad[8] = 0x80 // the length is negative
	damaged.Logs[0] = append(damaged.Logs[0], bad...)
	damaged.Ends[0]++
	for name, c := range map[string]struct {
		log   coordinator.Log
		want  string
		value string
	}{
		"no log":          {nil, "failed: " + coordinator.ErrNoLog.Error(), "NOT_COORDINATOR"},
		"a failed disk":   {unreadable{protocol.KafkaStorageError}, "failed: reading from offset 3: ", "NOT_COORDINATOR"},
		"a failed file":   {unreadableFile{}, "failed: reading from offset 3: input/output error", "NOT_COORDINATOR"},
		"a failed read":   {unreadable{errors.New("the disk failed")}, "failed: reading from offset 3: the disk failed", "missing"},
		"a damaged batch": {damaged.Log(0), "failed: the batch after offset 1 does not parse: ", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, calls := newRuntime(brokenTopic{topictest.New(), c.log})
				defer rt.Stop()
				rt.Elect(0, 0)
				rt.AwaitLoaded(0)
				if got := calls.take(); !strings.Contains(got, c.want) {
					t.Errorf("calls %q, want %q", got, c.want)
				}
				expect(t, "afterwards", lookup(rt, "k"), c.value)
			})
		})
	}
}

func TestALogIsReadWithABufferOfAnySize(t *testing.T) {
	topic := topictest.New()
	for i := range 20 {
		write(t, topic, 0, "k", strings.Repeat("x", i))
	}
	for _, size := range []int{1, 80, 100, 500, 1 << 20} {
		var read []int64
		oversized := 0
		err := coordinator.Read(topic.Log(0), size, func() bool { return true }, func(int) { oversized++ }, func(b record.Batch) {
			read = append(read, int64(b.BaseOffset()))
		})
		if err != nil || len(read) != 20 || !slices.IsSorted(read) {
			t.Errorf("with %d bytes: %v, batches %v", size, err, read)
		}
		if (oversized > 0) != (size < 100) {
			t.Errorf("with %d bytes: %d batches are too large", size, oversized)
		}
	}
	n := 0
	if err := coordinator.Read(topic.Log(0), 1, func() bool { n++; return n < 4 }, func(int) {}, func(record.Batch) {}); err != nil || n != 4 {
		t.Errorf("the reading ended with %v after %d reads", err, n)
	}
}

// replicatedTopic has batches that are replicated up to an offset.
type replicatedTopic struct {
	*topictest.Topic
	mu      sync.Mutex
	upTo    record.Offset
	changed chan struct{}
	waiters atomic.Int32
}

func (t *replicatedTopic) reach(offset record.Offset) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.upTo = offset
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *replicatedTopic) AwaitReplicated(_ int32, w replication.Written, timeout time.Duration, done <-chan struct{}) error {
	t.waiters.Add(1)
	defer t.waiters.Add(-1)
	deadline := time.After(timeout)
	for {
		t.mu.Lock()
		reached, changed := t.upTo >= w.End, t.changed
		t.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-deadline:
			return protocol.RequestTimedOut
		case <-done:
			return protocol.RequestTimedOut
		}
	}
}

func TestOneGoroutineWaitsForAllAppendsOfAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &replicatedTopic{Topic: topictest.New(), upTo: 1, changed: make(chan struct{})}
		rt, calls := newRuntime(topic)
		after := func(end record.Offset, timeout time.Duration) {
			rt.AfterReplicated(0, replication.Written{End: end}, timeout, func(err error) {
				calls.note("%d: %v", end, protocol.CodeOf(err).Name())
			})
		}
		after(1, time.Second)
		expect(t, "replicated before", calls.take(), "1: NONE")
		for end := record.Offset(2); end <= 9; end++ {
			after(end, time.Minute)
		}
		synctest.Wait()
		if n := topic.waiters.Load(); n != 1 {
			t.Errorf("%d goroutines wait", n)
		}
		expect(t, "before the others are replicated", calls.take(), "")
		topic.reach(4)
		synctest.Wait()
		expect(t, "up to 4", calls.take(), "2: NONE; 3: NONE; 4: NONE")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expect(t, "after the timeout", calls.take(), "5: REQUEST_TIMED_OUT; 6: REQUEST_TIMED_OUT; 7: REQUEST_TIMED_OUT; 8: REQUEST_TIMED_OUT; 9: REQUEST_TIMED_OUT")
		after(10, time.Minute) // the goroutine has ended; another one waits
		topic.reach(10)
		synctest.Wait()
		expect(t, "a later append", calls.take(), "10: NONE")
		after(11, time.Hour)
		rt.Stop()
		after(12, time.Hour)
		synctest.Wait()
		expect(t, "after the stop", calls.take(), "11: REQUEST_TIMED_OUT")
	})
}

// An append with a short timeout does not wait for that of an earlier one.
func TestEachAppendHasItsOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &replicatedTopic{Topic: topictest.New(), changed: make(chan struct{})}
		rt, calls := newRuntime(topic)
		defer rt.Stop()
		began := time.Now()
		for end, timeout := range map[record.Offset]time.Duration{1: time.Hour, 2: time.Minute, 3: time.Second, 4: 3 * time.Hour} {
			rt.AfterReplicated(0, replication.Written{End: end}, timeout, func(err error) {
				calls.note("%d after %v: %v", end, time.Since(began).Round(time.Second), protocol.CodeOf(err).Name())
			})
		}
		time.Sleep(2 * time.Hour)
		expect(t, "timeouts", calls.take(), "3 after 1s: REQUEST_TIMED_OUT; 2 after 1m0s: REQUEST_TIMED_OUT; 1 after 1h0m0s: REQUEST_TIMED_OUT")
		topic.reach(4)
		synctest.Wait()
		expect(t, "replicated", calls.take(), "4 after 2h0m0s: NONE")
	})
}

func TestTheRuntimeEndsItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		rt, _ := newRuntime(topic)
		ticks := 0
		rt.Every(time.Minute, func() { ticks++ })
		time.Sleep(10*time.Minute + time.Second)
		write(t, topic, 0, "k", "1")
		topic.Reading = make(chan struct{})
		rt.Elect(0, 0)
		synctest.Wait()
		go func() {
			<-rt.Done()
			close(topic.Reading)
		}()
		if rt.Stop(); ticks != 10 {
			t.Errorf("called %d times in 10 minutes", ticks)
		}
		if rt.Go(func() {}) {
			t.Error("a goroutine was started after the stop")
		}
		rt.Elect(0, 1) // loads nothing
		if rt.AwaitLoaded(7) {
			t.Error("a partition that does not exist is loaded")
		}
	})
}

func TestOnlyPartitionsOfTheTopicAreCoordinated(t *testing.T) {
	rt, _ := newRuntime(topictest.New(), func(c *coordinator.Config[item]) { c.Partitions = 3 })
	for id, want := range map[metadata.TopicPartition]bool{
		{Topic: topicName, Partition: 2}:  true,
		{Topic: topicName, Partition: 3}:  false,
		{Topic: topicName, Partition: -1}: false,
		{Topic: "other"}:                  false,
	} {
		if rt.Has(id) != want {
			t.Errorf("%v is coordinated: %t", id, !want)
		}
	}
}
