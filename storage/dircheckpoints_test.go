package storage

import (
	"io"
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// An entry without a log is removed. That of a log whose files are kept, but which is not served,
// stays. A directory that is offline is not written to.
func TestCheckpointsHaveEntriesOfExistingLogsOnly(t *testing.T) {
	mem := vfs.NewMem()
	noError(t, mem.MkdirAll("/data", 0o755))
	gone, kept := TopicPartition{Topic: "gone"}, TopicPartition{Topic: "kept"}
	logs := newLogTable()
	d := &logDir{path: "/data", fs: mem, log: kafkalog.For(kafkalog.New(io.Discard), "test")}
	d.checkpoints = dirCheckpoints{dir: d, logs: &logs}
	logs.setUnserved(logKey{kept, false}, &unservedLog{dir: d, recoveryPoint: 7, logStart: 2})
	d.checkpoints.read(map[string]map[TopicPartition]record.Offset{
		recoveryPointFile: {gone: 5, kept: 6}, logStartFile: {gone: 3}, highWatermarkFile: {kept: 9}})
	on := func(name string) map[TopicPartition]record.Offset {
		t.Helper()
		offsets, err := readOffsetCheckpoint(mem, d.file(name))
		noError(t, err)
		return offsets
	}

	d.checkpoints.lowerAll()
	wantEqual(t, "recovery point of the missing log", d.checkpoints.offset(recoveryPointFile, gone), -1)
	wantEqual(t, "recovery point of the kept log", d.checkpoints.offset(recoveryPointFile, kept), 6)
	wantEqual(t, "entries on disk", len(on(recoveryPointFile)), 1)
	wantEqual(t, "log starts on disk", len(on(logStartFile)), 0)
	wantEqual(t, "high watermark of the kept log", d.checkpoints.offset(highWatermarkFile, kept), 9)

	d.checkpoint()
	wantEqual(t, "recovery point on disk", on(recoveryPointFile)[kept], 7)
	wantEqual(t, "log start on disk", on(logStartFile)[kept], 2)

	d.offline.Store(true)
	logs.setUnserved(logKey{kept, false}, &unservedLog{dir: d, recoveryPoint: 8})
	d.checkpoint()
	d.checkpoints.lower(gone, kept)
	if err := d.checkpoints.writeHighWatermarks(nil); protocol.CodeOf(err) != protocol.KafkaStorageError {
		t.Errorf("the error of an offline directory is %v", err)
	}
	wantEqual(t, "recovery point on disk", on(recoveryPointFile)[kept], 7)
}
