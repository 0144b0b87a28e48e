package zkstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/zkstore/zkclient"
)

// Fence makes a write depend on the version of /controller_epoch.
type Fence struct{ EpochVersion Version }

// NoFence returns a fence that checks nothing, for writers other than the controller.
func NoFence() Fence { return Fence{AnyVersion} }

// Limits of a batch, in operations and bytes. They are far below the default jute.maxbuffer, which
// the server also applies to the transactions in its log.
const (
	batchOps   = 400
	batchBytes = 512 << 10
)

// checked returns the operations, preceded by the epoch check if there is a fence.
func (s *Store) checked(f Fence, ops ...any) []any {
	if f.EpochVersion == AnyVersion {
		return ops
	}
	return append([]any{s.CheckOp(ControllerEpochPath, f.EpochVersion)}, ops...)
}

// fenced runs all of ops in one transaction with the epoch check, or none. failed is the index in
// ops of the operation that failed, -1 if it was none of them.
func (s *Store) fenced(ctx context.Context, f Fence, what, path string, ops ...any) (results []zk.MultiResponse, failed int, uncertain bool, err error) {
	all := s.checked(f, ops...)
	checks := len(all) - len(ops)
	results, failed, uncertain, err = s.Multi(ctx, what, path, all...)
	if err == nil {
		return results[checks:], -1, uncertain, nil
	}
	if failed >= 0 && failed < checks {
		if errors.Is(err, ErrBadVersion) {
			return nil, -1, uncertain, fmt.Errorf("%s %s: %w", what, path, ErrControllerMoved)
		}
		// Not wrapped: callers would misinterpret an ErrNoNode as a result of their write.
		return nil, -1, uncertain, fmt.Errorf("%s %s: the check of %s failed: %v", what, path, ControllerEpochPath, err)
	}
	return nil, failed - checks, uncertain, err
}

// apply runs one fenced operation. It returns the node's new version if the operation is a set. See
// settle for lost answers.
func (s *Store) apply(ctx context.Context, f Fence, what, path string, op any) (Version, error) {
	results, failed, uncertain, err := s.fenced(ctx, f, what, path, op)
	if err == nil {
		return versionOf(results[0]), nil
	}
	if uncertain && failed == 0 {
		return s.settle(ctx, op, path, err)
	}
	return 0, err
}

// versionOf returns the new version of a node that was set, and 0 for other operations.
func versionOf(result zk.MultiResponse) Version {
	if result.Stat == nil {
		return 0
	}
	return Version(result.Stat.Version)
}

// settle determines the result of an operation that failed after an earlier attempt whose answer
// was lost. The operation succeeded if the node is as the operation would have left it. Deletes
// need no such check, since their callers accept ErrNoNode.
func (s *Store) settle(ctx context.Context, op any, path string, failure error) (Version, error) {
	n, err := s.ReadUnwatched(ctx, path)
	switch op := op.(type) {
	case *zk.CreateRequest:
		if err == nil && errors.Is(failure, ErrNodeExists) && n.Stat.Version == 0 && bytes.Equal(n.Data, op.Data) {
			return n.Version(), nil
		}
	case *zk.SetDataRequest:
		if err == nil && errors.Is(failure, ErrBadVersion) && n.Stat.Version == op.Version+1 && bytes.Equal(n.Data, op.Data) {
			return n.Version(), nil
		}
	}
	return 0, failure
}

// write is one operation of a bulk write and its path.
type write struct {
	path string
	op   any
}

// outcome is the result of a write.
type outcome struct {
	version Version // of the node; only for a set
	err     error
}

// bulk runs many independent fenced writes in batches of one transaction each. If a write of a
// batch fails, the batch is run again in halves, down to the failed write, so that one conflict
// does not affect other writes. err is set for errors that end the whole operation, such as
// ErrControllerMoved; the outcomes are then incomplete.
func (s *Store) bulk(ctx context.Context, f Fence, what string, writes []write) ([]outcome, error) {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(writes))
	batches := cut(writes)
	err = s.Each(len(batches), func(i int) error {
		from, to := batches[i][0], batches[i][1]
		return s.bulkBatch(ctx, f, what, writes[from:to], outcomes[from:to])
	})
	return outcomes, err
}

func (s *Store) bulkBatch(ctx context.Context, f Fence, what string, writes []write, outcomes []outcome) error {
	ops := make([]any, len(writes))
	for i, w := range writes {
		ops[i] = w.op
	}
	path := writes[0].path
	if len(writes) > 1 {
		path = fmt.Sprintf("%s and %d more", path, len(writes)-1)
	}
	results, failed, uncertain, err := s.fenced(ctx, f, what, path, ops...)
	if err == nil {
		for i, r := range results {
			outcomes[i].version = versionOf(r)
		}
		return nil
	}
	if failed < 0 { // the whole batch failed; other batches may succeed
		if fatal(err) {
			return err
		}
		for i := range outcomes {
			outcomes[i].err = err
		}
		return nil
	}
	if len(writes) > 1 && !uncertain {
		half := len(writes) / 2
		if err := s.bulkBatch(ctx, f, what, writes[:half], outcomes[:half]); err != nil {
			return err
		}
		return s.bulkBatch(ctx, f, what, writes[half:], outcomes[half:])
	}
	for i, w := range writes {
		outcomes[i].version, outcomes[i].err = s.single(ctx, f, what, w, uncertain)
		if fatal(outcomes[i].err) {
			return outcomes[i].err
		}
	}
	return nil
}

// single runs one write of a failed batch. uncertain reports whether the batch may have taken
// effect in an attempt whose answer was lost.
func (s *Store) single(ctx context.Context, f Fence, what string, w write, uncertain bool) (Version, error) {
	version, err := s.apply(ctx, f, what, w.path, w.op)
	if err != nil && uncertain && !fatal(err) {
		return s.settle(ctx, w.op, w.path, err)
	}
	return version, err
}

// fatal reports whether err concerns the whole operation and not only one node.
func fatal(err error) bool {
	return errors.Is(err, ErrControllerMoved) || errors.Is(err, ErrSessionExpired) || errors.Is(err, ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// cut divides writes into ranges [from, to) that fit into one transaction.
func cut(writes []write) (batches [][2]int) {
	from, size := 0, 0
	for i, w := range writes {
		opBytes := zkclient.OpSize(w.op)
		if i > from && (i-from == batchOps || size+opBytes > batchBytes) {
			batches = append(batches, [2]int{from, i})
			from, size = i, 0
		}
		size += opBytes
	}
	if from < len(writes) {
		batches = append(batches, [2]int{from, len(writes)})
	}
	return batches
}

// removeFenced deletes a node. A missing node is not an error.
func (s *Store) removeFenced(ctx context.Context, f Fence, path string) error {
	_, err := s.apply(ctx, f, "delete", path, s.DeleteOp(path))
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// removeAll deletes leaf nodes. Missing nodes are not an error.
func (s *Store) removeAll(ctx context.Context, f Fence, paths []string) error {
	writes := make([]write, len(paths))
	for i, path := range paths {
		writes[i] = write{path, s.DeleteOp(path)}
	}
	outcomes, err := s.bulk(ctx, f, "delete", writes)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.err != nil && !errors.Is(o.err, ErrNoNode) {
			return o.err
		}
	}
	return nil
}

// removeTree deletes a node and all nodes below it, leaves first. The last transaction deletes the
// node itself and the nodes in together. Nodes that are deleted in the meantime are not an error.
// If nodes are created below path in the meantime, removeTree tries again.
func (s *Store) removeTree(ctx context.Context, f Fence, path string, together ...string) error {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return err
	}
	for range 10 {
		paths, err := s.walk(ctx, path)
		if err != nil {
			return err
		}
		if len(together) > 0 {
			paths = paths[:len(paths)-1] // the last path is that of the node itself
		}
		err = s.removeInOrder(ctx, f, paths)
		if err == nil && len(together) > 0 {
			err = s.removeTogether(ctx, f, append([]string{path}, together...))
		}
		if !errors.Is(err, zk.ErrNotEmpty) {
			return err
		}
	}
	return fmt.Errorf("delete %s: another client keeps creating nodes below it", path)
}

// removeTogether deletes existing nodes in one transaction. If one of them is missing after an
// attempt whose answer was lost, that attempt deleted all of them; nodes that were created with the
// same paths since then stay. Otherwise another client deleted the missing node, and the others are
// deleted without it.
func (s *Store) removeTogether(ctx context.Context, f Fence, paths []string) error {
	for len(paths) > 0 {
		ops := make([]any, len(paths))
		for i, path := range paths {
			ops[i] = s.DeleteOp(path)
		}
		_, failed, uncertain, err := s.fenced(ctx, f, "delete", paths[0], ops...)
		if !errors.Is(err, ErrNoNode) || failed < 0 {
			return err
		}
		if uncertain {
			return nil
		}
		paths = slices.Delete(slices.Clone(paths), failed, failed+1)
	}
	return nil
}

func (s *Store) removeInOrder(ctx context.Context, f Fence, paths []string) error {
	writes := make([]write, len(paths))
	for i, path := range paths {
		writes[i] = write{path, s.DeleteOp(path)}
	}
	for _, b := range cut(writes) {
		outcomes := make([]outcome, b[1]-b[0])
		if err := s.bulkBatch(ctx, f, "delete", writes[b[0]:b[1]], outcomes); err != nil {
			return err
		}
		for _, o := range outcomes {
			if o.err != nil && !errors.Is(o.err, ErrNoNode) {
				return o.err
			}
		}
	}
	return nil
}

// walk returns the paths of a node and all nodes below it, children before parents.
func (s *Store) walk(ctx context.Context, root string) ([]string, error) {
	var levels [][]string
	for level := []string{root}; len(level) > 0; {
		levels = append(levels, level)
		below := make([][]string, len(level))
		err := s.Each(len(level), func(i int) error {
			names, err := s.Children(ctx, level[i], false)
			for _, name := range names {
				below[i] = append(below[i], joinPath(level[i], name))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		level = nil
		for _, paths := range below {
			level = append(level, paths...)
		}
	}
	var paths []string
	for i := len(levels) - 1; i >= 0; i-- {
		paths = append(paths, levels[i]...)
	}
	return paths, nil
}
