package transaction

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// posted is a request that a coordinator has posted.
type posted struct {
	address  string
	req      *kmsg.WriteTxnMarkersRequest
	answered func(kmsg.Response, error)
}

func TestACoordinatorIsDrivenInSteps(t *testing.T) {
	now := time.Unix(1000, 0)
	var works []func() bool
	var sent []posted
	f := &fakeCluster{t: t, topic: topictest.New(), cache: metadata.NewCache()}
	f.announce(func(int32) int32 { return 2 }, 1, 2)
	c := NewCoordinator(Config{Options: testOptions(), Topic: f.topic, Metadata: f.cache, Logger: kafkalog.Discard(),
		NextProducerID: func(context.Context) (int64, error) { return 1001, nil },
		Steps: &Steps{
			Now:   func() time.Time { return now },
			Drive: func(step func() bool) { works = append(works, step) },
			Post: func(address string, req kmsg.Request, answered func(kmsg.Response, error)) {
				sent = append(sent, posted{address, req.(*kmsg.WriteTxnMarkersRequest), answered})
			},
		}})
	step := func() {
		due := works
		works = nil
		for _, step := range due {
			if step() {
				works = append(works, step)
			}
		}
	}
	c.Start()
	c.BecameLeader(TopicPartition{Topic: metadata.TransactionStateTopic}, 1)
	to := make(chan Result, 1)
	expect := func(what string, want protocol.ErrorCode) Result {
		t.Helper()
		step()
		r := <-to
		if r.Code != want {
			t.Fatalf("%s: %s", what, r.Code.Name())
		}
		return r
	}
	c.BeginInitProducerID("x", 1000, nil, to)
	expect("InitProducerId while loading", protocol.CoordinatorLoadInProgress)
	c.BeginInitProducerID("x", 1000, nil, to)
	r := expect("InitProducerId", protocol.None)
	p := ProducerIDAndEpoch{r.ProducerID, r.Epoch}
	begin := func() {
		t.Helper()
		c.BeginAddPartitions("x", p, []TopicPartition{{Topic: "t"}}, to)
		expect("AddPartitionsToTxn", protocol.None)
	}
	begin()
	c.BeginEndTxn("x", p, true, to)
	expect("EndTxn", protocol.None)
	step()
	if len(sent) != 1 || sent[0].address != address(2) {
		t.Fatalf("sent: %v", sent)
	}
	// Markers are sent again after a pause.
	sent[0].answered(nil, errors.New("no answer"))
	step()
	now = now.Add(retryPause)
	step()
	step()
	if len(sent) != 2 {
		t.Fatalf("%d requests were sent, not 2", len(sent))
	}
	sent[1].answered(markersAnswer(sent[1].req), nil)
	state := func() string {
		d, code := c.Describe("x")
		return fmt.Sprint(d.State, " ", code.Name())
	}
	if got := state(); got != "CompleteCommit NONE" {
		t.Errorf("the state is %s", got)
	}
	begin()
	now = now.Add(testOptions().AbortInterval)
	step()
	if got := state(); got != "PrepareAbort NONE" {
		t.Errorf("after the timeout the state is %s", got)
	}
}

// markersAnswer returns the answer to a request all of whose markers were written.
func markersAnswer(req *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	for _, m := range req.Markers {
		a := kmsg.WriteTxnMarkersResponseMarker{ProducerID: m.ProducerID}
		for _, t := range m.Topics {
			topic := kmsg.WriteTxnMarkersResponseMarkerTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: p})
			}
			a.Topics = append(a.Topics, topic)
		}
		resp.Markers = append(resp.Markers, a)
	}
	return resp
}
