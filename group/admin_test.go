package group

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// The metadata and assignments of members are shown for a stable group only. In other states no
// common protocol is selected.
func TestAStableGroupIsDescribedWithItsAssignment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		defer c.Stop()
		id := member(t, c, "g")
		d, code := c.Describe("g")
		if code != protocol.None || d.State != "Stable" || d.Protocol != "range" || len(d.Members) != 1 {
			t.Fatalf("%+v, %s", d, code.Name())
		}
		if m := d.Members[0]; m.ID != id || string(m.Metadata) != string(subscription("t")) || string(m.Assignment) != "A" {
			t.Errorf("%+v", m)
		}
		gone := make(chan struct{})
		defer close(gone)
		go c.Join("g", joinAs("b"), gone)
		synctest.Wait()
		d, code = c.Describe("g")
		if code != protocol.None || d.State != "PreparingRebalance" || d.Protocol != "" || len(d.Members) != 2 {
			t.Fatalf("%+v, %s", d, code.Name())
		}
		for _, m := range d.Members {
			if m.Metadata != nil || m.Assignment != nil {
				t.Errorf("during a rebalance: %+v", m)
			}
		}
	})
}

func TestOffsetsOfSubscribedTopicsAreKeptAndOthersDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		defer c.Stop()
		id := member(t, c, "g") // subscribed to t
		c.Commit("g", CommitRequest{MemberID: id, Generation: 1, Commits: []Commit{commitOf("t", 0, 5), commitOf("u", 0, 6), commitOf("u", 1, 7)}})
		codes, code := c.DeleteOffsets("g", []TopicPartition{{Topic: "t"}, {Topic: "u"}})
		if code != protocol.None || !slices.Equal(codes, []protocol.ErrorCode{protocol.GroupSubscribedToTopic, protocol.None}) {
			t.Errorf("codes %v, %s", codes, code.Name())
		}
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		for _, when := range []string{"at once", "after another election"} {
			if got := fetched(t, c, "g"); got != "t-0=5 u-1=7" {
				t.Errorf("%s: %s", when, got)
			}
			c.Resigned(partition, 1)
			c.BecameLeader(partition, 2)
			awaitLoaded(c)
		}
	})
}

// A SyncGroup request waits if the group's record is not on all in-sync replicas at once.
func TestASyncWaitsUntilItsRecordIsReplicated(t *testing.T) {
	for name, want := range map[string]struct {
		replicated bool
		code       protocol.ErrorCode
	}{"replicated": {true, protocol.None}, "never": {false, protocol.RebalanceInProgress}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				topic := topictest.New()
				o := testOptions()
				c, _ := leading(t, topic, o)
				defer c.Stop()
				joined := c.Join("g", joinAs("a"), nil)
				topic.Lock()
				topic.Hold = make(chan struct{})
				topic.Unlock()
				answer := make(chan SyncResult, 1)
				began := time.Now()
				go func() {
					answer <- c.Sync("g", SyncRequest{MemberID: joined.MemberID, Generation: joined.Generation, Assignments: map[string][]byte{joined.MemberID: []byte("A")}}, nil)
				}()
				synctest.Wait()
				if len(answer) > 0 {
					t.Fatalf("before its record is replicated: %+v", <-answer)
				}
				if want.replicated {
					close(topic.Hold)
				}
				if got := <-answer; got.Err != want.code || want.replicated != (string(got.Assignment) == "A") {
					t.Errorf("%s %q", got.Err.Name(), got.Assignment)
				}
				if waited := time.Since(began); want.replicated != (waited == 0) || waited > o.CommitTimeout {
					t.Errorf("answered after %s", waited)
				}
			})
		})
	}
}
