package group

import (
	"strings"
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
