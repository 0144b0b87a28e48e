// Package headroom bounds the memory that the garbage collector leaves unused.
// A percentage alone (GOGC) leaves as large a part of a large heap as of a small
// one, though a heap is large because much is kept in it, such as the state of
// ten thousand partitions, and not because more garbage is made.
package headroom

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// most is how much a heap may grow, in percent, until it is collected again.
	most = 50
	// enough is the growth in bytes that a larger heap is not given for its size
	// alone.
	enough = 8 << 20
	// least is the growth in percent that any heap may have: a collection costs
	// time in proportion to what is alive.
	least = 20
)

// Keep has the heap of this process collected when it has grown by half, or by 8
// MiB where that is less, but not before it has grown by a fifth. It holds for
// the life of the process.
func Keep() { new(keeper).set(most) }

// keeper sets GOGC after each collection; percent is what it is now.
type keeper struct{ percent int }

// set sets the percentage and waits for the next collection: the first one that
// finds this token dead.
func (k *keeper) set(percent int) {
	debug.SetGCPercent(percent)
	k.percent = percent
	k.await()
}

func (k *keeper) await() {
	token := new(*keeper)
	runtime.SetFinalizer(token, func(**keeper) { k.collected() })
}

// collected follows a collection. Setting the percentage stops the world for a
// moment, which a percent or two are not worth.
func (k *keeper) collected() {
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(alive)
	percent := percentFor(alive[0].Value.Uint64())
	if percent-k.percent > 2 || k.percent-percent > 2 {
		k.set(percent)
		return
	}
	k.await()
}

// percentFor is the percentage for a heap of which so many bytes are alive.
func percentFor(alive uint64) int {
	return int(min(most, max(least, enough*100/max(alive, 1))))
}
