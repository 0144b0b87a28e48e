package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// isrStoreStub plays ZooKeeper: it gives the answers of the test and records the calls with their
// times.
type isrStoreStub struct {
	began   time.Time
	answers []error // of the next writes; success after that
	notes   []string
}

func (s *isrStoreStub) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf("%.1fs ", time.Since(s.began).Seconds())+fmt.Sprintf(format, args...))
}

func (s *isrStoreStub) WriteISR(_ context.Context, c ISRChange) (metadata.PartitionEpoch, error) {
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	s.note("write %s isr %v controller %d leader epoch %d at version %d", c.Partition, c.ISR, c.ControllerEpoch, c.LeaderEpoch, c.PartitionEpoch)
	return c.PartitionEpoch + 1, err
}

func (s *isrStoreStub) NotifyISRChange(_ context.Context, partitions []TopicPartition) error {
	names := make([]string, len(partitions))
	for i, id := range partitions {
		names[i] = id.String()
	}
	slices.Sort(names)
	s.note("notify %v", names)
	return nil
}

// A leader with an old protocol version writes its in-sync set to ZooKeeper itself, based on the
// version it knows. It repeats the write while ZooKeeper does not answer. It notifies the
// controller when there was no change for five seconds, or once a minute.
func TestInSyncSetsAreWrittenToZooKeeperBeforeAlterPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &isrStoreStub{began: time.Now()}
		z := NewZooKeeperISR(1, s, kafkalog.Discard())
		var answers []ISRAnswer
		submit := func(partition int32) {
			t.Helper()
			c := ISRChange{Partition: TopicPartition{Topic: "t", Partition: partition}, ControllerEpoch: 3, LeaderEpoch: 5, PartitionEpoch: 7, ISR: []metadata.BrokerID{1, 2}}
			if !z.Submit(c, func(a ISRAnswer) { answers = append(answers, a) }) {
				t.Errorf("the change of partition %d is refused", partition)
			}
			synctest.Wait()
		}
		submit(0)
		if want := (ISRAnswer{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 2}, PartitionEpoch: 8}); len(answers) != 1 || fmt.Sprint(answers[0]) != fmt.Sprint(want) {
			t.Errorf("answers %+v", answers)
		}
		s.answers = []error{protocol.InvalidUpdateVersion}
		submit(1)
		if len(answers) != 2 || answers[1].Err != protocol.InvalidUpdateVersion {
			t.Errorf("a state of another version: %+v", answers)
		}
		s.answers = []error{errors.New("session expired"), errors.New("connection lost")}
		submit(2)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(answers) != 3 || answers[2].PartitionEpoch != 8 {
			t.Errorf("after ZooKeeper came back: %+v", answers)
		}
		time.Sleep(11 * time.Second)
		for range 35 { // without a pause of more than five seconds
			submit(3)
			time.Sleep(2 * time.Second)
		}
		z.Close()
		var got []string
		for _, n := range s.notes {
			if !strings.Contains(n, "t-3 isr") {
				got = append(got, n)
			}
		}
		want := []string{
			"0.0s write t-0 isr [1 2] controller 3 leader epoch 5 at version 7",
			"0.0s write t-1 isr [1 2] controller 3 leader epoch 5 at version 7",
			"0.0s write t-2 isr [1 2] controller 3 leader epoch 5 at version 7",
			"0.1s write t-2 isr [1 2] controller 3 leader epoch 5 at version 7",
			"0.2s write t-2 isr [1 2] controller 3 leader epoch 5 at version 7",
			"7.5s notify [t-0 t-2]",
			"70.0s notify [t-3]",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
