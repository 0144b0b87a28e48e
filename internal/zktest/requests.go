package zktest

import (
	"net"

	"github.com/monedula/monedula/zkserver/jute"
	zktree "github.com/monedula/monedula/zkserver/tree"
)

// respond answers one request. The response names no transaction: the client library notes it in one
// goroutine and reads it for SetWatches in another, and a server in the same process is quick enough
// for the race detector to see that. The server itself keeps what SetWatches needs to know.
func (s *Server) respond(conn net.Conn, session int64, frame []byte) error {
	var header jute.RequestHeader
	body, err := jute.Decode(frame, &header)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree.Heard(session, now()) != nil {
		return errEnd
	}
	s.sessions[session].heard = s.tree.Zxid()
	result, err := s.handle(session, header.Type, body)
	code, known := zktree.OK, true
	if err != nil {
		if code, known = err.(zktree.Code); !known {
			return err
		}
	}
	response := []jute.Record{&jute.ReplyHeader{Xid: header.Xid, Err: int32(code)}}
	if result != nil && (code == zktree.OK || header.Type == jute.OpMulti) {
		response = append(response, result)
	}
	if err := send(conn, response...); err != nil {
		return err
	}
	if header.Type == jute.OpCloseSession {
		s.endSession(session)
		return errEnd
	}
	return nil
}

// send sends records as one frame.
func send(conn net.Conn, records ...jute.Record) error {
	_, err := conn.Write(jute.Frame(records...))
	return err
}

// handle carries a request out and returns the body of its response, or nil. The caller must hold mu.
func (s *Server) handle(session int64, op jute.Op, body []byte) (jute.Record, error) {
	switch op {
	case jute.OpPing, jute.OpAuth, jute.OpCloseSession:
		return nil, nil
	case jute.OpSync:
		r := &jute.PathRequest{}
		_, err := jute.Decode(body, r)
		return r, err
	case jute.OpGetData, jute.OpExists, jute.OpGetChildren, jute.OpGetChildren2:
		return s.read(session, op, body)
	case jute.OpGetACL:
		var r jute.PathRequest
		if _, err := jute.Decode(body, &r); err != nil {
			return nil, err
		}
		acl, stat, err := s.tree.ACL(session, r.Path)
		return &jute.GetACLResponse{ACL: acl, Stat: stat}, err
	case jute.OpSetWatches:
		return nil, s.setWatches(session, body)
	case jute.OpMulti:
		return s.multi(session, body)
	}
	return s.write(session, op, body)
}

// read handles the reads that may set a watch.
func (s *Server) read(session int64, op jute.Op, body []byte) (jute.Record, error) {
	var r jute.PathWatchRequest
	if _, err := jute.Decode(body, &r); err != nil {
		return nil, err
	}
	switch op {
	case jute.OpGetData:
		data, stat, err := s.tree.Get(session, r.Path, r.Watch)
		return &jute.GetDataResponse{Data: data, Stat: stat}, err
	case jute.OpExists:
		stat, err := s.tree.Exists(session, r.Path, r.Watch)
		return &stat, err
	}
	names, stat, err := s.tree.Children(session, r.Path, r.Watch)
	if op == jute.OpGetChildren {
		return &jute.PathsResponse{Paths: names}, err
	}
	return &jute.GetChildren2Response{Children: names, Stat: stat}, err
}

// write handles the requests that change the tree, except multi.
func (s *Server) write(session int64, op jute.Op, body []byte) (jute.Record, error) {
	var request jute.Record
	switch op {
	case jute.OpCreate:
		request = &jute.CreateRequest{}
	case jute.OpDelete:
		request = &jute.PathVersionRequest{}
	case jute.OpSetData:
		request = &jute.SetDataRequest{}
	case jute.OpSetACL:
		request = &jute.SetACLRequest{}
	default:
		return nil, errEnd
	}
	if _, err := jute.Decode(body, request); err != nil {
		return nil, err
	}
	result, events, err := s.tree.Do(session, now(), operation(op, request))
	s.fire(events)
	return response(op, &result), err
}

// operation returns the operation of the tree that a request asks for, or nil.
func operation(op jute.Op, request jute.Record) zktree.Op {
	switch r := request.(type) {
	case *jute.CreateRequest:
		return zktree.Create{Path: r.Path, Data: r.Data, ACL: r.ACL, Ephemeral: r.Flags == jute.Ephemeral || r.Flags == jute.EphemeralSequential,
			Sequential: r.Flags == jute.PersistentSequential || r.Flags == jute.EphemeralSequential}
	case *jute.PathVersionRequest:
		if op == jute.OpCheck {
			return zktree.Check{Path: r.Path, Version: r.Version}
		}
		return zktree.Delete{Path: r.Path, Version: r.Version}
	case *jute.SetDataRequest:
		return zktree.Set{Path: r.Path, Data: r.Data, Version: r.Version}
	case *jute.SetACLRequest:
		return zktree.SetACL{Path: r.Path, ACL: r.ACL, Version: r.Version}
	}
	return nil
}

// response returns the body of the response to a write, or nil.
func response(op jute.Op, r *zktree.Result) jute.Record {
	switch op {
	case jute.OpCreate:
		return &jute.PathRequest{Path: r.Path}
	case jute.OpSetData, jute.OpSetACL:
		return &r.Stat
	}
	return nil
}

// multi carries several writes out, all or none.
func (s *Server) multi(session int64, body []byte) (jute.Record, error) {
	var r jute.MultiRequest
	if _, err := jute.Decode(body, &r); err != nil {
		return nil, err
	}
	ops := make([]zktree.Op, len(r.Ops))
	for i, op := range r.Ops {
		if ops[i] = operation(op.Type, op.Body); ops[i] == nil {
			return nil, errEnd
		}
	}
	results, events, err := s.tree.Multi(session, now(), ops...)
	s.fire(events)
	multi := &jute.MultiResponse{}
	for i := range results {
		one := jute.MultiResult{Type: jute.OpError, Err: int32(results[i].Code)}
		if err == nil {
			one = jute.MultiResult{Type: r.Ops[i].Type, Body: response(r.Ops[i].Type, &results[i])}
		}
		multi.Results = append(multi.Results, one)
	}
	return multi, err
}

// setWatches sets the watches of a client that has reconnected, or fires those whose nodes have
// changed since its connection before; see respond.
func (s *Server) setWatches(session int64, body []byte) error {
	var r jute.SetWatches2
	if _, err := jute.Decode(body, &r.SetWatches); err != nil {
		return err
	}
	r.RelativeZxid = s.sessions[session].since
	s.fire(s.tree.SetWatches(session, &r))
	return nil
}
