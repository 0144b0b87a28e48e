package storage

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/monedula/monedula/record"
)

// The files of a log directory.
const (
	lockFile           = ".lock"
	metaPropertiesFile = "meta.properties"
	cleanShutdownFile  = ".kafka_cleanshutdown"
	recoveryPointFile  = "recovery-point-offset-checkpoint"
	logStartFile       = "log-start-offset-checkpoint"
	highWatermarkFile  = "replication-offset-checkpoint"
	cleanerOffsetFile  = "cleaner-offset-checkpoint"
	remoteIndexDir     = "remote-log-index-cache" // of tiered storage; ignored
)

// The files of a partition directory that have a fixed name.
const (
	leaderEpochFile       = "leader-epoch-checkpoint"
	partitionMetadataFile = "partition.metadata"
)

// The files of a partition directory that are named after an offset.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
)

// The suffixes appended to the whole name of a file that is not, or no longer, in use.
const (
	deletedSuffix = ".deleted" // to be removed after file.delete.delay.ms
	cleanedSuffix = ".cleaned" // incomplete output of the cleaner
	swapSuffix    = ".swap"    // complete output that is to replace its source
	tempSuffix    = ".tmp"     // first step of an atomic write
)

// dirKind is the purpose of a partition directory.
type dirKind int8

const (
	currentDir dirKind = iota
	deletedDir         // waiting to be removed
	futureDir          // being filled to replace the one in another log directory
	strayDir           // set aside by a migration to KRaft; not served
)

var dirSuffixes = [...]string{currentDir: "", deletedDir: "-delete", futureDir: "-future", strayDir: "-stray"}

// dirNameMax is the length in bytes of the longest file name that common file systems accept.
const dirNameMax = 255

// offsetFileName returns the name of a file for an offset: 20 digits and the suffix.
func offsetFileName(offset record.Offset, suffix string) string {
	return fmt.Sprintf("%020d%s", offset, suffix)
}

// parseOffsetFileName splits a name such as 00000000000000000042.index.swap
// into 42 and ".index.swap"; ok is false for any other kind of name.
func parseOffsetFileName(name string) (offset record.Offset, suffix string, ok bool) {
	digits, _, found := strings.Cut(name, ".")
	if !found || digits == "" {
		return 0, "", false
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, "", false
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, "", false
	}
	return record.Offset(n), name[len(digits):], true
}

// currentDirName returns the name of a log's directory.
func currentDirName(tp TopicPartition) string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}

// uniqueDirName returns the name of a new directory of a kind other than currentDir:
// topic-partition.id-kind, with a unique id. For a directory to be deleted or set aside, the topic
// is cut so that the whole name fits into 255 bytes; the name of a future directory must keep the
// whole topic.
func uniqueDirName(tp TopicPartition, kind dirKind, id string) string {
	suffix := "-" + strconv.Itoa(int(tp.Partition)) + "." + id + dirSuffixes[kind]
	topic := tp.Topic
	if kind != futureDir {
		topic = topic[:min(len(topic), dirNameMax-len(suffix))]
	}
	return topic + suffix
}

// randomID returns a random UUID without hyphens.
func randomID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// parseDirName parses the name of a partition directory. Any other name in a log directory is an
// error that prevents the broker from starting, as in Kafka.
func parseDirName(path string) (TopicPartition, dirKind, error) {
	name := filepath.Base(path)
	rest, kind := name, currentDir
	for k := deletedDir; k <= strayDir; k++ {
		if strings.HasSuffix(name, dirSuffixes[k]) && strings.Contains(name, ".") {
			rest, kind = name[:strings.LastIndexByte(name, '.')], k
		}
	}
	dash := strings.LastIndexByte(rest, '-')
	if dash <= 0 || dash == len(rest)-1 {
		return TopicPartition{}, 0, foreignDirError(path)
	}
	partition, err := strconv.ParseInt(rest[dash+1:], 10, 32)
	if err != nil {
		return TopicPartition{}, 0, foreignDirError(path)
	}
	return TopicPartition{Topic: rest[:dash], Partition: int32(partition)}, kind, nil
}

func foreignDirError(path string) error {
	return fmt.Errorf("Found directory %s, '%s' is not in the form of topic-partition or "+
		"topic-partition.uniqueId-delete (if marked for deletion).\n"+
		"Kafka's log directories (and children) should only contain Kafka topic data.",
		path, filepath.Base(path))
}
