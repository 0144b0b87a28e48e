package replication

import (
	"slices"

	"github.com/monedula/monedula/protocol"
)

// clientSession is the follower's side of a fetch session: what the leader remembers of the last
// fetches, so the next fetch names only changes. It is not safe for concurrent use.
type clientSession struct {
	id    int32
	epoch int32 // of the next request
	byID  bool
	// known are the wanted partitions, which the leader knows after the next request.
	known     map[TopicPartition]PartitionAsk
	withoutID int // number of known partitions without a topic id
	topics    map[TopicID]*knownTopic

	// Since the last request: partitions that are new or changed, and partitions in the session
	// that are no longer wanted or are wanted under another id.
	changed []TopicPartition
	dropped []PartitionAsk
}

// knownTopic is a topic with known partitions.
type knownTopic struct {
	name       string
	partitions int
}

func newClientSession() clientSession {
	return clientSession{epoch: initialSessionEpoch, known: map[TopicPartition]PartitionAsk{}, topics: map[TopicID]*knownTopic{}}
}

// want makes the next request ask for the partition as in ask. Between two requests a partition may
// be wanted only once.
func (s *clientSession) want(id TopicPartition, ask PartitionAsk) {
	known, had := s.known[id]
	if had && known == ask {
		return
	}
	if had && known.TopicID != ask.TopicID {
		s.drop(id)
		had = false
	}
	if !had {
		s.count(ask, 1)
	}
	s.known[id] = ask
	s.changed = append(s.changed, id)
}

// drop removes a partition from the session if it is in it.
func (s *clientSession) drop(id TopicPartition) {
	if known, had := s.known[id]; had {
		s.count(known, -1)
		delete(s.known, id)
		s.dropped = append(s.dropped, known)
	}
}

func (s *clientSession) count(ask PartitionAsk, by int) {
	if ask.TopicID == (TopicID{}) {
		s.withoutID += by
		return
	}
	topic := s.topics[ask.TopicID]
	if topic == nil {
		topic = &knownTopic{name: ask.Topic}
		s.topics[ask.TopicID] = topic
	}
	if topic.partitions += by; topic.partitions == 0 {
		delete(s.topics, ask.TopicID)
	}
}

// name returns the name of a known topic, or "".
func (s *clientSession) name(id TopicID) string {
	if topic := s.topics[id]; topic != nil {
		return topic.name
	}
	return ""
}

// sessionDiff is what a request names. Its slices are valid until the next want or drop.
type sessionDiff struct {
	id, epoch int32
	full      bool             // send everything that is known
	send      []TopicPartition // new or changed
	forget    []PartitionAsk   // in the session, but no longer wanted or (by id) wanted under another id
}

// next returns what the next request must name. In requests by name, a topic that was deleted and
// created again has the same partitions for the leader: forgetting the old one would forget the new
// one. Kafka's FetchRequest likewise does not forget replaced partitions below version 13.
func (s *clientSession) next(byID bool) sessionDiff {
	if byID != s.byID && s.epoch != initialSessionEpoch {
		s.reset()
	}
	s.byID = byID
	d := sessionDiff{id: s.id, epoch: s.epoch, full: s.epoch == initialSessionEpoch}
	if !d.full {
		d.send = s.changed
		d.forget = slices.DeleteFunc(s.dropped, func(was PartitionAsk) bool {
			now, again := s.known[TopicPartition{Topic: was.Topic, Partition: was.Partition}]
			return again && (!byID || now.TopicID == was.TopicID)
		})
	}
	s.changed, s.dropped = s.changed[:0], s.dropped[:0]
	return d
}

// answered handles the leader's session id and top-level error code.
func (s *clientSession) answered(id int32, code protocol.ErrorCode) {
	switch {
	case code == protocol.FetchSessionIDNotFound:
		s.id, s.epoch = noSessionID, initialSessionEpoch
	case code != protocol.None:
		s.reset()
	case s.epoch == initialSessionEpoch && id == noSessionID:
		s.id = noSessionID // the leader has no free session: full fetches continue
	case s.epoch == initialSessionEpoch:
		s.id, s.epoch = id, nextSessionEpoch(initialSessionEpoch)
	case id == noSessionID:
		s.id, s.epoch = noSessionID, initialSessionEpoch // closed by the leader
	default:
		s.epoch = nextSessionEpoch(s.epoch)
	}
}

// reset makes the next request a full one that closes the old session. After a lost response the
// leader's view of the session is unknown.
func (s *clientSession) reset() { s.epoch = initialSessionEpoch }
