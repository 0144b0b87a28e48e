package replication

import (
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// RackAwareSelector is the only supported replica.selector.class.
const RackAwareSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

// readCandidate is a replica that could serve a consumer.
type readCandidate struct {
	id     metadata.BrokerID
	rack   *string
	logEnd record.Offset
}

// replicaSelector chooses the replica that a consumer should read from. ok is false if it has no
// preference. The leader is the first candidate.
type replicaSelector func(client ClientInfo, candidates []readCandidate) (id metadata.BrokerID, ok bool)

func selectorOf(class string) replicaSelector {
	if class == RackAwareSelector {
		return selectByRack
	}
	return nil
}

// selectByRack chooses among the replicas in the client's rack: the leader if it is in the rack,
// otherwise the replica with the largest log end (KIP-392).
func selectByRack(client ClientInfo, candidates []readCandidate) (metadata.BrokerID, bool) {
	if client.Rack == "" {
		return 0, false
	}
	best := -1
	for i, c := range candidates {
		if c.rack == nil || *c.rack != client.Rack {
			continue
		}
		if i == 0 {
			return c.id, true
		}
		if best < 0 || c.logEnd > candidates[best].logEnd {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	return candidates[best].id, true
}

// preferredReplica returns the broker that a consumer of Fetch v11+ should read from instead of
// this one, or NoBroker. Candidates are this broker and the followers that are in sync, have the
// offset, and are reachable on the client's listener.
func (p *Partition) preferredReplica(f *Fetch, want *PartitionFetch, now time.Time) metadata.BrokerID {
	if !f.mayBeRedirected() {
		return metadata.NoBroker
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.leadsLocked() {
		return metadata.NoBroker
	}
	cluster := p.m.Metadata()
	local := p.m.opts.BrokerID
	candidates := []readCandidate{{id: local, rack: p.m.opts.Rack, logEnd: p.log.Offsets().LogEnd}}
	p.progressMu.Lock()
	for i := range p.followers {
		known := &p.followers[i]
		if p.isr.inCommitted.has(known.id) && known.logEnd >= want.FetchOffset && known.logStart <= want.FetchOffset {
			if b := reachable(cluster, known.id, f.Client.Listener); b != nil {
				candidates = append(candidates, readCandidate{id: known.id, rack: b.Rack, logEnd: known.logEnd})
			}
		}
	}
	p.progressMu.Unlock()
	id, ok := p.m.selector(f.Client, candidates)
	if !ok || id == local {
		return metadata.NoBroker
	}
	return id
}

func reachable(s *metadata.Snapshot, id metadata.BrokerID, listener string) *metadata.Broker {
	b := s.Brokers[id]
	if b == nil {
		return nil
	}
	if _, has := b.Endpoints[listener]; !has {
		return nil
	}
	return b
}

// answerPreferred redirects the consumer to another replica. The response has this broker's offsets
// and no records.
func (p *Partition) answerPreferred(want *PartitionFetch, replica metadata.BrokerID) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(want.CurrentLeaderEpoch, false)
	if err != nil {
		want.fail(protocol.CodeOf(err))
		return
	}
	want.resetAnswer(log.Offsets())
	want.PreferredReadReplica = replica
}
