package storage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// The real kafka-dump-log.sh reads every file of a log that was written, rolled, truncated and
// closed here, and reports no errors in the indexes.
func TestRealDumpLogReadsOurFiles(t *testing.T) {
	c := testTopic()
	c.SegmentBytes, c.IndexIntervalBytes = 8000, 300
	h := start(t, vfs.OS(), func(m *ManagerConfig) { m.Dirs = []string{t.TempDir()} })
	l := h.log(t, c)
	now := h.clock.now().UnixMilli()
	sequence := int32(0)
	for i := range 200 {
		o := idempotent(3, 0, sequence)
		o.Codec = record.Codec(i % 5)
		o.Transactional = true
		if i%20 == 19 {
			marker, err := record.EndTxnMarker(o, record.ControlType(i/20%2), 0, now)
			noError(t, err)
			_, err = l.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator})
			noError(t, err)
		} else {
			_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(now+int64(i*7%50), "a", fmt.Sprint("value ", i))...)})
			noError(t, err)
			sequence += 2
		}
		l.SetHighWatermark(l.Offsets().LogEnd)
		if i == 150 {
			_, err := l.TruncateTo(l.Offsets().LogEnd - 21)
			noError(t, err)
			sequence = l.Producers()[0].LastSequence + 1
		}
	}
	records, path := l.Offsets().LogEnd, l.Path()
	noError(t, h.Close())

	kafka := testkit.RealKafka(t, "3.9.1")
	var files []string
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix} {
		found, err := filepath.Glob(filepath.Join(path, "*"+suffix))
		noError(t, err)
		if len(found) == 0 {
			t.Errorf("no %s files", suffix)
		}
		files = append(files, found...)
	}
	stdout, stderr, code := kafka.Run(t, "kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(files, ","))
	wantEqual(t, "exit code", code, 0)
	wantEqual(t, "invalid batches", strings.Count(stdout, "isvalid: false"), 0)
	seen := record.Offset(0)
	for _, line := range strings.Split(stdout, "\n") {
		if strings.HasPrefix(line, "| offset: ") {
			seen++
		}
		for _, complaint := range []string{"Mismatch", "mismatch", "Found timestamp", "Found out of order", "not found in log", "Exception"} {
			if strings.Contains(line, complaint) {
				t.Errorf("the real dump reports: %s", line)
			}
		}
	}
	if !slices.Contains([]record.Offset{records, records - 1}, seen) { // the truncation may have left a gap
		t.Errorf("the dump has %d records, want %d\n%s", seen, records, stderr)
	}
}
