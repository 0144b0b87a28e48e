package replication

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// alterPartitionPause is the pause after an error: after a top-level error the whole AlterPartition
// request is sent again, after an unexpected error of one change that change.
const alterPartitionPause = 50 * time.Millisecond

// ControllerCall sends a request to the current controller, at the highest version that both sides
// support, up to maxVersion. After an error or a call of Moved the implementation looks for the
// controller again.
type ControllerCall interface {
	Call(ctx context.Context, req kmsg.Request, maxVersion int16) (kmsg.Response, error)
	// Moved reports that the broker last asked answered NOT_CONTROLLER.
	Moved()
}

// AlterPartition is the ISRChanger that asks the controller. It has one request in flight, with all
// queued changes. Create it with NewAlterPartition and Close it when the broker stops.
type AlterPartition struct {
	brokerID    metadata.BrokerID
	brokerEpoch func() int64
	controller  ControllerCall // nil: the caller sends the requests itself; see Next
	log         *logrus.Entry

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	queue  *changeQueue
}

var _ ISRChanger = (*AlterPartition)(nil)

// NewAlterPartition returns an AlterPartition and starts its sender. If controller is nil, no
// sender runs and the caller drives the requests itself with Next, as the simulation does.
func NewAlterPartition(brokerID metadata.BrokerID, brokerEpoch func() int64, controller ControllerCall, logger *logrus.Logger) *AlterPartition {
	ctx, cancel := context.WithCancel(context.Background())
	a := &AlterPartition{brokerID: brokerID, brokerEpoch: brokerEpoch, controller: controller,
		log: kafkalog.For(logger, "kafka.server.DefaultAlterPartitionManager"),
		ctx: ctx, cancel: cancel, done: make(chan struct{}), queue: newChangeQueue()}
	if controller == nil {
		close(a.done)
	} else {
		go a.run()
	}
	return a
}

// Close stops the sender. Queued changes get no answer.
func (a *AlterPartition) Close() {
	a.cancel()
	<-a.done
}

// Submit implements ISRChanger.
func (a *AlterPartition) Submit(change ISRChange, done func(ISRAnswer)) bool {
	return a.queue.add(change, done)
}

func (a *AlterPartition) run() {
	defer close(a.done)
	for {
		next := a.Next()
		if next == nil {
			select {
			case <-a.queue.wakeup:
				continue
			case <-a.ctx.Done():
				return
			}
		}
		resp, err := a.controller.Call(a.ctx, next.Request, next.MaxVersion)
		if a.ctx.Err() != nil {
			return
		}
		again, moved := next.Answered(resp, err)
		if moved {
			a.controller.Moved()
		}
		if again {
			select {
			case <-time.After(alterPartitionPause):
			case <-a.ctx.Done():
				return
			}
		}
	}
}

// ISRRequest is a request to the controller with all queued changes.
type ISRRequest struct {
	Request    *kmsg.AlterPartitionRequest
	MaxVersion int16 // upper limit; a topic without id requires a version below 2

	a       *AlterPartition
	changes int
	resent  int // number of changes refused with an error after which they are submitted again
	names   map[TopicID]string
}

// Next returns the request to send now, or nil if no change is queued.
func (a *AlterPartition) Next() *ISRRequest {
	batch := a.queue.all()
	if len(batch) == 0 {
		return nil
	}
	r := &ISRRequest{a: a, changes: len(batch), MaxVersion: 3}
	if r.Request, r.names = a.request(batch); r.names == nil {
		r.MaxVersion = 1
	}
	return r
}

// Answered distributes the response to the changes. Changes that the controller did not answer stay
// queued. again reports that the next request must be sent after a pause, either for those changes
// or for a change that was immediately submitted again. moved reports that the broker is no longer
// the controller.
func (r *ISRRequest) Answered(resp kmsg.Response, err error) (again, moved bool) {
	answered := 0
	if err == nil {
		answered, moved, err = r.handOut(resp)
	}
	if err != nil {
		r.logFailure(err)
	}
	return err != nil || answered < r.changes || r.resent > 0, moved
}

// logFailure logs why the whole request is sent again. If the controller moved, or stopped before
// its successor is known, it logs no warning.
func (r *ISRRequest) logFailure(err error) {
	var code protocol.ErrorCode
	switch errors.As(err, &code); code {
	case protocol.None, protocol.NotController:
		r.a.log.Infof("AlterPartition request of %d partitions did not reach the controller, sending it again: %v", r.changes, err)
	case protocol.StaleBrokerEpoch:
		r.a.log.Warnf("Broker had a stale broker epoch (%d), retrying.", r.Request.BrokerEpoch)
	case protocol.ClusterAuthorizationFailed:
		r.a.log.Errorf("Broker is not authorized to send AlterPartition to controller")
	default:
		r.a.log.Warnf("Controller returned an unexpected top-level error when handling AlterPartition request: %s", code.Name())
	}
}

func (r *ISRRequest) handOut(kresp kmsg.Response) (answered int, moved bool, err error) {
	resp, ok := kresp.(*kmsg.AlterPartitionResponse)
	if !ok {
		return 0, false, errors.New("the controller's response is of another message type")
	}
	if code := protocol.ErrorCode(resp.ErrorCode); code != protocol.None {
		return 0, code == protocol.NotController, code
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		topic := t.Topic
		if resp.Version >= 2 {
			topic = r.names[t.TopidID]
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if protocol.ErrorCode(p.ErrorCode) == protocol.NotController {
				moved = true
				continue
			}
			if r.a.answer(TopicPartition{Topic: topic, Partition: p.Partition}, p) {
				answered++
				if resendsISR(protocol.ErrorCode(p.ErrorCode)) {
					r.resent++
				}
			}
		}
	}
	if moved {
		return answered, true, protocol.NotController
	}
	return answered, false, nil
}

// answer passes the response to the partition that submitted the change. It returns false if no
// change of the partition is queued.
func (a *AlterPartition) answer(id TopicPartition, p *kmsg.AlterPartitionResponseTopicPartition) bool {
	w := a.queue.remove(id)
	if w == nil {
		return false
	}
	w.done(ISRAnswer{Err: protocol.ErrorCode(p.ErrorCode), Leader: metadata.BrokerID(p.LeaderID), LeaderEpoch: metadata.LeaderEpoch(p.LeaderEpoch),
		ISR: append([]metadata.BrokerID(nil), metadata.BrokerIDs(p.ISR)...), PartitionEpoch: metadata.PartitionEpoch(p.PartitionEpoch)})
	return true
}

// request builds the request for all versions. names maps the topic ids to names; it is nil if a
// topic has no id, so the version must be below 2.
func (a *AlterPartition) request(batch []*waitingChange) (*kmsg.AlterPartitionRequest, map[TopicID]string) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.BrokerID, req.BrokerEpoch = int32(a.brokerID), a.brokerEpoch()
	names := map[TopicID]string{}
	complete := true
	topics := map[string]int{}
	for _, w := range batch {
		c := &w.change
		complete = complete && c.TopicID != (TopicID{})
		names[c.TopicID] = c.Partition.Topic
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.PartitionEpoch = c.Partition.Partition, int32(c.LeaderEpoch), int32(c.PartitionEpoch)
		p.NewISR = metadata.Int32s(c.ISR)
		for _, id := range p.NewISR {
			member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			member.BrokerID, member.BrokerEpoch = id, -1
			p.NewEpochISR = append(p.NewEpochISR, member)
		}
		at, known := topics[c.Partition.Topic]
		if !known {
			at = len(req.Topics)
			topics[c.Partition.Topic] = at
			t := kmsg.NewAlterPartitionRequestTopic()
			t.Topic, t.TopicID = c.Partition.Topic, c.TopicID
			req.Topics = append(req.Topics, t)
		}
		req.Topics[at].Partitions = append(req.Topics[at].Partitions, p)
	}
	if !complete {
		names = nil
	}
	return req, names
}
