package group

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// The tombstones of a group with many offsets are appended in batches of limited size, since the
// log refuses a batch above max.message.bytes.
func TestManyTombstonesAreAppendedInSeveralBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		defer c.Stop()
		const partitions, name = 3000, 249
		var commits []Commit
		for i := range int32(partitions) {
			commits = append(commits, commitOf(strings.Repeat("t", name), i, 5))
		}
		c.Commit("g", CommitRequest{Generation: -1, Commits: commits})
		written := len(topic.Logs[0])
		if code := c.Delete("g"); code != protocol.None {
			t.Fatal(code)
		}
		tombstones := 0
		for b, err := range record.Batches(topic.Logs[0][written:]) {
			if err != nil {
				t.Fatal(err)
			}
			if tombstones += int(b.Count()); len(b) > tombstoneBytes+2*name {
				t.Errorf("a batch has %d bytes, want about %d", len(b), tombstoneBytes)
			}
		}
		if tombstones != partitions {
			t.Errorf("%d tombstones, want %d", tombstones, partitions)
		}
	})
}

// A request may find a group just before the group dies and a new one takes its id. What the dead
// group has not handled yet does not affect the new one.
func TestADeadGroupRemovesNoOffsetsOfItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		defer c.Stop()
		request := CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 5)}}
		c.Commit("g", request)
		dead, _ := c.lookup("g", true)
		dead.group.generation = 1 // so a tombstone of its record is due
		if code := c.Delete("g"); code != protocol.None {
			t.Fatal(code)
		}
		c.Commit("g", request)
		written := len(topic.Logs[0])
		removed := &atomic.Int64{}
		dead.deleted.Store(&deletion{partitions: []TopicPartition{{Topic: "t"}}, removed: removed})
		c.lock(dead)
		c.unlock(dead)
		if got := fetched(t, c, "g"); got != "t-0=5" || len(topic.Logs[0]) != written || removed.Load() != 0 {
			t.Errorf("offsets %q, %d bytes of tombstones, %d offsets removed", got, len(topic.Logs[0])-written, removed.Load())
		}
	})
}
