package protocol

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// eachRequest calls f for every request type and version that a broker with ZooKeeper knows, except
// Produce and Fetch, which have their own codecs.
func eachRequest(t testing.TB, f func(req kmsg.Request)) {
	t.Helper()
	count := 0
	for key := range int16(kmsg.MaxKey + 1) {
		for version := int16(0); ; version++ {
			req := kmsg.RequestForKey(key)
			if req == nil || version > req.MaxVersion() || !APIKey(key).Known() || APIKey(key) == Produce || APIKey(key) == Fetch {
				break
			}
			req.SetVersion(version)
			f(req)
			count++
		}
	}
	if count < 200 {
		t.Errorf("only %d requests", count)
	}
}

func TestEveryRequestHasAShape(t *testing.T) {
	eachRequest(t, func(req kmsg.Request) {
		if _, err := shapeOf(req); err != nil {
			t.Error(err)
		}
	})
}

// Requests that a real Kafka encoded decode to the same with and without being weighed first.
func TestWeighedRequestsAreDecodedUnchanged(t *testing.T) {
	weighed := 0
	for _, v := range wireVectors(t) {
		if v.response || v.key == Produce || v.key == Fetch {
			continue
		}
		want, err := DecodeRequest(v.key, v.version, v.body)
		if err != nil {
			continue
		}
		weighed++
		_, lean, err := NewScale(v.key).Weigh(v.version, bytes.Clone(v.body))
		if err != nil {
			t.Errorf("line %d: %v", v.line, err)
			continue
		}
		got, err := DecodeRequest(v.key, v.version, lean)
		forget(reflect.ValueOf(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("line %d: %s v%d decodes as %+v (%v), want %+v", v.line, v.key, v.version, got, err, want)
		}
	}
	if weighed < 300 {
		t.Errorf("only %d requests", weighed)
	}
}

func TestWeighingATruncatedRequestIsAnErrorAndNeverAPanic(t *testing.T) {
	for _, v := range wireVectors(t) {
		if v.response || v.key == Produce || v.key == Fetch || len(v.body) > 400 {
			continue
		}
		scale := NewScale(v.key)
		for n := range v.body {
			if _, _, err := scale.Weigh(v.version, bytes.Clone(v.body[:n])); err == nil {
				t.Errorf("line %d: %s v%d accepts %d of %d bytes", v.line, v.key, v.version, n, len(v.body))
				break
			}
		}
	}
}

func TestWhereEncodingsBeginToDiffer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", -1}, {"ab", "ab", -1}, {"ab", "ac", 1}, {"ab", "abc", 2}, {"abc", "ab", 2}, {"", "a", 0}} {
		if got := difference([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%q and %q differ at %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// forget removes the unknown tags.
func forget(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			forget(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[kmsg.Tags]() {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			forget(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			forget(v.Index(i))
		}
	}
}

// grow fills each list of a struct, down to the given depth, with n elements that have unknown
// tags, strings and byte strings.
func grow(v reflect.Value, n, tags, depth int) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.Type() == reflect.TypeFor[kmsg.Tags]():
			for j := range tags {
				f.Addr().Interface().(*kmsg.Tags).Set(uint32(1000+j), []byte("unknown"))
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			if depth > 0 {
				f.Set(reflect.MakeSlice(f.Type(), n, n))
				for j := range n {
					grow(f.Index(j), n, tags, depth-1)
				}
			}
		case f.Kind() == reflect.Struct:
			grow(f, n, tags, depth)
		case f.Kind() == reflect.String:
			f.SetString("a text of some length")
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String:
			f.Set(reflect.ValueOf([]string{"a text of some length"}))
		case f.Kind() == reflect.Slice, f.Kind() == reflect.Pointer:
			distinguish(f)
		}
	}
}

// Weighing removes unknown tags, and nothing else, from requests of every type and version.
func TestUnknownTagsAreLeftOut(t *testing.T) {
	eachRequest(t, func(req kmsg.Request) {
		key, version := APIKey(req.Key()), req.GetVersion()
		grow(reflect.ValueOf(req).Elem(), 3, 2, 9)
		req.SetVersion(version)
		body := AppendRequest(nil, req)
		want, err := DecodeRequest(key, version, bytes.Clone(body))
		if err != nil {
			t.Fatal(err)
		}
		forget(reflect.ValueOf(want))
		plain := AppendRequest(nil, want)
		weight, lean, err := NewScale(key).Weigh(version, body)
		if err != nil {
			t.Errorf("%s v%d: %v", key, version, err)
			return
		}
		if got, err := DecodeRequest(key, version, lean); err != nil || !reflect.DeepEqual(got, want) || !bytes.Equal(lean, plain) {
			t.Errorf("%s v%d: %d bytes decode as %+v (%v), want %d bytes that decode as %+v", key, version, len(lean), got, err, len(plain), want)
		}
		if again, same, err := NewScale(key).Weigh(version, lean); err != nil || again != weight || len(same) != len(lean) {
			t.Errorf("%s v%d weighs %v, and %v without the tags (%v)", key, version, weight, again, err)
		}
	})
}

// Tagged fields that the struct has are kept and weighed. The test uses BrokerHeartbeat, because no
// request that a broker with ZooKeeper weighs has such a field today.
func TestKnownTagsAreKept(t *testing.T) {
	const heartbeat APIKey = 63
	want := kmsg.NewPtrBrokerHeartbeatRequest()
	want.Version = 1
	want.BrokerID, want.WantFence = 5, true
	without := AppendRequest(nil, want)
	want.OfflineLogDirs = [][16]byte{{1}, {2}, {3}}
	plain := AppendRequest(nil, want)
	foreign := *want
	foreign.UnknownTags.Set(99, []byte("left out"))
	weight, lean, err := NewScale(heartbeat).Weigh(1, AppendRequest(nil, &foreign))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRequest(heartbeat, 1, lean)
	if err != nil || !reflect.DeepEqual(got, want) || !bytes.Equal(lean, plain) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	if less, _, err := NewScale(heartbeat).Weigh(1, without); err != nil || less.Bytes >= weight.Bytes {
		t.Errorf("weighs %v with a tagged field and %v without (%v)", weight, less, err)
	}
	for cut := range plain {
		if _, _, err := NewScale(heartbeat).Weigh(1, bytes.Clone(plain[:cut])); err == nil {
			t.Errorf("%d of %d bytes are accepted", cut, len(plain))
		}
	}
}

// The weight of a request is close to the memory that decoding it takes.
func TestTheWeightIsWhatDecodingAllocates(t *testing.T) {
	eachRequest(t, func(req kmsg.Request) {
		key, version := APIKey(req.Key()), req.GetVersion()
		grow(reflect.ValueOf(req).Elem(), 40, 0, 2)
		req.SetVersion(version)
		body := AppendRequest(nil, req)
		weight, lean, err := NewScale(key).Weigh(version, body)
		if err != nil {
			t.Errorf("%s v%d: %v", key, version, err)
			return
		}
		const rounds = 5
		took := allocatedBy(func() {
			for range rounds {
				if _, err := DecodeRequest(key, version, lean); err != nil {
					t.Error(err)
				}
			}
		}) / rounds
		if took > uint64(weight.Bytes)+uint64(weight.Bytes)/4+2048 || took+took/2+2048 < uint64(weight.Bytes) {
			t.Errorf("%s v%d weighs %d bytes and takes %d", key, version, weight.Bytes, took)
		}
	})
}

// allocatedBy returns how many bytes f allocates.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
