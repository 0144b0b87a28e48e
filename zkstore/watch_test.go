package zkstore

import (
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

func TestAWatchIsArmedByOneReadUntilItFires(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", false}
	arm := func() bool {
		if !table.begin(key) {
			return false
		}
		table.end(key, true)
		return true
	}
	if !arm() || arm() {
		t.Error("the first read must arm the watch, and the second must not")
	}
	table.fired(key)
	if !arm() || arm() {
		t.Error("after the watch fired, one read must arm it")
	}
	table.fired(watchKey{"/a", true})
	if arm() {
		t.Error("firing the children watch must not affect the node watch")
	}
}

func TestAWatchThatFiresWhileBeingArmedIsArmedAgain(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", true}
	if !table.begin(key) {
		t.Fatal("the read must arm the watch")
	}
	table.fired(key) // the event arrived between the answer and end
	table.end(key, true)
	if !table.begin(key) {
		t.Error("it is unknown whether the watch is armed, so the next read must arm it")
	}
	table.end(key, false) // that read failed
	if !table.begin(key) {
		t.Error("a failed read has armed no watch, so the next read must arm it")
	}
	table.end(key, true)
	if len(table.marks) != 1 {
		t.Errorf("%d marks", len(table.marks))
	}
	table.fired(key)
	if len(table.marks) != 0 {
		t.Error("the mark of a fired watch is left")
	}
}

func TestAWatchThatFiresDuringASecondArmingReadIsArmedAgain(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", false}
	if !table.begin(key) || !table.begin(key) { // two reads at the same time
		t.Fatal("both reads must arm the watch")
	}
	table.end(key, true)
	table.fired(key)
	if !table.begin(key) {
		t.Error("a watch that has fired counts as armed")
	}
	table.end(key, false)
	table.end(key, false) // the second read failed
	if len(table.marks) != 0 {
		t.Error("a mark is left")
	}
}

// When a node is deleted, ZooKeeper removes the watch of its children and notifies the client only
// of the deletion.
func TestChildrenOfADeletedNodeAreWatchedAgain(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	changed, deleted := make(chan struct{}, 10), make(chan struct{}, 1)
	s.WatchChildren(ISRChangesPath, func() { changed <- struct{}{} })
	s.WatchNode(ISRChangesPath, NodeWatch{Deleted: func() { deleted <- struct{}{} }})
	must(t, second(s.ISRChanges(ctx)))
	must(t, second(s.Arm(ctx, ISRChangesPath)))
	must(t, s.remove(ctx, ISRChangesPath))
	<-deleted
	must(t, s.ensurePath(ctx, ISRChangesPath))
	must(t, second(s.ISRChanges(ctx)))
	must(t, s.ensurePath(ctx, ISRChangesPath+"/x"))
	select {
	case <-changed:
	case <-ctx.Done():
		t.Error("the handler was not called for a new child")
	}
}

func TestReadsRecordTheWatchesTheyArm(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	must(t, s.CreateTopic(ctx, TopicNode{Name: "t"}))
	armed := func(key watchKey) bool {
		table := &s.current.watches
		if !table.begin(key) {
			return true
		}
		table.end(key, false)
		return false
	}
	for key, read := range map[watchKey]func() error{
		{TopicsPath, true}:               func() error { return second(s.Topics(ctx)) },
		{BrokerIDsPath, true}:            func() error { return second(s.Brokers(ctx)) },
		{DeleteTopicsPath, true}:         func() error { return second(s.TopicDeletions(ctx)) },
		{ConfigChangesPath, true}:        func() error { return third(s.ConfigChanges(ctx, 0)) },
		{ISRChangesPath, true}:           func() error { return second(s.ISRChanges(ctx)) },
		{LogDirEventsPath, true}:         func() error { return second(s.LogDirEvents(ctx)) },
		{TopicPath("t"), false}:          func() error { return second(s.TopicNodes(ctx, []string{"t"})) },
		{ControllerPath, false}:          func() error { return third(s.Controller(ctx)) }, // does not exist
		{ReassignPartitionsPath, false}:  func() error { return second(s.PartitionReassignments(ctx)) },
		{PreferredElectionPath, false}:   func() error { return second(s.PreferredElections(ctx)) },
		{clusterIDPath + "/none", false}: func() error { return second(s.Arm(ctx, clusterIDPath+"/none")) },
	} {
		must(t, read())
		if armed(key) {
			t.Errorf("%v is armed without a handler", key)
		}
		if key.children {
			s.WatchChildren(key.path, func() {})
		} else {
			s.WatchNode(key.path, NodeWatch{})
		}
		must(t, read())
		if !armed(key) {
			t.Errorf("%v is not armed", key)
		}
	}
}
