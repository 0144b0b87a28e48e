package zkclient

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

// Op is one operation of a transaction.
type Op struct {
	Path string

	kind    opKind
	data    []byte  // of a create or set
	version Version // of a set or check
}

type opKind int8

const (
	opCreate opKind = iota
	opCreateEphemeral
	opSet
	opDelete
	opCheck
)

// CreateOp creates a persistent node.
func CreateOp(path string, data []byte) Op { return Op{Path: path, kind: opCreate, data: data} }

// CreateEphemeralOp creates a node that is deleted when the session ends.
func CreateEphemeralOp(path string, data []byte) Op {
	return Op{Path: path, kind: opCreateEphemeral, data: data}
}

// SetOp writes a node's data. It fails with ErrBadVersion if the node has another version.
func SetOp(path string, data []byte, version Version) Op {
	return Op{Path: path, kind: opSet, data: data, version: version}
}

// DeleteOp deletes a node without children, whatever its version.
func DeleteOp(path string) Op { return Op{Path: path, kind: opDelete} }

// CheckOp fails with ErrBadVersion if the node has another version.
func CheckOp(path string, version Version) Op {
	return Op{Path: path, kind: opCheck, version: version}
}

// Size returns the approximate size of the operation in a packet, in bytes.
func (op Op) Size() int {
	const head, acl = 32, 64
	size := head + len(op.Path) + len(op.data)
	if op.kind == opCreate || op.kind == opCreateEphemeral {
		size += acl
	}
	return size
}

// request returns the operation as the client library's type.
func (ns Nodes) request(op Op) any {
	path := ns.client.full(op.Path)
	switch op.kind {
	case opSet:
		return &zk.SetDataRequest{Path: path, Data: op.data, Version: int32(op.version)}
	case opDelete:
		return &zk.DeleteRequest{Path: path, Version: int32(AnyVersion)}
	case opCheck:
		return &zk.CheckVersionRequest{Path: path, Version: int32(op.version)}
	}
	flags := int32(zk.FlagPersistent)
	if op.kind == opCreateEphemeral {
		flags = zk.FlagEphemeral
	}
	return &zk.CreateRequest{Path: path, Data: op.data, Acl: ns.client.cfg.ACL(op.Path), Flags: flags}
}

// Multi runs all operations or none of them. what and path describe the transaction in errors.
// stats has the new state of each node that was set, and is zero for other operations. If Multi
// returns an error, failed is the index of the operation that failed, or -1 if the request was not
// answered. uncertain reports whether an earlier attempt may have taken effect; see Settle.
func (ns Nodes) Multi(ctx context.Context, what, path string, ops ...Op) (stats []Stat, failed int, uncertain bool, err error) {
	size := 0
	requests := make([]any, len(ops))
	for i, op := range ops {
		size += op.Size()
		requests[i] = ns.request(op)
	}
	var answer atomic.Pointer[[]zk.MultiResponse] // an abandoned attempt may still be answered
	uncertain, err = ns.client.do(ctx, what, path, size, func(conn Conn) error {
		results, err := conn.Multi(requests...)
		answer.Store(&results)
		return err
	})
	if givenUp(err) || answer.Load() == nil {
		return nil, -1, uncertain, err
	}
	results := *answer.Load()
	if err == nil {
		return statsOf(results), -1, uncertain, nil
	}
	for i, r := range results {
		if r.Error != nil {
			return nil, i, uncertain, err
		}
	}
	return nil, -1, uncertain, err
}

func statsOf(results []zk.MultiResponse) []Stat {
	stats := make([]Stat, len(results))
	for i, r := range results {
		if r.Stat != nil {
			stats[i] = *r.Stat
		}
	}
	return stats
}

// Settle determines the result of an operation that failed after an earlier attempt whose answer
// was lost. The operation succeeded if the node is as the operation would have left it; Settle then
// returns the node's version. Deletes need no such check, since their callers accept ErrNoNode.
func (ns Nodes) Settle(ctx context.Context, op Op, failure error) (Version, error) {
	n, err := ns.ReadUnwatched(ctx, op.Path)
	switch op.kind {
	case opCreate, opCreateEphemeral:
		if err == nil && errors.Is(failure, ErrNodeExists) && n.Stat.Version == 0 && bytes.Equal(n.Data, op.data) {
			return n.Version(), nil
		}
	case opSet:
		if err == nil && errors.Is(failure, ErrBadVersion) && n.Version() == op.version+1 && bytes.Equal(n.Data, op.data) {
			return n.Version(), nil
		}
	}
	return 0, failure
}
