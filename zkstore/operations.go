package zkstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"
)

// A request may have taken effect although its connection was lost. It is sent again, and the
// answer to the second attempt is interpreted accordingly: a create that finds its own node, a set
// that finds its own data, and a delete that finds no node have succeeded.

const (
	// serverPacketMax is the default of jute.maxbuffer on servers, in bytes. A server closes the
	// connection when it receives a larger packet.
	serverPacketMax = 1 << 20
	// oversizeTries limits the attempts to send a packet that probably causes the connection
	// losses.
	oversizeTries = 3
)

// NodeBytesMax is the maximum size of a new node's data in bytes. A server with the default
// jute.maxbuffer accepts this data together with the node's path and ACL.
const NodeBytesMax = serverPacketMax - 1<<10

// do runs one request of the client library until it is answered, in the session that ctx is bound
// to. uncertain reports whether an earlier attempt may have taken effect. size is the approximate
// size of the request in bytes.
func (s *Store) do(ctx context.Context, what, path string, size int, request func(c Conn) error) (uncertain bool, err error) {
	sess, err := s.session(ctx)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", what, path, err)
	}
	if size > packetMax || len(path) > NodeBytesMax {
		return false, fmt.Errorf("zkstore: %s %s: a request of %d bytes exceeds the maximum of %d bytes", what, path, size, packetMax)
	}
	for losses := 0; ; {
		err := s.try(ctx, sess, request)
		if err == nil {
			return uncertain, nil
		}
		if !connectionLost(err) || sess.isOver() || ctx.Err() != nil {
			return uncertain, fmt.Errorf("%s %s: %w", what, path, s.translate(sess, err))
		}
		uncertain = true
		if losses++; losses >= oversizeTries && size > NodeBytesMax {
			return uncertain, fmt.Errorf("zkstore: %s %s: the server closed the connection %d times on a request of %d bytes; raise jute.maxbuffer on the ZooKeeper servers", what, path, losses, size)
		}
		if err := sess.awaitConnected(ctx); err != nil {
			return uncertain, fmt.Errorf("%s %s: %w", what, path, s.translate(sess, err))
		}
	}
}

// try sends the request once. If ctx is done first, it returns the context's error, and the request
// continues in its goroutine until it is answered or the connection is lost. The caller may
// therefore read variables written by request only if the error is nil.
func (s *Store) try(ctx context.Context, sess *session, request func(c Conn) error) error {
	if s.steppable {
		if err := ctx.Err(); err != nil {
			return err
		}
		return request(sess.conn)
	}
	select {
	case s.inFlight <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-sess.dead:
		return zk.ErrConnectionClosed
	}
	result := make(chan error, 1)
	go func() {
		start := time.Now()
		err := request(sess.conn)
		<-s.inFlight
		if !connectionLost(err) {
			s.cfg.Observer.ZooKeeperRequest(time.Since(start))
		}
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connectionLost reports whether err is a loss of the connection, after which the request may have
// taken effect. Errors that the server answered are not.
func connectionLost(err error) bool {
	var network net.Error
	var number syscall.Errno
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) ||
		errors.Is(err, zk.ErrClosing) || errors.Is(err, zk.ErrSessionMoved) ||
		errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &network) || errors.As(err, &number)
}

// translate converts the client library's errors to those of this package.
func (s *Store) translate(sess *session, err error) error {
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return ErrNoNode
	case errors.Is(err, zk.ErrNodeExists):
		return ErrNodeExists
	case errors.Is(err, zk.ErrBadVersion):
		return ErrBadVersion
	case givenUp(err):
		return err
	case s.closing():
		return ErrClosed
	case sess.isOver(), errors.Is(err, zk.ErrSessionExpired):
		return ErrSessionExpired
	}
	return err
}

// givenUp reports whether a request ended because of its context and not with an answer.
func givenUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (s *Store) full(path string) string {
	if path == "/" && s.chroot != "" {
		return s.chroot
	}
	return s.chroot + path
}

// acl returns the ACL of a new node as Kafka sets it. Without zookeeper.set.acl, every client may
// do everything. With it, only the creator may, but every client may read nodes that are not
// secret.
func (s *Store) acl(path string) []zk.ACL {
	if !s.cfg.SecureACL || path == consumersPath {
		return zk.WorldACL(zk.PermAll)
	}
	acl := zk.AuthACL(zk.PermAll)
	if !secretPath(path) {
		acl = append(acl, zk.WorldACL(zk.PermRead)...)
	}
	return acl
}

func secretPath(path string) bool {
	return strings.HasPrefix(path, configPath+"/users") || strings.HasPrefix(path, configPath+"/brokers") ||
		strings.HasPrefix(path, "/delegation_token/tokens")
}

// node is the result of a read.
type node struct {
	data []byte // nil for null data
	stat zk.Stat
}

func (n node) version() Version { return Version(n.stat.Version) }

// read reads a node and arms its NodeWatch if one is registered.
func (s *Store) read(ctx context.Context, path string) (node, error) {
	if !s.watched(watchKey{path, false}) {
		return s.readUnwatched(ctx, path)
	}
	ctx, sess, err := s.bind(ctx)
	if err != nil {
		return node{}, err
	}
	key := watchKey{path, false}
	if !sess.watches.begin(key) {
		return s.readUnwatched(ctx, path)
	}
	var data []byte
	var stat *zk.Stat
	_, err = s.do(ctx, "read", path, len(path), func(c Conn) (err error) {
		data, stat, _, err = c.GetW(s.full(path))
		return err
	})
	sess.watches.end(key, err == nil)
	if err != nil {
		return node{}, err
	}
	return node{data, *stat}, nil
}

func (s *Store) readUnwatched(ctx context.Context, path string) (node, error) {
	var data []byte
	var stat *zk.Stat
	_, err := s.do(ctx, "read", path, len(path), func(c Conn) (err error) {
		data, stat, err = c.Get(s.full(path))
		return err
	})
	if err != nil {
		return node{}, err
	}
	return node{data, *stat}, nil
}

// readOrArm is read, but also arms the NodeWatch if the node does not exist, to be notified of its
// creation.
func (s *Store) readOrArm(ctx context.Context, path string) (node, error) {
	for {
		n, err := s.read(ctx, path)
		if !errors.Is(err, ErrNoNode) || !s.watched(watchKey{path, false}) {
			return n, err
		}
		exists, armErr := s.exists(ctx, path)
		if armErr != nil {
			return node{}, armErr
		}
		if !exists {
			return node{}, err
		}
	}
}

// exists reports whether a node exists and arms its NodeWatch if one is registered.
func (s *Store) exists(ctx context.Context, path string) (bool, error) {
	ctx, sess, err := s.bind(ctx)
	if err != nil {
		return false, err
	}
	key := watchKey{path, false}
	arm := s.watched(key) && sess.watches.begin(key)
	var exists bool
	_, err = s.do(ctx, "look for", path, len(path), func(c Conn) (err error) {
		if arm {
			exists, _, _, err = c.ExistsW(s.full(path))
		} else {
			exists, _, err = c.Exists(s.full(path))
		}
		return err
	})
	if arm {
		sess.watches.end(key, err == nil)
	}
	return err == nil && exists, err
}

// children lists a node's children in ZooKeeper's order. If arm is true, it arms the children watch
// if a handler is registered. A missing node has no children.
func (s *Store) children(ctx context.Context, path string, arm bool) ([]string, error) {
	ctx, sess, err := s.bind(ctx)
	if err != nil {
		return nil, err
	}
	key := watchKey{path, true}
	arm = arm && s.watched(key) && sess.watches.begin(key)
	var names []string
	_, err = s.do(ctx, "list", path, len(path), func(c Conn) (err error) {
		if arm {
			names, _, _, err = c.ChildrenW(s.full(path))
		} else {
			names, _, err = c.Children(s.full(path))
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

// create creates a persistent node. nil data is stored as null.
func (s *Store) create(ctx context.Context, path string, data []byte) error {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return err
	}
	uncertain, err := s.do(ctx, "create", path, len(path)+len(data), func(c Conn) error {
		_, err := c.Create(s.full(path), data, zk.FlagPersistent, s.acl(path))
		return err
	})
	if uncertain && errors.Is(err, ErrNodeExists) {
		if n, readErr := s.readUnwatched(ctx, path); readErr == nil && n.stat.Version == 0 && bytes.Equal(n.data, data) {
			return nil
		}
	}
	return err
}

// createSequential creates a persistent node whose name ends in a sequence number. If the answer is
// lost, it may create two nodes, which is harmless for notifications.
func (s *Store) createSequential(ctx context.Context, path string, data []byte) error {
	_, err := s.do(ctx, "create", path, len(path)+len(data), func(c Conn) error {
		_, err := c.Create(s.full(path), data, zk.FlagSequence, s.acl(path))
		return err
	})
	return err
}

// createRecursive creates a node, and its missing parents with null data.
func (s *Store) createRecursive(ctx context.Context, path string, data []byte) error {
	for {
		err := s.create(ctx, path, data)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		parent := parentPath(path)
		if parent == "/" {
			return fmt.Errorf("create %s: the chroot %s of zookeeper.connect does not exist: %w", path, s.chroot, ErrNoNode)
		}
		if err := s.ensurePath(ctx, parent); err != nil {
			return err
		}
	}
}

// ensurePath creates a persistent node with null data, and its missing parents, unless it exists.
func (s *Store) ensurePath(ctx context.Context, path string) error {
	err := s.createRecursive(ctx, path, nil)
	if errors.Is(err, ErrNodeExists) {
		return nil
	}
	return err
}

// set writes a node's data if the node has the expected version, and returns the new version.
// AnyVersion matches all versions.
func (s *Store) set(ctx context.Context, path string, data []byte, version Version) (Version, error) {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return 0, err
	}
	var stat *zk.Stat
	uncertain, err := s.do(ctx, "write", path, len(path)+len(data), func(c Conn) (err error) {
		stat, err = c.Set(s.full(path), data, int32(version))
		return err
	})
	if uncertain && errors.Is(err, ErrBadVersion) {
		if n, readErr := s.readUnwatched(ctx, path); readErr == nil && n.version() == version+1 && bytes.Equal(n.data, data) {
			return n.version(), nil
		}
	}
	if err != nil {
		return 0, err
	}
	return Version(stat.Version), nil
}

// remove deletes a node with any version. A missing node is not an error.
func (s *Store) remove(ctx context.Context, path string) error {
	_, err := s.do(ctx, "delete", path, len(path), func(c Conn) error {
		return c.Delete(s.full(path), int32(AnyVersion))
	})
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// multi runs all operations or none of them. If it returns an error, failed is the index of the
// operation that failed, or -1 if the request was not answered.
func (s *Store) multi(ctx context.Context, what, path string, ops ...any) (results []zk.MultiResponse, failed int, uncertain bool, err error) {
	size := 0
	for _, op := range ops {
		size += opSize(op)
	}
	var answer atomic.Pointer[[]zk.MultiResponse] // an abandoned attempt may still be answered
	uncertain, err = s.do(ctx, what, path, size, func(c Conn) error {
		results, err := c.Multi(ops...)
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

// opSize returns the approximate size of an operation in a packet, in bytes.
func opSize(op any) int {
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

// each calls f for 0 to n-1, with up to MaxInFlight concurrent calls. It returns the first error,
// after which it starts no further call.
func (s *Store) each(n int, f func(i int) error) error {
	if s.steppable {
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
	for range min(n, s.cfg.MaxInFlight) {
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

// readMany reads the nodes of paths and arms their NodeWatches like read. found is false for
// missing nodes.
func (s *Store) readMany(ctx context.Context, paths []string) (nodes []node, found []bool, err error) {
	ctx, _, err = s.bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	nodes, found = make([]node, len(paths)), make([]bool, len(paths))
	err = s.each(len(paths), func(i int) error {
		n, err := s.read(ctx, paths[i])
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		nodes[i], found[i] = n, err == nil
		return err
	})
	return nodes, found, err
}
