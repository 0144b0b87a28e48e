package zkstore

import (
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
)

// A mark that somebody removes by hand in the last moment of a topic's deletion
// does not keep the topic's node, which would be taken for a new and empty topic.
func TestATopicWhoseDeletionMarkIsRemovedByHandIsDeleted(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	if err := s.CreateStartupPaths(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.ensurePath(ctx, TopicPath("t")+"/partitions/0"); err != nil {
		t.Fatal(err)
	}
	// The mark existed a moment ago; it does not any more.
	if err := s.removeTree(ctx, NoFence(), TopicPath("t"), topicDeletionPath("t")); err != nil {
		t.Fatal(err)
	}
	if exists, err := s.exists(ctx, TopicPath("t")); exists || err != nil {
		t.Errorf("the topic's node exists: %v, %v", exists, err)
	}
}

// A topic whose node is removed by hand in the last moment of its deletion leaves
// no mark behind, which would delete the next topic of the name.
func TestADeletionMarkGoesWithATopicThatIsRemovedByHand(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	must(t, s.CreateStartupPaths(ctx))
	must(t, s.CreateTopicDeletion(ctx, "t"))
	must(t, s.removeTogether(ctx, NoFence(), []string{TopicPath("t"), topicDeletionPath("t")}))
	if marked, err := s.TopicMarkedForDeletion(ctx, "t"); marked || err != nil {
		t.Errorf("marked for deletion: %v, %v", marked, err)
	}
}

// Without /controller_epoch no fenced deletion is done, and none counts as done.
func TestNothingIsDeletedWhileTheControllerEpochIsMissing(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	must(t, s.CreateTopic(ctx, TopicNode{Name: "t"}))
	must(t, s.CreateTopicDeletion(ctx, "t"))
	must(t, s.remove(ctx, ControllerEpochPath))
	marked, fence := topicDeletionPath("t"), epoch.Fence()
	for what, deletion := range map[string]struct {
		path string
		err  error
	}{
		"of one node":                {ControllerPath, s.DeleteController(ctx, fence)},
		"of several nodes":           {marked, s.RemoveTopicDeletions(ctx, fence, []string{"t"})},
		"of a tree":                  {TopicPath("t"), s.removeTree(ctx, fence, TopicPath("t"))},
		"of a topic and its mark":    {marked, s.removeTogether(ctx, fence, []string{TopicPath("t"), marked})},
		"of a topic with all it has": {TopicPath("t"), s.DeleteTopic(ctx, fence, "t")},
	} {
		exists, err := s.exists(ctx, deletion.path)
		must(t, err)
		if deletion.err == nil || errors.Is(deletion.err, ErrNoNode) || !exists {
			t.Errorf("deletion %s: %v; %s exists: %t", what, deletion.err, deletion.path, exists)
		}
	}
}

// refusing answers transactions that touch a path with an error of the whole,
// and does all others.
type refusing struct {
	Conn
	path string
	err  error
	done int // operations
}

func (r *refusing) Multi(ops ...any) ([]zk.MultiResponse, error) {
	for _, op := range ops {
		if set, ok := op.(*zk.SetDataRequest); ok && set.Path == r.path {
			return nil, r.err
		}
	}
	r.done += len(ops)
	results := make([]zk.MultiResponse, len(ops))
	for i := range results {
		results[i].Stat = &zk.Stat{Version: 5}
	}
	return results, nil
}

func (*refusing) SessionID() int64 { return 1 }
func (*refusing) Close()           {}

// Of partition states in several transactions those are reported as written
// that are, also where another transaction fails as a whole.
func TestStatesOfOtherTransactionsAreWrittenWhereOneFails(t *testing.T) {
	const partitions = 2*batchOps + 10
	d := NewDriven(Config{Logger: kafkalog.Discard()})
	states := map[TopicPartition]PartitionState{}
	for i := range int32(partitions) {
		states[TopicPartition{Topic: "t", Partition: i}] = PartitionState{Leader: 1, ISR: []int32{1}, Version: 4}
	}
	first := TopicPartition{Topic: "t", Partition: 0}
	conn := &refusing{path: PartitionStatePath(first), err: zk.ErrAuthFailed}
	d.Begin(conn)
	ctx := d.BindSession(t.Context())
	written, failed, err := d.SetPartitionStates(ctx, NoFence(), states)
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != partitions-batchOps || conn.done != len(written) || len(failed) != batchOps || failed[first] == nil {
		t.Errorf("%d states are reported as written, %d are, %d as failed; want those of one transaction to fail", len(written), conn.done, len(failed))
	}
	for _, err := range failed {
		if !errors.Is(err, zk.ErrAuthFailed) {
			t.Fatal(err)
		}
	}
}
