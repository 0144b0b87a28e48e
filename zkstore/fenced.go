package zkstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"

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
func (f Fence) checked(ops []zkclient.Op) []zkclient.Op {
	if f.EpochVersion == AnyVersion {
		return ops
	}
	return append([]zkclient.Op{zkclient.CheckOp(ControllerEpochPath, f.EpochVersion)}, ops...)
}

// nodes adds fenced writes to the client's operations.
type nodes struct {
	zkclient.Nodes
	log *logrus.Entry // kafka.zk.KafkaZkClient
}

// fenced runs all of ops in one transaction with the epoch check, or none. failed is the index in
// ops of the operation that failed, -1 if it was none of them.
func (ns nodes) fenced(ctx context.Context, f Fence, what, path string, ops ...zkclient.Op) (stats []zkclient.Stat, failed int, uncertain bool, err error) {
	all := f.checked(ops)
	checks := len(all) - len(ops)
	stats, failed, uncertain, err = ns.Multi(ctx, what, path, all...)
	if err == nil {
		return stats[checks:], -1, uncertain, nil
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
// zkclient.Nodes.Settle for lost answers.
func (ns nodes) apply(ctx context.Context, f Fence, what string, op zkclient.Op) (Version, error) {
	stats, failed, uncertain, err := ns.fenced(ctx, f, what, op.Path, op)
	if err == nil {
		return Version(stats[0].Version), nil
	}
	if uncertain && failed == 0 {
		return ns.Settle(ctx, op, err)
	}
	return 0, err
}

// outcome is the result of one operation of a bulk write.
type outcome struct {
	version Version // of a node that was set
	err     error
}

// bulk runs many independent fenced writes in batches of one transaction each. If a write of a
// batch fails, the batch is run again in halves, down to the failed write, so that one conflict
// does not affect other writes. err is set for errors that end the whole operation, such as
// ErrControllerMoved; the outcomes are then incomplete.
func (ns nodes) bulk(ctx context.Context, f Fence, what string, writes []zkclient.Op) ([]outcome, error) {
	ctx, _, err := ns.Bind(ctx)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(writes))
	batches := cut(writes)
	err = ns.Each(len(batches), func(i int) error {
		from, to := batches[i][0], batches[i][1]
		return ns.bulkBatch(ctx, f, what, writes[from:to], outcomes[from:to])
	})
	return outcomes, err
}

func (ns nodes) bulkBatch(ctx context.Context, f Fence, what string, writes []zkclient.Op, outcomes []outcome) error {
	path := writes[0].Path
	if len(writes) > 1 {
		path = fmt.Sprintf("%s and %d more", path, len(writes)-1)
	}
	stats, failed, uncertain, err := ns.fenced(ctx, f, what, path, writes...)
	if err == nil {
		for i, stat := range stats {
			outcomes[i].version = Version(stat.Version)
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
		if err := ns.bulkBatch(ctx, f, what, writes[:half], outcomes[:half]); err != nil {
			return err
		}
		return ns.bulkBatch(ctx, f, what, writes[half:], outcomes[half:])
	}
	for i, w := range writes {
		outcomes[i].version, outcomes[i].err = ns.single(ctx, f, what, w, uncertain)
		if fatal(outcomes[i].err) {
			return outcomes[i].err
		}
	}
	return nil
}

// single runs one write of a failed batch. uncertain reports whether the batch may have taken
// effect in an attempt whose answer was lost.
func (ns nodes) single(ctx context.Context, f Fence, what string, w zkclient.Op, uncertain bool) (Version, error) {
	version, err := ns.apply(ctx, f, what, w)
	if err != nil && uncertain && !fatal(err) {
		return ns.Settle(ctx, w, err)
	}
	return version, err
}

// fatal reports whether err concerns the whole operation and not only one node.
func fatal(err error) bool {
	return errors.Is(err, ErrControllerMoved) || errors.Is(err, ErrSessionExpired) || errors.Is(err, ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// cut divides writes into ranges [from, to) that fit into one transaction.
func cut(writes []zkclient.Op) (batches [][2]int) {
	from, size := 0, 0
	for i, w := range writes {
		opBytes := w.Size()
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
func (ns nodes) removeFenced(ctx context.Context, f Fence, path string) error {
	_, err := ns.apply(ctx, f, "delete", zkclient.DeleteOp(path))
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// removeAll deletes leaf nodes. Missing nodes are not an error.
func (ns nodes) removeAll(ctx context.Context, f Fence, paths []string) error {
	outcomes, err := ns.bulk(ctx, f, "delete", deletions(paths))
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
func (ns nodes) removeTree(ctx context.Context, f Fence, path string, together ...string) error {
	ctx, _, err := ns.Bind(ctx)
	if err != nil {
		return err
	}
	for range 10 {
		paths, err := ns.walk(ctx, path)
		if err != nil {
			return err
		}
		if len(together) > 0 {
			paths = paths[:len(paths)-1] // the last path is that of the node itself
		}
		err = ns.removeInOrder(ctx, f, paths)
		if err == nil && len(together) > 0 {
			err = ns.removeTogether(ctx, f, append([]string{path}, together...))
		}
		if !errors.Is(err, zkclient.ErrNotEmpty) {
			return err
		}
	}
	return fmt.Errorf("delete %s: another client keeps creating nodes below it", path)
}

// removeTogether deletes existing nodes in one transaction. If one of them is missing after an
// attempt whose answer was lost, that attempt deleted all of them; nodes that were created with the
// same paths since then stay. Otherwise another client deleted the missing node, and the others are
// deleted without it.
func (ns nodes) removeTogether(ctx context.Context, f Fence, paths []string) error {
	for len(paths) > 0 {
		_, failed, uncertain, err := ns.fenced(ctx, f, "delete", paths[0], deletions(paths)...)
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

func (ns nodes) removeInOrder(ctx context.Context, f Fence, paths []string) error {
	writes := deletions(paths)
	for _, b := range cut(writes) {
		outcomes := make([]outcome, b[1]-b[0])
		if err := ns.bulkBatch(ctx, f, "delete", writes[b[0]:b[1]], outcomes); err != nil {
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

func deletions(paths []string) []zkclient.Op {
	ops := make([]zkclient.Op, len(paths))
	for i, path := range paths {
		ops[i] = zkclient.DeleteOp(path)
	}
	return ops
}

// walk returns the paths of a node and all nodes below it, children before parents.
func (ns nodes) walk(ctx context.Context, root string) ([]string, error) {
	var levels [][]string
	for level := []string{root}; len(level) > 0; {
		levels = append(levels, level)
		below := make([][]string, len(level))
		err := ns.Each(len(level), func(i int) error {
			names, err := ns.Children(ctx, level[i], false)
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
