package jute

// MultiRequest is the body of OpMulti and OpMultiRead.
type MultiRequest struct{ Ops []MultiOp }

// MultiOp is one operation of a MultiRequest.
type MultiOp struct {
	Type Op
	Body Record
}

// multiHeader precedes each operation of a multi and each of its results.
type multiHeader struct {
	op   Op
	done bool // the end of the list; the other fields are -1
	err  int32
}

func (r *multiHeader) Fields(c *Codec) { c.op(&r.op); c.Bool(&r.done); c.Int(&r.err) }

var endOfMulti = multiHeader{op: OpError, done: true, err: -1}

// request returns an empty body for an operation of a multi, or nil.
func request(op Op) Record {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer:
		return &CreateRequest{}
	case OpCreateTTL:
		return &CreateTTLRequest{}
	case OpDelete, OpCheck:
		return &PathVersionRequest{}
	case OpSetData:
		return &SetDataRequest{}
	case OpGetData, OpGetChildren:
		return &PathWatchRequest{}
	}
	return nil
}

// Fields implements Record.
func (r *MultiRequest) Fields(c *Codec) {
	if c.writing {
		for _, op := range r.Ops {
			header := multiHeader{op: op.Type, err: -1}
			header.Fields(c)
			op.Body.Fields(c)
		}
		end := endOfMulti
		end.Fields(c)
		return
	}
	for r.Ops = nil; ; {
		var header multiHeader
		if header.Fields(c); c.err != nil || header.done {
			return
		}
		body := request(header.op)
		if body == nil {
			c.fail("operation %d in a multi", header.op)
			return
		}
		body.Fields(c)
		r.Ops = append(r.Ops, MultiOp{Type: header.op, Body: body})
	}
}

// MultiResponse has the results of a MultiRequest.
type MultiResponse struct{ Results []MultiResult }

// MultiResult is the result of one operation. Type is OpError if it failed or another one did; Err is
// its error code then. Body is nil if the operation has no result.
type MultiResult struct {
	Type Op
	Err  int32
	Body Record
}

// response returns an empty body for the result of an operation of a multi, or nil if it has none.
func response(op Op) (body Record, known bool) {
	switch op {
	case OpCreate:
		return &PathRequest{}, true
	case OpCreate2:
		return &Create2Response{}, true
	case OpSetData:
		return &Stat{}, true
	case OpGetData:
		return &GetDataResponse{}, true
	case OpGetChildren:
		return &PathsResponse{}, true
	case OpError:
		return &NumberResponse{}, true
	}
	return nil, op == OpDelete || op == OpCheck
}

// Fields implements Record.
func (r *MultiResponse) Fields(c *Codec) {
	if c.writing {
		for _, result := range r.Results {
			header, body := multiHeader{op: result.Type, err: result.Err}, result.Body
			if result.Type == OpError {
				body = &NumberResponse{Number: result.Err}
			}
			header.Fields(c)
			if body != nil {
				body.Fields(c)
			}
		}
		end := endOfMulti
		end.Fields(c)
		return
	}
	for r.Results = nil; ; {
		var header multiHeader
		if header.Fields(c); c.err != nil || header.done {
			return
		}
		body, known := response(header.op)
		if !known {
			c.fail("result of operation %d in a multi", header.op)
			return
		}
		if body != nil {
			body.Fields(c)
		}
		r.Results = append(r.Results, MultiResult{Type: header.op, Err: header.err, Body: body})
	}
}
