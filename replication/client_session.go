package replication

import (
	"github.com/monedula/monedula/protocol"
)

// clientSession is the follower's side of a fetch session: what the leader
// remembers of our last fetches, so that the next one names only changes. Not
// safe for concurrent use.
type clientSession struct {
	id    int32
	epoch int32                           // of the next request
	known map[TopicPartition]PartitionAsk // what the last request wanted; not to be changed
	byID  bool
}

func newClientSession() clientSession { return clientSession{epoch: initialSessionEpoch} }

// sessionDiff is what a request names.
type sessionDiff struct {
	id, epoch int32
	send      []TopicPartition // new or changed; all in a full fetch
	forget    []PartitionAsk   // in the session, wanted no more, or (by id) under another id
}

// next builds the request for the wanted partitions, in order. It keeps wanted,
// which must not change any more. By name a partition of a topic that was created
// anew is the same one for the leader: to forget the old would be to forget the
// new (Kafka's FetchRequest leaves replaced partitions out of what is forgotten
// below version 13).
func (s *clientSession) next(order []TopicPartition, wanted map[TopicPartition]PartitionAsk, byID bool) sessionDiff {
	if byID != s.byID && s.epoch != initialSessionEpoch {
		s.reset()
	}
	s.byID = byID
	d := sessionDiff{id: s.id, epoch: s.epoch}
	if s.epoch == initialSessionEpoch {
		d.send = order
		s.known = wanted
		return d
	}
	for id, known := range s.known {
		want, still := wanted[id]
		if !still || byID && want.TopicID != known.TopicID {
			d.forget = append(d.forget, known)
		}
	}
	for _, id := range order {
		want := wanted[id]
		if known, had := s.known[id]; !had || known != want {
			d.send = append(d.send, id)
		}
	}
	s.known = wanted
	return d
}

// answered takes the leader's session id and top-level code.
func (s *clientSession) answered(id int32, code protocol.ErrorCode) {
	switch {
	case code == protocol.FetchSessionIDNotFound:
		s.id, s.epoch = noSessionID, initialSessionEpoch
	case code != protocol.None:
		s.reset()
	case s.epoch == initialSessionEpoch && id == noSessionID:
		s.id = noSessionID // the leader has no room: full fetches go on
	case s.epoch == initialSessionEpoch:
		s.id, s.epoch = id, nextSessionEpoch(initialSessionEpoch)
	case id == noSessionID:
		s.id, s.epoch = noSessionID, initialSessionEpoch // closed by the leader
	default:
		s.epoch = nextSessionEpoch(s.epoch)
	}
}

// reset makes the next request a full one that closes the old session: after a
// lost answer nobody knows what the leader remembers.
func (s *clientSession) reset() { s.epoch = initialSessionEpoch }
