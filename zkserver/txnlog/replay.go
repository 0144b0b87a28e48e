package txnlog

import (
	"bufio"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"os"
	"path/filepath"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
)

// ErrCorrupt is wrapped by the errors of files that are damaged in a way that a crash does not
// explain.
var ErrCorrupt = errors.New("corrupt file")

// replay carries out the transactions that the tree does not contain yet.
func (s *Store) replay(t *tree.Tree, logs []numbered) error {
	first := 0
	for i, l := range logs {
		if l.zxid <= t.Zxid()+1 {
			first = i
		}
	}
	for i, l := range logs[first:] {
		if err := s.replayFile(t, l.name, first+i == len(logs)-1); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(s.logs, l.name), err)
		}
	}
	t.Loaded()
	return nil
}

// replayFile carries out the transactions of one file. If it is the last one, what follows the last
// whole transaction was being written during a crash and is cut off. An earlier file may end in the
// same way, if Apache ZooKeeper crashed while it wrote it.
func (s *Store) replayFile(t *tree.Tree, name string, last bool) error {
	path := filepath.Join(s.logs, name)
	file, err := s.fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := newReader(file)
	if err != nil {
		return err
	}
	if err := r.header(); err != nil {
		if last && errors.Is(err, io.EOF) { // a crash before the first transaction was durable
			s.warn("%s is empty, because the machine stopped while the file was created; it is removed", path)
			if err := s.fs.Remove(path); err != nil {
				return err
			}
			return s.fs.SyncDir(s.logs)
		}
		return err
	}
	snapshot, zxid := t.Zxid(), t.Zxid()
	for {
		header, txn, err := r.next()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), last && errors.Is(err, errChecksum):
			return s.cut(file, r, last)
		default:
			return err
		}
		if header.Zxid <= snapshot {
			continue
		}
		if header.Zxid > zxid+1 && header.Zxid>>32 == zxid>>32 {
			s.warn("%s: the transactions from 0x%x to 0x%x are missing", path, zxid+1, header.Zxid-1)
		}
		zxid = header.Zxid
		t.Replay(header, txn)
		s.SinceSave++
	}
}

// cut removes what follows the last whole transaction of the last log, if there is anything but
// zeros. It makes the file durable, because an earlier process may have been killed after it wrote a
// transaction and before it synced it.
func (s *Store) cut(file vfs.File, r *reader, last bool) error {
	if !last {
		return nil
	}
	dirty, err := anyByte(io.NewSectionReader(file, r.end, r.size-r.end))
	if err != nil {
		return err
	}
	if dirty {
		s.warn("%s: the transaction at %d is incomplete; it was not acknowledged and is removed", file.Name(), r.end)
		if err := file.Truncate(r.end); err != nil {
			return err
		}
	}
	return file.Sync()
}

// anyByte reports whether there is a byte that is not zero.
func anyByte(r io.Reader) (bool, error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return true, nil
			}
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// errChecksum is the error of an entry that is whole but has another checksum. Its cause may be a
// crash, in which a later part of the file can become durable before an earlier one.
var errChecksum = fmt.Errorf("%w: the checksum of a transaction does not match", ErrCorrupt)

// reader reads the entries of a log.
type reader struct {
	r    *bufio.Reader
	end  int64 // of the last whole entry
	size int64
}

func newReader(file vfs.File) (*reader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &reader{r: bufio.NewReaderSize(io.NewSectionReader(file, 0, info.Size()), 256<<10), size: info.Size()}, nil
}

// header reads the header of the file. The error is io.EOF if it is missing or all zeros.
func (r *reader) header() error {
	buf := make([]byte, headerLength)
	if _, err := io.ReadFull(r.r, buf); err != nil {
		return io.EOF
	}
	var h jute.FileHeader
	if _, err := jute.Decode(buf, &h); err != nil {
		return err
	}
	if h == (jute.FileHeader{}) {
		return io.EOF
	}
	if h.Magic != logMagic || h.Version != fileVersion {
		return fmt.Errorf("%w: it begins with 0x%x, version %d", ErrCorrupt, h.Magic, h.Version)
	}
	r.end = headerLength
	return nil
}

// next returns the next transaction. The error is io.EOF if there is none or it is incomplete, and
// errChecksum if it is not as it was written.
func (r *reader) next() (header jute.TxnHeader, txn jute.Record, err error) {
	var before [beforeEntry]byte
	if _, err := io.ReadFull(r.r, before[:]); err != nil {
		return header, nil, io.EOF
	}
	var entry entryHeader
	_, _ = jute.Decode(before[:], &entry) // cannot fail: all bytes are present
	length := entry.length
	if length <= 0 || int64(length)+1 > r.size-r.end-beforeEntry {
		return header, nil, io.EOF
	}
	body := make([]byte, length+1)
	if _, err := io.ReadFull(r.r, body); err != nil || body[length] != endOfEntry {
		return header, nil, io.EOF
	}
	body = body[:length]
	if checksum(adler32.Checksum(body)) != entry.sum {
		return header, nil, errChecksum
	}
	header, txn, err = jute.DecodeTxn(body)
	if err != nil {
		return header, nil, fmt.Errorf("%w: transaction 0x%x: %w", ErrCorrupt, header.Zxid, err)
	}
	r.end += beforeEntry + int64(length) + 1
	return header, txn, nil
}
