package group

import (
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func at(ms int64) time.Time { return time.UnixMilli(ms) }

func offsetOf(p TopicPartition, offset record.Offset) []Commit {
	return []Commit{{p, CommittedOffset{Offset: offset, LeaderEpoch: -1, ExpiresMs: noExpiry}}}
}

// If a partition has two pending commits, the end of the first leaves the second pending.
func TestTheEndOfACommitLeavesALaterOnePending(t *testing.T) {
	o := &offsets{}
	p := TopicPartition{Topic: "t"}
	first, second := offsetOf(p, 5), offsetOf(p, 6)
	a, b := o.stage(first), o.stage(second)
	o.settle(first, a, 1, true)
	if f := o.fetch([]TopicPartition{p}, true)[0]; f.Err != protocol.UnstableOffsetCommit {
		t.Errorf("while the second is pending: %+v", f)
	}
	o.settle(second, b, 2, true)
	if f := o.fetch([]TopicPartition{p}, true)[0]; f.Err != protocol.None || f.Offset.Offset != 6 {
		t.Errorf("after both: %+v", f)
	}
}

func TestACommitWithoutOffsetsLeavesNothingPending(t *testing.T) {
	o := &offsets{}
	o.settle(nil, o.stage(nil), 1, true)
	if !o.empty() {
		t.Error("offsets are pending")
	}
}

func TestACommitOfADeletedTopicIsDropped(t *testing.T) {
	o := &offsets{}
	p := TopicPartition{Topic: "t"}
	commits := offsetOf(p, 5)
	stage := o.stage(commits)
	o.remove([]TopicPartition{p})
	o.settle(commits, stage, 1, true)
	if f := o.fetch([]TopicPartition{p}, false)[0]; f.Offset.Offset != -1 {
		t.Errorf("%+v", f)
	}
}

func TestOffsetsExpireByTheirOwnTimeAndNotDuringACommit(t *testing.T) {
	g := New("g", Rules{MaxSize: 10}, at(1))
	put := func(partition int32, expires int64) TopicPartition {
		p := TopicPartition{Topic: "t", Partition: partition}
		commits := offsetOf(p, 5)
		commits[0].Offset.CommittedMs, commits[0].Offset.ExpiresMs = 1000, expires
		g.offsets.settle(commits, g.offsets.stage(commits), 1, true)
		return p
	}
	retained, own, staged := put(0, noExpiry), put(1, 5000), put(2, 1500)
	g.offsets.stage(offsetOf(staged, 6))
	for _, c := range []struct {
		now, retention int64
		want           []TopicPartition
	}{
		{1999, 1000, nil}, {4999, 10_000, nil}, {5000, 10_000, []TopicPartition{own}}, {5000, 4001, nil}, {5000, 4000, []TopicPartition{retained}},
	} {
		got := g.ExpireOffsets(c.now, c.retention)
		if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
			t.Errorf("at %d with a retention of %d: expired %v, want %v", c.now, c.retention, got, c.want)
		}
	}
}

// A transactional commit that was appended before a plain one does not replace it, although the
// transaction ends later.
func TestTheCommitAppendedLastIsValid(t *testing.T) {
	o := &offsets{}
	p := TopicPartition{Topic: "t"}
	txn, plain := offsetOf(p, 5), offsetOf(p, 6)
	o.stageTxn(1, txn)
	o.settleTxn(1, txn, 10, true)
	o.settle(plain, o.stage(plain), 11, true)
	o.endTxn(1, true)
	if f := o.fetch([]TopicPartition{p}, false)[0]; f.Offset.Offset != 6 {
		t.Errorf("%+v, want the commit that was appended last", f)
	}
}

// Once a group is dead it has no offsets, and a commit that was being appended does not count.
func TestADeadGroupHasNoOffsets(t *testing.T) {
	g := New("g", Rules{MaxSize: 10}, at(1))
	p, q := TopicPartition{Topic: "t"}, TopicPartition{Topic: "u"}
	valid, late, txn := offsetOf(p, 5), offsetOf(q, 6), offsetOf(q, 7)
	g.offsets.settle(valid, g.offsets.stage(valid), 1, true)
	stage := g.offsets.stage(late)
	g.offsets.stageTxn(1, txn)
	g.Kill(at(2))
	g.offsets.settle(late, stage, 2, true)
	if g.offsets.settleTxn(1, txn, 3, true) {
		t.Error("the transaction still has commits in the dead group")
	}
	g.offsets.endTxn(1, true)
	if list := g.offsets.fetch(nil, true); len(list) != 0 || !g.offsets.empty() {
		t.Errorf("the dead group has the offsets %+v", list)
	}
}

// stable returns a stable group of the members. The first one is the leader.
func stable(t *testing.T, ids ...string) *clocked {
	t.Helper()
	c := newClocked()
	c.join("", ids[0], nil, time.Minute)
	for _, id := range ids[1:] {
		c.join("", id, nil, time.Minute)
	}
	if len(ids) > 1 {
		c.join(ids[0], "", nil, time.Minute)
	}
	for _, id := range ids {
		c.sync(id, nil, map[string][]byte{id: []byte(id)})
	}
	if c.group.State() != Stable {
		t.Fatal(c.group.State())
	}
	return c
}

func TestACommitKeepsItsMemberAlive(t *testing.T) {
	c := stable(t, "L")
	for range 3 {
		c.pass(8*time.Second, nil)
		if code := c.group.CheckCommit(c.now, "L", nil, c.group.Generation(), false); code != protocol.None {
			t.Fatal(code.Name())
		}
	}
	if c.pass(11*time.Second, nil); c.group.Size() != 0 {
		t.Error("the member stays although it no longer commits or sends heartbeats")
	}
}

// Members with a waiting JoinGroup or SyncGroup request do not expire, however long the others
// take.
func TestMembersThatWaitDoNotExpire(t *testing.T) {
	c := stable(t, "L", "M")
	c.join("L", "", nil, time.Minute) // waits for M, which sends heartbeats but does not join
	c.pass(30*time.Second, nil, "M")
	if c.group.members.get("L") == nil {
		t.Fatal("the member that waits in JoinGroup was removed")
	}
	c.join("M", "", nil, time.Minute)
	c.sync("M", nil, nil) // waits for L, which sends heartbeats but does not assign
	c.pass(30*time.Second, nil, "L")
	if c.group.members.get("M") == nil {
		t.Error("the member that waits in SyncGroup was removed")
	}
}

// The assignment of an earlier generation is ignored when its record is stored.
func TestAnAssignmentOfAnEarlierGenerationIsIgnored(t *testing.T) {
	c := stable(t, "L")
	c.join("L", "", nil, time.Minute)
	old := c.group.Sync(c.now, SyncRequest{MemberID: "L", Generation: c.group.Generation(), Assignments: map[string][]byte{"L": []byte("old")}}, make(chan SyncResult, 1))
	c.join("", "M", nil, time.Minute)
	c.join("L", "", nil, time.Minute)
	if c.group.State() != CompletingRebalance {
		t.Fatal(c.group.State())
	}
	answer := c.sync("M", nil, nil)
	c.carryOut(c.group.Stored(c.now, old.Store, protocol.None))
	if c.group.State() != CompletingRebalance || len(answer) != 0 {
		t.Errorf("the group is %v and M has %d answers, want it to wait for its own assignment", c.group.State(), len(answer))
	}
}

// Requests that wait under a static member's previous id are fenced.
func TestRequestsOfAReplacedStaticMemberAreFenced(t *testing.T) {
	s := "s"
	c := newClocked()
	c.join("", "L", nil, time.Minute)
	c.sync("L", nil, map[string][]byte{"L": {1}})
	c.join("", "S-1", &s, time.Minute)
	c.join("L", "", nil, time.Minute)
	answer := c.sync("S-1", &s, nil) // waits for L
	c.join("", "S-2", &s, time.Minute)
	select {
	case r := <-answer:
		if r.Err != protocol.FencedInstanceID {
			t.Errorf("the SyncGroup of the previous member is answered with %s", r.Err.Name())
		}
	default:
		t.Error("the SyncGroup of the previous member still waits")
	}
}
