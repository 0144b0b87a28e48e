package controller

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
)

// dispatcher sends the requests of batches. It passes them to the queues of the brokers, logs them,
// and turns the answers into events.
type dispatcher struct {
	c        *controllerContext
	requests requestBuilder
	peers    Peers
	agenda   Agenda
	changes  *kafkalog.Prefixed
}

// send flushes a batch: it appends the requests to the brokers' queues.
func (d *dispatcher) send(b *batch) {
	if b.empty() {
		return
	}
	out := d.requests.requests(b)
	d.logRequests(b, out)
	epoch := d.c.epoch
	for _, o := range out {
		d.peers.Send(o.broker, o.req, d.answered(epoch, o))
	}
}

// answered returns a callback that turns the response into an event, or nil if the response to this
// request does not matter.
func (d *dispatcher) answered(epoch metadata.ControllerEpoch, o outgoing) func(kmsg.Response) {
	if _, ok := o.req.(*kmsg.StopReplicaRequest); ok && len(o.remove) == 0 {
		return nil
	}
	return func(resp kmsg.Response) {
		switch resp := resp.(type) {
		case *kmsg.LeaderAndISRResponse:
			d.agenda.Put(leaderAndISRAnswered{epoch, o.broker, resp})
		case *kmsg.UpdateMetadataResponse:
			d.agenda.Put(updateMetadataAnswered{epoch, o.broker, resp})
		case *kmsg.StopReplicaResponse:
			d.agenda.Put(stopReplicaAnswered{epoch, o.broker, o.remove, resp})
		}
	}
}

// updateMetadata sends the live brokers and the state of the partitions to brokers.
func (d *dispatcher) updateMetadata(brokers []metadata.BrokerID, tps ...TopicPartition) {
	b := newBatch(d.c)
	b.addUpdateMetadata(brokers, tps...)
	d.send(b)
}

func (d *dispatcher) logRequests(b *batch, out []outgoing) {
	traced := d.changes.Traced()
	updateLogged := false
	for _, o := range out {
		switch req := o.req.(type) {
		case *kmsg.LeaderAndISRRequest:
			leaders := 0
			for _, tp := range sortedPartitions(b.leaderAndISR[o.broker]) {
				kind, e := "become-follower", b.leaderAndISR[o.broker][tp]
				if e.state.Leader == o.broker {
					kind = "become-leader"
					leaders++
				}
				if traced {
					d.changes.Tracef("Sending %s LeaderAndIsr request %s to broker %d for partition %s", kind, e.text(tp), o.broker, tp)
				}
			}
			d.changes.Infof("Sending LeaderAndIsr request to broker %d with %d become-leader and %d become-follower partitions",
				o.broker, leaders, len(b.leaderAndISR[o.broker])-leaders)
		case *kmsg.UpdateMetadataRequest:
			if !updateLogged {
				d.changes.Infof("Sending UpdateMetadata request to brokers %s for %d partitions", javatext.MutableSet(b.updateRecipients(), javatext.IntHash), countPartitions(req))
			}
			updateLogged = true
		case *kmsg.StopReplicaRequest:
			d.logStopReplica(o, req, traced)
		}
	}
}

func (d *dispatcher) logStopReplica(o outgoing, req *kmsg.StopReplicaRequest, traced bool) {
	count := 0
	for _, t := range req.Topics {
		count += len(t.Partitions)
		for _, s := range t.PartitionStates {
			if traced {
				d.changes.Tracef("Sending StopReplica request StopReplicaPartitionState(partitionIndex=%d, leaderEpoch=%d, deletePartition=%t) to broker %d for partition %s-%d",
					s.Partition, s.LeaderEpoch, s.Delete, o.broker, t.Topic, s.Partition)
			}
		}
	}
	kind := ""
	if req.Version < 3 {
		kind = fmt.Sprintf("(delete = %t) ", req.DeletePartitions)
	}
	d.changes.Infof("Sending StopReplica request %sfor %d replicas to broker %d", kind, count, o.broker)
}

func (e leaderAndISREntry) text(tp TopicPartition) string {
	recovery := 0
	if e.state.Recovering {
		recovery = 1
	}
	return fmt.Sprintf("LeaderAndIsrPartitionState(topicName='%s', partitionIndex=%d, controllerEpoch=%d, leader=%d, leaderEpoch=%d, isr=%s, partitionEpoch=%d, replicas=%s, addingReplicas=%s, removingReplicas=%s, isNew=%t, leaderRecoveryState=%d)",
		tp.Topic, tp.Partition, e.state.ControllerEpoch, e.state.Leader, e.state.LeaderEpoch, javatext.List(e.state.ISR), e.state.Version,
		javatext.List(e.assignment.Replicas), javatext.List(e.assignment.Adding), javatext.List(e.assignment.Removing), e.isNew, recovery)
}

func countPartitions(req *kmsg.UpdateMetadataRequest) int {
	n := len(req.PartitionStates)
	for _, t := range req.TopicStates {
		n += len(t.PartitionStates)
	}
	return n
}
