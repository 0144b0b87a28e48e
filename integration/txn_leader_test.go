package integration

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/testkit"
)

// txnStep is one request of the sequence.
type txnStep struct {
	name    string
	request kmsg.Request
	version int16
}

// A partition leader and a group coordinator answer a sequence of transactional requests as a real
// broker does: what is appended, what read_committed consumers see, the state of the producers, and
// pending offsets. Verification is switched off, so no transaction coordinator is needed.
func TestALeaderHandlesTransactionsAsARealOneDoes(t *testing.T) {
	common := []string{"transaction.partition.verification.enable=false", "log.retention.ms=-1"}
	theirs := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "", common...)
	ours := startBroker(t, options{extra: common})
	sides := []*side{
		{name: "ours", address: ours.address(), port: int32(ours.port)},
		{name: "real", address: theirs.Address(), port: int32(theirs.Port)},
	}
	for _, s := range sides {
		s.link = link(t, s.address)
		s.prepare(t)
		awaitCoordinator(s, 0)
		awaitCoordinator(s, 1)
	}
	for _, step := range txnLife() {
		var answers [2]string
		for i, s := range sides {
			step.request.SetVersion(step.version)
			if f, ok := step.request.(*kmsg.FetchRequest); ok {
				f.Topics[0].TopicID = s.topicID
			}
			resp, err := s.link.Do(background(), step.request)
			if err != nil {
				t.Fatalf("%s, %s: %v", step.name, s.name, err)
			}
			answers[i] = withProducerIDs(t, resp)
		}
		if answers[0] != answers[1] {
			t.Errorf("%s:\n  ours: %s\n  real: %s", step.name, answers[0], answers[1])
		}
	}
}

// withProducerIDs is like comparable, but keeps the producer ids, which this test chooses.
func withProducerIDs(t *testing.T, resp kmsg.Response) string {
	t.Helper()
	raw, err := json.Marshal(resp)
	if err != nil {
		t.Fatal(err)
	}
	ids := producerIDField.FindAllString(string(raw), -1)
	slices.Sort(ids)
	return comparable(resp) + " " + fmt.Sprint(ids)
}

var producerIDField = regexp.MustCompile(`"ProducerID":-?[0-9]+`)

// txnLife returns the steps: two concurrent transactions on t1-0, of which one is aborted and one
// committed, refusals of every kind, then offsets in a transaction.
func txnLife() []txnStep {
	var steps []txnStep
	add := func(name string, version int16, req kmsg.Request) {
		steps = append(steps, txnStep{name, req, version})
	}
	look := func(when string) {
		for _, version := range []int16{4, 11, 13} {
			for _, from := range []int64{0, 3, 5} {
				for isolation := range int8(2) {
					req := fetchRequest(&side{}, "t1", 0, from, version)
					req.IsolationLevel = isolation
					add(fmt.Sprintf("fetch v%d from %d, isolation %d, %s", version, from, isolation, when), version, req)
				}
			}
		}
		for isolation := range int8(2) {
			add(fmt.Sprintf("list offsets, isolation %d, %s", isolation, when), 7, listEndRequest("t1", isolation))
		}
		req := kmsg.NewPtrDescribeProducersRequest()
		topic := kmsg.NewDescribeProducersRequestTopic()
		topic.Topic, topic.Partitions = "t1", []int32{0}
		req.Topics = append(req.Topics, topic)
		add("describe producers "+when, 0, req)
	}
	produce := func(name string, producer int64, epoch int16, sequence int32) {
		req := produceRequest("t1", 0, transactionalBatch(producer, epoch, sequence), 9)
		req.TransactionID = kmsg.StringPtr("tx")
		add(name, 9, req)
	}
	markers := func(name string, m ...kmsg.WriteTxnMarkersRequestMarker) {
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		req.Markers = m
		add(name, 1, req)
	}
	produce("first of one", 1000, 0, 0)
	produce("first of the other", 1001, 0, 0)
	produce("second of one", 1000, 0, 1)
	produce("again", 1000, 0, 1)
	produce("a gap", 1000, 0, 7)
	look("with both open")
	plain := produceRequest("t1", 0, idempotentBatch(1001, 0, 1), 9)
	add("non-transactional in an open transaction", 9, plain)
	markers("abort one", marker(1000, 0, 3, false, "t1", 0))
	look("with one aborted")
	markers("an older coordinator", marker(1001, 0, 2, true, "t1", 0))
	markers("a newer epoch of the producer", marker(1000, 2, 3, false, "t1", 0))
	produce("a fenced producer", 1000, 1, 0)
	markers("a marker of a fenced producer", marker(1000, 1, 3, true, "t1", 0))
	markers("commit the other", marker(1001, 0, 3, true, "t1", 0))
	look("with both ended")
	produce("the next transaction", 1001, 0, 1)
	markers("its abort", marker(1001, 0, 3, false, "t1", 0))
	look("at the end")

	fetchOffsets := func(when string) {
		for _, stable := range []bool{false, true} {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.RequireStable = stable
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = "txn"
			topic := kmsg.NewOffsetFetchRequestGroupTopic()
			topic.Topic, topic.Partitions = "t1", []int32{0, 1}
			g.Topics = append(g.Topics, topic)
			req.Groups = append(req.Groups, g)
			add(fmt.Sprintf("fetch offsets %s, stable %t", when, stable), 8, req)
		}
	}
	commit := func(name string, producer, offset int64, change func(*kmsg.TxnOffsetCommitRequest)) {
		req := txnCommitRequest(producer, offset)
		change(req)
		add(name, 4, req)
	}
	as := func(*kmsg.TxnOffsetCommitRequest) {}
	offsetsPartition := coordinator.HashPartition("txn", 50)
	fetchOffsets("of no group")
	commit("commit offsets in a transaction", 2000, 5, as)
	fetchOffsets("of an open transaction")
	commit("of an unknown member", 2000, 6, func(r *kmsg.TxnOffsetCommitRequest) { r.MemberID, r.Generation = "m", 1 })
	commit("of no generation", 2000, 6, func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = 7 })
	commit("of an unknown instance", 2000, 6, func(r *kmsg.TxnOffsetCommitRequest) { r.InstanceID, r.Generation = kmsg.StringPtr("i"), 0 })
	commit("long metadata", 2000, 6, func(r *kmsg.TxnOffsetCommitRequest) {
		r.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(fmt.Sprintf("%5000d", 1))
	})
	markers("commit them", marker(2000, 0, 0, true, "__consumer_offsets", offsetsPartition))
	fetchOffsets("of a committed transaction")
	commit("commit more", 2000, 9, as)
	commit("in another transaction", 2001, 8, as)
	fetchOffsets("of two open transactions")
	markers("abort one, commit the other", marker(2000, 0, 0, false, "__consumer_offsets", offsetsPartition),
		marker(2001, 0, 0, true, "__consumer_offsets", offsetsPartition))
	fetchOffsets("at the end")
	commit("of a group to be deleted", 2002, 10, as)
	deletion := kmsg.NewPtrDeleteGroupsRequest()
	deletion.Groups = []string{"txn"}
	add("delete the group", 2, deletion)
	markers("commit the deleted offsets", marker(2002, 0, 0, true, "__consumer_offsets", offsetsPartition))
	fetchOffsets("of a deleted group")
	return steps
}
