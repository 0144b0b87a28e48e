package api

import (
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// leaderHints collects the endpoints of leaders for an answer (KIP-951).
type leaderHints struct {
	replicas  *replication.Manager
	listener  string
	cluster   *metadata.Snapshot
	endpoints []protocol.NodeEndpoint
}

func (l *leaderHints) hint(topic string, partition int32) *protocol.LeaderIDEpoch {
	if l.cluster == nil {
		l.cluster = l.replicas.Metadata()
	}
	leader := l.replicas.CurrentLeader(topic, partition)
	if b := l.cluster.Brokers[metadata.BrokerID(leader.LeaderID)]; b != nil {
		if e, has := b.Endpoints[l.listener]; has {
			l.add(protocol.NodeEndpoint{NodeID: int32(b.ID), Host: e.Host, Port: e.Port, Rack: b.Rack})
		}
	}
	return &leader
}

func (l *leaderHints) add(e protocol.NodeEndpoint) {
	for i := range l.endpoints {
		if l.endpoints[i].NodeID == e.NodeID {
			return
		}
	}
	l.endpoints = append(l.endpoints, e)
}
