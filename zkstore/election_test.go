package zkstore

import (
	"errors"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
)

// raceElection runs an election of broker 1 and calls meanwhile after the election has read the
// epoch and before it writes.
func raceElection(t *testing.T, meanwhile func(other *Store)) (won ControllerEpochNode, err error) {
	t.Helper()
	ctx, connect := background(t), testkit.ZooKeeper(t)
	other := openStore(t, connect)
	must(t, other.CreateStartupPaths(ctx))
	raced := false
	s := openStore(t, connect, func(c *Config) {
		c.Now = func() time.Time {
			if !raced {
				raced = true
				meanwhile(other)
			}
			return time.Now()
		}
	})
	won, err = s.Elect(ctx, 1)
	if !raced {
		t.Fatal("meanwhile was not called")
	}
	return won, err
}

func TestAnElectionThatMissedAWholeTermIsLost(t *testing.T) {
	ctx := background(t)
	won, err := raceElection(t, func(other *Store) {
		epoch, err := other.Elect(ctx, 2)
		must(t, err)
		must(t, other.DeleteController(ctx, epoch.Fence()))
	})
	if !errors.Is(err, ErrControllerMoved) {
		t.Errorf("elected with epoch %+v of another term, %v", won, err)
	}
}

func TestANodeOfAnotherSessionOfTheSameBrokerDoesNotWinTheElection(t *testing.T) {
	ctx := background(t)
	won, err := raceElection(t, func(other *Store) {
		_, err := other.Elect(ctx, 1)
		must(t, err)
	})
	if !errors.Is(err, ErrControllerMoved) {
		t.Errorf("elected %+v, %v", won, err)
	}
}

func TestAControllerCannotBeElectedAgain(t *testing.T) {
	ctx := background(t)
	s := openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	must(t, second(s.Elect(ctx, 1)))
	if won, err := s.Elect(ctx, 1); !errors.Is(err, ErrControllerMoved) {
		t.Errorf("elected again with %+v, %v", won, err)
	}
}

// The first attempt, whose answer is lost, fails because the node belongs to another writer.
func TestANodeOfAnotherWriterIsNotMistakenForOursAfterALostAnswer(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	must(t, straight.CreateTopic(ctx, TopicNode{Name: "t"}))
	tp := TopicPartition{Topic: "t"}
	theirs, ours := PartitionState{Leader: 2, ISR: []metadata.BrokerID{2}}, PartitionState{Leader: 1, ISR: []metadata.BrokerID{1}}
	failed, err := straight.CreatePartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: theirs})
	if err != nil || len(failed) > 0 {
		t.Fatalf("%v, %v", failed, err)
	}
	p.LoseNext(testkit.ZooKeeperMulti)
	failed, err = s.CreatePartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: ours})
	if err != nil || !errors.Is(failed[tp], ErrNodeExists) {
		t.Errorf("created over the state of another writer: failed %v, %v", failed, err)
	}
	// Equal data with a later version was not written by this store either.
	for version := range Version(3) {
		ours.Version = version
		if _, failed, err := straight.SetPartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: ours}); err != nil || len(failed) > 0 {
			t.Fatalf("%v, %v", failed, err)
		}
	}
	ours.Version = 0
	p.LoseNext(testkit.ZooKeeperMulti)
	written, failed, err := s.SetPartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: ours})
	if err != nil || !errors.Is(failed[tp], ErrBadVersion) {
		t.Errorf("written %v over a newer version: failed %v, %v", written, failed, err)
	}
	if p.AnswersLost() != 2 {
		t.Errorf("%d answers were lost", p.AnswersLost())
	}
}
