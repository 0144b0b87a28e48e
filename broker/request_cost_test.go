//go:build !race

// The race detector allocates too, so what a request costs is counted without it.

package broker

import (
	"encoding/binary"
	"net"
	"os"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// bodySizes are sizes in bytes, each twice the one before: two in CI, up to the largest that
// is read in the long form.
func bodySizes() []int {
	if os.Getenv("MONEDULA_TEST_ALL") != "" {
		return []int{1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20}
	}
	return []int{1 << 19, 1 << 20}
}

// entryKinds are what a request's longest list is filled with.
var entryKinds = map[string]func(entry reflect.Value){
	"empty entries": func(reflect.Value) {},
	"equal entries": func(entry reflect.Value) { name(entry, "ab") },
	"entries with an unknown tag": func(entry reflect.Value) {
		if entry.Kind() == reflect.Struct {
			if tags := entry.FieldByName("UnknownTags"); tags.IsValid() {
				tags.Addr().Interface().(*kmsg.Tags).Set(1000, nil)
			}
		}
	},
	"entries with long texts": func(entry reflect.Value) { name(entry, "a-text-of-about-forty-characters-as-names") },
}

// name sets the texts of an entry.
func name(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		v.Set(reflect.ValueOf(&text))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && (f.Kind() == reflect.String || f.Type() == reflect.TypeFor[*string]()) {
				name(f, text)
			}
		}
	}
}

// listsOf returns the paths of the lists in a request, as numbers of fields.
func listsOf(t reflect.Type, path []int) (paths [][]int) {
	for i := range t.NumField() {
		f := t.Field(i).Type
		if f.Kind() != reflect.Slice || f.Elem().Kind() == reflect.Uint8 {
			continue
		}
		to := append(path[:len(path):len(path)], i)
		paths = append(paths, to)
		if f.Elem().Kind() == reflect.Struct {
			paths = append(paths, listsOf(f.Elem(), to)...)
		}
	}
	return paths
}

// bodyWith returns a request's body with n entries in one list, and one in those on the way
// to it.
func bodyWith(key protocol.APIKey, version int16, path []int, n int, fill func(reflect.Value)) []byte {
	req := kmsg.RequestForKey(int16(key))
	req.SetVersion(version)
	v := reflect.ValueOf(req).Elem()
	for i, at := range path {
		count := 1
		if i == len(path)-1 {
			count = n
		}
		list := reflect.MakeSlice(v.Field(at).Type(), count, count)
		if count > 0 {
			fill(list.Index(0))
		}
		for have := 1; have < count; have *= 2 {
			reflect.Copy(list.Slice(have, count), list.Slice(0, have))
		}
		v.Field(at).Set(list)
		if i < len(path)-1 {
			v = list.Index(0)
		}
	}
	return protocol.AppendRequest(nil, req)
}

// cost is what serving takes.
type cost struct{ bytes, allocations uint64 }

func costOf(f func()) cost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return cost{after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs}
}

// bodies is a registry that decodes what the broker serves, and does nothing with it.
func bodies(t *testing.T) (served []api.Versions, registry *api.Registry) {
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
		registry.Register(api.Typed(s.Key, s.Min, s.Max, func(*api.Call, kmsg.Request) (kmsg.Response, error) {
			return kmsg.NewPtrHeartbeatResponse(), nil
		}))
	}
	if len(served) < 50 {
		t.Fatalf("only %d types of requests are served", len(served))
	}
	return served, registry
}

// read has a body read as the broker reads it, and reports whether it was accepted.
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

// Every request type and version that is served, with each of its lists as long as a body
// of some MiB allows: reading it allocates at most eight times its size, and no more than in
// proportion to it.
func TestNoRequestCostsMoreThanItsSize(t *testing.T) {
	served, registry := bodies(t)
	accepted, refused := 0, 0
	for _, s := range served {
		for version := s.Min; version <= s.Max; version++ {
			if os.Getenv("MONEDULA_TEST_ALL") == "" && version != s.Max {
				continue
			}
			for _, path := range listsOf(reflect.TypeOf(kmsg.RequestForKey(int16(s.Key))).Elem(), nil) {
				for kind, fill := range entryKinds {
					one := len(bodyWith(s.Key, version, path, 1, fill))
					each := len(bodyWith(s.Key, version, path, 101, fill)) - one
					if each < 100 {
						continue // the version does not have the list
					}
					last := cost{}
					for _, size := range bodySizes() {
						body := bodyWith(s.Key, version, path, (size-one-8)*100/each, fill)
						length := uint64(len(body))
						ok := false
						took := costOf(func() { ok = read(registry, s.Key, version, body) })
						if ok {
							accepted++
						} else {
							refused++
						}
						if took.bytes > 8*length+length/2+1<<19 {
							t.Errorf("%s v%d %v, %s: %d bytes take %d, %.1f times as much", s.Key, version, path, kind, length, took.bytes, float64(took.bytes)/float64(length))
						}
						if last.allocations > 0 && took.allocations > last.allocations*9/4+1000 {
							t.Errorf("%s v%d %v, %s: %d allocations, %d with half the size", s.Key, version, path, kind, took.allocations, last.allocations)
						}
						last = took
					}
				}
			}
		}
	}
	t.Logf("%d bodies were read, %d refused", accepted, refused)
	if accepted < 100 {
		t.Errorf("only %d bodies were read, %d refused", accepted, refused)
	}
}

// Every number in a small request is replaced by absurd ones: none is allocated.
func TestAbsurdCountsCostNothing(t *testing.T) {
	served, registry := bodies(t)
	for _, s := range served {
		for version := s.Min; version <= s.Max; version++ {
			for _, path := range append(listsOf(reflect.TypeOf(kmsg.RequestForKey(int16(s.Key))).Elem(), nil), nil) {
				body := bodyWith(s.Key, version, path, 1, entryKinds["equal entries"])
				for at := range body {
					for _, number := range [][]byte{{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x0f}, binary.AppendUvarint(nil, 1<<21)} {
						absurd := append([]byte(nil), body...)
						absurd = append(absurd[:at], append(number, body[min(at+1, len(body)):]...)...)
						if took := costOf(func() { read(registry, s.Key, version, absurd) }); took.bytes > 1<<19 {
							t.Errorf("%s v%d with %x at %d takes %d bytes", s.Key, version, number, at, took.bytes)
						}
					}
				}
			}
		}
	}
}
