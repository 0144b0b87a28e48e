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
