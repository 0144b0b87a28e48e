package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

func newTestLog(t *testing.T, segmentBytes int64) *preparedLog {
	t.Helper()
	b := &bench{work: t.TempDir()}
	l, err := b.newPreparedLog("log", segmentBytes)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// records returns the records of a partition's directory, which must have consecutive offsets.
func records(t *testing.T, dir string) (all []record.Record) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		bytes, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for batch, err := range record.Batches(bytes) {
			if err != nil {
				t.Fatal(err)
			}
			if err := batch.Each(func(r *record.Record) error {
				if int(r.Offset) != len(all) {
					t.Errorf("offset %d follows %d records", r.Offset, len(all))
				}
				all = append(all, *r)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func TestAPreparedLogReplacesThatOfAPartition(t *testing.T) {
	l := newTestLog(t, 40_000)
	shape := cleanShape{valueBytes: 1000}
	if err := l.fillWithKeys(shape, 160_000); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{segmentName(0), strings.Replace(segmentName(0), ".log", ".index", 1), "00000000000000000007.snapshot", "leader-epoch-checkpoint"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.placeIn(dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*[^g]"))
	if err != nil || !slices.Equal(left, []string{filepath.Join(dir, "leader-epoch-checkpoint")}) {
		t.Errorf("besides segments there are %v, %v", left, err)
	}
	all := records(t, dir)
	if len(all) != int(l.next) || len(l.segments) < 4 {
		t.Errorf("%d records in %d segments, want %d in at least 4", len(all), len(l.segments), l.next)
	}
	keys := map[string]int{}
	for _, r := range all {
		keys[string(r.Key)]++
	}
	if len(keys) < 30 || len(keys) > 40 {
		t.Errorf("%d records have %d keys, want almost 40", len(all), len(keys))
	}

	bytes, end := l.inactive()
	size, err := logBytes(dir)
	active, statErr := os.Stat(filepath.Join(dir, segmentName(end)))
	if err != nil || statErr != nil || bytes+active.Size() != size {
		t.Errorf("%d bytes before offset %d of %d in all; %v, %v", bytes, end, size, err, statErr)
	}
	// The broker appends to the active segment, and must not change that of the other side.
	if err := os.WriteFile(filepath.Join(dir, segmentName(end)), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(filepath.Join(l.dir, segmentName(end))); err != nil || string(kept) == "changed" {
		t.Errorf("the prepared segment has changed, %v", err)
	}
}

func TestAPreparedPartitionHasOneRecordOfEachTransactionalID(t *testing.T) {
	l := newTestLog(t, 1000)
	if err := l.fillWithIDs(20); err != nil {
		t.Fatal(err)
	}
	all := records(t, l.dir)
	if len(all) != 20 || len(l.segments) < 2 {
		t.Fatalf("%d records in %d segments, want 20 in several", len(all), len(l.segments))
	}
	for n, r := range all {
		var key kmsg.TxnMetadataKey
		var value kmsg.TxnMetadataValue
		if err := key.ReadFrom(r.Key); err != nil || key.TransactionalID != loadedID(n) {
			t.Errorf("record %d has the key %+v, %v", n, key, err)
		}
		if err := value.ReadFrom(r.Value); err != nil || value.ProducerID != loadedProducerID+int64(n) || value.State != kmsg.TransactionStateCompleteCommit {
			t.Errorf("record %d has the value %+v, %v", n, value, err)
		}
	}
}

func TestTheTimeOfALogLineIsFoundAboveItsText(t *testing.T) {
	output := "first\n[2026-11-30 10:00:00,100] INFO Cleaner 0: Beginning cleaning of log a-0. (x)\n" +
		"[2026-11-30 10:00:01,350] INFO [kafka-log-cleaner-thread-0]: \n\tLog cleaner thread 0 cleaned log a-0 (dirty section = [0, 9])\n\t1.0 MB\n"
	began, err := logLineTime(output, "Beginning cleaning of log a-0")
	if err != nil {
		t.Fatal(err)
	}
	ended, err := logLineTime(output, "cleaned log a-0 (dirty section = [0, 9])")
	if err != nil || ended.Sub(began).Milliseconds() != 1250 {
		t.Errorf("the lines are %v apart, %v", ended.Sub(began), err)
	}
	for _, text := range []string{"first", "missing"} {
		if _, err := logLineTime(output, text); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

func TestTheLastNumberBetweenTwoTextsIsParsed(t *testing.T) {
	output := "loaded in 7 milliseconds\nloaded in 1234 milliseconds, of which 0 milliseconds\n"
	if took, err := millisecondsBetween(output, "loaded in ", " milliseconds"); err != nil || took.Milliseconds() != 1234 {
		t.Errorf("parsed %v, %v", took, err)
	}
	for _, other := range []string{"", "loaded in some milliseconds", "loaded in 5 s"} {
		if _, err := millisecondsBetween(other, "loaded in ", " milliseconds"); err == nil {
			t.Errorf("no error for %q", other)
		}
	}
}
