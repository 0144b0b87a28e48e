package transaction

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// The outcome of every code is that of Kafka's sender. A code that Kafka does not expect is like one
// on which it tries again.
func TestMarkersAreRepeatedDependingOnTheCode(t *testing.T) {
	written := map[protocol.ErrorCode]bool{protocol.None: true, protocol.UnsupportedForMessageFormat: true, protocol.UnsupportedVersion: true}
	abandoned := map[protocol.ErrorCode]bool{protocol.InvalidProducerEpoch: true, protocol.TransactionCoordinatorFenced: true}
	for code := protocol.ErrorCode(-1); code <= 130; code++ {
		inCluster(t, func(f *fakeCluster) {
			f.change(1, func(b *fakeBroker) { b.codes[TopicPartition{Topic: "t"}] = []protocol.ErrorCode{code} })
			f.commit("x", 0)
			const request = "to 1: commit 1001/0 t[0] epoch 1"
			f.expect("the first request", f.requests(), request)
			time.Sleep(retryPause)
			again, state := f.requests(), f.state("x")
			time.Sleep(time.Minute)
			f.expect("requests after a minute", f.requests(), "")
			switch {
			case written[code]:
				f.expect(fmt.Sprintf("after code %d", code), again+state, "CompleteCommit")
			case abandoned[code]:
				f.expect(fmt.Sprintf("after code %d", code), again+state, "PrepareCommit")
			default:
				f.expect(fmt.Sprintf("after code %d", code), again+" "+state, request+" CompleteCommit")
			}
		})
	}
}

// Only the partition that failed is sent again, to the leader that it has then.
func TestMarkersFollowTheLeader(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.change(1, func(b *fakeBroker) {
			b.codes[TopicPartition{Topic: "t", Partition: 2}] = []protocol.ErrorCode{protocol.NotLeaderOrFollower}
		})
		f.commit("x", 0, 1, 2, 3)
		f.expect("requests", f.requests(), "to 1: commit 1001/0 t[0 2] epoch 1; to 2: commit 1001/0 t[1 3] epoch 1")
		f.expect("while a marker is missing", f.state("x"), "PrepareCommit")
		f.announce(func(int32) int32 { return 2 }, 1, 2)
		time.Sleep(retryPause)
		f.expect("requests after the move", f.requests(), "to 2: commit 1001/0 t[2] epoch 1")
		f.expect("in the end", f.state("x"), "CompleteCommit")
	})
}

// Markers for partitions that this broker leads are written without a request, with the same rules.
func TestThisBrokersMarkersNeedNoRequest(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		us := f.brokers[address(1)]
		f.c.markers.local = func(_ context.Context, req *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
			return f.write(&fakeBroker{id: 1, codes: us.codes}, req).(*kmsg.WriteTxnMarkersResponse)
		}
		f.change(1, func(b *fakeBroker) { // refuses connections
			b.down = true
			b.codes[TopicPartition{Topic: "t", Partition: 2}] = []protocol.ErrorCode{protocol.NotLeaderOrFollower}
		})
		f.commit("x", 0, 1, 2, 3)
		f.expect("markers", f.requests(), "to 1: commit 1001/0 t[0 2] epoch 1; to 2: commit 1001/0 t[1 3] epoch 1")
		f.expect("while a marker is missing", f.state("x"), "PrepareCommit")
		time.Sleep(retryPause)
		f.expect("the marker that was refused", f.requests(), "to 1: commit 1001/0 t[2] epoch 1")
		f.expect("in the end", f.state("x"), "CompleteCommit")
	})
}

func TestMarkersOfAbsentBrokersAreRepeated(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.change(1, func(b *fakeBroker) { b.down = true })
		f.commit("x", 0, 1)
		time.Sleep(3 * time.Second)
		f.expect("requests while broker 1 is down", f.requests(), "to 2: commit 1001/0 t[1] epoch 1")
		if n := strings.Count(f.lines.String(), "Sending transaction markers to broker1:9092 failed"); n != 1 {
			t.Errorf("the failure is logged %d times", n)
		}
		f.announce(func(p int32) int32 { return 1 + p%2 }, 2) // the controller has noticed
		time.Sleep(time.Second)
		f.expect("requests while broker 1 is not alive", f.requests(), "")
		if s := f.c.Stats(); s.UnknownDestinations != 1 {
			t.Errorf("%+v, want one unknown destination", s)
		}
		f.change(1, func(b *fakeBroker) { b.down = false })
		f.announce(func(p int32) int32 { return 1 + p%2 }, 1, 2)
		time.Sleep(retryPause)
		f.expect("requests after the return", f.requests(), "to 1: commit 1001/0 t[0] epoch 1")
		f.expect("in the end", f.state("x"), "CompleteCommit")
		if s := f.c.Stats(); s.UnknownDestinations != 0 {
			t.Errorf("%+v, want no unknown destination", s)
		}
	})
}

// A broker that breaks the connection may have written the markers. They are sent again, and so is
// one that the answer leaves out.
func TestMarkersWithoutAnAnswerAreRepeated(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.change(1, func(b *fakeBroker) { b.holding = make(chan struct{}) })
		f.commit("x", 0, 2)
		f.requests()
		f.change(1, func(b *fakeBroker) {
			b.down = true
			close(b.holding)
			b.holding = nil
		})
		f.change(1, func(b *fakeBroker) {
			b.silent = map[TopicPartition]bool{{Topic: "t", Partition: 2}: true}
		})
		f.commit("y", 0, 2)
		f.expect("requests before the break", f.requests(), "to 1: commit 1002/0 t[0 2] epoch 1")
		f.change(1, func(b *fakeBroker) { b.down = false })
		time.Sleep(retryPause)
		f.expect("requests after the break", f.requests(), "to 1: commit 1002/0 t[0 2] epoch 1")
		time.Sleep(retryPause)
		f.requests()
		f.expect("x", f.state("x"), "CompleteCommit")
		f.expect("y", f.state("y"), "CompleteCommit")
	})
}

func TestMarkersOfDeletedPartitionsAreDropped(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.commit("only deleted", 77)
		f.expect("requests", f.requests(), "")
		f.expect("only deleted", f.state("only deleted"), "CompleteCommit")
		f.change(1, func(b *fakeBroker) { b.down = true })
		f.commit("x", 0, 1, 78)
		f.expect("requests", f.requests(), "to 2: commit 1002/0 t[1] epoch 1")
		f.announce(func(int32) int32 { return -2 }, 1, 2) // the topic is being deleted
		time.Sleep(retryPause)
		f.expect("requests", f.requests(), "")
		f.expect("x", f.state("x"), "CompleteCommit")
	})
}

// After a lost session the metadata may lack partitions that exist.
func TestPartitionsAreDeletedOnlyIfTheMetadataIsComplete(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.cache.Doubt()
		f.commit("x", 77)
		time.Sleep(time.Minute)
		f.expect("without complete metadata", f.state("x"), "PrepareCommit")
		f.announce(func(p int32) int32 { return 1 + p%2 }, 1, 2)
		f.expect("with complete metadata", f.state("x"), "CompleteCommit")
	})
}

// While one request is in flight, the markers of other transactions wait and share the next one.
func TestTransactionsShareRequests(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		hold := make(chan struct{})
		f.change(1, func(b *fakeBroker) { b.holding = hold })
		f.commit("x0", 0)
		f.expect("the first request", f.requests(), "to 1: commit 1001/0 t[0] epoch 1")
		for i := range int32(3) {
			f.commit(fmt.Sprint("x", i+1), 0, 2*(i+1))
		}
		p := f.begin("y", 4)
		if code := f.end("y", p, false); code != protocol.None {
			t.Error(code.Name())
		}
		f.change(1, func(b *fakeBroker) {
			b.codes[TopicPartition{Topic: "t", Partition: 4}] = []protocol.ErrorCode{protocol.NotEnoughReplicas}
		})
		close(hold)
		f.expect("the second request", f.requests(), "to 1: abort 1005/0 t[4] epoch 1, commit 1002/0 t[0 2] epoch 1, commit 1003/0 t[0 4] epoch 1, commit 1004/0 t[0 6] epoch 1")
		for id, want := range map[string]string{"x0": "CompleteCommit", "x1": "CompleteCommit", "x2": "PrepareCommit", "x3": "CompleteCommit", "y": "CompleteAbort"} {
			f.expect(id, f.state(id), want)
		}
		time.Sleep(retryPause)
		f.expect("the last request", f.requests(), "to 1: commit 1003/0 t[4] epoch 1")
		f.expect("x2", f.state("x2"), "CompleteCommit")
	})
}

// Once a marker is fenced no others of the transaction are sent.
func TestNoMarkersAreSentAfterAFence(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		f.change(1, func(b *fakeBroker) { b.down = true })
		f.change(2, func(b *fakeBroker) {
			b.codes[TopicPartition{Topic: "t", Partition: 1}] = []protocol.ErrorCode{protocol.TransactionCoordinatorFenced}
		})
		f.commit("x", 0, 1)
		f.requests()
		f.change(1, func(b *fakeBroker) { b.down = false })
		time.Sleep(time.Minute)
		f.expect("requests", f.requests(), "")
		f.expect("state", f.state("x"), "PrepareCommit")
		if n := len(f.c.markers.retries); n != 0 {
			t.Errorf("%d retries are left", n)
		}
		f.resign()
		f.lead() // the next load sends them again
		f.expect("requests after the load", f.requests(), "to 1: commit 1001/0 t[0] epoch 3; to 2: commit 1001/0 t[1] epoch 3")
		f.expect("state after the load", f.state("x"), "CompleteCommit")
	})
}

// The markers of a partition that another broker coordinates now are no longer sent, neither those
// that wait for a request nor those that wait for a leader.
func TestNoMarkersAreSentAfterAResignation(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		hold := make(chan struct{})
		f.change(1, func(b *fakeBroker) { b.holding = hold })
		f.change(2, func(b *fakeBroker) { b.down = true })
		f.commit("x", 0)
		f.requests()
		f.commit("y", 0, 1)
		f.resign()
		close(hold)
		f.change(2, func(b *fakeBroker) { b.down = false })
		time.Sleep(time.Minute)
		f.expect("requests", f.requests(), "")
		f.expect("records", f.stored(), "x=Empty x=Ongoing x=PrepareCommit y=Empty y=Ongoing y=PrepareCommit")
	})
}

// A request has a limited number of markers.
func TestManyMarkersAreSentInSeveralRequests(t *testing.T) {
	inCluster(t, func(f *fakeCluster) {
		hold := make(chan struct{})
		f.change(1, func(b *fakeBroker) { b.holding = hold })
		f.commit("first", 0)
		f.requests()
		const ids = markersPerRequest + 5
		for i := range ids {
			j := &markerJob{e: &entry{txn: &Transaction{ID: fmt.Sprint(i)}}, markers: &Markers{ProducerID: int64(i)}, partitions: []TopicPartition{{Topic: "t"}}}
			f.c.markers.enqueue(address(1), j)
		}
		close(hold)
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		var sizes []int
		for _, r := range f.received {
			sizes = append(sizes, strings.Count(r, "t[0]"))
		}
		if fmt.Sprint(sizes) != fmt.Sprint([]int{markersPerRequest, 5}) {
			t.Errorf("requests with %v markers", sizes)
		}
	})
}
