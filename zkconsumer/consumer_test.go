package zkconsumer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func TestAMemberReadsATopicFromItsStart(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b", "c")
	member := c.open(c.config(map[string]int{"t": 1}))
	stream := member.Streams()[0]
	if have := c.read(stream, 2); !slices.Equal(have, []string{"t-0@0=a", "t-0@1=b"}) {
		t.Errorf("read %q", have)
	}
	c.write("t", 0, "d")
	if have := c.read(stream, 2); !slices.Equal(have, []string{"t-0@2=c", "t-0@3=d"}) {
		t.Errorf("read %q", have)
	}
	if owned := member.Owned(); !slices.Equal(owned, []TopicPartition{{Topic: "t", Partition: 0}}) {
		t.Errorf("owned: %v", owned)
	}
	if owner, _ := c.zookeeper.Get("/consumers/g/owners/t/0"); owner != member.ID()+"-0" {
		t.Errorf("the owner is %q, the member %s", owner, member.ID())
	}
}

func TestARecordHasAllThatWasWritten(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	records, err := c.open(c.config(map[string]int{"t": 1})).Streams()[0].Poll(ctx, 0)
	if err != nil || len(records) != 1 {
		t.Fatalf("%v, %v", records, err)
	}
	r := records[0]
	if string(r.Key) != "key" || string(r.Value) != "a" || r.Timestamp != 1000 || r.TimestampType != record.CreateTime ||
		len(r.Headers) != 1 || string(r.Headers[0].Key) != "h" || string(r.Headers[0].Value) != "v" {
		t.Errorf("%+v", r)
	}
}

func TestAMemberStartsAtTheEndByDefault(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "old")
	cfg := c.config(map[string]int{"t": 1})
	cfg.OffsetReset = ""
	member := c.open(cfg)
	c.eventually("a lookup of the end offset", func() bool { return c.requests(protocol.Fetch) > 0 })
	c.write("t", 0, "new")
	if have := c.read(member.Streams()[0], 1); !slices.Equal(have, []string{"t-0@1=new"}) {
		t.Errorf("read %q", have)
	}
}

func TestAMemberContinuesAtTheCommittedOffset(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b", "c")
	c.zookeeper.Put(t, "/consumers/g/offsets/t/0", "2")
	if have := c.read(c.open(c.config(map[string]int{"t": 1})).Streams()[0], 1); !slices.Equal(have, []string{"t-0@2=c"}) {
		t.Errorf("read %q", have)
	}
}

// What Poll has returned counts as consumed once Commit or Close is called.
func TestCommitsCoverWhatPollHasReturned(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b", "c")
	cfg := c.config(map[string]int{"t": 1})
	cfg.NoAutoCommit = true
	member := c.open(cfg)
	c.read(member.Streams()[0], 2)
	if stored := c.stored("g", "t", 0); stored != "" {
		t.Errorf("offset %s is committed before Commit", stored)
	}
	if err := member.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if stored := c.stored("g", "t", 0); stored != "2" {
		t.Errorf("offset %q is committed, want 2", stored)
	}
	c.read(member.Streams()[0], 1)
	member.Close()
	if stored := c.stored("g", "t", 0); stored != "2" {
		t.Errorf("without automatic commits, Close committed offset %q", stored)
	}
	if err := member.Commit(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("a commit after Close: %v", err)
	}
	if _, err := member.Streams()[0].Poll(context.Background(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a poll after Close: %v", err)
	}
}

func TestOffsetsAreCommittedAutomaticallyAndByClose(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b", "c")
	cfg := c.config(map[string]int{"t": 1})
	cfg.AutoCommitInterval = 5 * time.Millisecond
	member := c.open(cfg)
	c.read(member.Streams()[0], 1)
	c.read(member.Streams()[0], 1) // confirms the first record
	c.eventually("an automatic commit", func() bool { return c.stored("g", "t", 0) == "1" })
	member.Close()
	if stored := c.stored("g", "t", 0); stored != "2" {
		t.Errorf("Close committed offset %q, want 2", stored)
	}
	if _, owned := c.zookeeper.Get("/consumers/g/owners/t/0"); owned {
		t.Error("the closed member still owns the partition")
	}
	if _, registered := c.zookeeper.Get("/consumers/g/ids/" + member.ID()); registered {
		t.Error("the closed member is still registered")
	}
}

func TestAnOffsetOutsideTheLogIsReset(t *testing.T) {
	for reset, want := range map[string]string{Smallest: "t-0@5=a", Largest: "t-0@7=c"} {
		c := newCluster(t, map[string]int32{"t": 1})
		c.change("t", 0, func(l *log) { l.start, l.values = 5, []string{"a", "b"} })
		c.zookeeper.Put(t, "/consumers/g/offsets/t/0", "1")
		cfg := c.config(map[string]int{"t": 1})
		cfg.OffsetReset = reset
		member := c.open(cfg)
		c.eventually("a lookup of the offset", func() bool { return c.requests(protocol.ListOffsets) > 0 && c.requests(protocol.Fetch) > 1 })
		c.write("t", 0, "c")
		if have := c.read(member.Streams()[0], 1); have[0] != want {
			t.Errorf("%s: read %q, want %s", reset, have, want)
		}
	}
}

// After an error, a partition must be read from the leader again, without a gap.
func TestReadingContinuesAfterErrors(t *testing.T) {
	for name, prepare := range map[string]func(c *cluster){
		"a moved leader":      func(c *cluster) { c.fail(protocol.Fetch, protocol.NotLeaderOrFollower) },
		"an unknown topic":    func(c *cluster) { c.fail(protocol.Fetch, protocol.UnknownTopicOrPartition) },
		"a failed lookup":     func(c *cluster) { c.fail(protocol.ListOffsets, protocol.NotLeaderOrFollower, protocol.None) },
		"an offline leader":   func(c *cluster) { c.change("t", 0, func(l *log) { l.leader = -1 }) },
		"a damaged batch":     func(c *cluster) { c.change("t", 0, func(l *log) { l.damage = true }) },
		"a disk error":        func(c *cluster) { c.fail(protocol.Fetch, protocol.KafkaStorageError, protocol.KafkaStorageError) },
		"a truncated request": func(c *cluster) { c.fail(protocol.Fetch, protocol.CorruptMessage) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, map[string]int32{"t": 1})
			c.write("t", 0, "a", "b")
			prepare(c)
			member := c.open(c.config(map[string]int{"t": 1}))
			if name == "an offline leader" {
				c.eventually("two lookups of the leader", func() bool { return c.requests(protocol.Metadata) > 1 })
				c.change("t", 0, func(l *log) { l.leader = 0 })
			}
			if have := c.read(member.Streams()[0], 2); !slices.Equal(have, []string{"t-0@0=a", "t-0@1=b"}) {
				t.Errorf("read %q", have)
			}
		})
	}
}

func TestARecordLargerThanTheFetchSizeIsAnError(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, strings.Repeat("x", 1000))
	cfg := c.config(map[string]int{"t": 1})
	cfg.FetchMessageMax = 500
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stream := c.open(cfg).Streams()[0]
	for range 2 { // the error does not go away by itself
		_, err := stream.Poll(ctx, 0)
		if err == nil || !strings.Contains(err.Error(), "Found a message larger than the maximum fetch size of this consumer on topic t partition 0 at fetch offset 0.") {
			t.Fatalf("error %v", err)
		}
	}
}

func TestStreamsShareThePartitionsOfATopic(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 3})
	for n := range int32(3) {
		c.write("t", n, "x")
	}
	streams := c.open(c.config(map[string]int{"t": 2})).Streams()
	if len(streams) != 2 {
		t.Fatalf("%d streams", len(streams))
	}
	first, second := c.read(streams[0], 2), c.read(streams[1], 1)
	slices.Sort(first)
	if !slices.Equal(first, []string{"t-0@0=x", "t-1@0=x"}) || !slices.Equal(second, []string{"t-2@0=x"}) {
		t.Errorf("read %q and %q", first, second)
	}
}

// Members share the partitions. A member that closes passes its partitions on at once.
func TestMembersShareATopicAndTakeOver(t *testing.T) {
	for _, assignor := range []string{RangeAssignor, RoundRobinAssignor} {
		c := newCluster(t, map[string]int32{"t": 4})
		cfg := c.config(map[string]int{"t": 1})
		cfg.Assignor, cfg.ConsumerID = assignor, "a"
		first := c.open(cfg)
		c.eventually("the only member to own all", func() bool { return len(first.Owned()) == 4 })
		cfg.ConsumerID = "b"
		second := c.open(cfg)
		c.eventually("two members to own half each", func() bool { return len(first.Owned()) == 2 && len(second.Owned()) == 2 })
		both := append(first.Owned(), second.Owned()...)
		slices.SortFunc(both, func(a, b TopicPartition) int { return int(a.Partition - b.Partition) })
		if len(slices.Compact(both)) != 4 {
			t.Errorf("%s: the members own %v", assignor, both)
		}
		first.Close()
		c.eventually("the other member to take over", func() bool { return len(second.Owned()) == 4 })
		c.write("t", 0, "x")
		if have := c.read(second.Streams()[0], 1); have[0] != "t-0@0=x" {
			t.Errorf("%s: read %q", assignor, have)
		}
	}
}

// The next owner of a partition must continue where the previous one stopped.
func TestTheNextOwnerContinuesWithoutGapsOrRepetitions(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b", "c")
	cfg := c.config(map[string]int{"t": 1})
	first := c.open(cfg)
	c.read(first.Streams()[0], 2)
	first.Close()
	if have := c.read(c.open(cfg).Streams()[0], 1); !slices.Equal(have, []string{"t-0@2=c"}) {
		t.Errorf("read %q", have)
	}
}

func TestAMemberReadsNewPartitions(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	member := c.open(c.config(map[string]int{"t": 1}))
	c.createTopic("t", 3)
	c.eventually("the new partitions", func() bool { return len(member.Owned()) == 3 })
	c.write("t", 2, "x")
	if have := c.read(member.Streams()[0], 1); have[0] != "t-2@0=x" {
		t.Errorf("read %q", have)
	}
}

func TestAMemberReadsATopicThatIsCreatedLater(t *testing.T) {
	c := newCluster(t, map[string]int32{"other": 1})
	member := c.open(c.config(map[string]int{"t": 1}))
	if owned := member.Owned(); len(owned) != 0 {
		t.Errorf("owned: %v", owned)
	}
	c.createTopic("t", 1)
	c.write("t", 0, "x")
	if have := c.read(member.Streams()[0], 1); have[0] != "t-0@0=x" {
		t.Errorf("read %q", have)
	}
}

func TestAPatternSelectsNewTopics(t *testing.T) {
	for name, change := range map[string]func(cfg *Config){
		"include": func(cfg *Config) { cfg.Include = "t.*" },
		"exclude": func(cfg *Config) { cfg.Exclude = "other" },
	} {
		c := newCluster(t, map[string]int32{"t1": 1, "other": 1, "__consumer_offsets": 1})
		cfg := c.config(nil)
		change(&cfg)
		member := c.open(cfg)
		if owned := member.Owned(); len(owned) != 1 || owned[0].Topic != "t1" {
			t.Errorf("%s: owned at first: %v", name, owned)
		}
		c.createTopic("t2", 2)
		c.eventually("the new topic", func() bool { return len(member.Owned()) == 3 })
	}
}

// A member that is cut off from ZooKeeper for too long loses its partitions. It must register
// again and continue.
func TestAMemberRegistersAgainAfterItsSessionHasExpired(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a")
	member := c.open(c.config(map[string]int{"t": 1}))
	c.read(member.Streams()[0], 1)
	if err := member.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.zookeeper.Expire()
	c.eventually("a new registration", func() bool {
		_, registered := c.zookeeper.Get("/consumers/g/ids/" + member.ID())
		return registered
	})
	c.write("t", 0, "b")
	if have := c.read(member.Streams()[0], 1); !slices.Equal(have, []string{"t-0@1=b"}) {
		t.Errorf("read %q", have)
	}
}

func TestAShortInterruptionOfZooKeeperChangesNothing(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a")
	member := c.open(c.config(map[string]int{"t": 1}))
	c.read(member.Streams()[0], 1)
	c.zookeeper.SetDown(true)
	c.write("t", 0, "b") // records are read without ZooKeeper
	if have := c.read(member.Streams()[0], 1); !slices.Equal(have, []string{"t-0@1=b"}) {
		t.Errorf("read %q", have)
	}
	c.zookeeper.SetDown(false)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := member.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if stored := c.stored("g", "t", 0); stored != "2" {
		t.Errorf("offset %q is committed, want 2", stored)
	}
}

// A member that does not get its share must give up after rebalance.max.retries attempts.
func TestOpenFailsIfAnotherMemberKeepsAPartition(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.zookeeper.Put(t, "/consumers/g/owners/t/0", "g_other-0")
	cfg := c.config(map[string]int{"t": 1})
	cfg.RebalanceRetries, cfg.ConsumerID, cfg.RebalanceBackoff = 2, "late", time.Millisecond
	_, err := Open(context.Background(), cfg)
	var failed *RebalanceFailedError
	if !errors.As(err, &failed) || err.Error() != "g_late can't rebalance after 2 retries" || failed.Cause != nil {
		t.Errorf("error %v", err)
	}
	if _, registered := c.zookeeper.Get("/consumers/g/ids/g_late"); registered {
		t.Error("the member that failed is still registered")
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.zookeeper.Put(t, "/consumers/g/owners/t/0", "g_other-0")
	cfg := c.config(map[string]int{"t": 1})
	cfg.RebalanceBackoff = time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestInvalidConfigurationsAreRefusedBeforeConnecting(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no group":        {Topics: map[string]int{"t": 1}},
		"nothing to read": {Group: "g"},
		"two selections":  {Group: "g", Include: "a", Topics: map[string]int{"t": 1}},
		"a bad pattern":   {Group: "g", Include: "a("},
		"no streams":      {Group: "g", Topics: map[string]int{"t": 0}},
		"an odd assignor": {Group: "g", Topics: map[string]int{"t": 1}, Assignor: "sticky"},
	} {
		var refused *ConfigError
		if _, err := Open(context.Background(), cfg); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckPattern("a.*,b"); err != nil {
		t.Error(err)
	}
	if CheckPattern("a(") == nil {
		t.Error("the pattern a( is accepted")
	}
}

func TestTheMemberWaitsForABroker(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a")
	c.zookeeper.Delete(t, "/brokers/ids/0")
	member := c.open(c.config(map[string]int{"t": 1}))
	if owned := member.Owned(); len(owned) != 0 {
		t.Errorf("owned without a broker: %v", owned)
	}
	c.registerBroker()
	if have := c.read(member.Streams()[0], 1); have[0] != "t-0@0=a" {
		t.Errorf("read %q", have)
	}
}
