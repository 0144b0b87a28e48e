package coordinator

import (
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// Replicas returns errors for partitions of which this broker has no replica.
func TestAMissingPartitionHasNoLog(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	logs, err := storage.NewManager(storage.ManagerConfig{FS: fs, Dirs: []string{"/data"}, Options: storage.DefaultOptions(), Log: kafkalog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	manager := replication.NewManager(replication.Config{Options: replication.DefaultOptions(1), Logs: logs,
		Metadata: metadata.NewCache(), Logger: kafkalog.Discard()})
	topic := Replicas{"__consumer_offsets", func() *replication.Manager { return manager }}
	if log := topic.Log(0); log != nil {
		t.Errorf("a log: %v", log)
	}
	if _, err := topic.Append(0, nil, nil, -1); protocol.CodeOf(err) != protocol.NotLeaderOrFollower {
		t.Errorf("an append: %v", err)
	}
	if err := topic.AwaitReplicated(0, replication.Written{}, 0, nil); protocol.CodeOf(err) != protocol.NotLeaderOrFollower {
		t.Errorf("a wait: %v", err)
	}
}
