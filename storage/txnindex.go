package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/record"
)

const (
	txnEntrySize    = 34
	txnEntryVersion = 0
)

// abortedTxn is an entry of a transaction index.
type abortedTxn struct {
	producerID  int64
	firstOffset record.Offset
	lastOffset  record.Offset // of the ABORT marker
	// lastStableOffset is the last stable offset after this abort: the first offset of the oldest
	// other open transaction, or else lastOffset+1.
	lastStableOffset record.Offset
}

func (t abortedTxn) encode() []byte {
	b := make([]byte, 0, txnEntrySize)
	b = binary.BigEndian.AppendUint16(b, txnEntryVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(t.producerID))
	b = binary.BigEndian.AppendUint64(b, uint64(t.firstOffset))
	b = binary.BigEndian.AppendUint64(b, uint64(t.lastOffset))
	return binary.BigEndian.AppendUint64(b, uint64(t.lastStableOffset))
}

func decodeAbortedTxn(b []byte) (t abortedTxn, version int16) {
	return abortedTxn{
		producerID:       int64(binary.BigEndian.Uint64(b[2:])),
		firstOffset:      record.Offset(binary.BigEndian.Uint64(b[10:])),
		lastOffset:       record.Offset(binary.BigEndian.Uint64(b[18:])),
		lastStableOffset: record.Offset(binary.BigEndian.Uint64(b[26:])),
	}, int16(binary.BigEndian.Uint16(b))
}

// txnIndex lists the aborted transactions whose marker is in a segment, in ascending order of
// lastOffset. Its file is created with the first entry. Methods that change the index must be
// called by one goroutine at a time; methods that read may run concurrently with them.
type txnIndex struct {
	file *cachedFile
	base record.Offset

	loading sync.Mutex // allows one first load at a time
	state   atomic.Pointer[txnIndexState]
}

// txnIndexState is an immutable snapshot for readers.
type txnIndexState struct {
	exists      bool
	count       int64
	lastOffset  record.Offset // of the last entry
	truncations int64
}

// newTxnIndex returns the index of the segment with the given base offset, without opening its
// file.
func newTxnIndex(file *cachedFile, base record.Offset) *txnIndex {
	return &txnIndex{file: file, base: base}
}

func (x *txnIndex) load() (*txnIndexState, error) {
	if s := x.state.Load(); s != nil {
		return s, nil
	}
	x.loading.Lock()
	defer x.loading.Unlock()
	if s := x.state.Load(); s != nil {
		return s, nil
	}
	s := &txnIndexState{}
	f, err := x.file.acquire()
	if errors.Is(err, fs.ErrNotExist) {
		x.state.Store(s)
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.release()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s.exists, s.count = true, info.Size()/txnEntrySize
	if s.count > 0 {
		var e [txnEntrySize]byte
		if _, err := f.ReadAt(e[:], (s.count-1)*txnEntrySize); err != nil {
			return nil, err
		}
		t, _ := decodeAbortedTxn(e[:])
		s.lastOffset = t.lastOffset
	}
	x.state.Store(s)
	return s, nil
}

// append adds an entry. Its lastOffset must be above the last one's; otherwise the error is
// errInvalidOffset.
func (x *txnIndex) append(t abortedTxn) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if s.count > 0 && t.lastOffset <= s.lastOffset {
		return fmt.Errorf("%w: transaction ending at %d after %d in %s", errInvalidOffset, t.lastOffset, s.lastOffset, x.file.name())
	}
	f, err := x.open()
	if err != nil {
		return err
	}
	defer f.release()
	if _, err := f.WriteAt(t.encode(), s.count*txnEntrySize); err != nil {
		return err
	}
	x.state.Store(&txnIndexState{exists: true, count: s.count + 1, lastOffset: t.lastOffset, truncations: s.truncations})
	return nil
}

// exists reports whether the index is known to have a file.
func (x *txnIndex) exists() bool {
	s := x.state.Load()
	return s != nil && s.exists
}

// open returns the index's file, and creates it if it is missing. The caller must release the
// handle.
func (x *txnIndex) open() (*fileHandle, error) {
	s, err := x.load()
	if err != nil {
		return nil, err
	}
	if !s.exists {
		if err := x.create(); err != nil {
			return nil, err
		}
		made := *s
		made.exists = true
		x.state.Store(&made)
	}
	return x.file.acquire()
}

func (x *txnIndex) create() error {
	f, err := x.file.cache.fs.OpenFile(x.file.name(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// collect appends to dst the transactions with data in [fetchOffset, upperBound). complete reports
// that later segments' indexes cannot hold more. It starts with the first entry that ends at or
// above fetchOffset, and reads no more entries than needed.
func (x *txnIndex) collect(dst []AbortedTxn, fetchOffset, upperBound record.Offset) (found []AbortedTxn, complete bool, err error) {
	for {
		s, err := x.load()
		if err != nil || s.count == 0 || s.lastOffset < fetchOffset {
			return dst, false, err
		}
		found, complete, err := x.collectFrom(s, dst, fetchOffset, upperBound)
		if x.state.Load().truncations == s.truncations {
			return found, complete, err
		}
		// The entries read may have been cut off and overwritten.
	}
}

// collectFrom is like collect, in the given state.
func (x *txnIndex) collectFrom(s *txnIndexState, dst []AbortedTxn, fetchOffset, upperBound record.Offset) (found []AbortedTxn, complete bool, err error) {
	f, err := x.file.acquire()
	if err != nil {
		return dst, false, err
	}
	defer f.release()
	buf := x.file.cache.blocks.Get().(*indexBlock)
	defer x.file.cache.blocks.Put(buf)
	_, n, err := searchEntries(f, buf, s.count, txnEntrySize, func(e []byte) bool {
		t, _ := decodeAbortedTxn(e)
		return t.lastOffset < fetchOffset
	})
	if err != nil {
		return dst, false, err
	}
	for n++; n < s.count; {
		block := buf[:min((s.count-n)*txnEntrySize, int64(len(buf)/txnEntrySize*txnEntrySize))]
		if _, err := f.ReadAt(block, n*txnEntrySize); err != nil {
			return dst, false, err
		}
		for ; len(block) > 0; block = block[txnEntrySize:] {
			t, err := x.decode(block)
			if err != nil {
				return dst, false, err
			}
			if t.firstOffset < upperBound {
				dst = append(dst, AbortedTxn{ProducerID: t.producerID, FirstOffset: t.firstOffset})
			}
			if t.lastStableOffset >= upperBound {
				return dst, true, nil
			}
			n++
		}
	}
	return dst, false, nil
}

// decode decodes the entry at the start of b. An unknown version is errCorruptIndex.
func (x *txnIndex) decode(b []byte) (abortedTxn, error) {
	t, version := decodeAbortedTxn(b)
	if version > txnEntryVersion {
		return t, fmt.Errorf("%w: Unexpected aborted transaction version %d in transaction index %s, current version is %d",
			errCorruptIndex, version, x.file.name(), txnEntryVersion)
	}
	return t, nil
}

// all returns every entry. An entry of an unknown version is errCorruptIndex.
func (x *txnIndex) all() ([]abortedTxn, error) {
	for {
		s, err := x.load()
		if err != nil || s.count == 0 {
			return nil, err
		}
		b := make([]byte, s.count*txnEntrySize)
		if err := x.readAt(b); x.state.Load().truncations != s.truncations {
			continue // the entries read may have been cut off and overwritten
		} else if err != nil {
			return nil, err
		}
		all := make([]abortedTxn, 0, s.count)
		for ; len(b) > 0; b = b[txnEntrySize:] {
			t, err := x.decode(b)
			if err != nil {
				return nil, err
			}
			all = append(all, t)
		}
		return all, nil
	}
}

func (x *txnIndex) readAt(b []byte) error {
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	_, err = f.ReadAt(b, 0)
	return err
}

// truncateTo drops the entries whose lastOffset is at or above offset.
func (x *txnIndex) truncateTo(offset record.Offset) error {
	all, err := x.all()
	if err != nil {
		return err
	}
	n := 0
	for n < len(all) && all[n].lastOffset < offset {
		n++
	}
	if n == len(all) {
		return nil
	}
	next := txnIndexState{count: int64(n)}
	if n > 0 {
		next.lastOffset = all[n-1].lastOffset
	}
	return x.cut(next)
}

// reset drops all entries; an existing file is kept, empty.
func (x *txnIndex) reset() error {
	s, err := x.load()
	if err != nil || !s.exists {
		return err
	}
	return x.cut(txnIndexState{})
}

func (x *txnIndex) cut(next txnIndexState) error {
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	next.exists, next.truncations = true, x.state.Load().truncations+1
	x.state.Store(&next)
	return f.Truncate(next.count * txnEntrySize)
}

// sync makes the entries durable.
func (x *txnIndex) sync() error {
	s, err := x.load()
	if err != nil || !s.exists {
		return err
	}
	f, err := x.file.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	return f.Sync()
}

// sanityCheck returns errCorruptIndex for damage that is visible without the log.
func (x *txnIndex) sanityCheck() error {
	all, err := x.all()
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.lastOffset < x.base {
			return fmt.Errorf("%w: %s has a transaction that ends at offset %d, below its base offset %d",
				errCorruptIndex, x.file.name(), t.lastOffset, x.base)
		}
	}
	return nil
}
