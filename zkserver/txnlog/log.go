package txnlog

import (
	"fmt"
	"hash/adler32"
	"os"
	"path/filepath"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
)

// A log is a header and entries. An entry is the checksum of a transaction in eight bytes, its length
// in four, the transaction, and endOfEntry. Behind the last entry there are zeros: the file grows in
// large steps, so that syncing it need not write its length.
const (
	logMagic     int32 = 'Z'<<24 | 'K'<<16 | 'L'<<8 | 'G'
	fileVersion  int32 = 2
	headerLength       = 16
	beforeEntry        = 12
	endOfEntry         = 'B'
	growAhead          = 4096 // the file grows when fewer bytes are left
)

// Batch is a sequence of transactions that are committed together. The zero value is empty.
type Batch struct {
	first int64 // zxid
	count int
	buf   []byte // their entries
}

// Add appends a transaction.
func (b *Batch) Add(header *jute.TxnHeader, txn jute.Record) {
	if b.count == 0 {
		b.first = header.Zxid
	}
	b.count++
	b.buf = appendEntry(b.buf, header, txn)
}

// Count returns the number of transactions.
func (b *Batch) Count() int { return b.count }

// Size returns the number of bytes that the transactions take in the log.
func (b *Batch) Size() int { return len(b.buf) }

func appendEntry(buf []byte, header *jute.TxnHeader, txn jute.Record) []byte {
	start := len(buf)
	buf = jute.Append(append(buf, make([]byte, beforeEntry)...), header, txn)
	body := buf[start+beforeEntry:]
	jute.Append(buf[:start], &entryHeader{checksum(adler32.Checksum(body)), int32(len(body))}) // into the gap
	return append(buf, endOfEntry)
}

// checksum is the Adler-32 of a transaction or a snapshot.
type checksum int64

// Fields implements jute.Record.
func (r *checksum) Fields(c *jute.Codec) { c.Long((*int64)(r)) }

// entryHeader precedes a transaction.
type entryHeader struct {
	sum    checksum
	length int32
}

// Fields implements jute.Record.
func (r *entryHeader) Fields(c *jute.Codec) { r.sum.Fields(c); c.Int(&r.length) }

// logFile is a log that is being written.
type logFile struct {
	file vfs.File
	end  int64 // of the entries
	size int64 // of the file
}

// Commit writes the transactions and returns when they are durable. After an error the store accepts
// no more, because it is not known what was written; opening it again finds out.
func (s *Store) Commit(b *Batch) error {
	if b.count == 0 || s.failed != nil {
		return s.failed
	}
	if err := s.commit(b); err != nil {
		s.failed = fmt.Errorf("writing transactions from 0x%x: %w", b.first, err)
	}
	return s.failed
}

func (s *Store) commit(b *Batch) error {
	buf, created := b.buf, s.current == nil
	if created {
		name := filepath.Join(s.logs, fmt.Sprintf("%s%x", logPrefix, b.first))
		file, err := s.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		s.current = &logFile{file: file}
		buf = append(jute.Append(nil, &jute.FileHeader{Magic: logMagic, Version: fileVersion}), buf...)
	}
	l := s.current
	end := l.end + int64(len(buf))
	if end+growAhead >= l.size {
		l.size = (end/s.preallocate + 1) * s.preallocate
		if l.size-end < growAhead {
			l.size += s.preallocate
		}
		if err := l.file.Preallocate(l.size); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(buf, l.end); err != nil {
		return err
	}
	l.end = end
	if s.noSync {
		return nil
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	if created {
		return s.fs.SyncDir(s.logs)
	}
	return nil
}

// Roll makes the next transaction begin a file of its own, so that a snapshot taken now needs no
// earlier file.
func (s *Store) Roll() error { return s.closeLog() }

func (s *Store) closeLog() error {
	if s.current == nil {
		return nil
	}
	file := s.current.file
	s.current = nil
	return file.Close()
}
