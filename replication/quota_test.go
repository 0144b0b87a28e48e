package replication

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

func TestTheRateOfAQuota(t *testing.T) {
	q := newQuota(11, time.Second)
	start := time.Unix(1_000_000, 0)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	if q.exceeded(at(0)) {
		t.Error("the quota is exceeded without a limit")
	}
	q.limit.Store(1000)
	for _, step := range []struct {
		at       float64
		bytes    int64
		rate     float64
		exceeded bool
	}{
		{0, 900, 900, false},   // a first window counts as a whole one
		{0.5, 200, 1100, true}, // 1100 in one second
		{1.5, 0, 1100 / 1.5, false},
		{2, 1900, 1500, true},     // 3000 in two seconds
		{4, 0, 750, false},        // in four
		{10.9, 0, 275.229, false}, // all samples still count
		{11.5, 0, 1900 / 9.5, false},
		{30, 0, 0, false},
	} {
		q.record(step.bytes, at(step.at))
		if rate := q.rate(at(step.at)); math.Abs(rate-step.rate) > 0.01 {
			t.Errorf("at %v s: %v bytes per second, want %v", step.at, rate, step.rate)
		}
		if got := q.exceeded(at(step.at)); got != step.exceeded {
			t.Errorf("at %v s exceeded is %v", step.at, got)
		}
	}
}

// throttled returns a leader of two replicas with an exhausted quota for partition 0.
func throttled(t *testing.T, list string) *testBroker {
	b := newTestBroker(t)
	c, err := testSettings(t).Topic(map[string]string{"leader.replication.throttled.replicas": list})
	if err != nil {
		t.Fatal(err)
	}
	b.topics[testTopic] = c
	b.know(ourID, 2)
	b.lead(0, []int32{ourID, 2}, ourID)
	b.mustProduce(3)
	b.quotas.leader.limit.Store(100)
	b.quotas.leader.record(1<<30, b.now())
	return b
}

func TestALeaderThrottlesFollowersUntilTheyAreInSync(t *testing.T) {
	for list, held := range map[string]bool{"0:1": true, "*": true, "1:1,0:1": true, "0:2": false, "1:1": false, "": false} {
		b := throttled(t, list)
		f := b.fetch(0, asFollower(2))
		if got := f.Partitions[0].Data.Length == 0; got != held || f.Partitions[0].Code != protocol.None {
			t.Errorf("%q: throttled %v, %s", list, got, f.Partitions[0].Code)
		}
		if f := b.fetch(0); f.Partitions[0].Data.Length == 0 && b.highWatermark() > 0 {
			t.Errorf("%q: a consumer is throttled", list)
		}
		b.lead(1, []int32{ourID, 2}, ourID, 2)
		if f := b.fetch(0, asFollower(2)); f.Partitions[0].Data.Length == 0 {
			t.Errorf("%q: an in-sync follower is throttled", list)
		}
	}
}

func TestBytesSentToThrottledFollowersCount(t *testing.T) {
	b := throttled(t, "0:1")
	b.quotas.leader = newQuota(11, time.Second)
	f := b.fetch(0, asFollower(2))
	sent := f.Partitions[0].Data.Length
	if _, code := f.Finish(); code != protocol.None || sent == 0 {
		t.Fatal(code, sent)
	}
	if rate := b.quotas.leader.rate(b.now()); rate < float64(sent)/2 {
		t.Errorf("%d bytes were sent, the rate is %v", sent, rate)
	}
}

// While its quota is exhausted, a follower does not request throttled partitions that lag or may
// lag. It keeps requesting those that do not lag.
func TestAFollowerLeavesThrottledPartitionsOut(t *testing.T) {
	b, p := followerOf2(t)
	config := *b.topicDefaults()
	config.FollowerThrottled = throttledList(t, "0:1")
	p.Log().SetConfig(&config)
	f := newFetcher(b.fetchers, fetcherKey{leader: 2})
	start, _ := p.startFollowing(testTopicID, true)
	start.truncating = false
	f.add(start)
	asked := func() int {
		f.activateLocked(f.partitions[partition0]) // as a response does
		f.nextFetch(b.now())
		return len(f.session.known)
	}
	if asked() != 1 {
		t.Fatal("not requested without a limit")
	}
	b.quotas.follower.limit.Store(100)
	b.quotas.follower.record(1<<30, b.now())
	if asked() != 0 {
		t.Error("requested although its lag is unknown")
	}
	if wait := f.untilReady(b.now()); wait < 100*time.Millisecond {
		t.Errorf("looks again after %v", wait)
	}
	for lag, want := range map[int64]int{0: 1, 5: 0} {
		f.partitions[partition0].lag = lag
		if got := asked(); got != want {
			t.Errorf("lag %d: requests %d partitions", lag, got)
		}
	}
	config.FollowerThrottled = throttledList(t, "0:2")
	p.Log().SetConfig(&config)
	if asked() != 1 {
		t.Error("not requested although the quota applies only to another broker's replica")
	}
	p.retire(protocol.UnknownTopicOrPartition)
	if p.followerQuotaHolds() {
		t.Error("the quota applies to a deleted partition")
	}
}

func throttledList(t *testing.T, list string) settings.ThrottledReplicas {
	t.Helper()
	c, err := testSettings(t).Topic(map[string]string{"follower.replication.throttled.replicas": list})
	if err != nil {
		t.Fatal(err)
	}
	return c.FollowerThrottled
}

// If the number of fetchers changes, partitions move to other fetchers and continue at their
// positions.
func TestFetchersAreResized(t *testing.T) {
	b := newTestBroker(t)
	b.know(2, ourID)
	for i := range int32(3) {
		if code := b.control(roleOf(i, 2, 3, []int32{2, ourID}, 2, ourID)); code != protocol.None {
			t.Fatal(code)
		}
	}
	count := func() (fetchers, partitions int) {
		b.fetchers.mu.Lock()
		defer b.fetchers.mu.Unlock()
		for key, f := range b.fetchers.fetchers {
			f.mu.Lock()
			partitions += len(f.partitions)
			for id, p := range f.partitions {
				if fetcherID(id, b.fetchers.perLeader) != key.id || p.epoch != 3 {
					t.Errorf("%s belongs to fetcher %d in epoch %d", id, key.id, p.epoch)
				}
			}
			f.mu.Unlock()
		}
		return len(b.fetchers.fetchers), partitions
	}
	for _, n := range []int32{3, 2, 1} {
		b.SetFetchers(n)
		if fetchers, partitions := count(); fetchers != int(n) || partitions != 3 {
			t.Errorf("%d fetchers of %d, with %d partitions", fetchers, n, partitions)
		}
	}
}

// After the close no fetcher runs, and none starts although requests of the controller arrive.
func TestNoPartitionIsFollowedAfterTheClose(t *testing.T) {
	b := newTestBroker(t)
	b.know(2, ourID)
	if code := b.control(roleOf(0, 2, 3, []int32{2, ourID}, 2, ourID)); code != protocol.None {
		t.Fatal(code)
	}
	running := slices.Collect(maps.Values(b.fetchers.fetchers))
	for range 2 {
		b.fetchers.close()
	}
	for _, f := range running {
		select {
		case <-f.done:
		default:
			t.Errorf("fetcher %v still runs", f.key)
		}
	}
	b.control(roleOf(0, 2, 4, []int32{2, ourID}, 2, ourID))
	if len(running) != 1 || len(b.fetchers.fetchers) != 0 {
		t.Errorf("%d fetchers before the close, %d after it", len(running), len(b.fetchers.fetchers))
	}
}
