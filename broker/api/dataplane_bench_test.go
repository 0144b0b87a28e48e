package api_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// benchRequest returns a request that a benchmark serves repeatedly.
func benchRequest(key protocol.APIKey, version int16, req kmsg.Request) *network.Request {
	client := "bench"
	return &network.Request{
		RequestHeader: protocol.RequestHeader{Key: key, Version: version, ClientID: &client},
		Body:          protocol.AppendRequest(nil, req), Received: time.Now(), Done: make(chan struct{}),
		Peer: &network.Peer{ID: "bench", Listener: "PLAINTEXT"},
	}
}

// BenchmarkProduce appends one batch of ten 100-byte records with each request.
func BenchmarkProduce(b *testing.B) {
	broker := dataAlone(b)
	values := make([]string, 10)
	for i := range values {
		values[i] = strings.Repeat("x", 100)
	}
	req := benchRequest(protocol.Produce, 9, produceRequest(9, -1, dataTopic, 0, recordSet(b, 2, values...)))
	fresh := bytes.Clone(req.Body)
	b.SetBytes(int64(len(req.Body)))
	b.ReportAllocs()
	for b.Loop() {
		copy(req.Body, fresh) // the append wrote offsets into it
		resp := broker.registry.Serve(req)
		if resp.Close || len(resp.Runs) == 0 {
			b.Fatal("refused")
		}
		resp.Release()
	}
}

// BenchmarkFetch reads 100 KB with each request.
func BenchmarkFetch(b *testing.B) {
	broker := dataAlone(b)
	for range 100 {
		if code := broker.put(1, strings.Repeat("x", 1000)); code != protocol.None {
			b.Fatal(code)
		}
	}
	req := benchRequest(protocol.Fetch, 12, fetchRequest(12, 0))
	b.ReportAllocs()
	for b.Loop() {
		resp := broker.registry.Serve(req)
		if len(resp.Runs) != 3 {
			b.Fatalf("%d runs", len(resp.Runs))
		}
		b.SetBytes(resp.Runs[1].Length)
		resp.Release()
	}
}

// BenchmarkFetchAtTheEnd serves a consumer's fetch at the log end that must not wait.
func BenchmarkFetchAtTheEnd(b *testing.B) {
	broker := dataAlone(b)
	broker.put(1, "v")
	req := benchRequest(protocol.Fetch, 12, fetchRequest(12, 1))
	b.ReportAllocs()
	for b.Loop() {
		broker.registry.Serve(req).Release()
	}
}
