package network

import "testing"

// There are four classes to each power of two, so that at most a fifth of a
// buffer is not used.
func TestClassesOfBuffersAreCloseTogether(t *testing.T) {
	last, lastSize := class(1)
	if last < 0 || lastSize != smallestBuffer {
		t.Fatalf("the first class is %d with %d bytes", last, lastSize)
	}
	for n := 2; n <= 1<<18; n++ {
		index, size := class(n)
		switch {
		case size < n || size > smallestBuffer && size*4 > n*5+3:
			t.Fatalf("%d bytes are in a class of %d", n, size)
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
	kept(0) // more than half of the limit
	b.Put(make([]byte, 1000))
	kept(0) // of no class's size
	b.Put(make([]byte, 4096))
	kept(4096)
	for range 4 {
		b.Put(make([]byte, 1024))
	}
	kept(8192)
	b.Put(make([]byte, 1280)) // drops the class that was not used for longest
	kept(8192 - 4096 + 1280)
	b.Put(b.Get(1024)) // now the 1280 are the oldest
	b.Put(make([]byte, 2048))
	b.Put(make([]byte, 1024))
	kept(5*1024 + 2048) // after 1280 went
	for range 5 {
		b.Get(1024)
	}
	kept(2048)
}

func TestTrimDropsWhatWasNotUsedSinceTheLast(t *testing.T) {
	b := NewBuffers(1 << 20)
	b.Put(make([]byte, 1024))
	b.Put(make([]byte, 2048))
	b.Trim()
	if b.Kept() != 3072 {
		t.Errorf("%d bytes are kept of what was just used", b.Kept())
	}
	b.Get(1) // which uses the class although it is taken out
	b.Trim()
	if b.Kept() != 0 {
		t.Errorf("%d bytes are kept, want none: one was taken, one not used", b.Kept())
	}
	b.Put(make([]byte, 1024))
	b.Get(1024)
	b.Put(make([]byte, 1024))
	b.Trim()
	if b.Kept() != 1024 {
		t.Errorf("%d bytes are kept, want what was used since", b.Kept())
	}
}

func TestPromisesEndAtTheirLimit(t *testing.T) {
	var p promises
	if !p.take(unfilledLimit) || p.take(1) || p.bytes.Load() != unfilledLimit {
		t.Errorf("%d bytes are promised", p.bytes.Load())
	}
	p.giveBack(10)
	if p.take(11) || !p.take(10) || p.bytes.Load() != unfilledLimit {
		t.Errorf("%d bytes are promised", p.bytes.Load())
	}
}
