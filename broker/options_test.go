package broker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/settings"
)

func TestReceiveBufferIsTheKernelsUnlessSet(t *testing.T) {
	for text, want := range map[string]int{
		"":                                     0,
		"socket.receive.buffer.bytes=102400\n": 102400,
		"socket.receive.buffer.bytes=-1\n":     -1,
	} {
		file := filepath.Join(t.TempDir(), "server.properties")
		if err := os.WriteFile(file, []byte("zookeeper.connect=localhost:2181\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, err := settings.Load(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := networkConfig(cfg, 0, kafkalog.Discard())
		if got.ReceiveBufferBytes != want || got.SendBufferBytes != 102400 {
			t.Errorf("with %q the buffers are %d and %d, want %d and 102400", text, got.ReceiveBufferBytes, got.SendBufferBytes, want)
		}
	}
}
