package zkstore

import (
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// If an operator removes the mark in the last moment of a topic's deletion, the topic's node is
// still deleted. Otherwise it would be treated as a new, empty topic.
func TestATopicWhoseDeletionMarkIsRemovedByHandIsDeleted(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	if err := s.CreateStartupPaths(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.nodes.EnsurePath(ctx, TopicPath("t")+"/partitions/0"); err != nil {
		t.Fatal(err)
	}
	// The mark does not exist.
	if err := s.nodes.removeTree(ctx, NoFence(), TopicPath("t"), topicDeletionPath("t")); err != nil {
		t.Fatal(err)
	}
	if exists, err := s.nodes.Exists(ctx, TopicPath("t")); exists || err != nil {
		t.Errorf("the topic's node exists: %v, %v", exists, err)
	}
}

// If an operator removes a topic's node in the last moment of its deletion, the mark is still
// deleted. Otherwise it would delete the next topic with the same name.
func TestADeletionMarkIsDeletedWithATopicThatIsRemovedByHand(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	must(t, s.CreateStartupPaths(ctx))
	must(t, s.CreateTopicDeletion(ctx, "t"))
	must(t, s.nodes.removeTogether(ctx, NoFence(), []string{TopicPath("t"), topicDeletionPath("t")}))
	if marked, err := s.TopicMarkedForDeletion(ctx, "t"); marked || err != nil {
		t.Errorf("marked for deletion: %v, %v", marked, err)
	}
}

// Without /controller_epoch, fenced deletions fail and delete nothing.
func TestNothingIsDeletedWhileTheControllerEpochIsMissing(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	must(t, s.CreateTopic(ctx, TopicNode{Name: "t"}))
	must(t, s.CreateTopicDeletion(ctx, "t"))
	must(t, s.nodes.Remove(ctx, ControllerEpochPath))
	marked, fence := topicDeletionPath("t"), epoch.Fence()
	for what, deletion := range map[string]struct {
		path string
		err  error
	}{
		"of one node":               {ControllerPath, s.DeleteController(ctx, fence)},
		"of several nodes":          {marked, s.RemoveTopicDeletions(ctx, fence, []string{"t"})},
		"of a tree":                 {TopicPath("t"), s.nodes.removeTree(ctx, fence, TopicPath("t"))},
		"of a topic and its mark":   {marked, s.nodes.removeTogether(ctx, fence, []string{TopicPath("t"), marked})},
		"of a topic with all nodes": {TopicPath("t"), s.DeleteTopic(ctx, fence, "t")},
	} {
		exists, err := s.nodes.Exists(ctx, deletion.path)
		must(t, err)
		if deletion.err == nil || errors.Is(deletion.err, ErrNoNode) || !exists {
			t.Errorf("deletion %s: %v; %s exists: %t", what, deletion.err, deletion.path, exists)
		}
	}
}

// refusing fails transactions that set path as a whole, and accepts all others.
type refusing struct {
	zkclient.Conn
	path string
	err  error
	done int // number of accepted operations
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

// If one of several transactions fails as a whole, the states of the others are written and
// reported as written.
func TestStatesOfOtherTransactionsAreWrittenIfOneFails(t *testing.T) {
	const partitions = 2*batchOps + 10
	states := map[TopicPartition]PartitionState{}
	for i := range int32(partitions) {
		states[TopicPartition{Topic: "t", Partition: i}] = PartitionState{Leader: 1, ISR: []metadata.BrokerID{1}, Version: 4}
	}
	first := TopicPartition{Topic: "t", Partition: 0}
	conn := &refusing{path: PartitionStatePath(first), err: zk.ErrAuthFailed}
	d, ctx := begun(t, conn)
	written, failed, err := d.SetPartitionStates(ctx, NoFence(), states)
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != partitions-batchOps || conn.done != len(written) || len(failed) != batchOps || failed[first] == nil {
		t.Errorf("%d states reported as written, %d actually written, %d reported as failed; want the states of one transaction to fail", len(written), conn.done, len(failed))
	}
	for _, err := range failed {
		if !errors.Is(err, zk.ErrAuthFailed) {
			t.Fatal(err)
		}
	}
}
