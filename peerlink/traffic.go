package peerlink

import "sync/atomic"

// Traffic counts what some links do together, for metrics. The zero value is ready to use.
type Traffic struct {
	connections, closed atomic.Int64
	requests, responses atomic.Int64
	bytesOut, bytesIn   atomic.Int64
}

// TrafficCounts are the counts of a Traffic since it was created. Bytes include the size fields of
// the frames.
type TrafficCounts struct {
	Connections, Closed int64
	Requests, Responses int64
	BytesOut, BytesIn   int64
}

// Counts returns the counts.
func (t *Traffic) Counts() TrafficCounts {
	return TrafficCounts{Connections: t.connections.Load(), Closed: t.closed.Load(), Requests: t.requests.Load(), Responses: t.responses.Load(),
		BytesOut: t.bytesOut.Load(), BytesIn: t.bytesIn.Load()}
}

// opened counts a connection, if t is not nil.
func (t *Traffic) opened() {
	if t != nil {
		t.connections.Add(1)
	}
}

// dropped counts the end of a connection, if t is not nil.
func (t *Traffic) dropped() {
	if t != nil {
		t.closed.Add(1)
	}
}

// sent counts a request of a number of bytes, if t is not nil.
func (t *Traffic) sent(bytes int) {
	if t != nil {
		t.requests.Add(1)
		t.bytesOut.Add(int64(bytes))
	}
}

// received counts a response of a number of bytes without the size field, if t is not nil.
func (t *Traffic) received(bytes int) {
	if t != nil {
		t.responses.Add(1)
		t.bytesIn.Add(int64(bytes) + 4)
	}
}
