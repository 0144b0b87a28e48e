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
		t.Error("the first read has to arm, the second has not")
	}
	table.fired(key)
	if !arm() || arm() {
		t.Error("after it fired the next read has to arm")
	}
	table.fired(watchKey{"/a", true})
	if arm() {
		t.Error("the watch of the children is another one")
	}
}

func TestAWatchThatFiresWhileBeingArmedIsArmedAgain(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", true}
	if !table.begin(key) {
		t.Fatal("has to arm")
	}
	table.fired(key) // the event came between the answer and its being noted
	table.end(key, true)
	if !table.begin(key) {
		t.Error("nobody knows whether it is armed, so the next read has to arm")
	}
	table.end(key, false) // that read failed
	if !table.begin(key) {
		t.Error("a failed read has armed nothing")
	}
	table.end(key, true)
	if len(table.marks) != 1 {
		t.Errorf("%d marks", len(table.marks))
	}
	table.fired(key)
	if len(table.marks) != 0 {
		t.Error("a fired watch leaves a mark behind")
	}
}

func TestAWatchThatFiresBesideAReadThatArmsItTooIsArmedAgain(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", false}
	if !table.begin(key) || !table.begin(key) { // two reads at the same time
		t.Fatal("has to arm")
	}
	table.end(key, true)
	table.fired(key)
	if !table.begin(key) {
		t.Error("a watch that has fired counts as armed")
	}
	table.end(key, false)
	table.end(key, false) // the second read failed
	if len(table.marks) != 0 {
		t.Error("a mark is left behind")
	}
}

// ZooKeeper drops the watch of a node's children with the node, and tells of its
// deletion only.
func TestTheChildrenOfANodeThatWasDeletedAreWatchedAgain(t *testing.T) {
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
		t.Error("a new child was not heard of")
	}
}

func TestReadsNoteWhatTheyArmed(t *testing.T) {
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
		{ControllerPath, false}:          func() error { return third(s.Controller(ctx)) }, // absent
		{ReassignPartitionsPath, false}:  func() error { return second(s.PartitionReassignments(ctx)) },
		{PreferredElectionPath, false}:   func() error { return second(s.PreferredElections(ctx)) },
		{clusterIDPath + "/none", false}: func() error { return second(s.Arm(ctx, clusterIDPath+"/none")) },
	} {
		must(t, read())
		if armed(key) {
			t.Errorf("%v is armed though nobody watches it", key)
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
