package record

import (
	"encoding/binary"
	"fmt"

	"github.com/monedula/monedula/protocol"
)

// ControlType is the type of a control record, as numbered in its key.
type ControlType int16

// The control types. Types above Commit occur only in KRaft. Numbers that Kafka does not know
// become UnknownControl and must be ignored.
const (
	Abort ControlType = iota
	Commit
	LeaderChange
	SnapshotHeader
	SnapshotFooter
	KRaftVersion
	KRaftVoters
	UnknownControl ControlType = -1
)

// String returns Kafka's name of the type, such as "COMMIT".
func (t ControlType) String() string {
	names := [...]string{"ABORT", "COMMIT", "LEADER_CHANGE", "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION", "KRAFT_VOTERS"}
	if t < 0 || int(t) >= len(names) {
		return "UNKNOWN"
	}
	return names[t]
}

const (
	controlKeySize  = 4 // int16 version, int16 type
	endTxnValueSize = 6 // int16 version, int32 coordinator epoch
)

// ParseControlKey parses the key of a control record. The error wraps protocol.InvalidRecord.
func ParseControlKey(key []byte) (ControlType, error) {
	if len(key) < controlKeySize {
		return UnknownControl, invalidRecord("Invalid value size found for end control record key. Must have "+
			"at least %d bytes, but found only %d", controlKeySize, len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return UnknownControl, invalidRecord("Invalid version found for control record: %d. May indicate data corruption", version)
	}
	t := ControlType(binary.BigEndian.Uint16(key[2:]))
	if t < Abort || t > KRaftVoters {
		return UnknownControl, nil
	}
	return t, nil
}

// AppendControlKey appends the key of a control record to dst.
func AppendControlKey(dst []byte, t ControlType) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint16(dst, uint16(t))
}

// ParseEndTxnMarker parses the value of a transaction marker and returns the epoch of the
// coordinator that wrote it. The error wraps protocol.InvalidRecord.
func ParseEndTxnMarker(value []byte) (coordinatorEpoch int32, err error) {
	if len(value) < endTxnValueSize {
		return 0, invalidRecord("Invalid value size found for end transaction marker. Must have "+
			"at least %d bytes, but found only %d", endTxnValueSize, len(value))
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 {
		return 0, invalidRecord("Invalid version found for end transaction marker: %d. May indicate data corruption", version)
	}
	return int32(binary.BigEndian.Uint32(value[2:])), nil
}

// AppendEndTxnMarker appends the value of a transaction marker to dst.
func AppendEndTxnMarker(dst []byte, coordinatorEpoch int32) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint32(dst, uint32(coordinatorEpoch))
}

// Control is the content of a control batch. CoordinatorEpoch is set only for Abort and Commit.
type Control struct {
	Type             ControlType
	CoordinatorEpoch int32
	Offset           Offset
	TimestampMs      int64
}

// Control parses the control record of a control batch, which must be complete. ok is false for a
// batch that compaction emptied. The error wraps protocol.InvalidRecord.
func (b Batch) Control() (c Control, ok bool, err error) {
	if !b.IsControl() {
		return c, false, fmt.Errorf("the batch at offset %d is not a control batch", b.BaseOffset())
	}
	err = b.Each(func(r *Record) error {
		if ok {
			return nil
		}
		t, err := ParseControlKey(r.Key)
		if err != nil {
			return err
		}
		c, ok = Control{Type: t, Offset: r.Offset, TimestampMs: r.Timestamp}, true
		if t == Abort || t == Commit {
			c.CoordinatorEpoch, err = ParseEndTxnMarker(r.Value)
		}
		return err
	})
	return c, ok && err == nil, err
}

// EndTxnMarker returns the control batch that ends a transaction. It uses BaseOffset, LeaderEpoch,
// ProducerID and ProducerEpoch of o.
func EndTxnMarker(o Options, t ControlType, coordinatorEpoch int32, timestampMs int64) (Batch, error) {
	if t != Abort && t != Commit {
		return nil, fmt.Errorf("control type %s does not end a transaction", t)
	}
	if o.ProducerID < 0 {
		return nil, fmt.Errorf("a transaction marker needs a producer id, not %d", o.ProducerID)
	}
	o.Magic, o.Codec, o.TimestampType, o.BaseSequence = CurrentMagic, None, CreateTime, NoSequence
	o.Transactional, o.Control = true, true
	b := NewBuilder(o)
	key := AppendControlKey(make([]byte, 0, controlKeySize), t)
	value := AppendEndTxnMarker(make([]byte, 0, endTxnValueSize), coordinatorEpoch)
	if err := b.Append(timestampMs, key, value); err != nil {
		return nil, err
	}
	set, err := b.Build()
	return Batch(set), err
}

func invalidRecord(format string, args ...any) error {
	return protocol.Errorf(protocol.InvalidRecord, format, args...)
}
