package zkserver

import (
	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
)

// write handles the requests that change the tree.
func (m *machine) write(c *client, op jute.Op, body []byte) (result jute.Record, code tree.Code, known bool) {
	if op == jute.OpMulti {
		result, err := m.multi(c, body)
		return result, tree.CodeOf(err), true
	}
	request := writeRequest(op)
	if request == nil {
		return nil, tree.Unimplemented, false
	}
	var change tree.Op = tree.Refused{Code: tree.MarshallingError}
	if decode(body, request) == nil {
		change = m.operation(op, request)
	} else if op == jute.OpReconfig {
		return nil, tree.MarshallingError, true // takes no zxid
	}
	r, events, err := m.tree.Do(c.session, m.nowMs, change)
	m.fire(events)
	return response(op, &r), tree.CodeOf(err), true
}

// writeRequest returns an empty request, or nil if there is none of the number.
func writeRequest(op jute.Op) jute.Record {
	switch op {
	case jute.OpCreate, jute.OpCreate2, jute.OpCreateContainer:
		return &jute.CreateRequest{}
	case jute.OpCreateTTL:
		return &jute.CreateTTLRequest{}
	case jute.OpDelete:
		return &jute.PathVersionRequest{}
	case jute.OpSetData:
		return &jute.SetDataRequest{}
	case jute.OpSetACL:
		return &jute.SetACLRequest{}
	case jute.OpReconfig:
		return &jute.ReconfigRequest{}
	}
	return nil
}

// operation returns the operation of the tree that a request asks for.
func (m *machine) operation(op jute.Op, request jute.Record) tree.Op {
	switch r := request.(type) {
	case *jute.CreateRequest:
		return m.creation(op, r, -1)
	case *jute.CreateTTLRequest:
		return m.creation(op, &r.CreateRequest, r.TTL)
	case *jute.PathVersionRequest:
		if op == jute.OpCheck {
			return tree.Check{Path: r.Path, Version: r.Version}
		}
		return tree.Delete{Path: r.Path, Version: r.Version}
	case *jute.SetDataRequest:
		return tree.Set{Path: r.Path, Data: r.Data, Version: r.Version}
	case *jute.SetACLRequest:
		return tree.SetACL{Path: r.Path, ACL: present(r.ACL), Version: r.Version}
	case *jute.ReconfigRequest:
		return tree.Refused{Code: tree.ReconfigDisabled}
	}
	return tree.Refused{Code: tree.MarshallingError}
}

// present returns a list that is not nil: a missing ACL is invalid, not open.
func present(acl []jute.ACL) []jute.ACL {
	if acl == nil {
		return []jute.ACL{}
	}
	return acl
}

// creation returns the operation of a request to create a node. ttlMs is -1 if the request has none.
func (m *machine) creation(op jute.Op, r *jute.CreateRequest, ttlMs int64) tree.Op {
	create := tree.Create{Path: r.Path, Data: r.Data, ACL: present(r.ACL), Container: op == jute.OpCreateContainer}
	expires := false
	switch r.Flags {
	case jute.Persistent, jute.Container:
	case jute.PersistentSequential:
		create.Sequential = true
	case jute.Ephemeral, jute.EphemeralSequential:
		create.Ephemeral, create.Sequential = !create.Container, r.Flags == jute.EphemeralSequential
	case jute.PersistentTTL, jute.PersistentSequentialTTL:
		expires, create.Sequential = true, r.Flags == jute.PersistentSequentialTTL
	default:
		return tree.Refused{Code: tree.BadArguments}
	}
	switch {
	case expires && !m.tree.TTLNodes:
		return tree.Refused{Code: tree.Unimplemented}
	case expires != (op == jute.OpCreateTTL) || expires && (ttlMs <= 0 || ttlMs > tree.MaxTTLMs):
		return tree.Refused{Code: tree.BadArguments}
	case expires:
		create.TTLMs = ttlMs
	}
	return create
}

// response returns the body of the response to a write, or nil.
func response(op jute.Op, r *tree.Result) jute.Record {
	switch op {
	case jute.OpCreate:
		return &jute.PathRequest{Path: r.Path}
	case jute.OpCreate2, jute.OpCreateContainer, jute.OpCreateTTL:
		return &jute.Create2Response{Path: r.Path, Stat: r.Stat}
	case jute.OpSetData, jute.OpSetACL:
		return &r.Stat
	}
	return nil
}

// multi handles several writes, all or none. A failed one is answered without an error in the
// header; the results contain it.
func (m *machine) multi(c *client, body []byte) (jute.Record, error) {
	var r jute.MultiRequest
	if decode(body, &r) != nil || !writesOnly(&r) {
		_, _, err := m.tree.Do(c.session, m.nowMs, tree.Refused{Code: tree.MarshallingError})
		return nil, err
	}
	ops := make([]tree.Op, len(r.Ops))
	for i, op := range r.Ops {
		ops[i] = m.operation(op.Type, op.Body)
	}
	results, events, err := m.tree.Multi(c.session, m.nowMs, ops...)
	m.fire(events)
	multi := &jute.MultiResponse{}
	for i := range results {
		one := jute.MultiResult{Type: jute.OpError, Err: int32(results[i].Code)}
		if err == nil {
			op := r.Ops[i].Type
			one = jute.MultiResult{Type: op, Body: response(op, &results[i])}
			if op == jute.OpCreateContainer || op == jute.OpCreateTTL {
				one.Type = jute.OpCreate2
			}
		}
		multi.Results = append(multi.Results, one)
	}
	return multi, nil
}

// writesOnly reports whether a multi contains no reads and no unknown modes of creation.
func writesOnly(r *jute.MultiRequest) bool {
	for _, op := range r.Ops {
		switch body := op.Body.(type) {
		case *jute.PathWatchRequest:
			return false
		case *jute.CreateRequest:
			if body.Flags < jute.Persistent || body.Flags > jute.PersistentSequentialTTL {
				return false
			}
		}
	}
	return true
}
