package replication

import (
	"slices"

	"github.com/monedula/monedula/protocol"
)

// clientSession is the follower's side of a fetch session: what the leader
// remembers of our last fetches, so that the next one names only changes. Not
// safe for concurrent use.
type clientSession struct {
	id    int32
	epoch int32 // of the next request
	byID  bool
	// known is what is wanted: what the leader knows after the next request.
	known     map[TopicPartition]PartitionAsk
	withoutID int // how many of known have no topic id
	topics    map[TopicID]*knownTopic

	// Since the last request: what is new or changed, and what is in the session
	// but not wanted, or wanted under another id.
	changed []TopicPartition
	dropped []PartitionAsk
}

// knownTopic is a topic of which partitions are known.
type knownTopic struct {
	name       string
	partitions int
}

func newClientSession() clientSession {
	return clientSession{epoch: initialSessionEpoch, known: map[TopicPartition]PartitionAsk{}, topics: map[TopicID]*knownTopic{}}
}

// want has the next request ask for a partition in this way. Between two requests
// a partition must be wanted at most once.
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

// drop takes a partition out of the session, if it is in it.
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

// name is the name of a known topic.
func (s *clientSession) name(id TopicID) string {
	if topic := s.topics[id]; topic != nil {
		return topic.name
	}
	return ""
}

// sessionDiff is what a request names. Its slices hold until the next want or drop.
type sessionDiff struct {
	id, epoch int32
	full      bool             // all that is known is to be sent
	send      []TopicPartition // new or changed
	forget    []PartitionAsk   // in the session, wanted no more, or (by id) under another id
}

// next is the request for what is wanted. By name a partition of a topic that was
// created again is the same one for the leader: to forget the old would be to
// forget the new (Kafka's FetchRequest leaves replaced partitions out of what is
// forgotten below version 13).
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
