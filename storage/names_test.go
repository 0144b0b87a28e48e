package storage

import (
	"regexp"
	"strings"
	"testing"

	"github.com/monedula/monedula/record"
)

func TestFilesAreNamedAfterOffsetsInTwentyDigits(t *testing.T) {
	wantEqual(t, "name", offsetFileName(42, logSuffix), "00000000000000000042.log")
	for name, want := range map[string]struct {
		offset record.Offset
		suffix string
		ok     bool
	}{
		"00000000000000000042.index.swap":       {42, ".index.swap", true},
		"09223372036854775807.log":              {1<<63 - 1, ".log", true},
		"09223372036854775808.log":              {},
		"leader-epoch-checkpoint":               {},
		"partition.metadata":                    {},
		".log":                                  {},
		"-1.log":                                {},
		"00000000000000000042":                  {},
		"00000000000000000042.snapshot.deleted": {42, ".snapshot.deleted", true},
	} {
		offset, suffix, ok := parseOffsetFileName(name)
		if offset != want.offset || suffix != want.suffix || ok != want.ok {
			t.Errorf("%s: %d, %q, %v", name, offset, suffix, ok)
		}
	}
}

func TestPartitionDirectoryNamesAreParsed(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for name, want := range map[string]struct {
		tp   TopicPartition
		kind dirKind
	}{
		"topic-0":                       {TopicPartition{Topic: "topic", Partition: 0}, currentDir},
		"a-b.c-12":                      {TopicPartition{Topic: "a-b.c", Partition: 12}, currentDir},
		"a.b-1." + id + "-delete":       {TopicPartition{Topic: "a.b", Partition: 1}, deletedDir},
		"a-b-1." + id + "-future":       {TopicPartition{Topic: "a-b", Partition: 1}, futureDir},
		"topic-3." + id + "-stray":      {TopicPartition{Topic: "topic", Partition: 3}, strayDir},
		"my-delete-0":                   {TopicPartition{Topic: "my-delete", Partition: 0}, currentDir},
		"__consumer_offsets-49":         {TopicPartition{Topic: "__consumer_offsets", Partition: 49}, currentDir},
		"x-0.notreallyauniqueid-delete": {TopicPartition{Topic: "x", Partition: 0}, deletedDir},
	} {
		tp, kind, err := parseDirName("/logs/" + name)
		if err != nil || tp != want.tp || kind != want.kind {
			t.Errorf("%s: %v, %d, %v", name, tp, kind, err)
		}
	}
	for _, name := range []string{"lost+found", "topic", "topic-", "-0", "topic-x", "topic-99999999999", "a.b-delete"} {
		if _, _, err := parseDirName("/logs/" + name); err == nil || !strings.Contains(err.Error(), "/logs/"+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDirectoriesToBeDeletedFitIntoAFileName(t *testing.T) {
	long := strings.Repeat("t", 249)
	tp := TopicPartition{Topic: long, Partition: 1234}
	for kind, suffix := range map[dirKind]string{deletedDir: "-delete", strayDir: "-stray"} {
		name := uniqueDirName(tp, kind, randomID())
		wantEqual(t, "length of "+name, len(name), 255)
		if !regexp.MustCompile(`^t+-1234\.[0-9a-f]{32}` + suffix + `$`).MatchString(name) {
			t.Errorf("name %s", name)
		}
	}
	name := uniqueDirName(TopicPartition{Topic: long, Partition: 1}, futureDir, randomID())
	if !strings.HasPrefix(name, long+"-1.") {
		t.Errorf("the topic of a future directory was cut: %s", name)
	}
	if first := uniqueDirName(tp, deletedDir, randomID()); first == uniqueDirName(tp, deletedDir, randomID()) {
		t.Error("two directories have one name")
	}
}

func FuzzParseDirName(f *testing.F) {
	for _, s := range []string{"topic-0", "a-1.0123-delete", "-", "x-0.-future", ".-0-stray"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		tp, kind, err := parseDirName(name)
		if err == nil && (tp.Topic == "" || kind < currentDir || kind > strayDir) {
			t.Errorf("%q is %v, %d", name, tp, kind)
		}
		parseOffsetFileName(name)
	})
}
