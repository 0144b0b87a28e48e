package replication

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWaiterChecksAgainAfterRegistering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list waitList
		w := newWaiter()
		w.reset(1)
		w.watch(&list, logEndMoved)
		defer w.stop()
		// The event happened between the caller's first check and the registration.
		if got := w.await(time.Hour, nil, func() bool { return true }); got != satisfied {
			t.Errorf("outcome %d", got)
		}
	})
}

func TestWaiterIsWokenOnlyByEventsOfInterest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list waitList
		looks := 0
		done := make(chan outcome)
		go func() {
			w := newWaiter()
			w.reset(1)
			w.watch(&list, logEndMoved|stateChanged)
			defer w.stop()
			done <- w.await(time.Hour, nil, func() bool { looks++; return looks == 3 })
		}()
		synctest.Wait()
		list.wake(highWatermarkMoved)
		synctest.Wait()
		if looks != 1 {
			t.Errorf("looked %d times after an event of no interest", looks)
		}
		list.wake(logEndMoved)
		synctest.Wait()
		list.wake(stateChanged)
		if got := <-done; got != satisfied || looks != 3 {
			t.Errorf("outcome %d after %d looks", got, looks)
		}
		synctest.Wait() // for the end of the wait, after it has sent its outcome
		if list.count.Load() != 0 || list.head != nil {
			t.Error("the registration was not removed")
		}
	})
}

func TestWaiterGivesUpAtTheTimeoutAndWhenTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func() bool { return false }
		w := newWaiter()
		start := time.Now()
		if got := w.await(70*time.Millisecond, nil, never); got != expired || time.Since(start) != 70*time.Millisecond {
			t.Errorf("outcome %d after %v", got, time.Since(start))
		}
		gone := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(gone) })
		if got := w.await(time.Hour, gone, never); got != abandoned {
			t.Errorf("outcome %d, want abandoned", got)
		}
	})
}

func TestReusedWaiterForgetsOldWakeUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list waitList
		pool := &waiterPool{}
		w := pool.get(1)
		w.watch(&list, logEndMoved)
		list.wake(logEndMoved)
		pool.put(w)
		w.reset(1)
		looks := 0
		w.await(time.Millisecond, nil, func() bool { looks++; return false })
		if looks != 1 {
			t.Errorf("looked %d times: an old wake-up was left in the slot", looks)
		}
	})
}

func TestWaitListRemovesFromTheMiddle(t *testing.T) {
	var list waitList
	waiters := make([]*waiter, 4)
	for i := range waiters {
		waiters[i] = newWaiter()
		waiters[i].reset(1)
		waiters[i].watch(&list, logEndMoved)
	}
	waiters[1].stop()
	waiters[3].stop() // the head
	list.wake(logEndMoved)
	for i, w := range waiters {
		select {
		case <-w.slot:
			if i == 1 || i == 3 {
				t.Errorf("waiter %d was woken after it stopped", i)
			}
		default:
			if i == 0 || i == 2 {
				t.Errorf("waiter %d was not woken", i)
			}
		}
	}
}

// A change lists its owner whatever it is, but wakes the parked request only if that waits for it.
func TestChangesOfNoInterestAreListedWithoutAWakeUp(t *testing.T) {
	var list waitList
	set := &changeSet[int]{}
	owner := 0
	entry := &changeEntry[int]{owner: &owner, set: set}
	entry.watch(&list)
	defer entry.unwatch()
	w := newWaiter()
	set.park(w, logEndMoved|stateChanged)
	for _, c := range []struct {
		event event
		woken int
	}{{highWatermarkMoved, 0}, {followersChanged, 0}, {logEndMoved, 1}, {logEndMoved | highWatermarkMoved, 1}, {stateChanged, 1}} {
		list.wake(c.event)
		if len(w.slot) != c.woken || set.take() != &owner || set.take() != nil {
			t.Errorf("event %b: woken %d times, want %d", c.event, len(w.slot), c.woken)
		}
		w.reset(0)
	}
	w.stop()
	list.wake(logEndMoved)
	if len(w.slot) != 0 {
		t.Error("woken after the end of the wait")
	}
}

func TestWaitingRequestsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c parkedCounts
		m := &Meters{}
		ready := func() bool { return false }
		gone := make(chan struct{})
		for kind := range parkedKinds {
			go c.await(kind, newWaiter(), time.Hour, gone, ready)
		}
		var list waitList
		w := newWaiter()
		w.reset(2)
		w.watch(&list, allEvents)
		w.watch(&waitList{}, allEvents)
		go c.await(parkedProduce, w, time.Second, gone, ready)
		synctest.Wait()
		count := func(kind parkedKind) [3]int64 {
			of := &c[kind]
			return [3]int64{of.requests.Load(), of.watches.Load(), of.expired.Load()}
		}
		if got := count(parkedProduce); got != [3]int64{2, 3, 0} {
			t.Errorf("waiting produces, watches and expired ones: %v", got)
		}
		time.Sleep(2 * time.Second) // virtual time
		if got := count(parkedProduce); got != [3]int64{1, 1, 1} {
			t.Errorf("after one has expired: %v", got)
		}
		close(gone)
		synctest.Wait()
		for kind := range parkedKinds {
			if got := count(kind); got[0] != 0 || got[1] != 0 {
				t.Errorf("kind %d: %v are left", kind, got)
			}
		}
		if p := m.Parked(); len(p) != 3 || p["Fetch"] != (ParkedCounts{}) {
			t.Errorf("parked requests %v", p)
		}
	})
}
