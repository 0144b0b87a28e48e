package api_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
)

// BenchmarkAcksAllWithIdlePartitions measures a small produce with acks=all over loopback, which
// waits for the follower's fetches, while the follower also follows idle partitions. It reports
// percentiles of the time to the answer.
func BenchmarkAcksAllWithIdlePartitions(b *testing.B) {
	for _, n := range []int32{10, 10_000} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			one, two, ports := pair(b, nil)
			one.host(n, ports)
			two.host(n, ports)
			link := peerlink.New(peerlink.Config{Address: fmt.Sprintf("127.0.0.1:%d", ports[1]), ClientID: "bench", RequestTimeout: testPatience})
			defer link.Close()
			set := recordSet(b, 2, strings.Repeat("x", 100))
			produce := func() {
				resp, err := link.Do(b.Context(), produceRequest(9, -1, dataTopic, 0, bytes.Clone(set)))
				if err != nil {
					b.Fatal(err)
				}
				if code := protocol.ErrorCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode); code != protocol.None {
					b.Fatal(code)
				}
			}
			for range 20 { // the follower creates its fetch session
				produce()
			}
			var times []time.Duration
			for b.Loop() {
				began := time.Now()
				produce()
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			for percent, name := range map[int]string{50: "p50-µs", 99: "p99-µs"} {
				b.ReportMetric(float64(times[len(times)*percent/100].Microseconds()), name)
			}
		})
	}
}

// host makes the broker a replica of n partitions, which broker 1 leads and broker 2 follows.
func (b *dataBroker) host(n int32, ports map[int32]int) {
	b.t.Helper()
	b.announcePartitions(ports, n, 1, 2)
	b.roles(n, 1, 1, []int32{1, 2}, 1, 2)
}
