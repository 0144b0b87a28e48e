//go:build !race

// The race detector allocates too, so the cost of requests is measured without it.

package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// sizesOf returns the sizes in bytes, doubling each time, of the bodies to test for a list in a
// version. The newest version and the last one before varints get all sizes up to the largest that
// is read, with the most expensive kinds of entries. Other versions get two sizes if the list
// differs from the version before, otherwise one. Without MONEDULA_TEST_ALL there are two sizes,
// only for the newest version.
func sizesOf(s *api.Handler, version int16, kind string, changed bool) []int {
	const mib = 1 << 20
	edge := version == s.Max || s.Key.Flexible(version+1) && !s.Key.Flexible(version)
	switch {
	case !testkit.FullMatrices() && version == s.Max:
		return []int{mib / 2, mib}
	case !testkit.FullMatrices():
		return nil
	case edge && (kind == "empty entries" || kind == "distinct entries"):
		return []int{mib, 2 * mib, 4 * mib, 8 * mib, 16 * mib}
	case edge || changed:
		return []int{mib, 2 * mib}
	}
	return []int{mib}
}

// cost is the memory that serving a request allocates.
type cost struct{ bytes, allocations uint64 }

func costOf(f func()) cost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return cost{after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs}
}

// bodies returns the served request types, and a registry that decodes their requests and does
// nothing else.
func bodies(t *testing.T) (served []*api.Handler, registry *api.Registry) {
	cfg, err := settings.FromMap(map[string]string{"zookeeper.connect": "unused:1"})
	if err != nil {
		t.Fatal(err)
	}
	served = (&Broker{cfg: cfg, dynamic: settings.NewDynamic(cfg), logger: kafkalog.Discard()}).handlers().Advertised()
	registry = api.NewRegistry(nil, kafkalog.Discard())
	for _, s := range served {
		if s.Key == protocol.Produce || s.Key == protocol.Fetch {
			continue
		}
		registry.Register(api.Typed(*s, func(*api.Call, kmsg.Request) (kmsg.Response, error) {
			return kmsg.NewPtrHeartbeatResponse(), nil
		}))
	}
	if len(served) < 50 {
		t.Fatalf("only %d types of requests are served", len(served))
	}
	return served, registry
}

// read decodes a body as the broker does and reports whether it was accepted.
func read(registry *api.Registry, key protocol.APIKey, version int16, body []byte) bool {
	switch key {
	case protocol.Produce:
		return new(protocol.ProduceRequest).ReadFrom(version, body) == nil
	case protocol.Fetch:
		return new(protocol.FetchRequest).ReadFrom(version, body) == nil
	}
	peer := &network.Peer{ID: "test", Addr: &net.TCPAddr{}}
	return !registry.Serve(&network.Request{Peer: peer, Body: body,
		RequestHeader: protocol.RequestHeader{Key: key, Version: version}}).Close
}

// Every served request type and version is read with each of its lists as long as a body of some
// MiB allows. Reading it allocates at most eight times its size, and allocations grow no faster
// than the size.
func TestNoRequestCostsMoreThanItsSize(t *testing.T) {
	served, registry := bodies(t)
	accepted, refused := 0, 0
	// reads reads bodies of a shape with the given sizes.
	reads := func(what string, key protocol.APIKey, version int16, shape bodyShape, sizes []int) {
		last := cost{}
		for _, size := range sizes {
			body := shape.ofSize(size)
			length := uint64(len(body))
			ok := false
			took := costOf(func() { ok = read(registry, key, version, body) })
			if ok {
				accepted++
			} else {
				refused++
			}
			allowed := 8*length + length/2 + 1<<19
			if key == protocol.StopReplica { // controllers send it with many short names
				allowed = max(allowed, 16<<20+1<<19)
			}
			if took.bytes > allowed {
				t.Errorf("%s: reading %d bytes allocates %d bytes, %.1f times as much", what, length, took.bytes, float64(took.bytes)/float64(length))
			}
			if last.allocations > 0 && took.allocations > last.allocations*9/4+1000 {
				t.Errorf("%s: %d allocations, %d with half the size", what, took.allocations, last.allocations)
			}
			last = took
		}
	}
	for _, s := range served {
		for _, path := range listsOf(reflect.TypeOf(kmsg.RequestForKey(int16(s.Key))).Elem(), nil) {
			for kind, fill := range entryKinds {
				var before []byte
				for version := s.Min; version <= s.Max; version++ {
					encode := encoder(s.Key, version, path, fill)
					shape, ok := shapeOf(encode, s.Key.Flexible(version))
					if !ok {
						continue
					}
					if kind != "distinct entries" && !bytes.Equal(shape.body(300), encode(300)) {
						t.Fatalf("%s v%d, %s: a body differs from that of kmsg", listName(s.Key, path), version, kind)
					}
					one := shape.body(1)
					sizes := sizesOf(s, version, kind, !bytes.Equal(one, before))
					before = one
					reads(fmt.Sprintf("%s v%d, %s", listName(s.Key, path), version, kind), s.Key, version, shape, sizes)
				}
			}
		}
	}
	t.Logf("%d bodies were read, %d refused", accepted, refused)
	if accepted < 100 {
		t.Errorf("only %d bodies were read, %d refused", accepted, refused)
	}
}

// encoder returns a function that encodes requests with n entries in one of their lists.
func encoder(key protocol.APIKey, version int16, path []int, fill func(reflect.Value)) func(int) []byte {
	return func(n int) []byte {
		req := kmsg.RequestForKey(int16(key))
		req.SetVersion(version)
		return bodyWith(req, path, n, fill, fill)
	}
}

// Every number in a small request is replaced by absurdly large ones, which must not cause
// allocations.
func TestAbsurdCountsCostNothing(t *testing.T) {
	served, registry := bodies(t)
	for _, s := range served {
		for version := s.Min; version <= s.Max; version++ {
			for _, path := range append(listsOf(reflect.TypeOf(kmsg.RequestForKey(int16(s.Key))).Elem(), nil), nil) {
				body := encoder(s.Key, version, path, entryKinds["equal entries"])(1)
				for at := range body {
					for _, number := range [][]byte{{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x0f}, binary.AppendUvarint(nil, 1<<21)} {
						absurd := append([]byte(nil), body...)
						absurd = append(absurd[:at], append(number, body[min(at+1, len(body)):]...)...)
						if took := costOf(func() { read(registry, s.Key, version, absurd) }); took.bytes > 1<<19 {
							t.Errorf("%s v%d with %x at %d allocates %d bytes", s.Key, version, number, at, took.bytes)
						}
					}
				}
			}
		}
	}
}
