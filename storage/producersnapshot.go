package storage

import "errors"

// errCorruptSnapshot is wrapped by the errors of decodeSnapshot.
var errCorruptSnapshot = errors.New("corrupt producer snapshot")

// encodeSnapshot writes the producers in Kafka's snapshot format (version 1),
// ordered by id.
func encodeSnapshot(producers map[int64]*producerEntry) []byte { panic("unwritten") }

// decodeSnapshot reads a snapshot file's bytes.
func decodeSnapshot(b []byte) ([]producerEntry, error) { panic("unwritten") }
