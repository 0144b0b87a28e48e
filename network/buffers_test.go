package network

import "testing"

// There are four classes for each power of two, so at most a fifth of a buffer is unused.
func TestClassesOfBuffersAreCloseTogether(t *testing.T) {
	last, lastSize := class(1)
	if last < 0 || lastSize != smallestBuffer {
		t.Fatalf("the first class is %d with %d bytes", last, lastSize)
	}
	for n := 2; n <= 1<<18; n++ {
		index, size := class(n)
		switch {
		case size < n || size > smallestBuffer && size*4 > n*5+3:
			t.Fatalf("%d bytes belong to a class of %d", n, size)
		case size == lastSize && index != last || size != lastSize && (size < lastSize || index != last+1):
			t.Fatalf("class %d of %d bytes follows class %d of %d bytes", index, size, last, lastSize)
		}
		last, lastSize = index, size
	}
}

func TestBuffersKeepUpToTheirLimit(t *testing.T) {
	b := NewBuffers(8192)
	kept := func(want int64) {
		t.Helper()
		if b.Kept() != want {
			t.Fatalf("%d bytes are kept, want %d", b.Kept(), want)
		}
	}
	b.Put(make([]byte, 5120))
	kept(0) // larger than half of the limit
	b.Put(make([]byte, 1000))
	kept(0) // a size that no class has
	b.Put(make([]byte, 4096))
	kept(4096)
	for range 4 {
		b.Put(make([]byte, 1024))
	}
	kept(8192)
	b.Put(make([]byte, 1280)) // drops a buffer of the class that has been unused longest
	kept(8192 - 4096 + 1280)
	b.Put(b.Get(1024)) // now the class of 1280 has been unused longest
	b.Put(make([]byte, 2048))
	b.Put(make([]byte, 1024))
	kept(5*1024 + 2048) // without 1280
	for range 5 {
		b.Get(1024)
	}
	kept(2048)
}

func TestTrimDropsClassesUnusedSinceTheLastTrim(t *testing.T) {
	b := NewBuffers(1 << 20)
	b.Put(make([]byte, 1024))
	b.Put(make([]byte, 2048))
	b.Trim()
	if b.Kept() != 3072 {
		t.Errorf("%d bytes of the classes just used are kept", b.Kept())
	}
	b.Get(1) // uses the class, although it takes the buffer
	b.Trim()
	if b.Kept() != 0 {
		t.Errorf("%d bytes are kept, want none: one buffer was taken, the other unused", b.Kept())
	}
	b.Put(make([]byte, 1024))
	b.Get(1024)
	b.Put(make([]byte, 1024))
	b.Trim()
	if b.Kept() != 1024 {
		t.Errorf("%d bytes are kept, want those of the class used since the last Trim", b.Kept())
	}
}

func TestReservationsStopAtTheirLimit(t *testing.T) {
	var p reservations
	if !p.take(unfilledLimit) || p.take(1) || p.bytes.Load() != unfilledLimit {
		t.Errorf("%d bytes are reserved", p.bytes.Load())
	}
	p.release(10)
	if p.take(11) || !p.take(10) || p.bytes.Load() != unfilledLimit {
		t.Errorf("%d bytes are reserved", p.bytes.Load())
	}
}
