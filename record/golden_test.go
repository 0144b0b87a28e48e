package record

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files in testdata were written by Apache Kafka 3.9.1, those in oldformat with
// message.format.version 0.9.0 and 0.10.2. X.dump holds what kafka-dump-log prints for X.

func TestGoldenFilesMatchTheirChecksums(t *testing.T) {
	sums, err := os.Open("testdata/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	listed := map[string]string{}
	for lines := bufio.NewScanner(sums); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			t.Fatalf("malformed line %q", lines.Text())
		}
		listed[strings.TrimSpace(name)] = sum
	}
	found := 0
	for name, sum := range listed {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Errorf("a golden file is missing: %v", err)
			continue
		}
		found++
		if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s has changed", name)
		}
	}
	if found < 70 {
		t.Errorf("only %d golden files", found)
	}
}

// goldenLogs returns the paths of the golden .log files.
func goldenLogs(t testing.TB) (logs []string) {
	t.Helper()
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".log") {
			logs = append(logs, path)
		}
		return err
	})
	if err != nil || len(logs) < 30 {
		t.Fatalf("%d golden logs, %v", len(logs), err)
	}
	return logs
}

// goldenBatches returns every complete batch of the golden logs in a directory.
func goldenBatches(t testing.TB, tree string) (batches []Batch) {
	t.Helper()
	for _, path := range goldenLogs(t) {
		if !strings.HasPrefix(path, filepath.Join("testdata", tree)+"/") {
			continue
		}
		set, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for {
			b, rest, err := Next(set)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if b == nil {
				break
			}
			batches, set = append(batches, b), rest
		}
	}
	return batches
}

func TestGoldenLogsReadAsKafkaDumpsThem(t *testing.T) {
	for _, path := range goldenLogs(t) {
		t.Run(path, func(t *testing.T) {
			set, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tree, name, _ := strings.Cut(strings.TrimPrefix(path, "testdata/"), "/")
			text, err := os.ReadFile(filepath.Join("testdata", tree+".dump", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			got := dump(t, set)
			lines, _, _ := strings.Cut(string(text), "Non-consecutive offsets in ") // without the remarks of the tool at the end
			want := strings.Split(strings.TrimRight(lines, "\n"), "\n")[2:]         // without the first two lines
			if strings.Contains(path, "/__") {
				got, want = withoutData(got), withoutData(want)
			}
			if len(got) != len(want) {
				t.Fatalf("%d lines, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("line %d\n got %s\nwant %s", i+1, got[i], want[i])
				}
			}
		})
	}
}

// withoutData removes keys and values, which the tool decodes.
func withoutData(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i], _, _ = strings.Cut(line, " key: ")
	}
	return out
}

// dump returns what kafka-dump-log --print-data-log --deep-iteration would print for set.
func dump(t *testing.T, set []byte) (lines []string) {
	t.Helper()
	position := 0
	for rest := set; ; {
		b, tail, err := Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			if len(rest) > 0 {
				lines = append(lines, fmt.Sprintf("Found %d invalid bytes at the end of 00000000000000000000.log", len(rest)))
			}
			return lines
		}
		lines = append(lines, dumpBatch(b, position))
		err = b.Each(func(r *Record) error {
			lines = append(lines, dumpRecord(t, b, r))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rest, position = tail, position+b.Size()
	}
}

func dumpBatch(b Batch, position int) string {
	tail := fmt.Sprintf("position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t",
		position, b.TimestampType(), b.MaxTimestamp(), b.Size(), b.Magic(), b.Codec(), b.CRC(), b.Validate() == nil)
	if b.Magic() < 2 {
		return fmt.Sprintf("offset: %d %s", b.LastOffset(), tail)
	}
	horizon := "OptionalLong.empty"
	if ms, ok := b.DeleteHorizonMs(); ok {
		horizon = fmt.Sprintf("OptionalLong[%d]", ms)
	}
	return fmt.Sprintf("baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
		"partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s %s",
		b.BaseOffset(), b.LastOffset(), b.Count(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(),
		b.PartitionLeaderEpoch(), b.IsTransactional(), b.IsControl(), horizon, tail)
}

func dumpRecord(t *testing.T, b Batch, r *Record) string {
	t.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "| offset: %d %s: %d keySize: %d valueSize: %d", r.Offset, b.TimestampType(), r.Timestamp, nullableSize(r.Key), nullableSize(r.Value))
	if b.Magic() < 2 {
		fmt.Fprintf(&s, " isValid: true crc: %d}", r.CRC)
	} else {
		var keys []string
		for _, h := range r.Headers {
			keys = append(keys, string(h.Key))
		}
		fmt.Fprintf(&s, " sequence: %d headerKeys: [%s]", r.Sequence, strings.Join(keys, ","))
	}
	if b.IsControl() {
		c, ok, err := b.Control()
		if !ok || err != nil || c.Offset != r.Offset || c.TimestampMs != r.Timestamp {
			t.Errorf("Control() = %+v, %t, %v", c, ok, err)
		}
		fmt.Fprintf(&s, " endTxnMarker: %s coordinatorEpoch: %d", c.Type, c.CoordinatorEpoch)
		return s.String()
	}
	if r.Key != nil {
		s.WriteString(" key: " + strings.ToValidUTF8(string(r.Key), "�"))
	}
	if r.Value != nil {
		s.WriteString(" payload: " + strings.ToValidUTF8(string(r.Value), "�"))
	}
	return s.String()
}
