package protocol

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
)

// vector is one message that a real Kafka encoded.
type vector struct {
	line     int
	key      APIKey
	name     string
	response bool
	version  int16
	body     []byte
}

// wireVectors returns the messages of the keys that a broker with ZooKeeper knows.
func wireVectors(t testing.TB) []vector {
	t.Helper()
	var out []vector
	for _, v := range golden.WireVectors(t) {
		if key := APIKey(v.Key); key.Known() {
			out = append(out, vector{line: v.Line, key: key, name: v.Name, response: v.Response, version: v.Version, body: v.Body})
		}
	}
	if len(out) < 3000 {
		t.Fatalf("only %d vectors", len(out))
	}
	return out
}

// lossyFetchRequest reports whether v is a Fetch request with a tagged field that has its default
// value. Real clients do not send such a field and AppendRequest does not write it.
func lossyFetchRequest(v vector, encoded []byte) bool {
	return v.key == Fetch && !v.response && v.version >= 12 && len(encoded) < len(v.body)
}

func TestEveryRequestIsWrittenBackAsItWasRead(t *testing.T) {
	lossy := 0
	for _, v := range wireVectors(t) {
		if v.response {
			continue
		}
		req, err := DecodeRequest(v.key, v.version, v.body)
		if err != nil {
			t.Errorf("line %d: %v", v.line, err)
			continue
		}
		got := AppendRequest([]byte("head"), req)[4:]
		if bytes.Equal(got, v.body) {
			continue
		}
		if lossyFetchRequest(v, got) {
			lossy++
			continue
		}
		t.Errorf("line %d: %s v%d:\n got %x\nwant %x", v.line, v.key, v.version, got, v.body)
	}
	if lossy != 5 {
		t.Errorf("%d Fetch requests with explicit defaults, want the known 5", lossy)
	}
}

func TestEveryResponseIsWrittenBackAsItWasRead(t *testing.T) {
	for _, v := range wireVectors(t) {
		if !v.response {
			continue
		}
		resp := kmsg.ResponseForKey(int16(v.key))
		resp.SetVersion(v.version)
		if err := resp.ReadFrom(v.body); err != nil {
			t.Errorf("line %d: %v", v.line, err)
			continue
		}
		want := append(AppendResponseHeader(nil, v.key, v.version, 77), v.body...)
		if got := AppendResponse(nil, 77, resp); !bytes.Equal(got, want) {
			t.Errorf("line %d: %s v%d:\n got %x\nwant %x", v.line, v.key, v.version, got, want)
		}
	}
}

func TestBytesAfterARequestAreIgnored(t *testing.T) {
	for _, v := range wireVectors(t) {
		if v.response {
			continue
		}
		if _, err := DecodeRequest(v.key, v.version, append(v.body[:len(v.body):len(v.body)], 1, 2, 3)); err != nil {
			t.Errorf("line %d: %v", v.line, err)
		}
	}
}

func TestATruncatedRequestIsAnErrorAndNeverAPanic(t *testing.T) {
	for _, v := range wireVectors(t) {
		if v.response || len(v.body) > 400 {
			continue
		}
		for n := range v.body {
			cut := v.body[:n:n]
			if _, err := DecodeRequest(v.key, v.version, cut); err == nil {
				t.Errorf("line %d: %s v%d accepts %d of %d bytes", v.line, v.key, v.version, n, len(v.body))
				break
			}
		}
	}
}

func TestUnknownKeysAndVersionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		key     APIKey
		version int16
	}{{999, 0}, {-1, 0}, {Metadata, 99}, {Metadata, -1}} {
		if _, err := DecodeRequest(c.key, c.version, nil); err == nil {
			t.Errorf("%d v%d is accepted", c.key, c.version)
		}
	}
}

func TestStopReplicaV4HasKafkasFieldOrder(t *testing.T) {
	req := kmsg.NewPtrStopReplicaRequest()
	req.SetVersion(4)
	req.ControllerID, req.ControllerEpoch, req.IsKRaftController, req.BrokerEpoch = 1, 2, true, 3
	got := AppendRequest(nil, req)
	want := []byte{0, 0, 0, 1, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0}
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
	back, err := DecodeRequest(StopReplica, 4, want)
	if err != nil {
		t.Fatal(err)
	}
	if r := back.(*kmsg.StopReplicaRequest); r.ControllerEpoch != 2 || !r.IsKRaftController || r.BrokerEpoch != 3 {
		t.Fatalf("read back %+v", r)
	}
	if want[4] != 1 || want[8] != 2 {
		t.Fatal("decoding changed the frame")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
