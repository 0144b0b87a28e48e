package simulation

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// Operators reassign replicas, cancel reassignments and shut brokers down cleanly while faults
// happen.

// assignment is the part of the topic's node that concerns one partition.
type assignment struct{ replicas, adding, removing []metadata.BrokerID }

// whole reports whether all brokers have a replica and no reassignment is in progress.
func (a assignment) whole() bool {
	return len(a.replicas) == brokerCount && len(a.adding)+len(a.removing) == 0
}

// assigned records what a topic's node contains after a write. places are the simulation's numbers
// of the topic's partitions (see tp).
func (c *checker) assigned(data []byte, places []int32) {
	var node struct {
		Partitions map[int32][]metadata.BrokerID `json:"partitions"`
		Adding     map[int32][]metadata.BrokerID `json:"adding_replicas"`
		Removing   map[int32][]metadata.BrokerID `json:"removing_replicas"`
	}
	if err := json.Unmarshal(data, &node); err != nil || len(node.Partitions) != len(places) {
		c.w.fail("the topic's node is written as %q: %v", data, err)
		return
	}
	c.w.say("the topic's node is written: %s", data)
	for _, p := range places {
		index := tp(p).Partition
		a := assignment{node.Partitions[index], node.Adding[index], node.Removing[index]}
		c.assignments[p] = a
		for _, id := range append(slices.Clone(a.adding), a.removing...) {
			if !slices.Contains(a.replicas, id) {
				c.w.fail("partition %d adds %v and removes %v, but has the replicas %v", p, a.adding, a.removing, a.replicas)
			}
		}
	}
}

// move reassigns a partition to other brokers, always enough of them for acks=all, or cancels its
// reassignment.
func (w *world) move() {
	lasting := w.lasting()
	p := lasting[w.random.Int32N(int32(len(lasting)))]
	if w.chance(4) {
		w.reassign(p, nil)
		return
	}
	var replicas []metadata.BrokerID
	for _, id := range w.random.Perm(brokerCount)[:brokerCount-w.random.IntN(2)] {
		replicas = append(replicas, metadata.BrokerID(id))
	}
	w.reassign(p, replicas)
}

// lasting returns the places of the partitions whose topics are never deleted.
func (w *world) lasting() []int32 {
	return slices.DeleteFunc(slices.Clone(w.places), func(p int32) bool { return p == brief })
}

// reassign sends a reassignment to every broker that considers itself the controller. If replicas
// is nil, it cancels the reassignment.
func (w *world) reassign(p int32, replicas []metadata.BrokerID) {
	for _, b := range w.brokers {
		if !b.alive || !b.control.m.Active() {
			continue
		}
		w.say("partition %d shall be on %v", p, replicas)
		b.after(0, func() {
			targets := map[replication.TopicPartition][]metadata.BrokerID{tp(p): replicas}
			controller.Requests{Agenda: b.control}.AlterPartitionReassignments(targets, func(results map[replication.TopicPartition]error, err error) {
				w.say("broker %d answers the reassignment: %v, %v", b.id, results[tp(p)], err)
			})
		})
	}
}

// makeWhole reassigns partitions to all brokers after the faults have ended.
func (w *world) makeWhole() {
	for _, p := range w.lasting() {
		if a := w.check.assignments[p]; !a.whole() && (len(a.removing) > 0 || len(a.adding) == 0) {
			first := metadata.BrokerID(p)
			w.reassign(p, []metadata.BrokerID{first % brokerCount, (first + 1) % brokerCount, (first + 2) % brokerCount})
		}
	}
	w.after(time.Second, w.makeWhole)
}

const shutdownTries = 3

// leave asks the controller to move the broker's leaderships and then stops the broker. After the
// given number of unsuccessful tries it stops the broker anyway.
func (b *broker) leave(tries int) {
	if tries == 0 {
		b.stop()
		return
	}
	req := kmsg.NewPtrControlledShutdownRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, int32(b.id), b.registered
	b.w.send(b, b.cache.Snapshot().ControllerID, req, func(resp response) {
		if resp.err == nil {
			if answer := resp.message.(*kmsg.ControlledShutdownResponse); answer.ErrorCode == 0 && len(answer.PartitionsRemaining) == 0 {
				b.stop()
				return
			}
		}
		b.after(200*time.Millisecond, func() { b.leave(tries - 1) })
	})
}

// stop closes the broker's logs and its session and ends the broker. A closed log keeps only the
// last batch of each producer, as in Kafka, so producers with more batches in flight could not
// continue. If there are such producers, the broker is killed instead.
func (b *broker) stop() {
	b.w.say("broker %d stops", b.id)
	several := slices.ContainsFunc(b.w.producers, func(p *producer) bool { return p.limit > 1 })
	if !several {
		b.stopping = true
		b.replicas.CheckpointHighWatermarks()
		if err := b.logs.Close(); err != nil {
			b.w.fail("broker %d, closing the logs: %v", b.id, err)
		}
	}
	if b.conn != nil && b.w.tree.Alive(b.conn.id) && !b.zkBlocked() {
		b.w.fired(b.w.tree.End(b.conn.id))
	}
	b.die()
}

// serveShutdown handles ControlledShutdown.
func (b *broker) serveShutdown(req *kmsg.ControlledShutdownRequest, reply func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.ControlledShutdownResponse)
	controller.Requests{Agenda: b.control}.ControlledShutdown(metadata.BrokerID(req.BrokerID), req.BrokerEpoch, func(remaining []controller.TopicPartition, err error) {
		resp.ErrorCode = int16(protocol.CodeOf(err))
		for _, tp := range remaining {
			part := kmsg.NewControlledShutdownResponsePartitionsRemaining()
			part.Topic, part.Partition = tp.Topic, tp.Partition
			resp.PartitionsRemaining = append(resp.PartitionsRemaining, part)
		}
		reply(resp)
	})
}
