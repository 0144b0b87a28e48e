package replication

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/storage"
)

// noPartition finds no partition, as in a cache of a broker that hosts none.
func noPartition(string, int32) *Partition { return nil }

// client is a client of a session cache.
type client struct {
	t     *testing.T
	cache *SessionCache
	now   time.Time
	byID  bool
}

func newClient(t *testing.T, slots int) *client {
	return &client{t: t, cache: newSessionCache(slots, noPartition), now: time.UnixMilli(1_000_000)}
}

func asks(topics ...string) []PartitionFetch {
	var list []PartitionFetch
	for _, topic := range topics {
		list = append(list, PartitionFetch{PartitionAsk: PartitionAsk{Topic: topic, MaxBytes: 100}})
	}
	return list
}

func (c *client) begin(id, epoch int32, partitions []PartitionFetch, forgotten ...string) (sessionUse, []PartitionFetch, protocol.ErrorCode) {
	var keys []sessionKey
	for _, topic := range forgotten {
		keys = append(keys, sessionKey{topic: topic})
	}
	return c.cache.begin(sessionRequest{id: id, epoch: epoch, byID: c.byID, partitions: partitions, forgotten: keys, places: map[sessionKey]int{}},
		sessionReader{}, &metadata.Snapshot{}, c.now)
}

// create creates a session with a full fetch whose response has no records.
func (c *client) create(privileged bool, topics ...string) int32 {
	c.t.Helper()
	use, partitions, code := c.begin(0, 0, asks(topics...))
	if code != protocol.None {
		c.t.Fatalf("full fetch: %s", code)
	}
	id, code := use.finish(partitions, privileged, c.now)
	if code != protocol.None {
		c.t.Fatalf("full fetch response: %s", code)
	}
	return id
}

// fetch does an incremental fetch whose results are set by answer. It returns the topics in the
// response.
func (c *client) fetch(id, epoch int32, change []PartitionFetch, answer func(*PartitionFetch), forgotten ...string) []string {
	c.t.Helper()
	use, partitions, code := c.begin(id, epoch, change, forgotten...)
	if code != protocol.None {
		c.t.Fatalf("incremental fetch: %s", code)
	}
	for i := range partitions {
		partitions[i].PreferredReadReplica = -1
		answer(&partitions[i])
	}
	if _, code := use.finish(partitions, false, c.now); code != protocol.None {
		c.t.Fatalf("incremental response: %s", code)
	}
	return carried(partitions)
}

func carried(partitions []PartitionFetch) []string {
	topics := []string{}
	for i := range partitions {
		if !partitions[i].Omitted {
			topics = append(topics, partitions[i].Topic)
		}
	}
	return topics
}

func unchanged(*PartitionFetch) {}

func TestIncrementalFetchReadsAllAndReturnsOnlyChanges(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a", "b", "c")
	if id <= 0 {
		t.Fatal("no session was created")
	}
	if got := c.fetch(id, 1, nil, unchanged); len(got) != 0 {
		t.Errorf("nothing changed, but the response contains %v", got)
	}
	for i, news := range []func(*PartitionFetch){
		func(p *PartitionFetch) { p.Data = storage.Data{Length: 5} },
		func(p *PartitionFetch) { p.HighWatermark = 9 },
		func(p *PartitionFetch) { p.LogStart = 2; p.HighWatermark = 9 },
		func(p *PartitionFetch) { p.PreferredReadReplica = 3; p.HighWatermark, p.LogStart = 9, 2 },
		func(p *PartitionFetch) { p.HasDiverged = true; p.HighWatermark, p.LogStart = 9, 2 },
		func(p *PartitionFetch) { p.Code = protocol.NotLeaderOrFollower; p.HighWatermark, p.LogStart = 9, 2 },
	} {
		got := c.fetch(id, int32(2+i), nil, func(p *PartitionFetch) {
			if p.Topic == "b" {
				news(p)
			}
		})
		if !slices.Equal(got, []string{"b"}) {
			t.Errorf("change %d: the response contains %v, want [b]", i, got)
		}
	}
	// After the error the partition is sent although it is the same as before the error.
	if got := c.fetch(id, 8, nil, func(p *PartitionFetch) {
		if p.Topic == "b" {
			p.HighWatermark, p.LogStart = 9, 2
		}
	}); !slices.Equal(got, []string{"b"}) {
		t.Errorf("after an error: %v, want [b]", got)
	}
}

func TestLastStableOffsetAloneIsNotAChange(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a")
	if got := c.fetch(id, 1, nil, func(p *PartitionFetch) { p.LastStable = 7 }); len(got) != 0 {
		t.Errorf("the response contains %v", got)
	}
}

func TestPartitionWithRecordsMovesToTheEnd(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a", "b", "c")
	c.fetch(id, 1, nil, func(p *PartitionFetch) {
		if p.Topic == "a" {
			p.Data = storage.Data{Length: 1}
		}
	})
	_, partitions, _ := c.begin(id, 2, nil)
	if got := carried(partitions); !slices.Equal(got, []string{"b", "c", "a"}) {
		t.Errorf("read in the order %v, want [b c a]", got)
	}
}

func TestIncrementalRequestAddsChangesAndForgets(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a", "b", "c")
	change := asks("b", "d")
	change[0].FetchOffset = 42
	_, partitions, _ := c.begin(id, 1, change, "a")
	if got := carried(partitions); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Fatalf("the session reads %v, want [b c d]", got)
	}
	if partitions[0].FetchOffset != 42 {
		t.Errorf("b is read at %d, want 42", partitions[0].FetchOffset)
	}
}

func TestSessionThatBecomesEmptyIsClosed(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a")
	use, partitions, code := c.begin(id, 1, nil, "a")
	if code != protocol.None || len(partitions) != 0 {
		t.Fatalf("%s, %d partitions", code, len(partitions))
	}
	if got, _ := use.finish(partitions, false, c.now); got != 0 {
		t.Errorf("answered with session id %d, want 0", got)
	}
	if _, _, code := c.begin(id, 2, nil); code != protocol.FetchSessionIDNotFound {
		t.Errorf("the closed session returns %s", code)
	}
}

func TestSessionErrors(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a")
	if _, _, code := c.begin(id+1, 1, nil); code != protocol.FetchSessionIDNotFound {
		t.Errorf("unknown id: %s", code)
	}
	for _, odd := range []int32{-5, 1<<31 - 1} {
		if _, _, code := c.begin(odd, 1, nil); code != protocol.FetchSessionIDNotFound {
			t.Errorf("id %d: %s", odd, code)
		}
	}
	for _, epoch := range []int32{2, 7, -2} {
		if _, _, code := c.begin(id, epoch, nil); code != protocol.InvalidFetchSessionEpoch {
			t.Errorf("epoch %d: %s", epoch, code)
		}
	}
	c.byID = true
	if _, _, code := c.begin(id, 1, nil); code != protocol.FetchSessionTopicIDError {
		t.Errorf("topic ids in a session by name: %s", code)
	}
}

func TestDuplicateRequestIsDetectedWhenItsResponseIsBuilt(t *testing.T) {
	c := newClient(t, 80)
	id := c.create(false, "a")
	slow, partitions, _ := c.begin(id, 1, nil)
	c.fetch(id, 2, nil, unchanged) // overtakes the first request
	if _, code := slow.finish(partitions, false, c.now); code != protocol.InvalidFetchSessionEpoch {
		t.Errorf("the overtaken request is answered with %s", code)
	}
}

func TestFullFetchClosesTheSessionItNames(t *testing.T) {
	for _, epoch := range []int32{0, -1} {
		c := newClient(t, 80)
		id := c.create(false, "a")
		use, partitions, code := c.begin(id, epoch, asks("a"))
		if code != protocol.None {
			t.Fatal(code)
		}
		next, _ := use.finish(partitions, false, c.now)
		if (next != 0) != (epoch == 0) {
			t.Errorf("epoch %d: new session id %d", epoch, next)
		}
		if _, _, code := c.begin(id, 1, nil); code != protocol.FetchSessionIDNotFound {
			t.Errorf("epoch %d: the old session returns %s", epoch, code)
		}
	}
}

func TestSessionEpochWrapsToOne(t *testing.T) {
	if nextSessionEpoch(1<<31-1) != 1 || nextSessionEpoch(0) != 1 || nextSessionEpoch(-1) != -1 {
		t.Error("epochs do not follow Kafka's order")
	}
}

func TestUnknownTopicIDIsResolvedLater(t *testing.T) {
	c := newClient(t, 80)
	c.byID = true
	want := []PartitionFetch{{PartitionAsk: PartitionAsk{TopicID: TopicID{7}}}}
	use, partitions, _ := c.begin(0, 0, want)
	id, _ := use.finish(partitions, false, c.now)
	_, partitions, code := c.cache.begin(sessionRequest{id: id, epoch: 1, byID: true}, sessionReader{}, &metadata.Snapshot{Names: map[TopicID]string{{7}: "known-now"}}, c.now)
	if code != protocol.None || len(partitions) != 1 || partitions[0].Topic != "known-now" {
		t.Errorf("%s %+v", code, partitions)
	}
}

func TestPartitionNamedTwiceIsReadAsLastNamedAtTheFirstPosition(t *testing.T) {
	list := asks("a", "b", "a")
	list[2].FetchOffset = 5
	got := withoutDuplicates(list, false, map[sessionKey]int{})
	if len(got) != 2 || got[0].Topic != "a" || got[0].FetchOffset != 5 || got[1].Topic != "b" {
		t.Errorf("%+v", got)
	}
}

// oneShard returns one shard of a cache with n slots, for tests of that shard alone.
func oneShard(n int) (*client, *sessionShard) {
	c := &client{cache: newSessionCache(n*sessionShards, noPartition), now: time.UnixMilli(1_000_000)}
	return c, &c.cache.shards[0]
}

func (s *sessionShard) make(size int, privileged bool, now time.Time) int32 {
	var results []PartitionFetch
	for i := range size {
		results = append(results, PartitionFetch{PartitionAsk: PartitionAsk{Topic: fmt.Sprint("t", i)}})
	}
	return s.create(results, false, privileged, now.UnixMilli())
}

func TestPitfallReplication21_EvictionOrderOfSessions(t *testing.T) {
	later := func(now time.Time, d time.Duration) time.Time { return now.Add(d) }
	t.Run("a young session of a consumer is safe from consumers", func(t *testing.T) {
		c, s := oneShard(1)
		s.make(1, false, c.now)
		if id := s.make(100, false, later(c.now, time.Minute)); id != 0 {
			t.Error("a larger new session evicted a young one")
		}
	})
	t.Run("an idle session is evicted first", func(t *testing.T) {
		c, s := oneShard(2)
		idle := s.make(50, true, c.now)
		busy := s.make(1, false, c.now)
		s.sessions[busy].touch(later(c.now, 3*time.Minute).UnixMilli())
		if id := s.make(1, false, later(c.now, 3*time.Minute)); id == 0 || s.sessions[idle] != nil || s.sessions[busy] == nil {
			t.Error("the session that was idle for over two minutes was not evicted")
		}
	})
	t.Run("a larger session evicts an old smaller one, an equal one does not", func(t *testing.T) {
		c, s := oneShard(1)
		old := s.make(5, false, c.now)
		now := later(c.now, 3*time.Minute)
		s.sessions[old].touch(now.UnixMilli())
		if s.make(5, false, now) != 0 || s.make(4, false, now) != 0 {
			t.Error("an equal or smaller session evicted it")
		}
		if s.make(6, false, now) == 0 || s.sessions[old] != nil {
			t.Error("a larger session did not evict it")
		}
	})
	t.Run("a follower's session evicts any consumer's", func(t *testing.T) {
		c, s := oneShard(1)
		s.make(1000, false, c.now)
		if s.make(1, true, c.now) == 0 {
			t.Error("a follower's session did not evict a consumer's")
		}
	})
	t.Run("a consumer's session never evicts a follower's in use", func(t *testing.T) {
		c, s := oneShard(1)
		id := s.make(1, true, c.now)
		now := later(c.now, 3*time.Minute)
		s.sessions[id].touch(now.UnixMilli())
		if s.make(1000, false, now) != 0 {
			t.Error("a consumer's session evicted a follower's")
		}
		if s.make(2, true, now) == 0 {
			t.Error("a follower's larger session did not evict a follower's old one")
		}
	})
	t.Run("use keeps a session alive", func(t *testing.T) {
		c, s := oneShard(2)
		first := s.make(3, false, c.now)
		second := s.make(3, false, c.now)
		now := c.now
		for range 5 {
			now = now.Add(time.Minute)
			s.sessions[first].touch(now.UnixMilli())
		}
		if s.make(1, false, now) == 0 || s.sessions[first] == nil || s.sessions[second] != nil {
			t.Error("the session in use was evicted instead of the idle one")
		}
	})
}

func TestNoSessionIsCreatedWithoutAFreeSlot(t *testing.T) {
	c := newClient(t, 8) // one slot per shard
	ids := map[int32]bool{}
	for range sessionShards {
		ids[c.create(false, "a")] = true
	}
	if len(ids) != sessionShards || ids[0] {
		t.Fatalf("%d sessions in %d slots: %v", len(ids), sessionShards, ids)
	}
	if id := c.create(false, "a"); id != 0 {
		t.Errorf("a ninth session %d", id)
	}
	if n, partitions := c.cache.Sessions(); n != sessionShards || partitions != sessionShards {
		t.Errorf("%d sessions, %d partitions", n, partitions)
	}
}

// request builds the request for the wanted partitions, in order.
func (s *clientSession) request(order []TopicPartition, wanted map[TopicPartition]PartitionAsk, byID bool) sessionDiff {
	for id := range s.known {
		if _, still := wanted[id]; !still {
			s.drop(id)
		}
	}
	for _, id := range order {
		s.want(id, wanted[id])
	}
	d := s.next(byID)
	if d.full {
		d.send = order
	}
	return d
}

func TestClientSessionForgetsAnOldTopicIDOnlyInRequestsByID(t *testing.T) {
	a := TopicPartition{Topic: "a"}
	for _, byID := range []bool{false, true} {
		s := newClientSession()
		s.request([]TopicPartition{a}, map[TopicPartition]PartitionAsk{a: {Topic: "a", TopicID: TopicID{1}, FetchOffset: 47}}, byID)
		s.answered(77, protocol.None)
		d := s.request([]TopicPartition{a}, map[TopicPartition]PartitionAsk{a: {Topic: "a", TopicID: TopicID{2}}}, byID)
		if !slices.Equal(d.send, []TopicPartition{a}) || (len(d.forget) == 1 && d.forget[0].TopicID == TopicID{1}) != byID || len(d.forget) > 1 {
			t.Errorf("by id %t: %+v after the topic was created again", byID, d)
		}
	}
}

func TestClientSessionNamesOnlyChanges(t *testing.T) {
	a, b := TopicPartition{Topic: "a"}, TopicPartition{Topic: "b"}
	wanted := map[TopicPartition]PartitionAsk{a: {Topic: "a", FetchOffset: 1}, b: {Topic: "b", FetchOffset: 1}}
	s := newClientSession()
	d := s.request([]TopicPartition{a, b}, maps.Clone(wanted), false)
	if d.id != 0 || d.epoch != 0 || len(d.send) != 2 {
		t.Fatalf("first request %+v", d)
	}
	s.answered(77, protocol.None)
	wanted[a] = PartitionAsk{Topic: "a", FetchOffset: 9}
	d = s.request([]TopicPartition{a, b}, maps.Clone(wanted), false)
	if d.id != 77 || d.epoch != 1 || !slices.Equal(d.send, []TopicPartition{a}) || len(d.forget) != 0 {
		t.Fatalf("second request %+v", d)
	}
	s.answered(77, protocol.None)
	delete(wanted, a)
	d = s.request([]TopicPartition{b}, wanted, false)
	if d.epoch != 2 || len(d.send) != 0 || len(d.forget) != 1 || d.forget[0].Topic != "a" {
		t.Fatalf("third request %+v", d)
	}
	s.answered(0, protocol.InvalidFetchSessionEpoch)
	if d = s.request([]TopicPartition{b}, wanted, false); d.id != 77 || d.epoch != 0 || len(d.send) != 1 {
		t.Errorf("after an error: %+v, want a full request that closes 77", d)
	}
	s.answered(0, protocol.FetchSessionIDNotFound)
	if d = s.request([]TopicPartition{b}, wanted, false); d.id != 0 || d.epoch != 0 {
		t.Errorf("after the leader forgot the session: %+v, want (0, 0)", d)
	}
	s.answered(5, protocol.None)
	if d = s.request([]TopicPartition{b}, wanted, true); d.epoch != 0 {
		t.Errorf("switch to topic ids: epoch %d, want a full request", d.epoch)
	}
}

// manyPartitions returns a full fetch of n partitions.
func manyPartitions(n int) []PartitionFetch {
	list := make([]PartitionFetch, n)
	for i := range list {
		list[i].Topic, list[i].Partition = "many", int32(i)
	}
	return list
}

func (c *client) createMany(n int, privileged bool) int32 {
	c.t.Helper()
	use, partitions, code := c.begin(0, 0, manyPartitions(n))
	if code != protocol.None {
		c.t.Fatalf("full fetch: %s", code)
	}
	id, _ := use.finish(partitions, privileged, c.now)
	return id
}

func TestPartitionsOfAllSessionsAreBounded(t *testing.T) {
	c := newClient(t, 1000)
	totals := c.cache.shards[0].totals
	if totals.consumerMax != consumerPartitions || totals.max != sessionPartitions {
		t.Errorf("bounds %d and %d", totals.consumerMax, totals.max)
	}
	totals.consumerMax = 1000
	small := c.create(false, "a")
	large := c.createMany(990, false)
	if small == 0 || large == 0 {
		t.Fatal("no session below the bound")
	}
	if id := c.createMany(10, false); id != 0 {
		t.Error("a session beyond the bound was created")
	}
	if id := c.createMany(10, true); id == 0 {
		t.Error("a follower got no session")
	}
	// An incremental fetch cannot exceed the bound either.
	if _, _, code := c.begin(small, 1, manyPartitions(10)); code != protocol.FetchSessionIDNotFound {
		t.Errorf("a session that grew beyond the bound: %s", code)
	}
	if id := c.create(false, "a"); id != 0 {
		t.Error("a session was created at the bound")
	}
	// Ending a session makes space for others.
	if _, _, code := c.begin(large, finalSessionEpoch, nil); code != protocol.None {
		t.Fatal(code)
	}
	if id := c.createMany(10, false); id == 0 {
		t.Error("no session after the large one ended")
	}
	if sum := totals.partitions.Load(); sum != 20 {
		t.Errorf("counted %d partitions, want 20", sum)
	}
}

func TestForgottenPartitionsAreNotCounted(t *testing.T) {
	c := newClient(t, 8) // one session in each shard
	sum := func() int64 { return c.cache.shards[0].totals.partitions.Load() }
	id := c.create(false, "a", "b", "c")
	c.fetch(id, 1, asks("d"), func(*PartitionFetch) {}, "a", "b")
	if got := sum(); got != 2 {
		t.Errorf("counted %d partitions, want 2", got)
	}
	for range 8 { // one of them replaces the session
		c.create(true, "x")
	}
	if _, n := c.cache.Sessions(); sum() != int64(n) {
		t.Errorf("counted %d partitions, the sessions have %d", sum(), n)
	}
	if use, _, code := c.begin(id, 2, nil, "c", "d"); code == protocol.None && use.id != noSessionID {
		t.Errorf("a session without partitions has id %d", use.id)
	}
}

func TestMemoryOfLargeRequestsIsNotPooled(t *testing.T) {
	b := alone(t)
	f := b.NewFetch()
	f.Partitions = make([]PartitionFetch, 0, pooledPartitions+1)
	f.Release()
	p := b.NewProduce()
	p.Partitions = make([]PartitionProduce, 0, pooledPartitions+1)
	p.Release()
	w := b.waiters.get(pooledPartitions + 1)
	b.waiters.put(w)
	for range 100 {
		if got := b.NewFetch(); cap(got.Partitions) > pooledPartitions {
			t.Fatal("a fetch's memory was pooled")
		}
		if got := b.NewProduce(); cap(got.Partitions) > pooledPartitions {
			t.Fatal("a produce's memory was pooled")
		}
		if got := b.waiters.get(1); cap(got.regs) > pooledPartitions {
			t.Fatal("a waiter's memory was pooled")
		}
	}
}
