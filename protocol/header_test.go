package protocol

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFlexibleVersionsAreKafkas(t *testing.T) {
	for key := range apiTexts {
		req := kmsg.RequestForKey(int16(key))
		if req == nil {
			t.Errorf("%s: unknown to the message tables", key)
			continue
		}
		for v := int16(0); v <= req.MaxVersion(); v++ {
			req.SetVersion(v)
			if got := key.Flexible(v); got != req.IsFlexible() {
				t.Errorf("%s v%d: flexible %v", key, v, got)
			}
		}
	}
}

func TestAPINamesAreKafkas(t *testing.T) {
	for _, v := range wireVectors(t) {
		if v.key.String() != v.name {
			t.Fatalf("key %d is %s, want %s", int16(v.key), v.key, v.name)
		}
	}
	for key, text := range apiTexts {
		if constant := key.ConstantName(); strings.ReplaceAll(constant, "_", "") != strings.ToUpper(text.name) {
			t.Errorf("%s: constant %s", key, constant)
		}
	}
	for key, want := range map[APIKey]string{Produce: "PRODUCE", LeaderAndIsr: "LEADER_AND_ISR", OffsetForLeaderEpoch: "OFFSET_FOR_LEADER_EPOCH"} {
		if got := key.ConstantName(); got != want {
			t.Errorf("%s: constant %s, want %s", key, got, want)
		}
	}
	if APIKey(999).String() != "999" || APIKey(999).ConstantName() != "999" || APIKey(999).Known() {
		t.Error("an unknown key has a name")
	}
}

func TestHeaderVersions(t *testing.T) {
	for _, c := range []struct {
		key               APIKey
		version           int16
		request, response int16
	}{
		{ControlledShutdown, 0, 0, 0}, {ControlledShutdown, 1, 1, 0}, {ControlledShutdown, 3, 2, 1},
		{ApiVersions, 0, 1, 0}, {ApiVersions, 3, 2, 0}, {ApiVersions, 99, 2, 0}, {ApiVersions, -1, 1, 0},
		{SaslHandshake, 1, 1, 0}, {OffsetDelete, 0, 1, 0},
		{Metadata, 8, 1, 0}, {Metadata, 9, 2, 1}, {AlterPartition, 0, 2, 1},
	} {
		if got := c.key.RequestHeaderVersion(c.version); got != c.request {
			t.Errorf("%s v%d: request header v%d, want v%d", c.key, c.version, got, c.request)
		}
		if got := c.key.ResponseHeaderVersion(c.version); got != c.response {
			t.Errorf("%s v%d: response header v%d, want v%d", c.key, c.version, got, c.response)
		}
	}
}

func TestRequestHeadersAreReadAndWritten(t *testing.T) {
	id := "client"
	for _, c := range []struct {
		name   string
		header RequestHeader
		bytes  []byte
	}{
		{"v0", RequestHeader{ControlledShutdown, 0, 5, nil}, []byte{0, 7, 0, 0, 0, 0, 0, 5}},
		{"v1", RequestHeader{Metadata, 1, 5, &id}, []byte{0, 3, 0, 1, 0, 0, 0, 5, 0, 6, 'c', 'l', 'i', 'e', 'n', 't'}},
		{"v1 null", RequestHeader{Metadata, 0, 9, nil}, []byte{0, 3, 0, 0, 0, 0, 0, 9, 255, 255}},
		{"v2", RequestHeader{Metadata, 9, 5, &id}, []byte{0, 3, 0, 9, 0, 0, 0, 5, 0, 6, 'c', 'l', 'i', 'e', 'n', 't', 0}},
	} {
		if got := AppendRequestHeader(nil, c.header); !bytes.Equal(got, c.bytes) {
			t.Errorf("%s: wrote %v", c.name, got)
		}
		h, body, err := ParseRequestHeader(append(c.bytes[:len(c.bytes):len(c.bytes)], 1, 2))
		if err != nil || !reflect.DeepEqual(h, c.header) || !bytes.Equal(body, []byte{1, 2}) {
			t.Errorf("%s: read %+v, body %v, error %v", c.name, h, body, err)
		}
		for n := range c.bytes {
			if _, _, err := ParseRequestHeader(c.bytes[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes are accepted", c.name, n, len(c.bytes))
			}
		}
	}
}

func TestHeaderTagsAreSkipped(t *testing.T) {
	frame := []byte{0, 3, 0, 9, 0, 0, 0, 5, 255, 255, 2, 0, 1, 'x', 7, 2, 'y', 'z', 42}
	h, body, err := ParseRequestHeader(frame)
	if err != nil || h.ClientID != nil || !bytes.Equal(body, []byte{42}) {
		t.Fatalf("%+v, body %v, error %v", h, body, err)
	}
}

func TestUnknownKeysHaveNoHeader(t *testing.T) {
	if _, _, err := ParseRequestHeader([]byte{3, 231, 0, 0, 0, 0, 0, 5, 255, 255}); err == nil {
		t.Fatal("key 999 is accepted")
	}
}

func TestANewerApiVersionsHeaderIsReadUpToTheCorrelationID(t *testing.T) {
	h, body, err := ParseRequestHeader([]byte{0, 18, 0, 99, 0, 0, 0, 5, 127, 255, 1})
	if err != nil || h.CorrelationID != 5 || h.Version != 99 || len(body) != 0 {
		t.Fatalf("%+v, body %v, error %v", h, body, err)
	}
}

func TestATruncatedHeaderOfAKnownApiVersionsIsRefused(t *testing.T) {
	for _, frame := range [][]byte{{0, 18, 0, 0, 0, 0, 0, 5}, {0, 18, 0, 0, 0, 0, 0, 5, 127, 255, 1}, {0, 18, 0, 3, 0, 0, 0, 5, 0, 1, 'p'},
		{0, 18, 0, 4, 0, 0, 0, 5, 127, 255, 1}} {
		if _, _, err := ParseRequestHeader(frame); err == nil {
			t.Errorf("% x is accepted", frame)
		}
	}
}

func TestResponseHeaders(t *testing.T) {
	if got := AppendResponseHeader(nil, Metadata, 9, 1); !bytes.Equal(got, []byte{0, 0, 0, 1, 0}) {
		t.Errorf("Metadata v9: %v", got)
	}
	if got := AppendResponseHeader(nil, ApiVersions, 3, 1); !bytes.Equal(got, []byte{0, 0, 0, 1}) {
		t.Errorf("ApiVersions v3: %v", got)
	}
	id, body, err := ParseResponseHeader([]byte{0, 0, 0, 8, 1, 0, 1, 'x', 9}, Metadata, 9)
	if id != 8 || !bytes.Equal(body, []byte{9}) || err != nil {
		t.Errorf("read id %d, body %v, error %v", id, body, err)
	}
	if _, _, err := ParseResponseHeader([]byte{0, 0, 0}, Metadata, 0); err == nil {
		t.Error("three bytes are accepted")
	}
}
