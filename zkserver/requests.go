package zkserver

import (
	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
)

// request handles a frame of a connection that has a session.
func (m *machine) request(c *client, content []byte) {
	m.received(c, len(content))
	var header jute.RequestHeader
	body, err := jute.Decode(content, &header)
	if err != nil || c.ended || m.tree.Heard(c.session, m.aliveMs) != nil {
		m.end(c)
		return
	}
	m.cxid = header.Xid
	c.stats.lastXid = int64(header.Xid)
	if header.Type == jute.OpAuth || header.Type == jute.OpSASL {
		m.auth(c, header, body)
		return
	}
	c.stats.last = header.Type
	result, code, known := m.handle(c, header.Type, body)
	reply := jute.ReplyHeader{Xid: header.Xid, Zxid: m.tree.Zxid(), Err: int32(code)}
	switch {
	case header.Type == jute.OpPing:
		reply.Xid = jute.PingXid
	case !known:
		reply.Err = int32(tree.Unimplemented)
	}
	c.stats.lastZxid = reply.Zxid
	if result == nil || code != tree.OK {
		m.respond(c, &reply)
	} else {
		m.respond(c, &reply, result)
	}
	switch {
	case header.Type == jute.OpCloseSession:
		m.endSession(c.session)
	case !known:
		m.end(c)
	}
}

// auth handles an AuthPacket. SASL is not supported.
func (m *machine) auth(c *client, header jute.RequestHeader, body []byte) {
	var packet jute.AuthPacket
	reply := jute.ReplyHeader{Xid: header.Xid}
	_, err := jute.Decode(body, &packet)
	if header.Type != jute.OpAuth || err != nil || !m.authenticate(c, &packet) {
		reply.Err = int32(tree.AuthFailed)
		m.stats.authFailed++
	}
	m.respond(c, &reply)
	if reply.Err != 0 {
		m.end(c)
	}
}

// handle carries out a request. It returns the body of the response, and the code of an error; known
// is false if there is no such request.
func (m *machine) handle(c *client, op jute.Op, body []byte) (result jute.Record, code tree.Code, known bool) {
	var err error
	switch op {
	case jute.OpPing:
	case jute.OpCloseSession:
		return nil, tree.OK, true
	case jute.OpSync:
		r := &jute.PathRequest{}
		result, err = r, decode(body, r)
	case jute.OpExists, jute.OpGetData, jute.OpGetChildren, jute.OpGetChildren2:
		var r jute.PathWatchRequest
		if err = decode(body, &r); err == nil {
			result, err = m.read(c, op, &r)
		}
	case jute.OpGetACL, jute.OpGetEphemerals, jute.OpGetAllChildrenNumber:
		var r jute.PathRequest
		if err = decode(body, &r); err == nil {
			result, err = m.list1(c, op, r.Path)
		}
	case jute.OpAddWatch, jute.OpCheckWatches, jute.OpRemoveWatches:
		var r jute.PathNumberRequest
		if err = decode(body, &r); err == nil {
			result, err = m.watch(c, op, &r)
		}
	case jute.OpSetWatches, jute.OpSetWatches2:
		err = m.setWatches(c, op, body)
	case jute.OpWhoAmI:
		r := &jute.WhoAmIResponse{}
		for _, id := range c.ids {
			r.ClientInfo = append(r.ClientInfo, userOf(id))
		}
		result = r
	case jute.OpMultiRead:
		result, err = m.multiRead(c, body)
	default:
		return m.write(c, op, body)
	}
	return result, tree.CodeOf(err), true
}

// decode reads the body of a request.
func decode(body []byte, r jute.Record) error {
	if _, err := jute.Decode(body, r); err != nil {
		return tree.MarshallingError
	}
	return nil
}

// read handles the reads that may set a watch.
func (m *machine) read(c *client, op jute.Op, r *jute.PathWatchRequest) (jute.Record, error) {
	switch op {
	case jute.OpExists:
		stat, err := m.tree.Exists(c.session, r.Path, r.Watch)
		return &stat, err
	case jute.OpGetData:
		data, stat, err := m.tree.Get(c.session, r.Path, r.Watch)
		return &jute.GetDataResponse{Data: data, Stat: stat}, err
	}
	names, stat, err := m.tree.Children(c.session, r.Path, r.Watch)
	if op == jute.OpGetChildren {
		return &jute.PathsResponse{Paths: names}, err
	}
	return &jute.GetChildren2Response{Children: names, Stat: stat}, err
}

// list1 handles the reads that name one node and set no watch.
func (m *machine) list1(c *client, op jute.Op, path string) (jute.Record, error) {
	switch op {
	case jute.OpGetACL:
		acl, stat, err := m.tree.ACL(c.session, path)
		return &jute.GetACLResponse{ACL: acl, Stat: stat}, err
	case jute.OpGetEphemerals:
		paths, err := m.tree.Ephemerals(c.session, path)
		return &jute.PathsResponse{Paths: paths}, err
	}
	n, err := m.tree.AllChildrenNumber(c.session, path)
	return &jute.NumberResponse{Number: int32(n)}, err
}

func (m *machine) watch(c *client, op jute.Op, r *jute.PathNumberRequest) (jute.Record, error) {
	switch op {
	case jute.OpAddWatch:
		return &jute.NumberResponse{}, m.tree.AddWatch(c.session, r.Path, r.Number)
	case jute.OpCheckWatches:
		return nil, m.tree.CheckWatches(c.session, r.Path, r.Number)
	}
	return nil, m.tree.RemoveWatches(c.session, r.Path, r.Number)
}

func (m *machine) setWatches(c *client, op jute.Op, body []byte) error {
	var r jute.SetWatches2
	var err error
	if op == jute.OpSetWatches {
		err = decode(body, &r.SetWatches)
	} else {
		err = decode(body, &r)
	}
	if err == nil {
		m.sendEvents(-1, m.tree.SetWatches(c.session, &r))
	}
	return err
}

// multiRead handles several reads, each of which may fail.
func (m *machine) multiRead(c *client, body []byte) (jute.Record, error) {
	var r jute.MultiRequest
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	response := &jute.MultiResponse{}
	for _, op := range r.Ops {
		path, ok := op.Body.(*jute.PathWatchRequest)
		if !ok {
			return nil, tree.MarshallingError
		}
		result, err := m.read(c, op.Type, path)
		if err != nil {
			response.Results = append(response.Results, jute.MultiResult{Type: jute.OpError, Err: int32(tree.CodeOf(err))})
			continue
		}
		response.Results = append(response.Results, jute.MultiResult{Type: op.Type, Body: result})
	}
	return response, nil
}
