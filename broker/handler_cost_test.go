//go:build !race

package broker

import (
	"fmt"
	"net"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// servedAlone is a complete broker, which is its own controller, with the topic "ab" of one
// partition.
type servedAlone struct {
	*Broker
	t        testing.TB
	stop     func()
	registry *api.Registry
	peer     *network.Peer
}

func newServedAlone(t testing.TB) *servedAlone {
	t.Helper()
	cfg, err := settings.FromMap(map[string]string{
		"broker.id": "0", "zookeeper.connect": testkit.ZooKeeper(t), "log.dirs": t.TempDir(),
		"listeners":                        "PLAINTEXT://127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)),
		"auto.create.topics.enable":        "false",
		"offsets.topic.num.partitions":     "1",
		"offsets.topic.replication.factor": "1",
		"group.initial.rebalance.delay.ms": "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	b := New(cfg, kafkalog.Discard())
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(b.Stop)
	t.Cleanup(stop)
	s := &servedAlone{Broker: b, t: t, stop: stop, registry: b.handlers(),
		peer: &network.Peer{ID: "test", Listener: "PLAINTEXT", Addr: &net.TCPAddr{}, Principal: "User:ANONYMOUS"}}
	if !b.cache.Await(t.Context(), time.Minute, func(s *metadata.Snapshot) bool { return s.Heard && s.Complete && len(s.Brokers) > 0 }) {
		t.Fatal("no controller")
	}
	for _, topic := range []string{"ab", "__consumer_offsets"} {
		s.must(createRequest([]string{topic}))
	}
	return s
}

// answer returns the body of the answer to a request.
func (s *servedAlone) answer(key protocol.APIKey, version int16, body []byte) []byte {
	resp := s.registry.Serve(&network.Request{Peer: s.peer, Body: body,
		RequestHeader: protocol.RequestHeader{Key: key, Version: version, CorrelationID: 7}})
	if resp.Close {
		s.t.Fatalf("%s v%d: %v", key, version, resp.Err)
	}
	_, answer, err := protocol.ParseResponseHeader(resp.Runs[0].Bytes, key, version)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// serve returns the size of the answer to a request and whether the broker accepted it.
func (s *servedAlone) serve(key protocol.APIKey, version int16, body []byte) (answer int64, ok bool) {
	resp := s.registry.Serve(&network.Request{Peer: s.peer, Body: body,
		RequestHeader: protocol.RequestHeader{Key: key, Version: version, CorrelationID: 7}})
	for _, run := range resp.Runs {
		answer += int64(len(run.Bytes))
	}
	return answer, !resp.Close
}

// processorTime returns the processor time that this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fieldsOfRequests has values for fields that take a request further into the code of its handler.
// The epoch is that of a controller unknown to the broker.
var fieldsOfRequests = map[string]int64{
	"ControllerEpoch": 1 << 20, "Acks": -1, "TimeoutMillis": 100, "SessionTimeoutMillis": 10_000, "RebalanceTimeoutMillis": 1000,
}

// requestAbout returns a request about the group, transaction or member "ab".
func requestAbout(key protocol.APIKey, version int16) kmsg.Request {
	req := kmsg.RequestForKey(int16(key))
	req.SetVersion(version)
	v := reflect.ValueOf(req).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if n, has := fieldsOfRequests[v.Type().Field(i).Name]; has {
			f.SetInt(n)
		} else if f.Kind() == reflect.String {
			name(f, "ab")
		}
	}
	if join, ok := req.(*kmsg.JoinGroupRequest); ok && version >= 5 { // sent by the group's only member, a static one
		join.Group, join.MemberID, join.ProtocolType = "members", "", "consumer"
		join.InstanceID = kmsg.StringPtr("ab")
	}
	return req
}

// subjects set the subject of an entry of a request.
var subjects = map[string]func(entry reflect.Value){
	"a topic":             func(entry reflect.Value) { about(entry, kmsg.ConfigResourceTypeTopic, "ab") },
	"a broker":            func(entry reflect.Value) { about(entry, kmsg.ConfigResourceTypeBroker, "0") },
	"loggers of a broker": func(entry reflect.Value) { about(entry, kmsg.ConfigResourceTypeBrokerLogger, "0") },
}

func about(entry reflect.Value, kind kmsg.ConfigResourceType, of string) {
	name(entry, of)
	if entry.Kind() == reflect.Struct {
		if r := entry.FieldByName("ResourceType"); r.IsValid() {
			r.SetInt(int64(kind))
		}
	}
}

// bytesForEntry is how much memory an entry of a request may take until it is answered, in addition
// to eight times its bytes. It has the value of entryWeight in broker/api, from which the share of a
// request in the budget for all requests is computed.
const bytesForEntry = 512

// peakOf returns the largest growth of the heap while f ran.
func peakOf(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	heap := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, peak := heap(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak = max(peak, heap())
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return peak - min(peak, before)
}

// handled is the cost of handling a request.
type handled struct {
	cost
	time time.Duration
}

func (s *servedAlone) measure(key protocol.APIKey, version int16, body []byte) (h handled) {
	began := processorTime()
	h.cost = costOf(func() { s.serve(key, version, body) })
	h.time = processorTime() - began
	return h
}

// Handling and answering a request with a long list, of every kind, takes time, allocations and
// memory in proportion to its size.
func TestHandlersCostInProportionToTheRequest(t *testing.T) {
	s := newServedAlone(t)
	small, large, kinds := 1<<14, 1<<16, []string{"equal entries", "distinct entries"}
	if testkit.FullMatrices() {
		small, large, kinds = 1<<17, 1<<19, append(kinds, "empty entries")
	}
	// Requests from another controller and the deletion of the topic come last.
	last := []protocol.APIKey{protocol.StopReplica, protocol.LeaderAndIsr, protocol.UpdateMetadata, protocol.DeleteTopics}
	served := s.registry.Advertised()
	slices.SortStableFunc(served, func(a, b *api.Handler) int { return slices.Index(last, a.Key) - slices.Index(last, b.Key) })
	answered := 0
	for _, a := range served {
		for _, path := range listsOf(reflect.TypeOf(kmsg.RequestForKey(int16(a.Key))).Elem(), nil) {
			for subject, above := range subjects {
				if subject != "a topic" && a.Key != protocol.DescribeConfigs && a.Key != protocol.AlterConfigs && a.Key != protocol.IncrementalAlterConfigs {
					continue
				}
				for _, kind := range kinds {
					for version := a.Min; version <= a.Max; version++ {
						if version != a.Max && (version != a.Min || !testkit.FullMatrices()) {
							continue
						}
						shape, ok := shapeOf(func(n int) []byte {
							return bodyWith(requestAbout(a.Key, version), path, n, above, func(entry reflect.Value) {
								above(entry)
								entryKinds[kind](entry)
							})
						}, a.Key.Flexible(version))
						what := fmt.Sprintf("%s v%d of %s, %s", listName(a.Key, path), version, subject, kind)
						if ok && s.costsInProportion(what, a.Key, version, shape, small, large) {
							answered++
						}
					}
				}
			}
		}
	}
	t.Logf("%d lists were answered", answered)
	if answered < 100 {
		t.Errorf("only %d lists were answered", answered)
	}
}

// costsInProportion compares the costs of two requests of the same shape. It returns false if the
// broker refuses the large one.
func (s *servedAlone) costsInProportion(what string, key protocol.APIKey, version int16, shape bodyShape, small, large int) bool {
	less, more := shape.ofSize(small), shape.ofSize(large)
	answer, ok := s.serve(key, version, more)
	if !ok {
		return false
	}
	const tries = 4
	for try := 1; ; try++ {
		a, b := s.measure(key, version, less), s.measure(key, version, more)
		factor := float64(len(more)) / float64(len(less)) * 2.5
		var problem string
		switch {
		case float64(b.allocations) > float64(a.allocations)*factor+5000:
			problem = fmt.Sprintf("%d allocations, but one of %d bytes takes only %d", b.allocations, len(less), a.allocations)
		case float64(b.bytes) > float64(a.bytes)*factor+1<<20:
			problem = fmt.Sprintf("%d allocated bytes, but one of %d bytes takes only %d", b.bytes, len(less), a.bytes)
		case b.time > 60*time.Millisecond && float64(b.time) > float64(a.time)*factor:
			problem = fmt.Sprintf("%v, but one of %d bytes takes only %v", b.time, len(less), a.time)
		}
		if problem == "" {
			break
		}
		if try == tries {
			s.t.Errorf("%s: a request of %d bytes takes %s", what, len(more), problem)
			return true
		}
	}
	entries := len(more) / len(shape.entry)
	most := uint64(8*len(more) + bytesForEntry*entries + 2<<20)
	var peak uint64
	for try := 1; ; try++ {
		peak = peakOf(func() { s.serve(key, version, more) })
		if peak <= most {
			break
		}
		if try == tries {
			s.t.Errorf("%s: a request of %d bytes with %d entries, answered by %d bytes, takes %d bytes of memory, %d per entry", what, len(more), entries, answer, peak, peak/uint64(entries))
			break
		}
	}
	return true
}
