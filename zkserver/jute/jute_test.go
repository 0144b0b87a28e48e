package jute

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"
)

// samples has a filled record of each type.
func samples() []Record {
	acl := []ACL{{Perms: 31, ID: ID{"world", "anyone"}}, {Perms: 1, ID: ID{"digest", "a:b"}}}
	stat := Stat{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	saved := StatPersisted{1, 2, 3, 4, 5, 6, 7, 8, 9}
	create := CreateRequest{Path: "/a", Data: []byte{1}, ACL: acl, Flags: Ephemeral}
	watches := SetWatches{RelativeZxid: 7, Data: []string{"/d"}, Exist: []string{}, Child: []string{"/c", "/e"}}
	contained := CreateContainerTxn{Path: "/c", Data: []byte{}, ACL: acl, ParentCVersion: 3}
	return []Record{
		&ID{"ip", "10.0.0.1"}, &acl[0], &ConnectRequest{LastZxidSeen: 5, TimeOut: 6000, SessionID: -7, Password: make([]byte, 16), ReadOnly: true},
		&ConnectResponse{TimeOut: 6000, SessionID: 9, Password: []byte{1, 2}, ReadOnly: true}, &RequestHeader{Xid: PingXid, Type: OpPing},
		&ReplyHeader{Xid: EventXid, Zxid: math.MaxInt64, Err: -101}, &AuthPacket{Scheme: "digest", Auth: []byte("u:p")},
		&create, &CreateTTLRequest{create, 5000}, &PathVersionRequest{"/a", -1}, &SetDataRequest{"/a", nil, 3}, &SetACLRequest{"/a", acl, 2},
		&PathRequest{"/ä"}, &PathWatchRequest{"/a", true}, &PathNumberRequest{"/a", WatchesOfAnyKind}, &ReconfigRequest{"a", "b", "c", 4}, &watches,
		&SetWatches2{watches, []string{"/p"}, []string{"/r"}}, &stat, &WatcherEvent{4, 3, "/a"}, &Create2Response{"/a", stat},
		&GetDataResponse{[]byte("data"), stat}, &PathsResponse{[]string{"a", "b"}}, &GetChildren2Response{[]string{}, stat},
		&GetACLResponse{acl, stat}, &NumberResponse{12}, &WhoAmIResponse{[]ID{{"ip", "::1"}}}, &FileHeader{1, 2, 3}, &saved,
		&DataNode{[]byte("x"), -1, saved}, &TxnHeader{1, 2, 3, 4, OpCreate}, &CreateTxn{"/a", nil, acl, true, 4}, &contained,
		&CreateTTLTxn{contained, 6}, &DeleteTxn{"/a"}, &SetDataTxn{"/a", []byte{}, 1}, &CheckVersionTxn{"/a", 1}, &SetACLTxn{"/a", acl, 1},
		&CreateSessionTxn{6000}, &CloseSessionTxn{[]string{"/e"}}, &ErrorTxn{-110},
		&MultiTxn{[]Txn{{OpCreate, &CreateTxn{Path: "/m", ACL: acl, ParentCVersion: 1}}, {OpError, &ErrorTxn{-2}}}},
		&MultiRequest{[]MultiOp{{OpCreate2, &create}, {OpDelete, &PathVersionRequest{"/a", 1}}, {OpGetData, &PathWatchRequest{"/a", false}}}},
		&MultiResponse{[]MultiResult{{Type: OpCreate, Body: &PathRequest{"/a"}}, {Type: OpDelete}, {Type: OpSetData, Body: &stat},
			{Type: OpError, Err: -2, Body: &NumberResponse{-2}}}},
	}
}

func newOf(r Record) Record { return reflect.New(reflect.TypeOf(r).Elem()).Interface().(Record) }

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for _, want := range samples() {
		buf := Append([]byte("before"), want)[len("before"):]
		got := newOf(want)
		rest, err := Decode(append(buf, "after"...), got)
		if err != nil || string(rest) != "after" || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: %+v, %q, %v, want %+v", want, got, rest, err, want)
		}
	}
}

// A record that ends too early is refused, wherever it ends, except where old clients and logs leave
// out the last field.
func TestShortRecordsAreMalformed(t *testing.T) {
	for _, r := range samples() {
		buf := Append(nil, r)
		for n := range len(buf) {
			got := newOf(r)
			_, err := Decode(buf[:n], got)
			optional := false
			switch r.(type) {
			case *ConnectRequest, *ConnectResponse:
				optional = n == len(buf)-1
			case *CreateTxn:
				optional = n == len(buf)-4
			case *CloseSessionTxn:
				optional = n == 0
			}
			if errors.Is(err, ErrMalformed) == optional {
				t.Errorf("%T of %d bytes cut to %d: %v", r, len(buf), n, err)
			}
		}
	}
}

func TestTheEncodingIsZooKeepers(t *testing.T) {
	for _, c := range []struct {
		r    Record
		want string
	}{
		{&ConnectRequest{TimeOut: 30000, Password: []byte{}}, "00000000" + "0000000000000000" + "00007530" + "0000000000000000" + "00000000" + "00"},
		{&RequestHeader{Xid: 1, Type: OpCloseSession}, "00000001" + "fffffff5"},
		{&CreateRequest{Path: "/a", ACL: []ACL{{31, ID{"world", "anyone"}}}}, "00000002" + "2f61" + "ffffffff" + "00000001" + "0000001f" + "00000005776f726c64" + "00000006616e796f6e65" + "00000000"},
		{&MultiRequest{[]MultiOp{{OpCheck, &PathVersionRequest{"/a", -1}}}}, "0000000d" + "00" + "ffffffff" + "000000022f61" + "ffffffff" + "ffffffff" + "01" + "ffffffff"},
		{&MultiResponse{[]MultiResult{{Type: OpError, Err: -101}}}, "ffffffff" + "00" + "ffffff9b" + "ffffff9b" + "ffffffff" + "01" + "ffffffff"},
		{&MultiTxn{[]Txn{{OpError, &ErrorTxn{-2}}}}, "00000001" + "ffffffff" + "00000004" + "fffffffe"},
	} {
		if got := hex.EncodeToString(Append(nil, c.r)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.r, got, c.want)
		}
	}
}

func TestTextIsMadeValid(t *testing.T) {
	var r PathRequest
	if _, err := Decode([]byte("\x00\x00\x00\x03/\xffa"), &r); err != nil || r.Path != "/\uFFFDa" {
		t.Errorf("%q, %v", r.Path, err)
	}
}

// Announced lengths and counts allocate nothing that is not present.
func TestAnnouncedCountsAllocateNothing(t *testing.T) {
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	for _, r := range []Record{&PathRequest{}, &PathsResponse{}, &ACLs{}, &MultiTxn{}, &WhoAmIResponse{}} {
		cost := testing.AllocsPerRun(1, func() {
			if _, err := Decode(huge, r); !errors.Is(err, ErrMalformed) {
				t.Errorf("%T: %v", r, err)
			}
		})
		if cost > 10 {
			t.Errorf("%T: %v allocations", r, cost)
		}
	}
}

func FuzzRecordsAreReadOrMalformed(f *testing.F) {
	for i, r := range samples() {
		f.Add(i, Append(nil, r))
	}
	all := samples()
	f.Fuzz(func(t *testing.T, i int, buf []byte) {
		r := newOf(all[((i%len(all))+len(all))%len(all)])
		rest, err := Decode(buf, r)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%T: %v", r, err)
			}
			return
		}
		// What was read can be written, and reads the same again. It may differ from the input: null
		// lists, text that is not UTF-8, and booleans other than 0 and 1.
		again := newOf(r)
		buf = Append(nil, r)
		if _, err := Decode(buf, again); err != nil || !bytes.Equal(Append(nil, again), buf) {
			t.Errorf("%T: %+v, then %+v, %v, %d bytes left", r, r, again, err, len(rest))
		}
	})
}

func FuzzTransactionsAreReadOrMalformed(f *testing.F) {
	for _, r := range samples() {
		f.Add(Append(nil, &TxnHeader{Type: OpCreate}, r))
	}
	f.Fuzz(func(t *testing.T, buf []byte) {
		if _, txn, err := DecodeTxn(buf); err == nil && txn == nil || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%v, %v", txn, err)
		}
	})
}
