// Package gcpacer bounds the memory that the garbage collector leaves unused. GOGC alone is a
// percentage, which leaves the same share of a large heap as of a small one. But a heap is large
// because much is kept in it, such as the state of ten thousand partitions, and not because it
// produces more garbage.
package gcpacer

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// most is the largest growth of the heap between two collections, in percent.
	most = 50
	// enough is the growth in bytes to which larger heaps are limited.
	enough = 8 << 20
	// least is the growth in percent that every heap may have, because a collection takes time in
	// proportion to the live heap.
	least = 20
)

// Start makes the garbage collector run when the heap of this process has grown by half, or by 8 MiB
// if that is less, but not before it has grown by a fifth. While more than half of what is allocated
// stays in use, as when coordinators load their partitions, collections are in vain, so it may always
// grow by half. It applies until the process ends.
func Start() { new(keeper).set(most) }

// keeper sets GOGC after each collection.
type keeper struct {
	percent int    // the current value
	alive   uint64 // bytes after the last collection; 0 before the first
}

// set sets the percentage and waits for the next collection.
func (k *keeper) set(percent int) {
	debug.SetGCPercent(percent)
	k.percent = percent
	k.await()
}

func (k *keeper) await() {
	token := new(*keeper)
	runtime.SetFinalizer(token, func(**keeper) { k.collected() })
}

// collected runs after a collection. It leaves the percentage alone if it is off by at most two,
// because setting it stops the world for a moment.
func (k *keeper) collected() {
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(alive)
	percent := k.next(alive[0].Value.Uint64())
	if percent-k.percent > 2 || k.percent-percent > 2 {
		k.set(percent)
		return
	}
	k.await()
}

// next returns the percentage after a collection that has left the given number of live bytes.
func (k *keeper) next(alive uint64) int {
	before := k.alive
	k.alive = alive
	if allocated := before * uint64(k.percent) / 100; before > 0 && alive > before+allocated/2 {
		return most
	}
	return percentFor(alive)
}

// percentFor returns the percentage for a heap that keeps its size, with the given number of live
// bytes.
func percentFor(alive uint64) int {
	return int(min(most, max(least, enough*100/max(alive, 1))))
}
