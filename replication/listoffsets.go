package replication

import (
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// Timestamps of ListOffsets with a special meaning.
const (
	LatestOffset       int64 = -1
	EarliestOffset     int64 = -2
	MaxTimestampOffset int64 = -3 // v7+
	EarliestLocal      int64 = -4 // v8+; without tiered storage the same as EarliestOffset
	LatestTiered       int64 = -5 // v9+; without tiered storage there is none
)

// Replica ids of clients.
const (
	consumerReplica  metadata.BrokerID = -1
	debuggingReplica metadata.BrokerID = -2 // may ask any replica
)

// OffsetAsk is one partition of a ListOffsets request.
type OffsetAsk struct {
	Version            int16
	ReplicaID          metadata.BrokerID // -1: consumer; -2: debugging, any replica; otherwise a follower
	ReadCommitted      bool              // isolation level read_committed
	Topic              string
	Partition          int32
	CurrentLeaderEpoch metadata.LeaderEpoch // -1: unchecked
	Timestamp          int64
}

// offsetTimestampMin returns the smallest timestamp that a version of ListOffsets knows.
func offsetTimestampMin(version int16) int64 {
	switch {
	case version >= 9:
		return LatestTiered
	case version >= 8:
		return EarliestLocal
	case version >= 7:
		return MaxTimestampOffset
	default:
		return EarliestOffset
	}
}

var noOffset = storage.TimestampedOffset{Timestamp: -1, Offset: -1, LeaderEpoch: -1}

// ListOffset looks up an offset by timestamp (ListOffsets v1+). The offset is -1 if there is no
// match.
func (m *Manager) ListOffset(ask OffsetAsk) (storage.TimestampedOffset, error) {
	if ask.Timestamp < offsetTimestampMin(ask.Version) {
		return noOffset, protocol.UnsupportedVersion
	}
	p, err := m.Partition(ask.Topic, ask.Partition)
	if err != nil {
		return noOffset, err
	}
	return p.listOffset(ask)
}

func (p *Partition) listOffset(ask OffsetAsk) (storage.TimestampedOffset, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(ask.CurrentLeaderEpoch, ask.ReplicaID != debuggingReplica)
	if err != nil {
		return noOffset, err
	}
	consumer := ask.ReplicaID == consumerReplica
	bound := storage.UpToLogEnd
	if consumer {
		bound = storage.UpToHighWatermark
		if ask.ReadCommitted {
			bound = storage.UpToLastStable
		}
	}
	at := log.Offsets()
	limit := at.Bound(bound)
	// A new leader's high watermark may be below one that its predecessor reported. Until it has
	// reached the start of the epoch, no offset at or above it is returned, so no client sees
	// offsets go back.
	lagging := consumer && p.epochStart > at.HighWatermark
	switch ask.Timestamp {
	case LatestOffset:
		if lagging {
			return noOffset, offsetNotAvailable(ask.Version)
		}
		return storage.TimestampedOffset{Timestamp: -1, Offset: limit, LeaderEpoch: p.leaderEpoch}, nil
	case EarliestOffset, EarliestLocal:
		return log.EarliestOffset(), nil
	case LatestTiered:
		return noOffset, nil
	}
	var found storage.TimestampedOffset
	if ask.Timestamp == MaxTimestampOffset {
		found, err = log.OffsetOfMaxTimestamp()
	} else {
		found, err = log.OffsetForTime(ask.Timestamp)
	}
	if err != nil {
		return noOffset, err
	}
	if found.Offset >= 0 && found.Offset < limit {
		return found, nil
	}
	if lagging {
		return noOffset, offsetNotAvailable(ask.Version)
	}
	return noOffset, nil
}

func offsetNotAvailable(version int16) error {
	if version >= 5 {
		return protocol.OffsetNotAvailable
	}
	return protocol.LeaderNotAvailable
}

// LegacyOffsets answers ListOffsets v0 with at most maxOffsets base offsets of segments, newest
// first. For consumers, the high watermark replaces the offsets above it.
func (m *Manager) LegacyOffsets(topic string, partition int32, replicaID metadata.BrokerID, timestamp int64, maxOffsets int32) ([]record.Offset, error) {
	p, err := m.Partition(topic, partition)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(metadata.NoLeaderEpoch, replicaID != debuggingReplica)
	if err != nil {
		return nil, err
	}
	offsets, err := log.LegacyOffsetsBefore(timestamp, int(maxOffsets))
	if err != nil || replicaID != consumerReplica {
		return offsets, err
	}
	return belowHighWatermark(offsets, log.Offsets().HighWatermark), nil
}

// belowHighWatermark replaces the leading offsets above the high watermark by the high watermark.
func belowHighWatermark(offsets []record.Offset, high record.Offset) []record.Offset {
	above := 0
	for above < len(offsets) && offsets[above] > high {
		above++
	}
	if above == 0 {
		return offsets
	}
	return append([]record.Offset{high}, offsets[above:]...)
}
