package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
)

// The directories in testdata/golden/logdir-3.9.1 were written by a real broker. Its README
// describes how to start a broker on a copy, and what a real broker does with it.

// server is a running broker, ours or a real one.
type server interface {
	address() string
	stop()
}

type realServer struct {
	*testkit.RealBroker
	t testing.TB
}

func (s realServer) address() string { return s.Address() }

func (s realServer) stop() {
	s.t.Helper()
	if !s.Stop(60 * time.Second) {
		s.t.Fatal("the real broker did not stop within a minute of SIGTERM")
	}
}

// starters start the broker under test, or a real broker as its reference, on a directory.
var starters = []struct {
	name  string
	start func(t testing.TB, id int, zookeeper, dir string, extra ...string) server
}{
	{"ours", func(t testing.TB, id int, zookeeper, dir string, extra ...string) server {
		t.Helper()
		return startBroker(t, options{id: id, zookeeper: zookeeper, dir: dir, extra: extra})
	}},
	{"real", func(t testing.TB, id int, zookeeper, dir string, extra ...string) server {
		t.Helper()
		return realServer{testkit.RealKafka(t, "3.9.1").Broker(t, id, zookeeper, dir, extra...), t}
	}},
}

// copyTree copies a directory with its modification times, dot files and empty files.
func copyTree(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "kafka-logs")
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v\n%s", from, err, out)
	}
	if out, err := exec.Command("chmod", "-R", "u+w", to).CombinedOutput(); err != nil {
		t.Fatalf("make %s writable: %v\n%s", to, err, out)
	}
	return to
}

// checkProperties returns the lines of how/check.properties, except those that depend on where the
// broker runs.
func checkProperties(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(golden.Path(t, "logdir-3.9.1/how/check.properties"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "<") && !strings.HasPrefix(line, "broker.id=") {
			lines = append(lines, line)
		}
	}
	return lines
}

// recordCounts are the numbers of records in the README, uncommitted and committed.
var recordCounts = map[string][2]int{
	"codec-none": {60, 60}, "codec-gzip": {60, 60}, "codec-snappy": {60, 60}, "codec-lz4": {60, 60}, "codec-zstd": {60, 60},
	"segments": {34, 34}, "logappend": {30, 30}, "idempotent": {40, 40}, "txn": {38, 25}, "compacted": {77, 77},
	"compacted-txn": {21, 16}, "__consumer_offsets": {5, 5}, "__transaction_state": {74, 74},
}

func TestACrashedDirectoryRecoversToTheSameBytesAsOnARealBroker(t *testing.T) {
	for _, s := range starters {
		t.Run(s.name, func(t *testing.T) {
			runGoldenDirectory(t, s.start, "crash", "clean", "how/znodes.txt", "segments", 25)
		})
	}
}

func TestACleanlyStoppedDirectoryIsServedAndLeftUnchanged(t *testing.T) {
	runGoldenDirectory(t, starters[0].start, "clean", "clean", "how/znodes.txt", "segments", 25)
}

func TestADirectoryOfOldMessageFormatsIsServedAndLeftUnchanged(t *testing.T) {
	for _, s := range starters {
		t.Run(s.name, func(t *testing.T) {
			runGoldenDirectory(t, s.start, "oldformat", "oldformat", "how/znodes-old.txt", "", 0, "inter.broker.protocol.version=2.8")
		})
	}
}

// brokenLZ4 is the topic whose LZ4 frames have the wrong header checksum that message format v0
// requires. Of the clients used here only librdkafka accepts it.
const brokenLZ4 = "fmt-0.9.0-lz4"

// readWithKcat is like readPartitions, for one topic and without timestamps and headers.
func readWithKcat(t testing.TB, address, level, topic string) []string {
	t.Helper()
	out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command("kcat", "-C", "-b", address, "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q",
		"-X", "isolation.level="+level, "-f", "offset=%o timestamp=-1 headers=[] key=%K:%k value=%S:%s\n"))
	if code != 0 {
		t.Fatalf("kcat: exit code %d\n%s", code, errs)
	}
	out = strings.NewReplacer("key=-1:", "key=null", "value=-1:", "value=null").Replace(out)
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

// runGoldenDirectory starts a broker on a copy of the golden directory from, compares the records
// it serves with the dump of the golden directory to, stops the broker cleanly, and compares the
// copy with to. start is the log start offset of startTopic.
func runGoldenDirectory(t *testing.T, run func(t testing.TB, id int, zookeeper, dir string, extra ...string) server,
	from, to, znodes, startTopic string, start int64, extra ...string) {
	t.Helper()
	connect, dir := testkit.ZooKeeper(t), copyTree(t, golden.Path(t, "logdir-3.9.1/"+from))
	openTree(t, connect).createAll(golden.Path(t, "logdir-3.9.1/"+znodes))
	s := run(t, 7, connect, dir, append(checkProperties(t), extra...)...)

	dumps := readDumps(t, golden.Path(t, "logdir-3.9.1/"+to+".dump"))
	var topics []string
	for topic := range dumps {
		topics = append(topics, topic)
	}
	sort.Strings(topics)
	readable := slices.DeleteFunc(slices.Clone(topics), func(topic string) bool { return topic == brokenLZ4 })
	for _, level := range []string{uncommitted, committed} {
		served := readPartitions(t, s.address(), level, readable...)
		if len(readable) < len(topics) {
			served[brokenLZ4] = readWithKcat(t, s.address(), level, brokenLZ4)
		}
		for _, topic := range topics {
			from := int64(0)
			if topic == startTopic {
				from = start
			}
			want := dumps[topic].visible(level, from)
			if counts, known := recordCounts[topic]; known {
				if n := counts[map[string]int{uncommitted: 0, committed: 1}[level]]; len(want) != n {
					t.Fatalf("this test misreads the dump of %s: it finds %d records for %s, the README says %d", topic, len(want), level, n)
				}
			}
			have := served[topic]
			if strings.HasPrefix(topic, "__") {
				have = withoutContents(have)
			}
			if d := firstDifference(have, want); d != "" {
				t.Errorf("%s of %s: %s", level, topic, d)
			}
		}
	}
	s.stop()
	compareTrees(t, dir, golden.Path(t, "logdir-3.9.1/"+to))
}

// dumpedRecord is a record as printed by DumpLogSegments.
type dumpedRecord struct {
	offset        int64
	line          string
	control       string // COMMIT or ABORT if the record is a marker
	transactional bool
	producer      int64
}

type dumpedLog []dumpedRecord

var (
	batchLine  = regexp.MustCompile(`^baseOffset: .* producerId: (-?\d+) .* isTransactional: (true|false) isControl: (true|false)`)
	recordHead = regexp.MustCompile(`^\| offset: (\d+) (?:CreateTime|LogAppendTime|NoTimestampType): (-?\d+) keySize: (-?\d+) valueSize: (-?\d+) (?:sequence: -?\d+ headerKeys: \[([^\]]*)\]|isValid: true crc: \d+\})(.*)$`)
	markerTail = regexp.MustCompile(`^ endTxnMarker: (COMMIT|ABORT) `)
	contents   = regexp.MustCompile(` key=(null|\d+).* value=(null|\d+).*$`)
)

// readDumps reads the dumps of partition 0 of every topic in a folder.
func readDumps(t testing.TB, root string) map[string]dumpedLog {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*-0", "*.log.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dumps below %s: %v", root, err)
	}
	sort.Strings(files)
	logs := map[string]dumpedLog{}
	for _, file := range files {
		topic := strings.TrimSuffix(filepath.Base(filepath.Dir(file)), "-0")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		logs[topic] = append(logs[topic], parseDump(t, topic, string(text))...)
	}
	return logs
}

// parseDump reads the records of one dump. Of the records of internal topics, which are printed
// decoded, it reads only the sizes.
func parseDump(t testing.TB, topic, text string) dumpedLog {
	t.Helper()
	var log dumpedLog
	var batch dumpedRecord
	control := false
	for _, line := range strings.Split(text, "\n") {
		if m := batchLine.FindStringSubmatch(line); m != nil {
			batch.producer, _ = strconv.ParseInt(m[1], 10, 64)
			batch.transactional, control = m[2] == "true", m[3] == "true"
			continue
		}
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		m := recordHead.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("unexpected line in the dump of %s: %s", topic, line)
		}
		r := batch
		r.offset, _ = strconv.ParseInt(m[1], 10, 64)
		key, value := m[3], m[4]
		if control {
			marker := markerTail.FindStringSubmatch(m[6])
			if marker == nil {
				t.Fatalf("unexpected marker in the dump of %s: %s", topic, line)
			}
			r.control = marker[1]
		} else if !strings.HasPrefix(topic, "__") {
			rest := m[6]
			if i := strings.Index(rest, " payload: "); i >= 0 {
				value += ":" + rest[i+len(" payload: "):]
				rest = rest[:i]
			}
			if k, found := strings.CutPrefix(rest, " key: "); found {
				key += ":" + k
			}
		}
		r.line = fmt.Sprintf("offset=%d timestamp=%s headers=[%s] key=%s value=%s", r.offset, m[2], m[5], orNull(key), orNull(value))
		log = append(log, r)
	}
	return log
}

// orNull replaces a key or value of size -1 by null.
func orNull(sized string) string {
	if sized == "-1" {
		return "null"
	}
	return sized
}

// withoutContents reduces keys and values to their sizes.
func withoutContents(lines []string) []string {
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = contents.ReplaceAllString(strings.ReplaceAll(line, "\n", " "), " key=$1 value=$2")
	}
	return cut
}

// visible returns the lines of the records that a consumer with the isolation level gets from an
// offset on.
func (log dumpedLog) visible(level string, from int64) []string {
	stable := int64(1) << 62
	open, aborted := map[int64]int64{}, map[int64]bool{} // producer -> first offset; offset of an aborted record
	pending := map[int64][]int64{}
	for _, r := range log {
		if r.control != "" {
			for _, offset := range pending[r.producer] {
				aborted[offset] = r.control == "ABORT"
			}
			delete(open, r.producer)
			delete(pending, r.producer)
		} else if r.transactional {
			if _, begun := open[r.producer]; !begun {
				open[r.producer] = r.offset
			}
			pending[r.producer] = append(pending[r.producer], r.offset)
		}
	}
	for _, first := range open {
		stable = min(stable, first)
	}
	var lines []string
	for _, r := range log {
		if r.offset < from || r.control != "" || level == committed && (r.offset >= stable || aborted[r.offset]) {
			continue
		}
		lines = append(lines, r.line)
	}
	return lines
}

// compareTrees fails the test if two log directories differ in anything but the order of the lines
// in checkpoints and of the entries in producer snapshots.
func compareTrees(t testing.TB, have, want string) {
	t.Helper()
	haveFiles, wantFiles := readTree(t, have), readTree(t, want)
	for path, w := range wantFiles {
		h, there := haveFiles[path]
		if !there {
			t.Errorf("%s is missing", path)
			continue
		}
		if !bytes.Equal(h, w) && !sameApartFromOrder(path, h, w) {
			t.Errorf("%s differs at byte %d: %d bytes, want %d\n have %s\n want %s", path, commonPrefix(h, w), len(h), len(w),
				around(h, commonPrefix(h, w)), around(w, commonPrefix(h, w)))
		}
	}
	for path := range haveFiles {
		if _, there := wantFiles[path]; !there {
			t.Errorf("%s exists but should not", path)
		}
	}
}

// readTree returns the contents of all files by path. The path of a directory ends in a slash.
func readTree(t testing.TB, root string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			files[rel+"/"] = nil
			return nil
		}
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameApartFromOrder(path string, a, b []byte) bool {
	switch {
	case strings.HasSuffix(path, "-checkpoint") && !strings.Contains(path, "leader-epoch"):
		return sortedCheckpoint(a) == sortedCheckpoint(b)
	case strings.HasSuffix(path, ".snapshot"):
		x, xOK := sortedSnapshot(a)
		y, yOK := sortedSnapshot(b)
		return xOK && yOK && x == y
	}
	return false
}

// sortedCheckpoint sorts the lines after the version and the count.
func sortedCheckpoint(b []byte) string {
	lines := strings.Split(string(b), "\n")
	if len(lines) > 2 {
		sort.Strings(lines[2:])
	}
	return strings.Join(lines, "\n")
}

// sortedSnapshot sorts the entries of a producer snapshot. It returns false if the file or its
// checksum is wrong.
func sortedSnapshot(b []byte) (string, bool) {
	const head, entry = 10, 46 // version, CRC, count; one producer
	if len(b) < head || (len(b)-head)%entry != 0 {
		return "", false
	}
	if crc32.Checksum(b[6:], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[2:6]) {
		return "", false
	}
	var entries []string
	for rest := b[head:]; len(rest) > 0; rest = rest[entry:] {
		entries = append(entries, string(rest[:entry]))
	}
	sort.Strings(entries)
	return string(b[:2]) + string(b[6:head]) + strings.Join(entries, ""), true
}

func commonPrefix(a, b []byte) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// around returns the bytes around a position.
func around(b []byte, at int) string { return fmt.Sprintf("%q", b[max(0, at-16):min(len(b), at+48)]) }
