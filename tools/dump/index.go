package dump

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
)

// Sizes in bytes of index entries and of a producer's entry in a snapshot.
const (
	offsetEntrySize   = 8
	timeEntrySize     = 12
	txnEntrySize      = 34
	producerEntrySize = 46
	snapshotHeadSize  = 10
)

// offsetEntry is an entry of an offset index.
type offsetEntry struct {
	offset   record.Offset
	position int32
}

func offsetEntries(base record.Offset, raw []byte) (entries []offsetEntry) {
	for ; len(raw) >= offsetEntrySize; raw = raw[offsetEntrySize:] {
		entries = append(entries, offsetEntry{base + record.Offset(int32(binary.BigEndian.Uint32(raw))), int32(binary.BigEndian.Uint32(raw[4:]))})
	}
	return entries
}

// readIndex reads an index file. The log of the same segment must exist.
func readIndex(file string) (base record.Offset, raw []byte, err error) {
	if base, err = baseOffset(file); err != nil {
		return 0, nil, err
	}
	if log := sibling(file, ".log"); !exists(log) {
		return 0, nil, noSuchFile(log)
	}
	if raw, err = os.ReadFile(file); err != nil {
		return 0, nil, noSuchFile(file)
	}
	return base, raw, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func noSuchFile(file string) error {
	return cli.NewJavaError("java.nio.file.NoSuchFileException", file)
}

// sibling returns the file of the same segment with another extension.
func sibling(file, ending string) string {
	return file[:strings.LastIndex(file, ".")] + ending
}

func corruptIndex(format string, args ...any) error {
	return cli.NewJavaError("org.apache.kafka.storage.internals.log.CorruptIndexException", fmt.Sprintf(format, args...))
}

// checkSize returns an error unless an index consists of whole entries.
func checkSize(kind, file string, size, entry int) error {
	if size%entry != 0 {
		return corruptIndex("%s file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d", kind, file, size, entry)
	}
	return nil
}

func (d *dump) dumpOffsetIndex(file string) error {
	maxMessageSize, err := number(d.maxMessageSize, 5<<20)
	if err != nil {
		return err
	}
	base, raw, err := readIndex(file)
	if err != nil {
		return err
	}
	entries := offsetEntries(base, raw)
	if len(entries) == 0 {
		fmt.Fprintf(d.out, "%s is empty.\n", file)
		return nil
	}
	if d.sanityOnly {
		if last := entries[len(entries)-1].offset; last < base {
			return corruptIndex("Corrupt index found, index file %s has non-zero size but the last offset is %d which is less than the base offset %d", file, last, base)
		}
		if err := checkSize("Index", file, len(raw), offsetEntrySize); err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%s passed sanity check.\n", file)
		return nil
	}
	for i, e := range entries {
		if e.offset == base && i > 0 {
			return nil // zeros: the file is preallocated
		}
		s, err := openScanner(sibling(file, ".log"), int64(e.position), maxMessageSize)
		if err != nil {
			return err
		}
		batch, err := s.next()
		s.file.Close()
		if err != nil {
			return cli.NewJavaError("java.util.NoSuchElementException", "")
		}
		if last := batch.LastOffset(); last != e.offset {
			d.mismatches.add(absolute(file), int64(e.offset), int64(last))
		}
		if !d.verifyOnly {
			fmt.Fprintf(d.out, "offset: %d position: %d\n", e.offset, e.position)
		}
	}
	return nil
}

func (d *dump) dumpTimeIndex(file string) error {
	base, raw, err := readIndex(file)
	if err != nil {
		return err
	}
	index, err := os.ReadFile(sibling(file, ".index"))
	if err != nil {
		return cli.IllegalArgument("Invalid max index size: -1")
	}
	if d.sanityOnly {
		if err := checkTimes(file, base, raw); err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%s passed sanity check.\n", file)
		return nil
	}
	positions := offsetEntries(base, index)
	previous := record.NoTimestamp
	for i := 0; len(raw) >= timeEntrySize; raw, i = raw[timeEntrySize:], i+1 {
		timestamp := int64(binary.BigEndian.Uint64(raw))
		offset := base + record.Offset(int32(binary.BigEndian.Uint32(raw[8:])))
		if offset == base && i > 0 {
			return nil
		}
		if err := d.checkTimeEntry(file, positions, timestamp, offset, previous); err != nil {
			return err
		}
		if !d.verifyOnly {
			fmt.Fprintf(d.out, "timestamp: %d offset: %d\n", timestamp, offset)
		}
		previous = timestamp
	}
	return nil
}

// checkTimes performs Kafka's sanity check of a time index.
func checkTimes(file string, base record.Offset, raw []byte) error {
	if n := len(raw) / timeEntrySize; n > 0 {
		last := raw[(n-1)*timeEntrySize:]
		firstTime, lastTime := int64(binary.BigEndian.Uint64(raw)), int64(binary.BigEndian.Uint64(last))
		lastOffset := base + record.Offset(int32(binary.BigEndian.Uint32(last[8:])))
		const head = "Corrupt time index found, time index file (%s) has non-zero size but the last "
		if lastTime < firstTime {
			return corruptIndex(head+"timestamp is %d which is less than the first timestamp %d", file, lastTime, firstTime)
		}
		if lastOffset < base {
			return corruptIndex(head+"offset is %d which is less than the first offset %d", file, lastOffset, base)
		}
	}
	return checkSize("Time index", file, len(raw), timeEntrySize)
}

// checkTimeEntry looks up the batch of an index entry in the log, and records every mismatch.
func (d *dump) checkTimeEntry(file string, positions []offsetEntry, timestamp int64, offset record.Offset, previous int64) error {
	at := sort.Search(len(positions), func(i int) bool {
		return positions[i].offset > offset || i > 0 && positions[i].position == 0
	})
	position := int64(0)
	if at > 0 {
		position = int64(positions[at-1].position)
	}
	s, err := openScanner(sibling(file, ".log"), position, maxInt32)
	if err != nil {
		return err
	}
	defer s.file.Close()
	for {
		batch, err := s.next()
		if err == io.EOF {
			d.notFound.add(file, int64(offset), -1)
			return nil
		}
		if err != nil {
			return err
		}
		last := batch.LastOffset()
		switch {
		case last < offset:
			continue
		case last != offset:
			d.notFound.add(file, int64(offset), int64(last))
			return nil
		}
		most := record.NoTimestamp
		err = batch.EachTimestamp(func(_ record.Offset, ms int64) error {
			most = max(most, ms)
			return nil
		})
		if err != nil {
			return err
		}
		if most != timestamp {
			d.timeMismatches.add(absolute(file), timestamp, most)
		}
		if previous >= timestamp {
			d.outOfOrder.add(absolute(file), timestamp, previous)
		}
		return nil
	}
}

func (d *dump) dumpTxnIndex(file string) error {
	if _, err := baseOffset(file); err != nil {
		return err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return noSuchFile(file)
	}
	for ; len(raw) >= txnEntrySize; raw = raw[txnEntrySize:] {
		u64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(raw[at:])) }
		// Kafka's tool prints the version that it knows, not the entry's.
		fmt.Fprintf(d.out, "version: 0 producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n", u64(2), u64(10), u64(18), u64(26))
	}
	return nil
}

func (d *dump) dumpSnapshot(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return noSuchFile(file)
	}
	corrupt := func(text string) error {
		d.out.Flush()
		d.Env.Complainf("%s", text)
		return nil
	}
	if fields := missingField(raw); fields != "" {
		return corrupt("Snapshot failed schema validation: " + fields + "java.nio.BufferUnderflowException")
	}
	if version := int16(binary.BigEndian.Uint16(raw)); version != 1 {
		return corrupt(fmt.Sprintf("Snapshot contained an unknown file version %d", version))
	}
	stored := binary.BigEndian.Uint32(raw[2:])
	if computed := crc32.Checksum(raw[6:], crc32.MakeTable(crc32.Castagnoli)); computed != stored {
		return corrupt(fmt.Sprintf("Snapshot is corrupt (CRC is no longer valid). Stored crc: %d. Computed crc: %d", stored, computed))
	}
	for raw = raw[snapshotHeadSize:]; len(raw) >= producerEntrySize; raw = raw[producerEntrySize:] {
		d.printProducer(raw)
	}
	return nil
}

// field is a field of a snapshot.
type field struct {
	name string
	size int
}

var (
	snapshotHead  = []field{{"version", 2}, {"crc", 4}, {"producer_entries", 4}}
	producerEntry = []field{{"producer_id", 8}, {"epoch", 2}, {"last_sequence", 4}, {"last_offset", 8}, {"offset_delta", 4},
		{"timestamp", 8}, {"coordinator_epoch", 4}, {"current_txn_first_offset", 8}}
)

// missingField returns the beginning of Kafka's message about the field in which a snapshot ends
// too early, or "" if no field is missing.
func missingField(raw []byte) string {
	missing := func(fields []field) string {
		for _, f := range fields {
			if len(raw) < f.size {
				return "Error reading field '" + f.name + "': "
			}
			raw = raw[f.size:]
		}
		return ""
	}
	if text := missing(snapshotHead); text != "" {
		return text
	}
	for len(raw) > 0 {
		if text := missing(producerEntry); text != "" {
			return "Error reading field 'producer_entries': " + text
		}
	}
	return ""
}

// printProducer prints the entry of one producer in a snapshot.
func (d *dump) printProducer(raw []byte) {
	u64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(raw[at:])) }
	i32 := func(at int) int32 { return int32(binary.BigEndian.Uint32(raw[at:])) }
	lastSequence, lastOffset, delta, timestamp, txn := i32(10), u64(14), i32(22), u64(26), u64(38)
	open := "OptionalLong.empty"
	if txn >= 0 {
		open = fmt.Sprintf("OptionalLong[%d]", txn)
	}
	fmt.Fprintf(d.out, "producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d ",
		u64(0), int16(binary.BigEndian.Uint16(raw[8:])), i32(34), open, timestamp)
	if lastOffset >= 0 {
		// Sequences wrap around from the largest number to 0.
		first := lastSequence - delta
		if first < 0 {
			first = maxInt32 - (delta - lastSequence) + 1
		}
		fmt.Fprintf(d.out, "firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
			first, lastSequence, lastOffset, delta, timestamp)
	}
	fmt.Fprintln(d.out)
}
