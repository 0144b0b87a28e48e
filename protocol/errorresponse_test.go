package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
)

var causes = map[string]error{
	"generic":  fmt.Errorf("creating topic: %w", NotController),
	"specific": Errorf(InvalidRequest, "what was wrong"),
	"unknown":  errors.New("secret"),
}

// unorderedAnswers are the types whose entries come from a hash map in Kafka, so their order is not
// compared.
var unorderedAnswers = map[APIKey]bool{Produce: true, OffsetFetch: true, WriteTxnMarkers: true, AddPartitionsToTxn: true}

func TestFailedRequestsAreAnsweredAsKafkaDoes(t *testing.T) {
	lines := golden.Lines(t, "testdata/error-answers-3.9.1.txt.gz")
	checked := map[APIKey]bool{}
	for i, line := range lines {
		f := strings.Split(line, " ")
		key, version := APIKey(golden.Int16(t, f[0])), golden.Int16(t, f[2])
		if !key.Known() {
			continue
		}
		checked[key] = true
		req, err := DecodeRequest(key, version, golden.Bytes(t, f[4]))
		if err != nil {
			t.Errorf("line %d: %v", i+1, err)
			continue
		}
		resp, ok := ErrorResponse(req, causes[f[3]], 7)
		if !ok {
			if f[5] != "none" {
				t.Errorf("line %d: %s v%d: no answer", i+1, key, version)
			}
			continue
		}
		got, want := resp.AppendTo(nil), golden.Bytes(t, f[5])
		if !bytes.Equal(got, want) && !(unorderedAnswers[key] && sameBytesInAnotherOrder(got, want)) {
			t.Errorf("line %d: %s v%d %s:\n got %x\nwant %x", i+1, key, version, f[3], got, want)
		}
	}
	for key := range apiTexts {
		if !checked[key] {
			t.Errorf("%s is not checked", key)
		}
	}
}

func sameBytesInAnotherOrder(a, b []byte) bool {
	var counts [256]int
	for _, c := range a {
		counts[c]++
	}
	for _, c := range b {
		counts[c]--
	}
	return counts == [256]int{}
}

func TestRequestsOfAnUnknownTypeAreNotRefused(t *testing.T) {
	for _, key := range []APIKey{-1, 999} {
		if resp, ok := Refusal(key, 0, PolicyViolation); ok {
			t.Errorf("type %d: %+v", key, resp)
		}
	}
}

func TestFailedProduceWithoutAcksHasNoAnswer(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = 0
	if _, ok := ErrorResponse(req, NotController, 0); ok {
		t.Error("acks=0 is answered")
	}
	if _, ok := (&ProduceRequest{}).ErrorResponse(NotController, 0); ok {
		t.Error("acks=0 is answered")
	}
}

func TestFailedProduceAndFetchAreAnsweredTheSameByBothCodecs(t *testing.T) {
	for _, v := range wireVectors(t) {
		if v.response || (v.key != Produce && v.key != Fetch) || v.version > 11 && v.key == Produce {
			continue
		}
		req, err := DecodeRequest(v.key, v.version, v.body)
		if err != nil {
			t.Fatal(err)
		}
		for _, cause := range causes {
			want, answered := ErrorResponse(req, cause, 9)
			var got []byte
			if v.key == Produce {
				var p ProduceRequest
				must(t, p.ReadFrom(v.version, v.body))
				resp, ok := p.ErrorResponse(cause, 9)
				if ok != answered {
					t.Fatalf("line %d: answered %v and %v", v.line, ok, answered)
				}
				if !ok {
					continue
				}
				got = resp.AppendTo(nil)
			} else {
				var f FetchRequest
				must(t, f.ReadFrom(v.version, v.body))
				got, _ = f.ErrorResponse(cause, 9).AppendTo(nil, nil)
			}
			if !bytes.Equal(got, want.AppendTo(nil)) {
				t.Errorf("line %d: %s v%d:\n got %x\nwant %x", v.line, v.key, v.version, got, want.AppendTo(nil))
			}
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
