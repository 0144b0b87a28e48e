package protocol

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// seed adds the vectors of a request type to a fuzz corpus.
func seed(f *testing.F, key APIKey) {
	for _, v := range wireVectors(f) {
		if v.key == key && !v.response {
			f.Add(v.version, v.body)
		}
	}
}

func FuzzParseRequestHeader(f *testing.F) {
	f.Add([]byte{0, 3, 0, 9, 0, 0, 0, 5, 255, 255, 1, 0, 1, 'x', 42})
	f.Add([]byte{0, 18, 0, 99, 0, 0, 0, 5, 127, 255})
	f.Add([]byte{0, 7, 0, 0, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ParseRequestHeader(frame)
		if err == nil && (len(body) > len(frame) || !h.Key.Known()) {
			t.Fatalf("%+v with a body of %d from a frame of %d bytes", h, len(body), len(frame))
		}
	})
}

func FuzzProduceRequest(f *testing.F) {
	seed(f, Produce)
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var p ProduceRequest
		if p.ReadFrom(version, body) != nil {
			return
		}
		total := 0
		for _, topic := range p.Topics {
			for _, partition := range topic.Partitions {
				total += len(partition.Records)
			}
		}
		if total > len(body) {
			t.Fatalf("%d bytes of records in a body of %d bytes", total, len(body))
		}
		if _, err := DecodeRequest(Produce, version, body); err != nil {
			t.Fatalf("accepted, but kmsg fails: %v", err)
		}
	})
}

func FuzzFetchRequest(f *testing.F) {
	seed(f, Fetch)
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r FetchRequest
		if r.ReadFrom(version, body) != nil {
			return
		}
		for _, topic := range r.Topics {
			if len(topic.Partitions)*16 > len(body) {
				t.Fatalf("%d partitions in a body of %d bytes", len(topic.Partitions), len(body))
			}
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, v := range wireVectors(f) {
		if !v.response && v.line%12 == 0 {
			f.Add(int16(v.key), v.version, v.body)
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		req, err := DecodeRequest(APIKey(key), version, body)
		if err != nil {
			return
		}
		AppendRequest(nil, req)
	})
}

// FuzzWeigh checks that every request that kmsg decodes can be weighed, and that it decodes to the
// same afterwards.
func FuzzWeigh(f *testing.F) {
	for _, v := range wireVectors(f) {
		if !v.response && v.line%12 == 0 {
			f.Add(int16(v.key), v.version, v.body)
		}
	}
	eachRequest(f, func(req kmsg.Request) {
		version := req.GetVersion()
		grow(reflect.ValueOf(req).Elem(), 2, 2, 9)
		req.SetVersion(version)
		f.Add(req.Key(), version, AppendRequest(nil, req))
	})
	f.Fuzz(func(t *testing.T, number, version int16, body []byte) {
		key := APIKey(number)
		if !key.Known() || key == Produce || key == Fetch {
			return
		}
		want, err := DecodeRequest(key, version, bytes.Clone(body))
		weight, lean, weighErr := NewScale(key).Weigh(version, bytes.Clone(body))
		switch {
		case err == nil && weighErr != nil:
			t.Fatalf("%s v%d decodes but cannot be weighed: %v", key, version, weighErr)
		case err != nil:
			return
		case len(lean) > len(body):
			t.Fatalf("%s v%d grew from %d to %d bytes", key, version, len(body), len(lean))
		case weight.Bytes < 0 || weight.Entries < 0:
			t.Fatalf("%s v%d weighs %v", key, version, weight)
		}
		forget(reflect.ValueOf(want))
		if got, err := DecodeRequest(key, version, lean); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s v%d decodes as %+v (%v), want %+v", key, version, got, err, want)
		}
	})
}
