package zkclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/go-zookeeper/zk"
)

// Version is a znode's dataVersion.
type Version int32

// AnyVersion makes a conditional write unconditional. It never means that a node is missing.
const AnyVersion Version = -1

// Node is the result of a read.
type Node struct {
	Data []byte // nil for null data
	Stat zk.Stat
}

// Version returns the node's dataVersion.
func (n Node) Version() Version { return Version(n.Stat.Version) }

// Read reads a node and arms its NodeWatch if one is registered.
func (c *Client) Read(ctx context.Context, path string) (Node, error) {
	if !c.watched(watchKey{path, false}) {
		return c.ReadUnwatched(ctx, path)
	}
	ctx, sess, err := c.bind(ctx)
	if err != nil {
		return Node{}, err
	}
	key := watchKey{path, false}
	if !sess.watches.begin(key) {
		return c.ReadUnwatched(ctx, path)
	}
	var data []byte
	var stat *zk.Stat
	_, err = c.do(ctx, "read", path, len(path), func(conn Conn) (err error) {
		data, stat, _, err = conn.GetW(c.full(path))
		return err
	})
	sess.watches.end(key, err == nil)
	if err != nil {
		return Node{}, err
	}
	return Node{data, *stat}, nil
}

// ReadUnwatched reads a node and arms no watch.
func (c *Client) ReadUnwatched(ctx context.Context, path string) (Node, error) {
	var data []byte
	var stat *zk.Stat
	_, err := c.do(ctx, "read", path, len(path), func(conn Conn) (err error) {
		data, stat, err = conn.Get(c.full(path))
		return err
	})
	if err != nil {
		return Node{}, err
	}
	return Node{data, *stat}, nil
}

// ReadOrArm is Read, but also arms the NodeWatch if the node does not exist, to be notified of its
// creation.
func (c *Client) ReadOrArm(ctx context.Context, path string) (Node, error) {
	for {
		n, err := c.Read(ctx, path)
		if !errors.Is(err, ErrNoNode) || !c.watched(watchKey{path, false}) {
			return n, err
		}
		exists, armErr := c.Exists(ctx, path)
		if armErr != nil {
			return Node{}, armErr
		}
		if !exists {
			return Node{}, err
		}
	}
}

// Exists reports whether a node exists and arms its NodeWatch if one is registered.
func (c *Client) Exists(ctx context.Context, path string) (bool, error) {
	ctx, sess, err := c.bind(ctx)
	if err != nil {
		return false, err
	}
	key := watchKey{path, false}
	arm := c.watched(key) && sess.watches.begin(key)
	var exists bool
	_, err = c.do(ctx, "look for", path, len(path), func(conn Conn) (err error) {
		if arm {
			exists, _, _, err = conn.ExistsW(c.full(path))
		} else {
			exists, _, err = conn.Exists(c.full(path))
		}
		return err
	})
	if arm {
		sess.watches.end(key, err == nil)
	}
	return err == nil && exists, err
}

// Children lists a node's children in ZooKeeper's order. If arm is true, it arms the children watch
// if a handler is registered. A missing node has no children.
func (c *Client) Children(ctx context.Context, path string, arm bool) ([]string, error) {
	ctx, sess, err := c.bind(ctx)
	if err != nil {
		return nil, err
	}
	key := watchKey{path, true}
	arm = arm && c.watched(key) && sess.watches.begin(key)
	var names []string
	_, err = c.do(ctx, "list", path, len(path), func(conn Conn) (err error) {
		if arm {
			names, _, _, err = conn.ChildrenW(c.full(path))
		} else {
			names, _, err = conn.Children(c.full(path))
		}
		return err
	})
	if arm {
		sess.watches.end(key, err == nil)
	}
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return names, nil
}

// SortedChildren is Children with the names sorted.
func (c *Client) SortedChildren(ctx context.Context, path string, arm bool) ([]string, error) {
	names, err := c.Children(ctx, path, arm)
	sort.Strings(names)
	return names, err
}

// Create creates a persistent node. nil data is stored as null.
func (c *Client) Create(ctx context.Context, path string, data []byte) error {
	ctx, _, err := c.bind(ctx)
	if err != nil {
		return err
	}
	uncertain, err := c.do(ctx, "create", path, len(path)+len(data), func(conn Conn) error {
		_, err := conn.Create(c.full(path), data, zk.FlagPersistent, c.cfg.ACL(path))
		return err
	})
	if uncertain && errors.Is(err, ErrNodeExists) {
		if n, readErr := c.ReadUnwatched(ctx, path); readErr == nil && n.Stat.Version == 0 && bytes.Equal(n.Data, data) {
			return nil
		}
	}
	return err
}

// CreateEphemeral creates an ephemeral node. It also succeeds if this session already owns the node
// with the same data, because the answer to an earlier attempt may have been lost.
func (c *Client) CreateEphemeral(ctx context.Context, path string, data []byte) error {
	sess, err := c.session(ctx)
	if err != nil {
		return err
	}
	for {
		_, err := c.do(ctx, "create", path, len(path)+len(data), func(conn Conn) error {
			_, err := conn.Create(c.full(path), data, zk.FlagEphemeral, c.cfg.ACL(path))
			return err
		})
		if !errors.Is(err, ErrNodeExists) {
			return err
		}
		n, readErr := c.ReadUnwatched(ctx, path)
		switch {
		case errors.Is(readErr, ErrNoNode): // deleted in the meantime
			continue
		case readErr != nil:
			return readErr
		case n.Stat.EphemeralOwner == sess.sessionID() && string(n.Data) == string(data):
			return nil
		}
		return err
	}
}

// CreateSequential creates a persistent node whose name ends in a sequence number. If the answer is
// lost, it may create two nodes, which is harmless for notifications.
func (c *Client) CreateSequential(ctx context.Context, path string, data []byte) error {
	_, err := c.do(ctx, "create", path, len(path)+len(data), func(conn Conn) error {
		_, err := conn.Create(c.full(path), data, zk.FlagSequence, c.cfg.ACL(path))
		return err
	})
	return err
}

// CreateRecursive creates a node, and its missing parents with null data.
func (c *Client) CreateRecursive(ctx context.Context, path string, data []byte) error {
	for {
		err := c.Create(ctx, path, data)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		parent := ParentPath(path)
		if parent == "/" {
			return fmt.Errorf("create %s: the chroot %s of zookeeper.connect does not exist: %w", path, c.chroot, ErrNoNode)
		}
		if err := c.EnsurePath(ctx, parent); err != nil {
			return err
		}
	}
}

// EnsurePath creates a persistent node with null data, and its missing parents, unless it exists.
func (c *Client) EnsurePath(ctx context.Context, path string) error {
	err := c.CreateRecursive(ctx, path, nil)
	if errors.Is(err, ErrNodeExists) {
		return nil
	}
	return err
}

// Set writes a node's data if the node has the expected version, and returns the new version.
// AnyVersion matches all versions.
func (c *Client) Set(ctx context.Context, path string, data []byte, version Version) (Version, error) {
	ctx, _, err := c.bind(ctx)
	if err != nil {
		return 0, err
	}
	var stat *zk.Stat
	uncertain, err := c.do(ctx, "write", path, len(path)+len(data), func(conn Conn) (err error) {
		stat, err = conn.Set(c.full(path), data, int32(version))
		return err
	})
	if uncertain && errors.Is(err, ErrBadVersion) {
		if n, readErr := c.ReadUnwatched(ctx, path); readErr == nil && n.Version() == version+1 && bytes.Equal(n.Data, data) {
			return n.Version(), nil
		}
	}
	if err != nil {
		return 0, err
	}
	return Version(stat.Version), nil
}

// SetOrCreate writes a node, whatever its version. It creates the node and its parents if they are
// missing.
func (c *Client) SetOrCreate(ctx context.Context, path string, data []byte) error {
	for {
		_, err := c.Set(ctx, path, data, AnyVersion)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := c.CreateRecursive(ctx, path, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// Remove deletes a node with any version. A missing node is not an error.
func (c *Client) Remove(ctx context.Context, path string) error {
	_, err := c.do(ctx, "delete", path, len(path), func(conn Conn) error {
		return conn.Delete(c.full(path), int32(AnyVersion))
	})
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// ReadMany reads the nodes of paths and arms their NodeWatches like read. found is false for
// missing nodes.
func (c *Client) ReadMany(ctx context.Context, paths []string) (nodes []Node, found []bool, err error) {
	ctx, _, err = c.bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	nodes, found = make([]Node, len(paths)), make([]bool, len(paths))
	err = c.Each(len(paths), func(i int) error {
		n, err := c.Read(ctx, paths[i])
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		nodes[i], found[i] = n, err == nil
		return err
	})
	return nodes, found, err
}

// AwaitGone waits with a separate watch until there is no node at path. It returns the context's
// error if ctx is done first.
func (c *Client) AwaitGone(ctx context.Context, path string) error {
	for {
		sess, err := c.session(ctx)
		if err != nil {
			return err
		}
		var exists bool
		var fired <-chan zk.Event
		_, err = c.do(context.WithValue(ctx, sessionKey{}, sess), "watch", path, len(path), func(conn Conn) (err error) {
			exists, _, fired, err = conn.ExistsW(c.full(path))
			return err
		})
		switch {
		case errors.Is(err, ErrSessionExpired) && ctx.Value(sessionKey{}) == nil:
			continue
		case err != nil:
			return err
		case !exists:
			return nil
		}
		select {
		case <-fired:
		case <-sess.dead:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ParentPath returns the path of a node's parent.
func ParentPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}
