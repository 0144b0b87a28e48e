package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
)

// A broker finds a corrupt record in each partition of __transaction_state. Ours skips it and loads
// all others. A real one ignores the rest of the partition, so it works with outdated states. The table
// of internal/topictest contains the outcomes of both.
func TestCorruptRecordsOfTransactionsAreLoadedAsRecorded(t *testing.T) {
	kinds := []string{"ours"}
	if testkit.FullMatrices() {
		kinds = append(kinds, "3.9.1")
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { loadCorruptRecords(t, kind) })
	}
}

func loadCorruptRecords(t *testing.T, kind string) {
	rows := topictest.CorruptRecords(t)
	c := newCluster(t, []string{"transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "log.cleaner.enable=false",
		fmt.Sprintf("transaction.state.log.num.partitions=%d", len(rows))}, kind)
	m := c.members[0]
	segment := func(partition int) string {
		return filepath.Join(m.dir, fmt.Sprintf("__transaction_state-%d", partition), "00000000000000000000.log")
	}
	awaitCoordinator(&side{link: link(t, m.address())}, 1)
	testkit.Eventually(t, time.Minute, "all partitions of __transaction_state", func() bool {
		for i := range rows {
			if _, err := os.Stat(segment(i)); err != nil {
				return false
			}
		}
		return true
	})
	m.stop()
	id := func(name string, partition int) string {
		return idInPartition(name, int32(partition), int32(len(rows)))
	}
	for i, r := range rows {
		if err := os.WriteFile(segment(i), r.TransactionLog(t, id("before", i), id("x", i), id("after", i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.restart(m)
	l := link(t, m.address())
	for i, r := range rows {
		var states []string
		for _, name := range []string{"before", "x", "after"} {
			states = append(states, describedState(t, l, id(name, i)))
		}
		got, want := strings.Join(append(states, initCode(t, l, id("x", i))), ", "), r.Kafka
		if kind == "ours" {
			want = r.Ours
		}
		if got != want {
			t.Errorf("%s: %s, want %s", r.Name, got, want)
		}
	}
}

// idInPartition returns a transactional id that begins with name and belongs to the partition.
func idInPartition(name string, partition, partitions int32) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("%s-%d", name, i); coordinator.HashPartition(id, partitions) == partition {
			return id
		}
	}
}

// describedState waits until the partition of a transactional id is loaded, and returns its state, or
// the name of the code.
func describedState(t *testing.T, l *peerlink.Link, id string) (state string) {
	t.Helper()
	testkit.Eventually(t, time.Minute, "the partition of "+id+" to be loaded", func() bool {
		state = stateNow(t, l, id)
		return state != protocol.CoordinatorLoadInProgress.Name() && state != protocol.NotCoordinator.Name()
	})
	return state
}

// stateNow returns the state of a transactional id, or the name of the code.
func stateNow(t *testing.T, l *peerlink.Link, id string) string {
	t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	resp, err := l.Do(background(), req)
	if err != nil {
		t.Fatal(err)
	}
	s := resp.(*kmsg.DescribeTransactionsResponse).TransactionStates[0]
	if s.ErrorCode != 0 {
		return protocol.ErrorCode(s.ErrorCode).Name()
	}
	return s.State
}

// initCode returns the name of the code that InitProducerId gets.
func initCode(t *testing.T, l *peerlink.Link, id string) (name string) {
	t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 4, kmsg.StringPtr(id), 60000
	testkit.Eventually(t, 30*time.Second, "an answer to InitProducerId for "+id, func() bool {
		resp, err := l.Do(background(), req)
		if err != nil {
			t.Fatal(err)
		}
		name = protocol.ErrorCode(resp.(*kmsg.InitProducerIDResponse).ErrorCode).Name()
		return name != protocol.CoordinatorLoadInProgress.Name()
	})
	return name
}
