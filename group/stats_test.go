package group

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/protocol"
)

// Each count increases by the number of offsets or generations that the action is about, and no
// other count changes. Refused commits are not counted.
func TestActionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions()
		o.Retention = time.Hour
		c, _ := leading(t, topictest.New(), o)
		defer c.Stop()
		var want Stats
		check := func(after string) {
			t.Helper()
			got := c.Stats()
			got.Loads, got.LoadMax, got.LoadAvg = 0, 0, 0
			if got != want {
				t.Errorf("after %s: %+v, want %+v", after, got, want)
			}
		}
		check("the start")
		id := member(t, c, "g")
		want.Rebalances, want.Members = 1, 1
		check("a rebalance")
		c.Commit("g", CommitRequest{MemberID: id, Generation: 1, Commits: []Commit{commitOf("t", 0, 5), commitOf("u", 0, 6), commitOf("u", 1, 7)}})
		want.Commits, want.Offsets = 3, 3
		check("a commit of 3 offsets")
		c.Commit("g", CommitRequest{MemberID: id, Generation: 9, Commits: []Commit{commitOf("t", 0, 8)}})
		check("a commit of another generation")
		c.DeleteOffsets("g", []TopicPartition{{Topic: "u", Partition: 0}, {Topic: "t"}}) // g is subscribed to t
		want.Deleted, want.Offsets = 1, 2
		check("a deletion")
		if codes, code := c.Leave("g", []Leaving{{MemberID: id}}); code != protocol.None {
			t.Fatal(codes, code.Name())
		}
		want.Members = 0
		check("the member left")
		time.Sleep(2 * time.Hour)
		want.Expired, want.Offsets = 2, 0
		check("the retention")
	})
}
