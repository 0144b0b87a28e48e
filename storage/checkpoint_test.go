package storage

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

func sortedFields(s string) []string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return lines
}

func TestOffsetCheckpointsOfKafkaRoundTrip(t *testing.T) {
	for _, path := range goldenFiles(t, "*-offset-checkpoint") {
		want := string(mustRead(t, path))
		offsets, err := readOffsetCheckpoint(vfs.OS(), path)
		noError(t, err)
		if want == "" { // as created; once written it has a version
			wantEqual(t, "entries of "+path, len(offsets), 0)
			continue
		}
		mem := memDir(t)
		noError(t, writeOffsetCheckpoint(mem, "/d/c", offsets))
		got := fileContent(t, mem, "/d/c")
		if !slices.Equal(sortedFields(got), sortedFields(want)) {
			t.Errorf("%s: wrote %q, Kafka %q", path, got, want)
		}
	}
	offsets, err := readOffsetCheckpoint(vfs.OS(), golden.Path(t, "logdir-3.9.1/crash/recovery-point-offset-checkpoint"))
	noError(t, err)
	wantEqual(t, "recovery point", offsets[TopicPartition{Topic: "compacted-txn", Partition: 0}], 65)
}

func TestCheckpointEntriesAreSorted(t *testing.T) {
	mem := memDir(t)
	noError(t, writeOffsetCheckpoint(mem, "/d/c", map[TopicPartition]record.Offset{
		{Topic: "b", Partition: 0}: 1, {Topic: "a", Partition: 10}: 2, {Topic: "a", Partition: 9}: 3,
	}))
	wantEqual(t, "file", fileContent(t, mem, "/d/c"), "0\n3\na 9 3\na 10 2\nb 0 1\n")
}

func TestReadingDamagedCheckpoints(t *testing.T) {
	for content, want := range map[string]error{
		"":                         nil,
		"0":                        nil,
		"0\n":                      nil,
		"0\n0\n":                   nil,
		"0\n1\na 0 5":              nil,
		"0\r\n1\r\na 0 5\r\n":      nil,
		"0\n1\na \t 0   5\n":       nil,
		"1\n0\n":                   errMalformedCheckpoint,
		"\n":                       errMalformedCheckpoint,
		"x\n0\n":                   errMalformedCheckpoint,
		"0\nx\n":                   errMalformedCheckpoint,
		"0\n-1\n":                  errMalformedCheckpoint,
		"0\n2\na 0 5\n":            errMalformedCheckpoint,
		"0\n0\na 0 5\n":            errMalformedCheckpoint,
		"0\n1\na 0\n":              errMalformedCheckpoint,
		"0\n1\na 0 5 6\n":          errMalformedCheckpoint,
		"0\n1\n\n":                 errMalformedCheckpoint,
		"0\n1\na x 5\n":            errCheckpointNumber,
		"0\n1\na 0 5x\n":           errCheckpointNumber,
		"0\n2\na 0 x\nb\n":         errMalformedCheckpoint,
		"0\n1\na 99999999999 5\n":  errCheckpointNumber,
		"\x00\x00\x00\x00\x00\x00": errMalformedCheckpoint,
	} {
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/c", []byte(content)))
		offsets, err := readOffsetCheckpoint(mem, "/d/c")
		if want == nil && err != nil || want != nil && !strings.Contains(errText(err), "/d/c, line ") {
			t.Errorf("%q: %v", content, err)
		}
		wantError(t, err, want)
		if strings.Contains(content, "5") && want == nil {
			wantEqual(t, content, offsets[TopicPartition{Topic: "a", Partition: 0}], 5)
		}
	}
	offsets, err := readOffsetCheckpoint(memDir(t), "/d/none")
	if err != nil || len(offsets) != 0 {
		t.Errorf("a missing file: %v, %v", offsets, err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// crashAtEvery runs step on copies of base, which must be durable. Each run is stopped at the next
// operation that changes something, and look checks the states that a crash there may leave.
func crashAtEvery(t *testing.T, base *vfs.Mem, step func(fsys vfs.FS) error, look func(after *vfs.Mem, whole bool)) {
	t.Helper()
	for n := 1; ; n++ {
		mem := base.CrashClone(vfs.Everything, 0)
		seen := 0
		err := step(vfs.Intercept(mem, func(op vfs.Op) error {
			if op.Kind.Changes() {
				seen++
			}
			if seen >= n {
				return fs.ErrInvalid
			}
			return nil
		}))
		whole := err == nil
		look(mem.CrashClone(vfs.SyncedOnly, 0), whole)
		look(mem.CrashClone(vfs.Everything, 0), whole)
		for seed := range uint64(20) {
			look(mem.CrashClone(vfs.Random, seed), whole)
		}
		if whole {
			if n == 1 {
				t.Fatal("the step did not change anything")
			}
			return
		}
	}
}

func TestACrashLeavesTheOldCheckpointOrTheNew(t *testing.T) {
	tp := TopicPartition{Topic: "t", Partition: 0}
	base := memDir(t)
	noError(t, writeOffsetCheckpoint(base, "/d/c", map[TopicPartition]record.Offset{tp: 1}))
	crashAtEvery(t, base, func(fsys vfs.FS) error {
		return writeOffsetCheckpoint(fsys, "/d/c", map[TopicPartition]record.Offset{tp: 2})
	}, func(after *vfs.Mem, whole bool) {
		offsets, err := readOffsetCheckpoint(after, "/d/c")
		if err != nil || offsets[tp] != 1 && offsets[tp] != 2 || whole && offsets[tp] != 2 {
			t.Fatalf("after a crash (write completed: %v): got %v, %v", whole, offsets, err)
		}
	})
}

func TestTheCleanShutdownMarkerMatchesThatOfKafka(t *testing.T) {
	mem := memDir(t)
	noError(t, writeCleanShutdown(mem, "/d"))
	wantEqual(t, "marker", fileContent(t, mem, "/d/"+cleanShutdownFile), string(golden.Read(t, "logdir-3.9.1/clean/.kafka_cleanshutdown")))
	for _, want := range []bool{true, false} {
		clean, err := takeCleanShutdown(mem, "/d")
		noError(t, err)
		wantEqual(t, "clean", clean, want)
	}
}

func TestPitfallReplication14_ARemovedMarkerDoesNotComeBackAfterACrash(t *testing.T) {
	base := memDir(t)
	noError(t, writeCleanShutdown(base, "/d"))
	crashAtEvery(t, base, func(fsys vfs.FS) error {
		_, err := takeCleanShutdown(fsys, "/d")
		return err
	}, func(after *vfs.Mem, whole bool) {
		clean, err := takeCleanShutdown(after, "/d")
		noError(t, err)
		if whole && clean {
			t.Fatal("the marker exists again")
		}
	})
}

func TestMetaPropertiesOfKafkaRoundTrip(t *testing.T) {
	for _, path := range goldenFiles(t, metaPropertiesFile) {
		want := string(mustRead(t, path))
		m, err := readMetaProperties(vfs.OS(), filepath.Dir(path))
		noError(t, err)
		wantEqual(t, "broker id", m.brokerID, 7)
		wantEqual(t, "version", m.version, 0)
		date := strings.TrimPrefix(strings.Split(want, "\n")[1], "#")
		when, err := time.Parse("Mon Jan 02 15:04:05 MST 2006", date)
		noError(t, err)
		mem := memDir(t)
		noError(t, writeMetaProperties(mem, "/d", m, when))
		wantEqual(t, "file", fileContent(t, mem, "/d/"+metaPropertiesFile), want)
		again, err := readMetaProperties(mem, "/d")
		noError(t, err)
		wantEqual(t, "nothing to rewrite", m.equal(again), true)
	}
}

func TestMetaPropertiesKeepUnknownKeys(t *testing.T) {
	m, err := parseMetaProperties([]byte("#\n# comment\n! comment\nversion=1\nnode.id = 3\ncluster.id:a\\=b\\u00fc\\\n   c\nmy.key=${x} \\!\ndirectory.id=Zm9v\n"))
	noError(t, err)
	wantEqual(t, "node id", m.brokerID, 3)
	wantEqual(t, "cluster id", m.clusterID, "a=büc")
	wantEqual(t, "directory id", m.directoryID, "Zm9v")
	wantEqual(t, "other", m.others["my.key"], "${x} !")
	m.others["arrow →"] = " \t\f\r\n#"
	again, err := parseMetaProperties(m.encode(time.Unix(0, 0).UTC()))
	noError(t, err)
	if !m.equal(again) {
		t.Errorf("wrote %+v, read %+v", m, again)
	}
	again.clusterID = "other"
	wantEqual(t, "equal", m.equal(again), false)
}

func TestInvalidMetaPropertiesAreErrors(t *testing.T) {
	for content, want := range map[string]string{
		"version=2\n":                        "Unknown meta.properties version number 2",
		"version=x\n":                        "Invalid meta.properties version string 'x'",
		"version=0\nbroker.id=x\n":           "Unable to read broker.id as a base-10 number",
		"version=1\ncluster.id=c\n":          "Failed to find node.id",
		"version=1\nnode.id=1\n":             "cluster.id was not found",
		"version=0\nbroker.id=99999999999\n": "Unable to read broker.id",
		"version=\\u00zz\n":                  "",
	} {
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/"+metaPropertiesFile, []byte(content)))
		_, err := readMetaProperties(mem, "/d")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "/d/meta.properties") {
			t.Errorf("%q: %v", content, err)
		}
	}
	_, err := readMetaProperties(memDir(t), "/d")
	wantError(t, err, fs.ErrNotExist)
	m, err := parseMetaProperties(nil)
	noError(t, err)
	wantEqual(t, "broker id of an empty file", m.brokerID, -1)
}

func TestPartitionMetadataOfKafkaRoundTrips(t *testing.T) {
	for _, path := range goldenFiles(t, partitionMetadataFile) {
		id, err := readPartitionMetadata(vfs.OS(), filepath.Dir(path))
		noError(t, err)
		mem := memDir(t)
		noError(t, writeFileAtomic(mem, filepath.Join("/d", partitionMetadataFile), partitionMetadata(id)))
		wantEqual(t, path, fileContent(t, mem, "/d/"+partitionMetadataFile), string(mustRead(t, path)))
	}
}

func TestInvalidPartitionMetadataIsAnError(t *testing.T) {
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	for _, content := range []string{
		"", "version: 0", "version: 1\ntopic_id: 0sgbqu-pRSaA02ZiJbjctA", "version: 0\ntopic_id: short",
		"version: 0\ntopic_id: " + zero, "version: 0\ntopic: 0sgbqu-pRSaA02ZiJbjctA", "version: 0\ntopic_id:0sgbqu-pRSaA02ZiJbjctA",
	} {
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/"+partitionMetadataFile, []byte(content)))
		if _, err := readPartitionMetadata(mem, "/d"); err == nil || !strings.Contains(err.Error(), "/d/partition.metadata") {
			t.Errorf("%q: %v", content, err)
		}
		noError(t, removePartitionMetadata(mem, "/d"))
		noError(t, removePartitionMetadata(mem, "/d"))
		id, err := readPartitionMetadata(mem, "/d")
		noError(t, err)
		wantEqual(t, "id without a file", id, metadata.TopicID{})
	}
}

// A file that remained would give the topic its id back under the next version.
func TestPartitionMetadataThatCannotBeRemovedIsAnError(t *testing.T) {
	mem := memDir(t)
	noError(t, writeFile(mem, "/d/"+partitionMetadataFile, nil))
	readOnly := vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpRemove {
			return fs.ErrPermission
		}
		return nil
	})
	if err := removePartitionMetadata(readOnly, "/d"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("with a file that cannot be removed: %v", err)
	}
}

func FuzzReadOffsetCheckpoint(f *testing.F) {
	for _, s := range []string{"", "0\n1\na 0 5\n", "0\n2\na 0 5\nb 1 x\n", "0\n-1\n", "1\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/c", content))
		offsets, err := readOffsetCheckpoint(mem, "/d/c")
		if err != nil {
			return
		}
		noError(t, writeOffsetCheckpoint(mem, "/d/c2", offsets))
		again, err := readOffsetCheckpoint(mem, "/d/c2")
		noError(t, err)
		for tp, offset := range offsets {
			wantEqual(t, tp.Topic, again[tp], offset)
		}
	})
}

func FuzzMetaProperties(f *testing.F) {
	f.Add([]byte("#\n#date\nbroker.id=7\nversion=0\ncluster.id=0sgbqu-pRSaA02ZiJbjctA\n"))
	f.Add([]byte("version=1\nnode.id=1\ncluster.id=\\u00fc\\\n x\nk\\ y=v\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := parseMetaProperties(content)
		if err != nil {
			return
		}
		again, err := parseMetaProperties(m.encode(time.Unix(0, 0).UTC()))
		if err != nil || !m.equal(again) {
			t.Errorf("%q: %+v, then %+v, %v", content, m, again, err)
		}
	})
}

func FuzzPartitionMetadata(f *testing.F) {
	f.Add("version: 0\ntopic_id: 0sgbqu-pRSaA02ZiJbjctA")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := parsePartitionMetadata(text); err == nil && id == (metadata.TopicID{}) {
			t.Errorf("%q has a zero id", text)
		}
	})
}
