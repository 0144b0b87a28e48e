package controller

import "slices"

// Stats are the values of the metrics kafka.controller:type=KafkaController and ControllerStats.
// All values except UncleanElections are 0 outside a term.
type Stats struct {
	ActiveControllers         int // 1 or 0
	OfflinePartitions         int // except of topics being deleted
	PreferredReplicaImbalance int
	Topics, Partitions        int // Partitions counts those with a known leadership
	TopicsToDelete            int
	ReplicasToDelete          int
	TopicsIneligibleToDelete  int
	ReplicasIneligible        int
	ActiveBrokers             int
	FencedBrokers             int   // always 0 with ZooKeeper
	UncleanElections          int64 // since the start of the broker
}

// statsRequest computes the values on demand, because this takes a pass over all partitions.
type statsRequest struct{ done func(Stats) }

func (statsRequest) String() string { return "Stats" }
func (e statsRequest) preempt()     { e.done(Stats{}) }

func (e statsRequest) process(m *Machine) error {
	e.done(m.stats())
	return nil
}

func (m *Machine) stats() Stats {
	s := Stats{UncleanElections: m.partitions.uncleanElections}
	if !m.Active() {
		return s
	}
	s.ActiveControllers = 1
	s.Topics, s.ActiveBrokers = len(m.c.topics), len(m.c.brokers)
	s.TopicsToDelete, s.TopicsIneligibleToDelete = len(m.c.deletionQueue.queued), len(m.c.deletionQueue.ineligible)
	m.c.each(func(tp TopicPartition, p *partitionContext) {
		if p.leadership != nil {
			s.Partitions++
		}
		if p.state == offlinePartition && !m.c.deletionQueue.started[tp.Topic] {
			s.OfflinePartitions++
		}
		if m.c.queuedForDeletion(tp.Topic) {
			for _, r := range replicasOf(tp, p.assignment.Replicas) {
				switch m.c.replicaState(r) {
				case replicaDeletionSuccessful:
				case replicaDeletionIneligible:
					s.ReplicasIneligible++
					s.ReplicasToDelete++
				default:
					s.ReplicasToDelete++
				}
			}
		} else if p.leadership != nil && !preferredLeads(p) {
			s.PreferredReplicaImbalance++
		}
	})
	return s
}

// preferredLeads reports whether the preferred replica leads. If that replica is being added, it
// reports whether it is in sync.
func preferredLeads(p *partitionContext) bool {
	if len(p.assignment.Replicas) == 0 {
		return true
	}
	preferred := p.assignment.Replicas[0]
	if slices.Contains(p.assignment.Adding, preferred) {
		return slices.Contains(p.leadership.ISR, preferred)
	}
	return p.leadership.Leader == preferred
}
