package zkconsumer

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func (c *cluster) openWithKafkaOffsets(change func(cfg *Config)) *Consumer {
	c.t.Helper()
	cfg := c.config(map[string]int{"t": 1})
	cfg.OffsetsStorage, cfg.NoAutoCommit = StorageKafka, true
	if change != nil {
		change(&cfg)
	}
	return c.open(cfg)
}

func TestOffsetsAreCommittedToTheCoordinatorAndToZooKeeper(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b")
	member := c.openWithKafkaOffsets(nil)
	c.read(member.Streams()[0], 1)
	if err := member.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if offset, stored := c.offset("t", 0), c.stored("g", "t", 0); offset != 1 || stored != "1" {
		t.Errorf("the coordinator has offset %d and ZooKeeper %q, want 1 and 1", offset, stored)
	}
}

func TestDualCommitsCanBeDisabled(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a", "b")
	member := c.openWithKafkaOffsets(func(cfg *Config) { cfg.NoDualCommit = true })
	c.read(member.Streams()[0], 2)
	if err := member.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if offset, stored := c.offset("t", 0), c.stored("g", "t", 0); offset != 2 || stored != "" {
		t.Errorf("the coordinator has offset %d and ZooKeeper %q, want 2 and none", offset, stored)
	}
}

// While offsets move from ZooKeeper to the coordinator, the larger offset of the two is valid.
func TestTheLargerOfTwoOffsetsIsUsed(t *testing.T) {
	for _, offsets := range []struct {
		kafka     record.Offset
		zookeeper string
		want      string
	}{{2, "1", "t-0@2=c"}, {1, "2", "t-0@2=c"}, {1, "", "t-0@1=b"}, {-1, "1", "t-0@1=b"}} {
		c := newCluster(t, map[string]int32{"t": 1})
		c.write("t", 0, "a", "b", "c")
		if offsets.kafka >= 0 {
			c.committed[TopicPartition{Topic: "t", Partition: 0}] = offsets.kafka
		}
		if offsets.zookeeper != "" {
			c.zookeeper.Put(t, "/consumers/g/offsets/t/0", offsets.zookeeper)
		}
		if have := c.read(c.openWithKafkaOffsets(nil).Streams()[0], 1); !slices.Equal(have, []string{offsets.want}) {
			t.Errorf("%+v: read %q", offsets, have)
		}
	}
}

// Errors of the coordinator must be retried, with a new lookup of the coordinator if it has moved.
func TestTheCoordinatorIsLookedUpAgainAfterErrors(t *testing.T) {
	for _, test := range []struct {
		name    string
		key     protocol.APIKey
		code    protocol.ErrorCode
		lookups int
	}{
		{"a coordinator that has moved", protocol.OffsetCommit, protocol.NotCoordinator, 2},
		{"a coordinator that is loading", protocol.OffsetCommit, protocol.CoordinatorLoadInProgress, 1},
		{"no coordinator yet", protocol.FindCoordinator, protocol.CoordinatorNotAvailable, 2},
		{"a moved coordinator when offsets are read", protocol.OffsetFetch, protocol.NotCoordinator, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, map[string]int32{"t": 1})
			c.write("t", 0, "a")
			c.fail(test.key, test.code)
			member := c.openWithKafkaOffsets(nil)
			c.read(member.Streams()[0], 1)
			if err := member.Commit(context.Background()); err != nil {
				t.Fatal(err)
			}
			if offset := c.offset("t", 0); offset != 1 {
				t.Errorf("offset %d is committed, want 1", offset)
			}
			if lookups := c.requests(protocol.FindCoordinator); lookups != test.lookups {
				t.Errorf("%d lookups of the coordinator, want %d", lookups, test.lookups)
			}
		})
	}
}

func TestACommitFailsAfterItsRetries(t *testing.T) {
	c := newCluster(t, map[string]int32{"t": 1})
	c.write("t", 0, "a")
	member := c.openWithKafkaOffsets(func(cfg *Config) { cfg.CommitRetries = 2 })
	c.read(member.Streams()[0], 1)
	c.fail(protocol.OffsetCommit, protocol.NotCoordinator, protocol.NotCoordinator, protocol.NotCoordinator)
	err := member.Commit(context.Background())
	if !errors.Is(err, protocol.NotCoordinator) || c.requests(protocol.OffsetCommit) != 3 {
		t.Errorf("error %v after %d attempts", err, c.requests(protocol.OffsetCommit))
	}
	if err := member.Commit(context.Background()); err != nil || c.offset("t", 0) != 1 {
		t.Errorf("the next commit: %v, offset %d", err, c.offset("t", 0))
	}
}
