package producerids

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// counting returns a source of consecutive blocks that takes some time per block.
func counting(size int32, takes time.Duration) (Source, *atomic.Int32) {
	var next int64 // one fetch runs at a time
	var asked atomic.Int32
	return func(ctx context.Context) (Block, error) {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return Block{}, ctx.Err()
		}
		b := Block{next, size}
		next += int64(size)
		asked.Add(1)
		return b, nil
	}, &asked
}

func TestConcurrentCallersNeverGetTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := counting(10, 10*time.Millisecond)
		m := New(source, kafkalog.Discard())
		defer m.Close()
		var mu sync.Mutex
		seen := map[int64]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 25 {
					id, err := m.Next(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if seen[id] {
						t.Errorf("%d was handed out twice", id)
					}
					seen[id] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(seen) != 200 {
			t.Errorf("%d ids", len(seen))
		}
	})
}

func TestTheNextBlockIsFetchedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, asked := counting(10, 100*time.Millisecond)
		m := New(source, kafkalog.Discard())
		defer m.Close()
		for i := range int64(10) {
			id, err := m.Next(t.Context())
			if err != nil || id != i {
				t.Fatalf("%d: %d %v", i, id, err)
			}
			if asked.Load() != 1 {
				t.Fatalf("asked %d times at id %d", asked.Load(), i)
			}
		}
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		if asked.Load() != 2 {
			t.Errorf("asked %d times, want the next block to be fetched ahead", asked.Load())
		}
		start := time.Now()
		if id, err := m.Next(t.Context()); err != nil || id != 10 || time.Since(start) > 0 {
			t.Errorf("%d %v after %v", id, err, time.Since(start))
		}
	})
}

func TestNextReturnsARetriableErrorWithoutABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails atomic.Bool
		fails.Store(true)
		var tries atomic.Int32
		m := New(func(context.Context) (Block, error) {
			tries.Add(1)
			if fails.Load() {
				return Block{}, errors.New("no controller")
			}
			return Block{7, 1000}, nil
		}, kafkalog.Discard())
		defer m.Close()
		start := time.Now()
		_, err := m.Next(t.Context())
		if protocol.CodeOf(err) != protocol.CoordinatorLoadInProgress || time.Since(start) != waitLimit {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if n := tries.Load(); n < 15 || n > 25 {
			t.Errorf("%d attempts in a second, want one per 50 ms", n)
		}
		fails.Store(false)
		if id, err := m.Next(t.Context()); err != nil || id != 7 {
			t.Errorf("%d %v", id, err)
		}
	})
}

func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		m := New(func(ctx context.Context) (Block, error) { <-ctx.Done(); return Block{}, ctx.Err() }, kafkalog.New(&logged))
		m.Fetch()
		done := make(chan error)
		go func() {
			_, err := m.Next(context.Background())
			done <- err
		}()
		synctest.Wait()
		m.Close()
		if err := <-done; protocol.CodeOf(err) != protocol.CoordinatorLoadInProgress {
			t.Error(err)
		}
		if synctest.Wait(); logged.Len() > 0 {
			t.Errorf("logged as a failure: %s", &logged)
		}
	})
}

type fakeStore struct{ zkstore.ProducerIDBlock }

func (s fakeStore) AllocateProducerIDBlock(context.Context, metadata.BrokerID) (zkstore.ProducerIDBlock, error) {
	return s.ProducerIDBlock, nil
}

func TestSources(t *testing.T) {
	b, err := FromZooKeeper(1, fakeStore{zkstore.ProducerIDBlock{Broker: 1, Start: 2000, End: 2999}})(t.Context())
	if err != nil || b != (Block{2000, 1000}) {
		t.Errorf("%v %v", b, err)
	}
	resp := kmsg.NewPtrAllocateProducerIDsResponse()
	resp.ProducerIDStart, resp.ProducerIDLen = 5000, 1000
	send := func(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
		if r := req.(*kmsg.AllocateProducerIDsRequest); r.BrokerID != 3 || r.BrokerEpoch != 99 {
			t.Errorf("%+v", r)
		}
		return resp, nil
	}
	source := FromController(3, func() int64 { return 99 }, send)
	if b, err := source(t.Context()); err != nil || b != (Block{5000, 1000}) {
		t.Errorf("%v %v", b, err)
	}
	resp.ErrorCode = int16(protocol.StaleBrokerEpoch)
	if _, err := source(t.Context()); protocol.CodeOf(err) != protocol.StaleBrokerEpoch {
		t.Error(err)
	}
}

// A fetch that keeps failing is repeated with growing pauses, because there may be no controller.
// An empty block counts as a failure.
func TestFailingFetchesBackOff(t *testing.T) {
	for logged, answer := range map[string]func() (Block, error){
		"no controller":      func() (Block, error) { return Block{}, errors.New("no controller") },
		"the block is empty": func() (Block, error) { return Block{Start: 5}, nil },
	} {
		t.Run(logged, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var at []time.Duration
				var lines bytes.Buffer
				m := New(func(context.Context) (Block, error) {
					if at = append(at, time.Since(began)); time.Since(began) > 10*time.Second {
						return Block{7, 10}, nil
					}
					return answer()
				}, kafkalog.New(&lines))
				defer m.Close()
				m.Fetch()
				time.Sleep(time.Minute) // virtual time
				synctest.Wait()
				if first := at[1] - at[0]; first != retryPause {
					t.Errorf("the first pause is %v, want %v", first, retryPause)
				}
				var want []time.Duration // every 50 ms for a second, then with pauses that double
				for next, pause := time.Duration(0), retryPause; len(want) < len(at); next += pause {
					if want = append(want, next); next >= waitLimit {
						pause = min(2*pause, retryPauseMax)
					}
				}
				if n := len(at); n > 40 || !slices.Equal(at, want) || at[n-1]-at[n-2] != retryPauseMax {
					t.Errorf("attempts at %v, want %v", at, want)
				}
				if n := strings.Count(lines.String(), logged); n != len(at)-1 {
					t.Errorf("%d of %d failures are logged with their cause:\n%s", n, len(at)-1, &lines)
				}
				asked := time.Now()
				if id, err := m.Next(t.Context()); err != nil || id != 7 || time.Since(asked) != 0 {
					t.Errorf("%d, %v after %v", id, err, time.Since(asked))
				}
			})
		})
	}
}

// Only one id of a block starts the fetch of the next block.
func TestOnlyTheLastTenthOfABlockFetchesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, asked := counting(100, time.Millisecond)
		m := New(source, kafkalog.Discard())
		defer m.Close()
		for i := range int64(100) {
			if id, err := m.Next(t.Context()); err != nil || id != i {
				t.Fatalf("%d: %d %v", i, id, err)
			}
			time.Sleep(time.Second) // virtual time
			synctest.Wait()
			if want := int32(1 + i/90); asked.Load() != want {
				t.Fatalf("after id %d blocks were fetched %d times, want %d", i, asked.Load(), want)
			}
		}
	})
}

type failingBlocks struct{}

func (failingBlocks) AllocateProducerIDBlock(context.Context, metadata.BrokerID) (zkstore.ProducerIDBlock, error) {
	return zkstore.ProducerIDBlock{Start: 1, End: 1000}, zkstore.ErrSessionExpired
}

func TestSourcesReturnTheErrorsOfControllerAndZooKeeper(t *testing.T) {
	lost := errors.New("connection lost")
	send := func(context.Context, kmsg.Request) (kmsg.Response, error) {
		resp := kmsg.NewPtrAllocateProducerIDsResponse()
		resp.ProducerIDStart, resp.ProducerIDLen = 5, 1000
		return resp, lost
	}
	if b, err := FromController(1, func() int64 { return 7 }, send)(t.Context()); !errors.Is(err, lost) || b != (Block{}) {
		t.Errorf("from the controller: %+v, %v", b, err)
	}
	other := func(context.Context, kmsg.Request) (kmsg.Response, error) { return kmsg.NewPtrMetadataResponse(), nil }
	if b, err := FromController(1, func() int64 { return 7 }, other)(t.Context()); err == nil || b != (Block{}) {
		t.Errorf("from a controller that answers something else: %+v, %v", b, err)
	}
	if b, err := FromZooKeeper(1, failingBlocks{})(t.Context()); !errors.Is(err, zkstore.ErrSessionExpired) || b != (Block{}) {
		t.Errorf("from ZooKeeper: %+v, %v", b, err)
	}
}
