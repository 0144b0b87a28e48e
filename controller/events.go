package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// Event is something the controller has to deal with. Events are processed one
// after the other, in the order in which they came; what they are about is read
// when they are processed.
type Event interface {
	// String names the event in log lines, as Kafka does.
	String() string
	process(m *Machine) error
}

// preemptible is an Event that somebody waits for: one that will not be
// processed must be answered all the same.
type preemptible interface{ preempt() }

// Preempt answers an event that will never be processed.
func Preempt(e Event) {
	if p, ok := e.(preemptible); ok {
		p.preempt()
	}
}

// leaderAndISRAnswered: a broker answered a LeaderAndIsr request of a term.
type leaderAndISRAnswered struct {
	epoch  int32
	broker int32
	resp   *kmsg.LeaderAndISRResponse
}

func (leaderAndISRAnswered) String() string { return "LeaderAndIsrResponseReceived" }

// process notes which replicas the broker could not serve for a failed log
// directory, and which it can again.
func (e leaderAndISRAnswered) process(m *Machine) error {
	if !m.inTerm(e.epoch) {
		return nil
	}
	if code := protocol.ErrorCode(e.resp.ErrorCode); code != protocol.None {
		m.changes.Errorf("Received error %s in LeaderAndIsr response from broker %d", code, e.broker)
		return nil
	}
	offline := m.c.offlineDirs[e.broker]
	var lost []replicaID
	m.eachAnswer(e.resp, func(tp TopicPartition, code protocol.ErrorCode) {
		switch {
		case code == protocol.None:
			delete(offline, tp)
		case code == protocol.KafkaStorageError && !offline[tp]:
			if offline == nil {
				offline = map[TopicPartition]bool{}
				m.c.offlineDirs[e.broker] = offline
			}
			offline[tp] = true
			lost = append(lost, replicaID{tp, e.broker})
		}
	})
	if len(lost) == 0 {
		return nil
	}
	m.changes.Infof("Mark replicas %s on broker %d as offline", joinPartitions(partitionsOfReplicas(lost)), e.broker)
	return m.replicasWentOffline(lost)
}

// eachAnswer walks the partitions of an answer: by topic name up to version 4,
// by topic id from 5 on.
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

// updateMetadataAnswered: a broker answered an UpdateMetadata request of a term.
type updateMetadataAnswered struct {
	epoch  int32
	broker int32
	resp   *kmsg.UpdateMetadataResponse
}

func (updateMetadataAnswered) String() string { return "UpdateMetadataResponseReceived" }

func (e updateMetadataAnswered) process(m *Machine) error {
	if code := protocol.ErrorCode(e.resp.ErrorCode); m.inTerm(e.epoch) && code != protocol.None {
		m.changes.Errorf("Received error %s in UpdateMetadata response from broker %d", code, e.broker)
	}
	return nil
}

// stopReplicaAnswered: a broker answered a StopReplica request of a term that
// told it to delete replicas.
type stopReplicaAnswered struct {
	epoch  int32
	broker int32
	remove map[TopicPartition]bool
	resp   *kmsg.StopReplicaResponse
}

func (stopReplicaAnswered) String() string { return "TopicDeletionStopReplicaResponseReceived" }

// process counts only what the answer lists, of topics being deleted.
func (e stopReplicaAnswered) process(m *Machine) error {
	if !m.inTerm(e.epoch) {
		return nil
	}
	var done, failed []replicaID
	for _, p := range e.resp.Partitions {
		tp := TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if !e.remove[tp] || !m.c.topicsWithDeletionStarted[p.Topic] {
			continue
		}
		if r := (replicaID{tp, e.broker}); e.resp.ErrorCode != 0 || p.ErrorCode != 0 {
			failed = append(failed, r)
		} else {
			done = append(done, r)
		}
	}
	if err := m.failDeletions(failed); err != nil || len(done) == 0 {
		return err
	}
	return m.completeDeletions(done)
}

// inTerm says that the machine is in the very term that an answer belongs to.
func (m *Machine) inTerm(epoch int32) bool { return m.Active() && m.c.epoch == epoch }

func partitionsOfReplicas(replicas []replicaID) []TopicPartition {
	tps := make([]TopicPartition, len(replicas))
	for i, r := range replicas {
		tps[i] = r.TopicPartition
	}
	return tps
}
