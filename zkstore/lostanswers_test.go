package zkstore

import (
	"errors"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
)

func TestPitfallController02_TheResultBehindALostAnswerIsReadFromTheNodes(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	tp := TopicPartition{Topic: "t"}
	state := PartitionState{ControllerEpoch: 1, Leader: 1, ISR: []metadata.BrokerID{1}}
	var epoch ControllerEpochNode
	for _, c := range []struct {
		name string
		op   int32
		run  func() error
	}{
		{"election", testkit.ZooKeeperMulti, func() (err error) {
			epoch, err = s.Elect(ctx, 1)
			if err == nil && epoch.Epoch != 1 {
				t.Errorf("epoch %+v", epoch)
			}
			return err
		}},
		{"registration", testkit.ZooKeeperMulti, func() error { return second(s.RegisterBroker(ctx, plaintext(1))) }},
		{"create", testkit.ZooKeeperCreate, func() error {
			return s.CreateTopic(ctx, TopicNode{Name: "t", Partitions: map[int32]Assignment{0: {Replicas: []metadata.BrokerID{1}}}})
		}},
		{"fenced creates", testkit.ZooKeeperMulti, func() error {
			failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: state})
			return errors.Join(err, failed[tp])
		}},
		{"fenced set", testkit.ZooKeeperMulti, func() error {
			written, failed, err := s.SetPartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: state})
			if written[tp] != 1 {
				t.Errorf("version %d", written[tp])
			}
			return errors.Join(err, failed[tp])
		}},
		{"conditional set", testkit.ZooKeeperSetData, func() error { return second(s.AllocateProducerIDBlock(ctx, 1)) }},
		{"fenced delete", testkit.ZooKeeperMulti, func() error { return s.DeleteTopic(ctx, epoch.Fence(), "t") }},
		{"delete", testkit.ZooKeeperDelete, func() error { return s.nodes.Remove(ctx, ISRChangesPath) }},
	} {
		before := p.AnswersLost()
		p.LoseNext(c.op)
		if err := c.run(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if p.AnswersLost() != before+1 {
			t.Errorf("%s: no answer was lost", c.name)
		}
	}
	if n, err := straight.nodes.ReadUnwatched(ctx, ControllerEpochPath); err != nil || string(n.Data) != "1" {
		t.Errorf("controller epoch %q, %v: elected twice?", n.Data, err)
	}
	if b, err := s.AllocateProducerIDBlock(ctx, 1); err != nil || b.Start != 1000 {
		t.Errorf("next block %+v, %v: the allocation with the lost answer should have got the first block", b, err)
	}
}

func TestAConflictAfterALostAnswerStaysAConflict(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	one, two := TopicPartition{Topic: "t"}, TopicPartition{Topic: "t", Partition: 1}
	states := map[TopicPartition]PartitionState{one: {ISR: []metadata.BrokerID{1}}, two: {ISR: []metadata.BrokerID{1}}}
	must(t, straight.CreateTopic(ctx, TopicNode{Name: "t"}))
	failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), states)
	if err != nil || len(failed) > 0 {
		t.Fatalf("%v, %v", failed, err)
	}
	_, err = straight.nodes.Set(ctx, PartitionStatePath(two), []byte("{}"), 0)
	must(t, err)
	p.LoseNext(testkit.ZooKeeperMulti)
	written, failed, err := s.SetPartitionStates(ctx, epoch.Fence(), states)
	if err != nil || written[one] != 1 || !errors.Is(failed[two], ErrBadVersion) || len(failed) != 1 {
		t.Errorf("written %v, failed %v, %v", written, failed, err)
	}
	p.LoseNext(testkit.ZooKeeperMulti)
	if _, err := s.Elect(ctx, 2); !errors.Is(err, ErrControllerMoved) {
		t.Errorf("election after an earlier one of the same session with another id: %v", err)
	}
}
