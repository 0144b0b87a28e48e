package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Event is a request, a notification or an answer that the controller processes. Events are
// processed one at a time, in the order in which they were queued. An event that stands for a
// change in ZooKeeper reads the data when it is processed.
type Event interface {
	// String returns Kafka's name of the event, for log lines.
	String() string
	process(m *Machine) error
}

// preemptible is an Event with a waiting caller. It must be answered even if it is never processed.
type preemptible interface{ preempt() }

// Preempt answers an event that will never be processed, if a caller waits for it.
func Preempt(e Event) {
	if p, ok := e.(preemptible); ok {
		p.preempt()
	}
}

// leaderAndISRAnswered is a broker's answer to a LeaderAndIsr request. epoch is the controller
// epoch under which the request was sent.
type leaderAndISRAnswered struct {
	epoch  metadata.ControllerEpoch
	broker metadata.BrokerID
	resp   *kmsg.LeaderAndISRResponse
}

func (leaderAndISRAnswered) String() string { return "LeaderAndIsrResponseReceived" }

// process records the replicas that the broker cannot serve because of a failed log directory, and
// those that it can serve again.
func (e leaderAndISRAnswered) process(m *Machine) error {
	if !m.inTerm(e.epoch) {
		return nil
	}
	if code := protocol.ErrorCode(e.resp.ErrorCode); code != protocol.None {
		m.changes.Errorf("Received error %s in LeaderAndIsr response from broker %d", code, e.broker)
		return nil
	}
	offline := m.c.offlineReplicas[e.broker]
	var lost []replicaID
	m.eachAnswer(e.resp, func(tp TopicPartition, code protocol.ErrorCode) {
		switch {
		case code == protocol.None:
			delete(offline, tp)
		case code == protocol.KafkaStorageError && !offline[tp]:
			if offline == nil {
				offline = map[TopicPartition]bool{}
				m.c.offlineReplicas[e.broker] = offline
			}
			offline[tp] = true
			lost = append(lost, replicaID{tp, e.broker})
		}
	})
	if len(lost) == 0 {
		return nil
	}
	m.changes.Infof("Mark replicas %s on broker %d as offline", javatext.Join(partitionsOfReplicas(lost), ","), e.broker)
	return m.replicasWentOffline(lost)
}

// eachAnswer calls f for each partition of a response. Responses name topics up to version 4 and
// have topic ids since version 5; partitions of unknown ids are skipped.
func (m *Machine) eachAnswer(resp *kmsg.LeaderAndISRResponse, f func(TopicPartition, protocol.ErrorCode)) {
	for _, p := range resp.Partitions {
		f(TopicPartition{Topic: p.Topic, Partition: p.Partition}, protocol.ErrorCode(p.ErrorCode))
	}
	for _, t := range resp.Topics {
		name, known := m.c.names[t.TopicID]
		if !known {
			continue
		}
		for _, p := range t.Partitions {
			f(TopicPartition{Topic: name, Partition: p.Partition}, protocol.ErrorCode(p.ErrorCode))
		}
	}
}

// updateMetadataAnswered is a broker's answer to an UpdateMetadata request. epoch is the controller
// epoch under which the request was sent.
type updateMetadataAnswered struct {
	epoch  metadata.ControllerEpoch
	broker metadata.BrokerID
	resp   *kmsg.UpdateMetadataResponse
}

func (updateMetadataAnswered) String() string { return "UpdateMetadataResponseReceived" }

func (e updateMetadataAnswered) process(m *Machine) error {
	if code := protocol.ErrorCode(e.resp.ErrorCode); m.inTerm(e.epoch) && code != protocol.None {
		m.changes.Errorf("Received error %s in UpdateMetadata response from broker %d", code, e.broker)
	}
	return nil
}

// stopReplicaAnswered is a broker's answer to a StopReplica request that deletes the replicas in
// remove. epoch is the controller epoch under which the request was sent.
type stopReplicaAnswered struct {
	epoch  metadata.ControllerEpoch
	broker metadata.BrokerID
	remove map[TopicPartition]bool
	resp   *kmsg.StopReplicaResponse
}

func (stopReplicaAnswered) String() string { return "TopicDeletionStopReplicaResponseReceived" }

// process considers only partitions that the response lists and whose topics are being deleted.
func (e stopReplicaAnswered) process(m *Machine) error {
	if !m.inTerm(e.epoch) {
		return nil
	}
	var done, failed []replicaID
	for _, p := range e.resp.Partitions {
		tp := TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if !e.remove[tp] || !m.c.deletionQueue.started[p.Topic] {
			continue
		}
		if r := (replicaID{tp, e.broker}); e.resp.ErrorCode != 0 || p.ErrorCode != 0 {
			failed = append(failed, r)
		} else {
			done = append(done, r)
		}
	}
	if err := m.deletions.fail(m.ctx, failed); err != nil || len(done) == 0 {
		return err
	}
	return m.deletions.complete(m.ctx, done)
}

// inTerm reports whether the machine is still in the term with this controller epoch.
func (m *Machine) inTerm(epoch metadata.ControllerEpoch) bool {
	return m.Active() && m.c.epoch == epoch
}

func partitionsOfReplicas(replicas []replicaID) []TopicPartition {
	tps := make([]TopicPartition, len(replicas))
	for i, r := range replicas {
		tps[i] = r.TopicPartition
	}
	return tps
}
