package lag

import (
	"time"

	"github.com/monedula/monedula/record"
)

// historyMax is the largest number of ends that are remembered of a partition. If there are more,
// every second one is dropped, so the memory reaches back twice as far.
const historyMax = 20

// history remembers when a partition had which end, as far as reports saw it. The time at which a
// record was written is interpolated from that, so no record needs to be read.
type history struct{ seen []seenEnd }

// seenEnd is an end with the times in ms at which it was seen first and last.
type seenEnd struct {
	end         record.Offset
	first, last int64
}

// note records the end at a time. An end that decreased (a leader was elected that lacked records)
// makes what was seen above it void.
func (h *history) note(end record.Offset, nowMs int64) {
	n := len(h.seen)
	for n > 0 && h.seen[n-1].end > end {
		n--
	}
	h.seen = h.seen[:n]
	if n > 0 && h.seen[n-1].end == end {
		h.seen[n-1].last = nowMs
		return
	}
	if n == historyMax {
		h.thin()
	}
	h.seen = append(h.seen, seenEnd{end, nowMs, nowMs})
}

// thin drops every second end, but keeps the oldest one.
func (h *history) thin() {
	kept := 0
	for i := 0; i < len(h.seen); i += 2 {
		h.seen[kept] = h.seen[i]
		kept++
	}
	h.seen = h.seen[:kept]
}

// behind returns how long ago the record at the offset was written, 0 if the offset is not below
// the end. Between two reports the records are taken to have been written evenly. If the record is
// older than the first report, the time since that report is returned: the group is at least this
// much behind.
func (h *history) behind(offset record.Offset, nowMs int64) time.Duration {
	n := len(h.seen)
	if n == 0 || offset >= h.seen[n-1].end {
		return 0
	}
	written := h.seen[0].first
	for i := n - 1; i > 0; i-- {
		if before, after := h.seen[i-1], h.seen[i]; offset >= before.end {
			share := float64(offset-before.end) / float64(after.end-before.end)
			written = before.last + int64(share*float64(after.first-before.last))
			break
		}
	}
	return time.Duration(max(0, nowMs-written)) * time.Millisecond
}
