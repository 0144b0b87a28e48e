package zkclient

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/go-zookeeper/zk"
)

// Version is a znode's dataVersion.
type Version int32

// AnyVersion makes a conditional write unconditional. It never means that a node is missing.
const AnyVersion Version = -1

// Node is the result of a read.
type Node struct {
	Data []byte // nil for null data
	Stat Stat
}

// Stat is the state of a node apart from its data.
type Stat = zk.Stat

// Version returns the node's dataVersion.
func (n Node) Version() Version { return Version(n.Stat.Version) }

// Nodes has the operations on nodes of a client. Paths are absolute, below the chroot. An operation
// is sent again after a loss of the connection, until it is answered or its session has ended.
type Nodes struct{ client *Client }

// NewNodes returns the operations of a client.
func NewNodes(c *Client) Nodes { return Nodes{c} }

// Bind binds a compound operation to one session, in which all its requests run. It returns the
// session's id. Like any operation, it waits for a session if ctx is not bound and there is none.
func (ns Nodes) Bind(ctx context.Context) (bound context.Context, session int64, err error) {
	bound, sess, err := ns.client.bind(ctx)
	if err != nil {
		return nil, 0, err
	}
	return bound, sess.sessionID(), nil
}

// Read reads a node and arms its NodeWatch if one is registered.
func (ns Nodes) Read(ctx context.Context, path string) (Node, error) {
	if !ns.client.watched(watchKey{path, false}) {
		return ns.ReadUnwatched(ctx, path)
	}
	ctx, sess, err := ns.client.bind(ctx)
	if err != nil {
		return Node{}, err
	}
	key := watchKey{path, false}
	if !sess.watches.begin(key) {
		return ns.ReadUnwatched(ctx, path)
	}
	var data []byte
	var stat *zk.Stat
	_, err = ns.client.do(ctx, "read", path, len(path), func(conn Conn) (err error) {
		data, stat, _, err = conn.GetW(ns.client.full(path))
		return err
	})
	sess.watches.end(key, err == nil)
	if err != nil {
		return Node{}, err
	}
	return Node{data, *stat}, nil
}

// ReadUnwatched reads a node and arms no watch.
func (ns Nodes) ReadUnwatched(ctx context.Context, path string) (Node, error) {
	var data []byte
	var stat *zk.Stat
	_, err := ns.client.do(ctx, "read", path, len(path), func(conn Conn) (err error) {
		data, stat, err = conn.Get(ns.client.full(path))
		return err
	})
	if err != nil {
		return Node{}, err
	}
	return Node{data, *stat}, nil
}

// ReadOrArm is like Read, but also arms the NodeWatch if the node does not exist, so that it fires
// when the node is created.
func (ns Nodes) ReadOrArm(ctx context.Context, path string) (Node, error) {
	for {
		n, err := ns.Read(ctx, path)
		if !errors.Is(err, ErrNoNode) || !ns.client.watched(watchKey{path, false}) {
			return n, err
		}
		exists, armErr := ns.Exists(ctx, path)
		if armErr != nil {
			return Node{}, armErr
		}
		if !exists {
			return Node{}, err
		}
	}
}

// Exists reports whether a node exists and arms its NodeWatch if one is registered.
func (ns Nodes) Exists(ctx context.Context, path string) (bool, error) {
	ctx, sess, err := ns.client.bind(ctx)
	if err != nil {
		return false, err
	}
	key := watchKey{path, false}
	arm := ns.client.watched(key) && sess.watches.begin(key)
	var exists bool
	_, err = ns.client.do(ctx, "look for", path, len(path), func(conn Conn) (err error) {
		if arm {
			exists, _, _, err = conn.ExistsW(ns.client.full(path))
		} else {
			exists, _, err = conn.Exists(ns.client.full(path))
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
func (ns Nodes) Children(ctx context.Context, path string, arm bool) ([]string, error) {
	ctx, sess, err := ns.client.bind(ctx)
	if err != nil {
		return nil, err
	}
	key := watchKey{path, true}
	arm = arm && ns.client.watched(key) && sess.watches.begin(key)
	var names []string
	_, err = ns.client.do(ctx, "list", path, len(path), func(conn Conn) (err error) {
		if arm {
			names, _, _, err = conn.ChildrenW(ns.client.full(path))
		} else {
			names, _, err = conn.Children(ns.client.full(path))
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

// SortedChildren is like Children, but sorts the names.
func (ns Nodes) SortedChildren(ctx context.Context, path string, arm bool) ([]string, error) {
	names, err := ns.Children(ctx, path, arm)
	sort.Strings(names)
	return names, err
}

// Create creates a persistent node. nil data is stored as null.
func (ns Nodes) Create(ctx context.Context, path string, data []byte) error {
	ctx, _, err := ns.client.bind(ctx)
	if err != nil {
		return err
	}
	uncertain, err := ns.client.do(ctx, "create", path, len(path)+len(data), func(conn Conn) error {
		_, err := conn.Create(ns.client.full(path), data, zk.FlagPersistent, ns.client.cfg.ACL(path))
		return err
	})
	if uncertain && errors.Is(err, ErrNodeExists) {
		_, err = ns.Settle(ctx, CreateOp(path, data), err)
	}
	return err
}

// CreateEphemeral creates an ephemeral node. It also succeeds if this session already owns the node
// with the same data, because the answer to an earlier attempt may have been lost.
func (ns Nodes) CreateEphemeral(ctx context.Context, path string, data []byte) error {
	sess, err := ns.client.session(ctx)
	if err != nil {
		return err
	}
	for {
		_, err := ns.client.do(ctx, "create", path, len(path)+len(data), func(conn Conn) error {
			_, err := conn.Create(ns.client.full(path), data, zk.FlagEphemeral, ns.client.cfg.ACL(path))
			return err
		})
		if !errors.Is(err, ErrNodeExists) {
			return err
		}
		n, readErr := ns.ReadUnwatched(ctx, path)
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
func (ns Nodes) CreateSequential(ctx context.Context, path string, data []byte) error {
	_, err := ns.client.do(ctx, "create", path, len(path)+len(data), func(conn Conn) error {
		_, err := conn.Create(ns.client.full(path), data, zk.FlagSequence, ns.client.cfg.ACL(path))
		return err
	})
	return err
}

// CreateRecursive creates a node, and its missing parents with null data.
func (ns Nodes) CreateRecursive(ctx context.Context, path string, data []byte) error {
	for {
		err := ns.Create(ctx, path, data)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		parent := ParentPath(path)
		if parent == "/" {
			return fmt.Errorf("create %s: the chroot %s of zookeeper.connect does not exist: %w", path, ns.client.chroot, ErrNoNode)
		}
		if err := ns.EnsurePath(ctx, parent); err != nil {
			return err
		}
	}
}

// EnsurePath creates a persistent node with null data, and its missing parents, unless it exists.
func (ns Nodes) EnsurePath(ctx context.Context, path string) error {
	err := ns.CreateRecursive(ctx, path, nil)
	if errors.Is(err, ErrNodeExists) {
		return nil
	}
	return err
}

// Set writes a node's data if the node has the expected version, and returns the new version.
// AnyVersion matches all versions.
func (ns Nodes) Set(ctx context.Context, path string, data []byte, version Version) (Version, error) {
	ctx, _, err := ns.client.bind(ctx)
	if err != nil {
		return 0, err
	}
	var stat *zk.Stat
	uncertain, err := ns.client.do(ctx, "write", path, len(path)+len(data), func(conn Conn) (err error) {
		stat, err = conn.Set(ns.client.full(path), data, int32(version))
		return err
	})
	if uncertain && errors.Is(err, ErrBadVersion) {
		return ns.Settle(ctx, SetOp(path, data, version), err)
	}
	if err != nil {
		return 0, err
	}
	return Version(stat.Version), nil
}

// SetOrCreate writes a node, whatever its version. It creates the node and its parents if they are
// missing.
func (ns Nodes) SetOrCreate(ctx context.Context, path string, data []byte) error {
	for {
		_, err := ns.Set(ctx, path, data, AnyVersion)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := ns.CreateRecursive(ctx, path, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// Remove deletes a node with any version. A missing node is not an error.
func (ns Nodes) Remove(ctx context.Context, path string) error {
	_, err := ns.client.do(ctx, "delete", path, len(path), func(conn Conn) error {
		return conn.Delete(ns.client.full(path), int32(AnyVersion))
	})
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// ReadMany reads the nodes of paths and arms their NodeWatches like Read. found is false for
// missing nodes.
func (ns Nodes) ReadMany(ctx context.Context, paths []string) (nodes []Node, found []bool, err error) {
	ctx, _, err = ns.client.bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	nodes, found = make([]Node, len(paths)), make([]bool, len(paths))
	err = ns.Each(len(paths), func(i int) error {
		n, err := ns.Read(ctx, paths[i])
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
func (ns Nodes) AwaitGone(ctx context.Context, path string) error {
	for {
		sess, err := ns.client.session(ctx)
		if err != nil {
			return err
		}
		var exists bool
		var fired <-chan zk.Event
		_, err = ns.client.do(context.WithValue(ctx, sessionKey{}, sess), "watch", path, len(path), func(conn Conn) (err error) {
			exists, _, fired, err = conn.ExistsW(ns.client.full(path))
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

// Each calls f for 0 to n-1, with up to MaxInFlight concurrent calls. It returns the first error,
// after which it starts no further call.
func (ns Nodes) Each(n int, f func(i int) error) error {
	if ns.client.steppable {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex // guards next and first
		next  int
		first error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n && first == nil
	}
	for range min(n, ns.client.cfg.MaxInFlight) {
		wg.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}

// ParentPath returns the path of a node's parent.
func ParentPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}
