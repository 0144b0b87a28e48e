package zkclient

import (
	"context"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

// Multi runs all operations or none of them. If it returns an error, failed is the index of the
// operation that failed, or -1 if the request was not answered.
func (c *Client) Multi(ctx context.Context, what, path string, ops ...any) (results []zk.MultiResponse, failed int, uncertain bool, err error) {
	size := 0
	for _, op := range ops {
		size += OpSize(op)
	}
	var answer atomic.Pointer[[]zk.MultiResponse] // an abandoned attempt may still be answered
	uncertain, err = c.do(ctx, what, path, size, func(conn Conn) error {
		results, err := conn.Multi(ops...)
		answer.Store(&results)
		return err
	})
	if givenUp(err) || answer.Load() == nil {
		return nil, -1, uncertain, err
	}
	results = *answer.Load()
	if err == nil {
		return results, -1, uncertain, nil
	}
	for i, r := range results {
		if r.Error != nil {
			return results, i, uncertain, err
		}
	}
	return nil, -1, uncertain, err
}

// OpSize returns the approximate size of an operation in a packet, in bytes.
func OpSize(op any) int {
	const head, aclEntry = 32, 32
	switch op := op.(type) {
	case *zk.CreateRequest:
		return head + len(op.Path) + len(op.Data) + aclEntry*len(op.Acl)
	case *zk.SetDataRequest:
		return head + len(op.Path) + len(op.Data)
	case *zk.DeleteRequest:
		return head + len(op.Path)
	case *zk.CheckVersionRequest:
		return head + len(op.Path)
	}
	return head
}

// CreateOp returns the operation that creates a node. flags are those of the client library.
func (c *Client) CreateOp(path string, data []byte, flags int32) *zk.CreateRequest {
	return &zk.CreateRequest{Path: c.full(path), Data: data, Acl: c.cfg.ACL(path), Flags: flags}
}

// SetOp returns the operation that writes a node's data if the node has the version.
func (c *Client) SetOp(path string, data []byte, version Version) *zk.SetDataRequest {
	return &zk.SetDataRequest{Path: c.full(path), Data: data, Version: int32(version)}
}

// DeleteOp returns the operation that deletes a node with any version.
func (c *Client) DeleteOp(path string) *zk.DeleteRequest {
	return &zk.DeleteRequest{Path: c.full(path), Version: int32(AnyVersion)}
}

// CheckOp returns the operation that fails if the node does not have the version.
func (c *Client) CheckOp(path string, version Version) *zk.CheckVersionRequest {
	return &zk.CheckVersionRequest{Path: c.full(path), Version: int32(version)}
}
