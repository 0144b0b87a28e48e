package zktest

import (
	"encoding/binary"
	"net"

	"github.com/monedula/monedula/zkserver/jute"
	zktree "github.com/monedula/monedula/zkserver/tree"
)

// Numbers of requests.
const (
	opCreate       = 1
	opDelete       = 2
	opExists       = 3
	opGetData      = 4
	opSetData      = 5
	opGetACL       = 6
	opSetACL       = 7
	opGetChildren  = 8
	opSync         = 9
	opPing         = 11
	opGetChildren2 = 12
	opCheck        = 13
	opMulti        = 14
	opAuth         = 100
	opSetWatches   = 101
	opClose        = -11
)

// Flags of opCreate.
const (
	flagEphemeral  = 1
	flagSequential = 2
)

// respond answers one request. The response names no transaction: the client library notes it in one
// goroutine and reads it for SetWatches in another, and a server in the same process is quick enough
// for the race detector to see that. The server itself keeps what SetWatches needs to know.
func (s *Server) respond(conn net.Conn, session int64, xid, op int32, in *reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree.Heard(session, now()) != nil {
		return errEnd
	}
	s.sessions[session].heard = s.tree.Zxid()
	var body writer
	err := s.handle(session, op, in, &body)
	var out writer
	out.int32(xid)
	out.int64(0)
	code, known := zktree.OK, true
	if err != nil {
		if code, known = err.(zktree.Code); !known {
			return err
		}
	}
	out.int32(int32(code))
	if code == zktree.OK || op == opMulti {
		out = append(out, body...)
	}
	if err := out.send(conn); err != nil {
		return err
	}
	if op == opClose {
		s.endSession(session)
		return errEnd
	}
	return nil
}

// handle carries a request out and writes the body of its response. The caller must hold mu.
func (s *Server) handle(session int64, op int32, in *reader, out *writer) error {
	switch op {
	case opPing, opAuth, opClose:
		return nil
	case opSync:
		out.text(in.text())
		return nil
	case opGetData:
		data, stat, err := s.tree.Get(session, in.text(), in.bool())
		out.bytes(data)
		out.stat(stat)
		return err
	case opExists:
		stat, err := s.tree.Exists(session, in.text(), in.bool())
		out.stat(stat)
		return err
	case opGetChildren, opGetChildren2:
		names, stat, err := s.tree.Children(session, in.text(), in.bool())
		out.int32(int32(len(names)))
		for _, name := range names {
			out.text(name)
		}
		if op == opGetChildren2 {
			out.stat(stat)
		}
		return err
	case opGetACL:
		acl, stat, err := s.tree.ACL(session, in.text())
		*out = jute.Append(*out, (*jute.ACLs)(&acl))
		out.stat(stat)
		return err
	case opSetWatches:
		return s.setWatches(session, in)
	case opMulti:
		return s.multi(session, in, out)
	}
	change := operation(op, in)
	if change == nil {
		return errEnd
	}
	result, events, err := s.tree.Do(session, now(), change)
	s.fire(events)
	if err == nil {
		out.result(op, result)
	}
	return err
}

// operation reads a write.
func operation(op int32, in *reader) zktree.Op {
	switch op {
	case opCreate:
		path, data, acl, flags := in.text(), in.bytes(), in.acl(), in.int32()
		return zktree.Create{Path: path, Data: data, ACL: acl, Ephemeral: flags&flagEphemeral != 0, Sequential: flags&flagSequential != 0}
	case opDelete:
		return zktree.Delete{Path: in.text(), Version: in.int32()}
	case opSetData:
		return zktree.Set{Path: in.text(), Data: in.bytes(), Version: in.int32()}
	case opSetACL:
		return zktree.SetACL{Path: in.text(), ACL: in.acl(), Version: in.int32()}
	case opCheck:
		return zktree.Check{Path: in.text(), Version: in.int32()}
	}
	return nil
}

// multi carries several writes out, all or none.
func (s *Server) multi(session int64, in *reader, out *writer) error {
	var kinds []int32
	var ops []zktree.Op
	for !in.failed {
		kind, done := in.int32(), in.bool()
		in.int32()
		if done {
			break
		}
		op := operation(kind, in)
		if op == nil {
			return errEnd
		}
		kinds, ops = append(kinds, kind), append(ops, op)
	}
	results, events, err := s.tree.Multi(session, now(), ops...)
	s.fire(events)
	for i, result := range results {
		if err == nil {
			out.multiHeader(kinds[i], false, 0)
			out.result(kinds[i], result)
		} else {
			out.multiHeader(-1, false, int32(result.Code))
			out.int32(int32(result.Code))
		}
	}
	out.multiHeader(-1, true, -1)
	return err
}

// setWatches sets the watches of a client that has reconnected, or fires those whose nodes have
// changed in the meantime.
func (s *Server) setWatches(session int64, in *reader) error {
	in.int64() // last transaction; see respond
	since := s.sessions[session].since
	var events []zktree.Event
	watch := func(set func(path string) (stat zktree.Stat, err error), changed func(stat zktree.Stat, err error) zktree.EventType) {
		for range in.int32() {
			path := in.text()
			if what := changed(set(path)); what != 0 {
				events = append(events, zktree.Event{Session: session, Type: what, Path: path})
			}
		}
	}
	watch(func(path string) (zktree.Stat, error) {
		_, stat, err := s.tree.Get(session, path, true)
		return stat, err
	}, func(stat zktree.Stat, err error) zktree.EventType {
		switch {
		case err != nil:
			return zktree.NodeDeleted
		case stat.Mzxid > since:
			return zktree.NodeDataChanged
		}
		return 0
	})
	watch(func(path string) (zktree.Stat, error) { return s.tree.Exists(session, path, true) }, func(_ zktree.Stat, err error) zktree.EventType {
		if err == nil {
			return zktree.NodeCreated
		}
		return 0
	})
	watch(func(path string) (zktree.Stat, error) {
		_, stat, err := s.tree.Children(session, path, true)
		return stat, err
	}, func(stat zktree.Stat, err error) zktree.EventType {
		switch {
		case err != nil:
			return zktree.NodeDeleted
		case stat.Pzxid > since:
			return zktree.NodeChildrenChanged
		}
		return 0
	})
	s.fire(events)
	return nil
}

// reader reads the fields of a request. It returns zero values once a field is missing.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, nil
		return make([]byte, max(0, min(n, 8)))
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *reader) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }
func (r *reader) bool() bool   { return r.take(1)[0] != 0 }

// bytes reads a buffer, which may be null.
func (r *reader) bytes() []byte {
	n := r.int32()
	if n < 0 {
		return nil
	}
	return append([]byte{}, r.take(int(n))...)
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) acl() []jute.ACL {
	var acl jute.ACLs
	rest, err := jute.Decode(r.rest, &acl)
	r.rest, r.failed = rest, r.failed || err != nil
	return acl
}

// writer collects the fields of a response.
type writer []byte

func (w *writer) int32(n int32) { *w = binary.BigEndian.AppendUint32(*w, uint32(n)) }
func (w *writer) int64(n int64) { *w = binary.BigEndian.AppendUint64(*w, uint64(n)) }

func (w *writer) bytes(b []byte) {
	if b == nil {
		w.int32(-1)
		return
	}
	w.int32(int32(len(b)))
	*w = append(*w, b...)
}

func (w *writer) text(s string) { w.bytes([]byte(s)) }

func (w *writer) stat(s zktree.Stat) {
	for _, n := range []int64{s.Czxid, s.Mzxid, s.Ctime, s.Mtime} {
		w.int64(n)
	}
	for _, n := range []int32{s.Version, s.Cversion, s.Aversion} {
		w.int32(n)
	}
	w.int64(s.EphemeralOwner)
	w.int32(s.DataLength)
	w.int32(s.NumChildren)
	w.int64(s.Pzxid)
}

// result writes the result of a write that was carried out.
func (w *writer) result(op int32, r zktree.Result) {
	switch op {
	case opCreate:
		w.text(r.Path)
	case opSetData, opSetACL:
		w.stat(r.Stat)
	}
}

func (w *writer) multiHeader(kind int32, done bool, code int32) {
	w.int32(kind)
	end := byte(0)
	if done {
		end = 1
	}
	*w = append(*w, end)
	w.int32(code)
}

// send sends the response as one frame.
func (w *writer) send(conn net.Conn) error {
	_, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(*w))), *w...))
	return err
}
