package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// The two kinds of damage of a checkpoint file. An error names the file and the line and wraps one
// of these. On the first kind Kafka takes the log directory offline; on the second it treats the
// file as empty.
var (
	errMalformedCheckpoint = errors.New("malformed checkpoint file")
	errCheckpointNumber    = errors.New("malformed number in checkpoint file")
)

// isDamage reports whether an error is due to a checkpoint file's content and not to the disk.
func isDamage(err error) bool {
	return errors.Is(err, errMalformedCheckpoint) || errors.Is(err, errCheckpointNumber)
}

const checkpointVersion = "0"

// readOffsetCheckpoint reads an offset checkpoint file (version 0):
//
//	0
//	number of entries
//	topic partition offset
//
// A missing or empty file has no entries; neither has one that ends after the version.
func readOffsetCheckpoint(fs vfs.FS, path string) (map[TopicPartition]record.Offset, error) {
	offsets := map[TopicPartition]record.Offset{}
	err := readCheckpoint(fs, path, 3, func(fields []string) error {
		partition, err := strconv.ParseInt(fields[1], 10, 32)
		if err != nil {
			return err
		}
		offset, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return err
		}
		offsets[TopicPartition{Topic: fields[0], Partition: int32(partition)}] = record.Offset(offset)
		return nil
	})
	return offsets, err
}

// writeOffsetCheckpoint replaces an offset checkpoint file, atomically and durably. Entries are
// sorted by topic and partition.
func writeOffsetCheckpoint(fs vfs.FS, path string, offsets map[TopicPartition]record.Offset) error {
	order := make([]TopicPartition, 0, len(offsets))
	for tp := range offsets {
		order = append(order, tp)
	}
	slices.SortFunc(order, func(a, b TopicPartition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
	lines := make([]string, len(order))
	for i, tp := range order {
		lines[i] = tp.Topic + " " + strconv.Itoa(int(tp.Partition)) + " " + strconv.FormatInt(int64(offsets[tp]), 10)
	}
	return writeCheckpoint(fs, path, lines)
}

// readCheckpoint reads a checkpoint file of version 0 and calls entry with the fields of each line.
// An error of entry is reported as errCheckpointNumber after the rest of the file has been checked.
func readCheckpoint(fs vfs.FS, path string, fields int, entry func([]string) error) error {
	data, err := readFile(fs, path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(data) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	malformed := func(line int, what string) error {
		text := "end of file"
		if line < len(lines) {
			text = strconv.Quote(lines[line])
		}
		return fmt.Errorf("%w: %s, line %d (%s): %s", errMalformedCheckpoint, path, line+1, text, what)
	}
	if len(lines) == 0 {
		return nil
	}
	if lines[0] != checkpointVersion {
		return malformed(0, "the version is not "+checkpointVersion)
	}
	if len(lines) == 1 {
		return nil
	}
	count, err := strconv.ParseUint(lines[1], 10, 31)
	if err != nil {
		return malformed(1, "not the number of entries")
	}
	if uint64(len(lines)-2) != count {
		return malformed(len(lines), fmt.Sprintf("%d entries instead of %d", len(lines)-2, count))
	}
	var number error
	for i, line := range lines[2:] {
		f := strings.Fields(line)
		if len(f) != fields {
			return malformed(i+2, fmt.Sprintf("not %d fields", fields))
		}
		if err := entry(f); err != nil && number == nil {
			number = fmt.Errorf("%w: %s, line %d (%q): %w", errCheckpointNumber, path, i+3, line, err)
		}
	}
	return number
}

// writeCheckpoint replaces a checkpoint file of version 0.
func writeCheckpoint(fs vfs.FS, path string, lines []string) error {
	var b strings.Builder
	b.WriteString(checkpointVersion + "\n" + strconv.Itoa(len(lines)) + "\n")
	for _, line := range lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return writeFileAtomic(fs, path, []byte(b.String()))
}

// writeFileAtomic replaces the content of a file so that after a crash the file holds either the
// old or the new content: it writes a temporary file, syncs it, renames it, and syncs the
// directory.
func writeFileAtomic(fs vfs.FS, path string, data []byte) error {
	if err := replaceFile(fs, path, data); err != nil {
		return err
	}
	return fs.SyncDir(filepath.Dir(path))
}

// replaceFile is like writeFileAtomic, but does not sync the directory: after a crash the old
// content may be back.
func replaceFile(fs vfs.FS, path string, data []byte) error {
	temp := path + tempSuffix
	if err := writeFileSynced(fs, temp, data); err != nil {
		return err
	}
	return fs.Rename(temp, path)
}

// writeFile writes a file in place, without making it durable.
func writeFile(fs vfs.FS, path string, data []byte) error {
	f, err := createWith(fs, path, data)
	if err != nil {
		return err
	}
	return f.Close()
}

// writeFileSynced writes a file in place and makes its content durable.
func writeFileSynced(fs vfs.FS, path string, data []byte) error {
	f, err := createWith(fs, path, data)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func createWith(fs vfs.FS, path string, data []byte) (vfs.File, error) {
	f, err := fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// createEmpty ensures that a file exists.
func createEmpty(fs vfs.FS, path string) error {
	f, err := fs.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// readFile reads a whole file.
func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if err == io.EOF {
		err = nil
	}
	return data[:n], err
}
