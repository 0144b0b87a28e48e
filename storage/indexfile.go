package storage

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/record"
)

// Errors of the indexes other than those of the file system. errCorruptIndex means that the segment
// must be recovered.
var (
	errIndexFull     = errors.New("the index is full")
	errInvalidOffset = errors.New("an index entry must not precede the last one")
	errIndexOverflow = errors.New("the offset is too far from the segment's base offset")
	errCorruptIndex  = errors.New("corrupt index")
)

// indexTailMax is the number of newest entries kept in memory. With the default interval they cover
// the last 2 MiB of a segment's log.
const indexTailMax = 512

// indexFile is the common part of the offset and the time index: fixed-size entries in a file that
// is preallocated with zeros to its maximum size while its segment is the active one. Nothing is
// mapped into memory: entries are written with pwrite and read with pread, the newest from memory.
//
// Methods that change the index must be called by one goroutine at a time (under the log's lock);
// methods that read may run concurrently with them. The first call that needs the file opens it and
// counts its entries.
type indexFile struct {
	file      *cachedFile
	base      record.Offset
	entrySize int64
	reserve   int64 // entries reserved for the end of appending

	loading sync.Mutex // allows one first load at a time
	state   atomic.Pointer[indexState]

	// The fields below are used only by methods that change the index.
	length     int64 // of the file
	maxEntries int64
	active     bool // the file is kept open and at its maximum size
}

// indexState is an immutable snapshot for readers. Entries are only added after those that an older
// state shows, except by a truncation, which increments truncations.
type indexState struct {
	count       int64
	tail        []byte // the last entries, encoded as in the file
	lastEntry   []byte // nil if count is 0
	truncations int64
}

func newIndexFile(file *cachedFile, base record.Offset, entrySize int64, maxSize int32) indexFile {
	file.create = true
	return indexFile{file: file, base: base, entrySize: entrySize, maxEntries: int64(maxSize) / entrySize}
}

// load returns the state. The first call counts the file's entries: all in its whole length, as in
// Kafka, except the zeros that a crash may leave at the end of a preallocated file.
func (x *indexFile) load() (*indexState, error) {
	if s := x.state.Load(); s != nil {
		return s, nil
	}
	x.loading.Lock()
	defer x.loading.Unlock()
	if s := x.state.Load(); s != nil {
		return s, nil
	}
	f, err := x.file.acquire()
	if err != nil {
		return nil, err
	}
	defer f.release()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &indexState{}
	if s.count, s.lastEntry, err = x.countEntries(f, info.Size()/x.entrySize); err != nil {
		return nil, err
	}
	x.length = info.Size()
	x.maxEntries = max(x.maxEntries, s.count+x.reserve)
	x.state.Store(s)
	return s, nil
}

// countEntries returns the number of entries before the zeros at the file's end, and the last of
// them. Only the first entry can be all zeros, since offsets, or timestamps, increase.
func (x *indexFile) countEntries(f io.ReaderAt, whole int64) (count int64, last []byte, err error) {
	if whole == 0 {
		return 0, nil, nil
	}
	last = make([]byte, x.entrySize)
	if _, err := f.ReadAt(last, (whole-1)*x.entrySize); err != nil {
		return 0, nil, err
	}
	if whole == 1 || !isZero(last) {
		return whole, last, nil
	}
	var block indexBlock
	last, n, err := searchEntries(f, &block, whole, x.entrySize, func(e []byte) bool { return !isZero(e) })
	return n + 1, last, err
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// activate prepares the index for the active segment: the file is created if it is missing, kept
// open, and sized to maxSize rounded down to whole entries.
func (x *indexFile) activate(maxSize int32) error {
	if _, err := x.load(); err != nil {
		return err
	}
	if _, err := x.file.hold(true); err != nil {
		return err
	}
	x.active = true
	return x.resize(maxSize)
}

// deactivate trims the file and no longer keeps it open.
func (x *indexFile) deactivate() error {
	err := x.trim()
	x.active = false
	x.file.unhold()
	return err
}

// entries returns the number of entries.
func (x *indexFile) entries() (int, error) {
	s, err := x.load()
	if err != nil {
		return 0, err
	}
	return int(s.count), nil
}

// isFull reports whether no more entries may be appended.
func (x *indexFile) isFull() (bool, error) {
	s, err := x.load()
	return err == nil && s.count >= x.maxEntries, err
}

// add appends an entry.
func (x *indexFile) add(entry []byte) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if s.count >= x.maxEntries {
		return fmt.Errorf("%w: %s has %d entries", errIndexFull, x.file.name(), s.count)
	}
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	at := s.count * x.entrySize
	if _, err := f.WriteAt(entry, at); err != nil {
		return err
	}
	x.length = max(x.length, at+x.entrySize)
	next := &indexState{count: s.count + 1, truncations: s.truncations}
	if full := int(indexTailMax * x.entrySize); len(s.tail) < full {
		next.tail = append(s.tail, entry...)
	} else { // a new array, since readers have the old one
		next.tail = append(make([]byte, 0, full), s.tail[full/2:]...)
		next.tail = append(next.tail, entry...)
	}
	next.lastEntry = next.tail[int64(len(next.tail))-x.entrySize:]
	x.state.Store(next)
	return nil
}

// truncateEntries keeps the first count entries. In an active index the file is filled up with
// zeros again.
func (x *indexFile) truncateEntries(count int64) error {
	s, err := x.load()
	if err != nil || count >= s.count {
		return err
	}
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	next := &indexState{count: count, truncations: s.truncations + 1}
	if count > 0 {
		next.lastEntry = make([]byte, x.entrySize)
		if _, err := f.ReadAt(next.lastEntry, (count-1)*x.entrySize); err != nil {
			return err
		}
	}
	x.state.Store(next)
	length := x.length
	if err := f.Truncate(count * x.entrySize); err != nil {
		return err
	}
	x.length = count * x.entrySize
	if !x.active {
		return nil
	}
	return x.extend(length)
}

func (x *indexFile) extend(length int64) error {
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	if err := f.Preallocate(length); err != nil {
		return err
	}
	x.length = length
	return nil
}

// reset drops all entries, so that the index can be rebuilt with a size of up to maxSize. A missing
// file is created.
func (x *indexFile) reset(maxSize int32) error {
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	next := &indexState{}
	if s := x.state.Load(); s != nil {
		next.truncations = s.truncations + 1
	}
	x.state.Store(next)
	if err := f.Truncate(0); err != nil {
		return err
	}
	x.length = 0
	x.maxEntries = int64(maxSize) / x.entrySize
	if x.active {
		return x.extend(x.maxEntries * x.entrySize)
	}
	return nil
}

// trim cuts the file to the size of its entries.
func (x *indexFile) trim() error {
	s, err := x.load()
	if err != nil || x.length == s.count*x.entrySize {
		return err
	}
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	if err := f.Truncate(s.count * x.entrySize); err != nil {
		return err
	}
	x.length = s.count * x.entrySize
	return nil
}

// resize sets the maximum number of entries to maxSize rounded down to whole entries, but no less
// than the current entries and the reserve. It sizes the file of an active index accordingly.
func (x *indexFile) resize(maxSize int32) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	x.maxEntries = max(int64(maxSize)/x.entrySize, s.count+x.reserve)
	length := x.maxEntries * x.entrySize
	if !x.active || length == x.length {
		return nil
	}
	if length > x.length {
		return x.extend(length)
	}
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	if err := f.Truncate(length); err != nil {
		return err
	}
	x.length = length
	return nil
}

// sync makes the entries durable.
func (x *indexFile) sync() error {
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	return f.Sync()
}

// find returns a copy of the last entry for which below is true, and its number, or -1 if there is
// none. below must be true for the first entries up to some point and false for the rest.
func (x *indexFile) find(below func(entry []byte) bool) (entry []byte, n int64, err error) {
	for {
		s, err := x.load()
		if err != nil {
			return nil, -1, err
		}
		entry, n, err := x.search(s, below)
		if now := x.state.Load(); now.truncations == s.truncations {
			return entry, n, err
		}
		// The entries read may have been cut off and overwritten.
	}
}

// search is like find, in the given state.
func (x *indexFile) search(s *indexState, below func(entry []byte) bool) ([]byte, int64, error) {
	size := x.entrySize
	inTail := int64(len(s.tail)) / size
	inFile := s.count - inTail // entries that are only in the file
	if inTail > 0 && below(s.tail[:size]) {
		i := int64(sort.Search(int(inTail), func(i int) bool { return !below(s.tail[int64(i)*size:][:size]) })) - 1
		return s.tail[i*size:][:size], inFile + i, nil
	}
	if inFile == 0 {
		return nil, -1, nil
	}
	f, err := x.file.acquire()
	if err != nil {
		return nil, -1, err
	}
	defer f.release()
	buf := x.file.cache.blocks.Get().(*indexBlock)
	defer x.file.cache.blocks.Put(buf)
	return searchEntries(f, buf, inFile, size, below)
}

// indexBlock is the buffer for one read of an index, with space for one more entry.
type indexBlock [4096 + 2*timeEntrySize]byte

// searchEntries searches the first count entries of a file: it bisects until the remaining entries
// fit into one read.
func searchEntries(f io.ReaderAt, buf *indexBlock, count, size int64, below func([]byte) bool) ([]byte, int64, error) {
	lo, hi := int64(-1), count // below(lo) is true or lo is -1, below(hi) is false or hi is count
	for (hi-lo)*size > int64(len(buf)) {
		mid := lo + (hi-lo)/2
		if _, err := f.ReadAt(buf[:size], mid*size); err != nil {
			return nil, -1, err
		}
		if below(buf[:size]) {
			lo = mid
		} else {
			hi = mid
		}
	}
	first := max(lo, 0)
	all := buf[:(hi-first)*size]
	if _, err := f.ReadAt(all, first*size); err != nil {
		return nil, -1, err
	}
	i := int64(sort.Search(int(hi-first), func(i int) bool { return !below(all[int64(i)*size:][:size]) })) - 1
	if i < 0 {
		return nil, -1, nil
	}
	return append([]byte(nil), all[i*size:][:size]...), first + i, nil
}

// entryAt reads entry n into buf.
func (x *indexFile) entryAt(n int64, buf []byte) error {
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	_, err = f.ReadAt(buf[:x.entrySize], n*x.entrySize)
	return err
}

// relative returns the offset's distance from the base, as an entry stores it.
func (x *indexFile) relative(offset record.Offset) (uint32, error) {
	if d := offset - x.base; d >= 0 && d <= math.MaxInt32 {
		return uint32(d), nil
	}
	return 0, fmt.Errorf("%w: offset %d in %s", errIndexOverflow, offset, x.file.name())
}
