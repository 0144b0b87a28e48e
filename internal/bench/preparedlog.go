package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/monedula/monedula/record"
)

// preparedLog is a log that is written once, without a broker, and used by both sides. Call append
// for each batch and finish at the end.
type preparedLog struct {
	dir          string
	segmentBytes int64
	next         record.Offset // of the next batch
	segments     []preparedSegment
	file         *os.File // of the last segment; nil: none
}

type preparedSegment struct {
	base  record.Offset
	bytes int64
}

// segmentName returns the name of a segment's file.
func segmentName(base record.Offset) string { return fmt.Sprintf("%020d.log", base) }

// newPreparedLog returns a log in a new directory of the work directory.
func (b *bench) newPreparedLog(name string, segmentBytes int64) (*preparedLog, error) {
	dir := filepath.Join(b.work, name)
	return &preparedLog{dir: dir, segmentBytes: segmentBytes}, os.MkdirAll(dir, 0o755)
}

// append writes a batch with the records that fill adds.
func (l *preparedLog) append(fill func(*record.Builder) error) error {
	o := record.Defaults()
	o.BaseOffset, o.LeaderEpoch = l.next, 0
	builder := record.NewBuilder(o)
	if err := fill(builder); err != nil {
		return err
	}
	batch, err := builder.Build()
	if err != nil {
		return err
	}
	if l.file == nil || l.last().bytes+int64(len(batch)) > l.segmentBytes {
		if err := l.roll(); err != nil {
			return err
		}
	}
	if _, err := l.file.Write(batch); err != nil {
		return err
	}
	l.last().bytes += int64(len(batch))
	l.next = record.Batch(batch).NextOffset()
	return nil
}

func (l *preparedLog) last() *preparedSegment { return &l.segments[len(l.segments)-1] }

// roll begins the next segment.
func (l *preparedLog) roll() error {
	if err := l.finish(); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(l.dir, segmentName(l.next)))
	l.file, l.segments = file, append(l.segments, preparedSegment{base: l.next})
	return err
}

// finish closes the last segment.
func (l *preparedLog) finish() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// inactive returns the size of all segments but the last one, and the offset at which that begins.
func (l *preparedLog) inactive() (bytes int64, end record.Offset) {
	for _, s := range l.segments[:len(l.segments)-1] {
		bytes += s.bytes
	}
	return bytes, l.last().base
}

// placeIn makes this log the content of a partition's directory, whose broker must have been stopped
// cleanly. All segments but the last one, which brokers do not change, are hard links.
func (l *preparedLog) placeIn(dir string) error {
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range old {
		switch filepath.Ext(e.Name()) {
		case ".log", ".index", ".timeindex", ".txnindex", ".snapshot":
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for i := range l.segments {
		name := segmentName(l.segments[i].base)
		place := os.Link
		if i == len(l.segments)-1 {
			place = copyFile
		}
		if err := place(filepath.Join(l.dir, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return target.Close()
}

// stopAndPlace stops a broker cleanly, waits until it is deregistered, and gives it the log as that
// of partition 0 of the topics.
func (l *preparedLog) stopAndPlace(ctx context.Context, br *broker, topics ...string) error {
	if _, err := br.stopCleanly(ctx); err != nil {
		return err
	}
	if err := br.awaitDeregistered(ctx); err != nil {
		return err
	}
	for _, topic := range topics {
		if err := l.placeIn(br.partitionDir(topic)); err != nil {
			return err
		}
	}
	return nil
}

// partitionDir returns the directory of partition 0 of a topic.
func (br *broker) partitionDir(topic string) string { return filepath.Join(br.dir, topic+"-0") }

// logLineTime returns the time of the last log line that contains the text, which may be in a later
// line of a message.
func logLineTime(output, text string) (time.Time, error) {
	at := strings.LastIndex(output, text)
	if at < 0 {
		return time.Time{}, fmt.Errorf("the broker has not logged %q", text)
	}
	const layout = "[2006-01-02 15:04:05,000]"
	for head := output[:at]; ; {
		begin := strings.LastIndexByte(head, '\n')
		if line := output[begin+1:]; len(line) >= len(layout) {
			if t, err := time.Parse(layout, line[:len(layout)]); err == nil {
				return t, nil
			}
		}
		if begin < 0 {
			return time.Time{}, fmt.Errorf("the line with %q has no time", text)
		}
		head = output[:begin]
	}
}
