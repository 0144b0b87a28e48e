package transaction

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

func TestATransactionIsStoredStepByStep(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		p := f.begin("x", 3)
		f.add("x", p, 3) // it has the partition: no record
		f.add("x", p, 4)
		if codes := f.c.Verify("x", p, []TopicPartition{{Topic: "t", Partition: 4}, {Topic: "t", Partition: 5}}); codes[0] != protocol.None || codes[1] != protocol.TransactionAbortable {
			t.Errorf("verification: %v", codes)
		}
		list, _ := f.c.List(Filter{DurationMs: -1})
		if len(list) != 1 || list[0] != (Listed{"x", 1001, Ongoing}) {
			t.Errorf("list: %v", list)
		}
		if code := f.end("x", p, true); code != protocol.None {
			t.Error(code.Name())
		}
		f.expect("state", f.state("x"), "CompleteCommit")
		f.expect("records", f.stored(), "x=Empty x=Ongoing x=Ongoing x=PrepareCommit x=CompleteCommit")
		q := f.init("x")
		if want := (ProducerIDAndEpoch{p.ID, p.Epoch + 1}); q != want {
			t.Errorf("initialized again: %v, want %v", q, want)
		}
		if code := f.add("x", p, 1); code != protocol.ProducerFenced {
			t.Errorf("the former producer: %s", code.Name())
		}
	})
}

func TestRequestsAreRefused(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		ctx, p := context.Background(), ProducerIDAndEpoch{1, 0}
		all := func(id string) string {
			init := f.c.InitProducerID(ctx, id, 1000, nil)
			_, describe := f.c.Describe(id)
			list, _ := f.c.List(Filter{})
			_, listed := f.c.List(Filter{})
			verify := f.c.Verify(id, p, []TopicPartition{{Topic: "t"}})
			return fmt.Sprintf("init %s, add %s, end %s, verify %s, describe %s, %d listed %s", init.Code.Name(), f.add(id, p, 1).Name(), f.end(id, p, true).Name(), verify[0].Name(),
				describe.Name(), len(list), listed.Name())
		}
		f.expect("no id", all(""), "init INVALID_REQUEST, add INVALID_REQUEST, end INVALID_REQUEST, verify INVALID_REQUEST, describe INVALID_REQUEST, 0 listed NONE")
		for _, ms := range []int32{math.MinInt32, 0, 900_001} {
			if r := f.c.InitProducerID(ctx, "x", ms, nil); r.Code != protocol.InvalidTransactionTimeout {
				t.Errorf("timeout %d ms: %s", ms, r.Code.Name())
			}
		}
		if r := f.c.InitProducerID(ctx, "longest", 900_000, nil); r.Code != protocol.None {
			t.Errorf("the longest timeout: %s", r.Code.Name())
		}
		f.expect("an unknown id", fmt.Sprint(f.add("x", p, 1).Name(), f.end("x", p, true).Name(), f.c.Verify("x", p, make([]TopicPartition, 1))[0].Name(), f.state("x")),
			"INVALID_PRODUCER_ID_MAPPINGINVALID_PRODUCER_ID_MAPPINGINVALID_PRODUCER_ID_MAPPINGTRANSACTIONAL_ID_NOT_FOUND")
		f.resign()
		f.expect("another broker leads", all("x"), "init NOT_COORDINATOR, add NOT_COORDINATOR, end NOT_COORDINATOR, verify NOT_COORDINATOR, describe NOT_COORDINATOR, 0 listed NONE")
		f.topic.Reading = make(chan struct{})
		f.epoch++
		f.c.BecameLeader(TopicPartition{Topic: metadata.TransactionStateTopic}, f.epoch)
		synctest.Wait()
		const loading = "COORDINATOR_LOAD_IN_PROGRESS"
		f.expect("while loading", all("x"), strings.ReplaceAll("init !, add !, end !, verify !, describe !, 0 listed !", "!", loading))
		close(f.topic.Reading)
		synctest.Wait()
		f.c.Stop()
		f.expect("after the stop", f.state("x"), "COORDINATOR_NOT_AVAILABLE")
	})
}

// appendCodes are what clients get if an append fails.
var appendCodes = map[protocol.ErrorCode]protocol.ErrorCode{
	protocol.UnknownTopicOrPartition:      protocol.CoordinatorNotAvailable,
	protocol.NotEnoughReplicas:            protocol.CoordinatorNotAvailable,
	protocol.NotEnoughReplicasAfterAppend: protocol.CoordinatorNotAvailable,
	protocol.RequestTimedOut:              protocol.CoordinatorNotAvailable,
	protocol.NotLeaderOrFollower:          protocol.NotCoordinator,
	protocol.KafkaStorageError:            protocol.NotCoordinator,
	protocol.MessageTooLarge:              protocol.UnknownServerError,
	protocol.RecordListTooLarge:           protocol.UnknownServerError,
	protocol.InvalidRecord:                protocol.InvalidRecord,
}

// A request whose record cannot be appended, or is not replicated, changes nothing. It succeeds when
// it is repeated.
func TestFailedAppendsChangeNothing(t *testing.T) {
	for _, where := range []string{"append", "replication"} {
		for failure, want := range appendCodes {
			inCluster(t, func(f *fakeCluster) {
				set := func(err error) { f.failAppends(err, where == "replication") }
				var p ProducerIDAndEpoch
				for _, step := range []struct {
					name          string
					do            func() protocol.ErrorCode
					before, after string
				}{
					{"init", func() protocol.ErrorCode {
						r := f.c.InitProducerID(context.Background(), "x", 1000, nil)
						p = ProducerIDAndEpoch{r.ProducerID, r.Epoch}
						return r.Code
					}, "Empty", "Empty"},
					{"add", func() protocol.ErrorCode { return f.add("x", p, 1) }, "Empty", "Ongoing"},
					{"end", func() protocol.ErrorCode { return f.end("x", p, false) }, "Ongoing", "CompleteAbort"},
				} {
					what := fmt.Sprintf("%s, the %s fails with %s", step.name, where, failure.Name())
					set(failure)
					f.expect(what, step.do().Name(), want.Name())
					f.expect(what, f.state("x"), step.before)
					set(nil)
					f.expect(what+", again", step.do().Name(), "NONE")
					f.expect(what+", again", f.state("x"), step.after)
				}
				if p.Epoch != 0 {
					t.Errorf("%s: epoch %d after a failed initialization", failure.Name(), p.Epoch)
				}
			})
		}
	}
}

// The completion is appended again as long as the failure may pass. After others it is left to the
// next load.
func TestTheCompletionIsRepeated(t *testing.T) {
	for failure, code := range appendCodes {
		inCluster(t, func(f *fakeCluster) {
			hold := make(chan struct{})
			f.change(2, func(b *fakeBroker) { b.holding = hold })
			f.commit("x", 1)
			f.requests()
			f.failAppends(failure, false)
			close(hold)
			time.Sleep(time.Second)
			f.expect("with "+failure.Name(), f.state("x"), "PrepareCommit")
			passes := code == protocol.CoordinatorNotAvailable
			if s := f.c.Stats(); s.LogAppendRetries > 0 != passes {
				t.Errorf("with %s: %+v", failure.Name(), s)
			}
			f.failAppends(nil, false)
			time.Sleep(retryPause)
			f.expect("after "+failure.Name(), f.state("x"), map[bool]string{true: "CompleteCommit", false: "PrepareCommit"}[passes])
			f.requests()
			f.resign()
			f.lead()
			f.expect("after the load", f.state("x"), "CompleteCommit")
		})
	}
}

// A change whose record is replicated, or fails, after the partition was unloaded is answered with
// NOT_COORDINATOR. What counts is the log, from which the next coordinator loads.
func TestChangesOfAFormerTermAreRefused(t *testing.T) {
	for _, outcome := range []error{nil, protocol.NotLeaderOrFollower} {
		for _, again := range []bool{false, true} {
			inCluster(t, func(f *fakeCluster) {
				p := f.begin("x", 1)
				markers := make(chan struct{}) // the next term appends nothing before
				f.change(2, func(b *fakeBroker) { b.holding = markers })
				hold := make(chan struct{})
				f.topic.Lock()
				f.topic.Hold, f.topic.Replicated = hold, outcome
				f.topic.Unlock()
				answer := make(chan protocol.ErrorCode, 1)
				go func() { answer <- f.end("x", p, true) }()
				synctest.Wait()
				f.expect("a second request", f.end("x", p, true).Name(), "CONCURRENT_TRANSACTIONS")
				if again { // elected again without a resignation, in a new epoch
					f.lead()
				} else {
					f.resign()
				}
				close(hold)
				f.expect("the answer", (<-answer).Name(), "NOT_COORDINATOR")
				f.topic.Lock()
				f.topic.Hold, f.topic.Replicated = nil, nil
				f.topic.Unlock()
				close(markers)
				if !again {
					f.lead()
				}
				f.expect("after the load", f.state("x"), "CompleteCommit")
				if got, want := f.requests(), fmt.Sprintf("to 2: commit 1001/0 t[1] epoch %d", f.epoch); got != want {
					t.Errorf("markers: %s, want %s", got, want)
				}
			})
		}
	}
}

// A step that found its entry before the partition was unloaded appends nothing.
func TestNothingIsAppendedForAnUnloadedID(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		p := f.begin("x", 1)
		e, _ := f.c.lookup("x")
		f.init("idle")
		idle, _ := f.c.lookup("idle")
		f.resign()
		f.lead()
		records := f.stored()
		to := make(chan Result, 1)
		f.c.ask(e, to, func(t *Transaction, now time.Time, to chan<- Result) *Effects { return t.EndTxn(now, p, true, to) })
		f.expect("the answer", (<-to).Code.Name(), "NOT_COORDINATOR")
		f.expect("records", f.stored(), records)
		b := tombstones{c: f.c}
		b.c.opts.IDExpiration = 0
		if b.add(idle); len(b.dying) > 0 {
			t.Error("an unloaded id expires")
		}
	})
}

func TestDecidedTransactionsAreCompletedAfterLoading(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		for _, b := range []int32{1, 2} {
			f.change(b, func(b *fakeBroker) { b.down = true })
		}
		f.commit("committed", 0, 1)
		p := f.begin("aborted", 2)
		f.end("aborted", p, false)
		f.begin("open", 3)
		f.init("empty")
		f.resign()
		for _, b := range []int32{1, 2} {
			f.change(b, func(b *fakeBroker) { b.down = false })
		}
		f.lead()
		f.expect("markers", f.markers(), "to 1: abort 1002/0 t[2] epoch 3; to 1: commit 1001/0 t[0] epoch 3; to 2: commit 1001/0 t[1] epoch 3")
		for id, want := range map[string]string{"committed": "CompleteCommit", "aborted": "CompleteAbort", "open": "Ongoing", "empty": "Empty"} {
			f.expect(id, f.state(id), want)
		}
		for _, line := range []string{"Elected as the txn coordinator for partition 0 at epoch 3", "Resigned as the txn coordinator for partition 0 at epoch 2",
			"Finished loading 4 transaction metadata from __transaction_state-0", "Completed loading transaction metadata from __transaction_state-0 for coordinator epoch 3"} {
			if !strings.Contains(f.lines.String(), line) {
				t.Errorf("no line %q in\n%s", line, f.lines)
			}
		}
	})
}

// A decision that only the leader has may be lost with it, and the next coordinator may decide
// otherwise.
func TestNoMarkerFollowsALoadedDecisionBeforeItIsReplicated(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.change(1, func(b *fakeBroker) { b.down = true })
		p := f.commit("x", 0)
		f.resign()
		f.change(1, func(b *fakeBroker) { b.down = false })
		behind := make(chan struct{})
		f.topic.Lock()
		f.topic.Behind = behind
		f.topic.Unlock()
		f.epoch++
		f.c.BecameLeader(TopicPartition{Topic: metadata.TransactionStateTopic}, f.epoch)
		time.Sleep(time.Minute)
		f.expect("markers before", f.requests(), "")
		f.expect("a request before", f.add("x", p, 1).Name(), "COORDINATOR_LOAD_IN_PROGRESS")
		close(behind)
		f.expect("markers after", f.requests(), "to 1: commit 1001/0 t[0] epoch 3")
		f.expect("the state after", f.state("x"), "CompleteCommit")
	})
}

// The timeouts are checked in intervals. Those of loaded transactions count too.
func TestTransactionsTimeOut(t *testing.T) {
	for _, loaded := range []bool{false, true} {
		inCluster(t, func(f *fakeCluster) {
			p := f.begin("x", 1) // times out after 60 s
			time.Sleep(5 * time.Second)
			f.commit("y", 2)
			if loaded {
				f.resign()
				f.lead()
			}
			f.requests()
			time.Sleep(55 * time.Second)
			f.expect("at the timeout", f.state("x"), "Ongoing")
			time.Sleep(9 * time.Second)
			f.expect("before the next check", f.state("x"), "Ongoing")
			time.Sleep(2 * time.Second)
			f.expect("after it", f.state("x"), "CompleteAbort")
			f.expect("markers", f.requests(), fmt.Sprintf("to 2: abort 1001/1 t[1] epoch %d", f.epoch))
			f.expect("the producer", f.add("x", p, 1).Name(), "PRODUCER_FENCED")
			f.expect("y", f.state("y"), "CompleteCommit")
		})
	}
}

// The timer of an unloaded transaction does not keep it in memory until its timeout, which may be days.
func TestUnloadedTransactionsHaveNoTimers(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		p := f.begin("x", 1)
		f.begin("y", 1)
		next := func() time.Duration {
			return f.c.timers.Due(func(e *entry) { t.Errorf("%s is due", e.txn.ID) })
		}
		const none = time.Hour
		if wait := next(); wait != time.Minute {
			t.Errorf("the first timeout is in %v, want a minute", wait)
		}
		hold := make(chan struct{})
		f.topic.Lock()
		f.topic.Hold = hold
		f.topic.Unlock()
		go f.end("x", p, true) // is stored when x is unloaded
		synctest.Wait()
		f.resign()
		close(hold)
		synctest.Wait()
		if wait := next(); wait != none {
			t.Errorf("a timer fires in %v after the resignation", wait)
		}
		f.lead()
		if wait := next(); wait != time.Minute {
			t.Errorf("after the load the first timeout is in %v, want a minute", wait)
		}
	})
}

// What the coordinator stores of its own accord is not limited by a timeout of the transaction that is
// shorter than the replication takes. The transaction would never end, and readers of its partitions
// would wait for it.
func TestATinyTimeoutDoesNotKeepATransactionOpen(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		r := f.c.InitProducerID(context.Background(), "x", 1, nil)
		p := ProducerIDAndEpoch{r.ProducerID, r.Epoch}
		f.add("x", p, 1)
		f.topic.Lock()
		f.topic.Slow = 20 * time.Millisecond
		f.topic.Unlock()
		time.Sleep(10*time.Second + 50*time.Millisecond)
		f.expect("after the next check", f.state("x"), "CompleteAbort")
		f.expect("records", f.stored(), "x=Empty x=Ongoing x=PrepareAbort x=CompleteAbort")
	})
}

// A transaction whose decision is being stored is not aborted by its timeout. If storing it fails,
// the next check aborts it.
func TestAPendingChangeDelaysTheTimeout(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		p := f.begin("x", 1)
		time.Sleep(59 * time.Second)
		hold := make(chan struct{})
		f.topic.Lock()
		f.topic.Hold, f.topic.Replicated = hold, protocol.NotEnoughReplicasAfterAppend
		f.topic.Unlock()
		answer := make(chan protocol.ErrorCode, 1)
		go func() { answer <- f.end("x", p, true) }()
		time.Sleep(30 * time.Second)
		close(hold)
		f.expect("the answer", (<-answer).Name(), "COORDINATOR_NOT_AVAILABLE")
		f.failAppends(nil, true)
		f.expect("before the next check", f.state("x"), "Ongoing")
		time.Sleep(10 * time.Second)
		f.expect("after it", f.state("x"), "CompleteAbort")
	})
}

// rareAborts makes the passing of days cheap.
func rareAborts(o *Options) { o.AbortInterval = time.Hour }

func TestUnusedIDsExpire(t *testing.T) {
	const day = 24 * time.Hour
	inCluster(t, func(f *fakeCluster) {
		f.init("empty")
		f.commit("committed", 1)
		f.change(1, func(b *fakeBroker) {
			b.codes[TopicPartition{Topic: "t"}] = []protocol.ErrorCode{protocol.TransactionCoordinatorFenced}
		})
		f.commit("decided", 0)
		time.Sleep(5 * day)
		f.init("later")
		f.expect("after 5 days", f.state("empty"), "Empty")
		f.failAppends(protocol.NotEnoughReplicas, false)
		time.Sleep(2*day + time.Hour)
		f.expect("while tombstones cannot be appended", f.state("empty"), "Empty")
		f.failAppends(nil, false)
		time.Sleep(time.Hour)
		for id, want := range map[string]string{"empty": "TRANSACTIONAL_ID_NOT_FOUND", "committed": "TRANSACTIONAL_ID_NOT_FOUND", "decided": "PrepareCommit", "later": "Empty"} {
			f.expect(id, f.state(id), want)
		}
		if got := f.stored(); !strings.HasSuffix(got, "=tombstone") || strings.Count(got, "=tombstone") != 2 {
			t.Errorf("records: %s", got)
		}
		f.resign()
		f.lead()
		f.expect("after loading", f.state("empty"), "TRANSACTIONAL_ID_NOT_FOUND")
		if p := f.init("empty"); p.Epoch != 0 {
			t.Errorf("used again: %v", p)
		}
	}, rareAborts)
}

// Batches of tombstones have a limited size, since the log refuses a batch above max.message.bytes.
func TestManyIDsExpireInSeveralBatches(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		const ids, length = 3000, 200
		for i := range ids {
			f.init(fmt.Sprint(strings.Repeat("x", length), i))
		}
		written := len(f.log())
		time.Sleep(8 * 24 * time.Hour)
		synctest.Wait()
		tombstones := 0
		for b, err := range record.Batches(f.log()[written:]) {
			if err != nil {
				t.Fatal(err)
			}
			if tombstones += int(b.Count()); len(b) > tombstoneBytes+2*length {
				t.Errorf("a batch has %d bytes, want about %d", len(b), tombstoneBytes)
			}
		}
		if list, _ := f.c.List(Filter{DurationMs: -1}); tombstones != ids || len(list) != 0 {
			t.Errorf("%d tombstones, %d ids are left", tombstones, len(list))
		}
	}, rareAborts)
}

// A producer whose epochs are exhausted gets a new id, for which the coordinator asks outside its
// locks. If it cannot get one, nothing has happened.
func TestAnExhaustedProducerGetsANewID(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		p := f.init("x")
		e, _ := f.c.lookup("x")
		e.txn.epoch = math.MaxInt16 - 1
		next := f.c.nextProducerID
		f.c.nextProducerID = func(context.Context) (int64, error) { return 0, protocol.CoordinatorLoadInProgress }
		if r := f.c.InitProducerID(context.Background(), "x", 1000, nil); r.Code != protocol.CoordinatorLoadInProgress {
			t.Errorf("without an id: %s", r.Code.Name())
		}
		if r := f.c.InitProducerID(context.Background(), "y", 1000, nil); r.Code != protocol.CoordinatorLoadInProgress {
			t.Errorf("a new transactional id without a producer id: %s", r.Code.Name())
		}
		f.c.nextProducerID = next
		if q := f.init("x"); q.ID == p.ID || q.Epoch != 0 {
			t.Errorf("%v, want another id and epoch 0", q)
		}
	})
}

// Each corrupt record is skipped, and all others of the partition are loaded, also before a record of
// an unknown kind at the end. The table also contains the outcome on a real broker.
func TestRecordsAroundACorruptOneAreLoaded(t *testing.T) {
	for _, r := range topictest.CorruptRecords(t) {
		inCluster(t, func(f *fakeCluster) {
			log := r.TransactionLog(t, "before", "x", "after")
			f.topic.Lock()
			f.topic.Logs[0], f.topic.Ends[0] = append(log, topictest.UnknownKeyAtTheEnd(t, 5)...), 6
			f.topic.Unlock()
			f.resign()
			f.lead()
			states := fmt.Sprintf("%s, %s, %s", f.state("before"), f.state("x"), f.state("after"))
			code := f.c.InitProducerID(context.Background(), "x", 60_000, nil).Code
			f.expect(r.Name, fmt.Sprintf("%s, %s", states, code.Name()), r.Ours)
		})
	}
}

func TestDamagedRecordsAreSkippedAndNamed(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.init("x")
		b := record.NewBuilder(record.Defaults())
		key := (&Transaction{ID: "x"}).AppendKey(nil)
		for _, r := range [][2][]byte{{key, {0, 0, 1}}, {nil, {0}}, {{0, 7, 1}, {0}}, {{0, 0, 0, 9}, {0}}} {
			if err := b.Append(1, r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.topic.Append(0, batch, nil, -1); err != nil {
			t.Fatal(err)
		}
		f.commit("y", 1)
		f.resign()
		f.lead()
		f.expect("x", f.state("x"), "Empty")
		f.expect("y", f.state("y"), "CompleteCommit")
		for _, offset := range []int{1, 2, 4} {
			if line := fmt.Sprintf("Skipping the record at offset %d of __transaction_state-0: ", offset); !strings.Contains(f.lines.String(), line) {
				t.Errorf("no line %q", line)
			}
		}
		if !strings.Contains(f.lines.String(), "Unknown message key with version 7 while loading transaction state from __transaction_state-0.") {
			t.Error("no warning about the unknown key")
		}
	})
}

// What a real coordinator wrote loads the same with reads of any size.
func TestTheGoldenTransactionLogLoads(t *testing.T) {
	dir := golden.Path(t, "logdir-3.9.1/clean")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), metadata.TransactionStateTopic+"-") {
			continue
		}
		set, err := os.ReadFile(golden.Path(t, "logdir-3.9.1/clean/"+file.Name()+"/00000000000000000000.log"))
		if err != nil {
			t.Fatal(err)
		}
		var want string
		for _, size := range []int{1, 150, 5 << 20} {
			synctest.Test(t, func(t *testing.T) {
				topic := topictest.New()
				topic.Logs[0] = set
				for b, err := range record.Batches(set) {
					if err != nil {
						t.Fatal(err)
					}
					topic.Ends[0] = b.NextOffset()
				}
				f := newCluster(t, topic, func(o *Options) { o.LoadBuffer = size })
				defer f.c.Stop()
				list, code := f.c.List(Filter{DurationMs: -1})
				if code != protocol.None {
					t.Fatal(code.Name())
				}
				var texts []string
				for _, l := range list {
					d, _ := f.c.Describe(l.ID)
					texts = append(texts, fmt.Sprintf("%s %+v", l.ID, d))
				}
				slices.Sort(texts)
				got := strings.Join(texts, "\n")
				if want == "" {
					want, loaded = got, loaded+len(list)
				}
				f.expect(fmt.Sprintf("%s with reads of %d bytes", file.Name(), size), got, want)
			})
		}
	}
	if loaded == 0 {
		t.Error("no transactional ids were loaded")
	}
}

// Many producers make transactions at the same time, while the leadership changes. Run it with -race.
func TestTransactionsInParallel(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { f.produce(fmt.Sprint("x", i), 20) })
		}
		for range 5 {
			time.Sleep(7 * time.Millisecond)
			f.resign()
			time.Sleep(time.Millisecond)
			f.lead()
		}
		wg.Wait()
		for i := range 20 {
			id := fmt.Sprint("x", i)
			if s := f.state(id); s != "CompleteCommit" {
				t.Errorf("%s: %s", id, s)
			}
		}
	})
}

// produce commits transactions, and repeats what fails.
func (f *fakeCluster) produce(id string, transactions int) {
	ctx := context.Background()
	for n := 0; n < transactions; {
		time.Sleep(time.Millisecond)
		r := f.c.InitProducerID(ctx, id, 60_000, nil)
		p := ProducerIDAndEpoch{r.ProducerID, r.Epoch}
		if r.Code == protocol.None && f.add(id, p, int32(n%10)) == protocol.None && f.end(id, p, true) == protocol.None {
			n++
		}
	}
}

func TestAbandonedRequestsLeaveNoAnswerBehind(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		p := f.init("x")
		hold := make(chan struct{})
		f.topic.Lock()
		f.topic.Hold = hold
		f.topic.Unlock()
		ctx, cancel := context.WithCancelCause(context.Background())
		answer := make(chan protocol.ErrorCode, 1)
		go func() { answer <- f.c.AddPartitions(ctx, "x", p, []TopicPartition{{Topic: "t"}}) }()
		synctest.Wait()
		cancel(errors.New("the connection is closed"))
		f.expect("the answer", (<-answer).Name(), "COORDINATOR_NOT_AVAILABLE")
		f.topic.Lock()
		f.topic.Hold = nil
		f.topic.Unlock()
		close(hold)
		f.expect("afterwards", f.state("x"), "Ongoing")
		f.expect("the next request", f.add("x", p, 0).Name(), "NONE")
	})
}

// Partitions that were added after the broker started, and other topics, are not coordinated.
func TestOnlyPartitionsOfTheTransactionLogAreLed(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		for _, id := range []TopicPartition{{Topic: metadata.TransactionStateTopic, Partition: 1}, {Topic: "t"}} {
			f.c.BecameLeader(id, metadata.LeaderEpoch(9))
			f.c.Resigned(id, 10)
		}
		f.init("x")
		f.c.BecameLeader(TopicPartition{Topic: metadata.TransactionStateTopic}, 0) // an old epoch
		f.expect("x", f.state("x"), "Empty")
	})
}

// Once the topic has more partitions than when the broker started, brokers disagree about the
// partition of an id, so nothing is loaded.
func TestNothingIsLoadedOnceTheLogHasMorePartitions(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.begin("x", 0)
		grow := func(partitions int32) {
			req := kmsg.NewPtrUpdateMetadataRequest()
			req.Version = 7
			topic := kmsg.NewUpdateMetadataRequestTopicState()
			topic.Topic = metadata.TransactionStateTopic
			for p := range partitions {
				s := kmsg.NewUpdateMetadataRequestTopicPartition()
				s.Partition = p
				topic.PartitionStates = append(topic.PartitionStates, s)
			}
			req.TopicStates = append(req.TopicStates, topic)
			f.cache.Apply(req)
		}
		grow(1)
		f.resign()
		f.lead()
		f.expect("x, with as many partitions", f.state("x"), "Ongoing")
		grow(2)
		f.expect("x, still led", f.state("x"), "Ongoing")
		f.resign()
		f.lead()
		f.expect("x, with one more partition", f.state("x"), "NOT_COORDINATOR")
		if !strings.Contains(f.lines.String(), "Transaction topic number of partitions has changed from 1 to 2") {
			t.Errorf("the log does not give the reason:\n%s", f.lines)
		}
	})
}

// Each key of the coordinator takes effect.
func TestOptionsAreThoseOfTheConfiguration(t *testing.T) {
	c, err := settings.FromMap(map[string]string{
		"broker.id": "7", "zookeeper.connect": "z:1", "transaction.state.log.num.partitions": "3", "transaction.max.timeout.ms": "4", "transactional.id.expiration.ms": "5",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "6", "transaction.remove.expired.transaction.cleanup.interval.ms": "8",
		"transaction.state.log.load.buffer.size": "9", "request.timeout.ms": "10", "listeners": "INSIDE://:9092", "inter.broker.listener.name": "INSIDE",
		"listener.security.protocol.map": "INSIDE:PLAINTEXT",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Options{BrokerID: 7, Partitions: 3, Listener: "INSIDE", MaxTimeoutMs: 4, IDExpiration: 5 * time.Millisecond, AbortInterval: 6 * time.Millisecond,
		RemoveInterval: 8 * time.Millisecond, LoadBuffer: 9, RequestTimeout: 10 * time.Millisecond, ParallelLoads: 4}
	if got := OptionsOf(c); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
