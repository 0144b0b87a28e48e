package controller

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
)

// The answer of a broker is an event of the term in which the request was sent. Answers to stops
// without a deletion do not matter.
func TestAnswersOfBrokersBecomeEventsOfTheirTerm(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0, 1))
	at := tp("t", 0)
	p.dispatcher.send(newBatch(p.c))
	if sent := p.take(); sent != "" {
		t.Errorf("an empty batch sent %s", sent)
	}
	b := newBatch(p.c)
	b.addLeaderAndISR([]metadata.BrokerID{0}, at, *p.c.leadership(at), false)
	b.addStopReplica([]metadata.BrokerID{0}, at, false)
	b.addStopReplica([]metadata.BrokerID{1}, at, true)
	p.dispatcher.send(b)
	if got, want := p.requests(), "LeaderAndIsr 0, UpdateMetadata 0, UpdateMetadata 1, StopReplica 0, StopReplica 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	p.c.epoch = 2 // the answers arrive in a later term
	for _, id := range []metadata.BrokerID{0, 1} {
		for _, sent := range p.queues[id] {
			_, stop := sent.req.(*kmsg.StopReplicaRequest)
			if matters := !stop || id == 1; matters != (sent.answered != nil) {
				t.Errorf("broker %d, %T: the answer is awaited: %t", id, sent.req, !matters)
			} else if matters {
				sent.answered(p.respond(id, sent.req))
			}
		}
	}
	if len(p.events) != 4 {
		t.Fatalf("events %v", p.events)
	}
	for _, e := range p.events {
		var epoch metadata.ControllerEpoch
		switch e := e.(type) {
		case leaderAndISRAnswered:
			epoch = e.epoch
		case updateMetadataAnswered:
			epoch = e.epoch
		case stopReplicaAnswered:
			if epoch = e.epoch; e.broker != 1 || len(e.remove) != 1 || !e.remove[at] {
				t.Errorf("deleted replicas of broker %d: %v", e.broker, e.remove)
			}
		}
		if epoch != 1 {
			t.Errorf("%s belongs to epoch %d, want 1", e, epoch)
		}
	}
}
