package zkstore

import (
	"context"
	"errors"
	"sort"
)

// DumpedNode is one node returned by Dump. Data is nil for null data, but not for empty data.
type DumpedNode struct {
	Path      string
	Data      []byte
	Ephemeral bool
	Version   Version
}

// Dump reads root and all nodes below it, sorted by path. It omits nodes that are deleted in the
// meantime.
func (s *Store) Dump(ctx context.Context, root string) ([]DumpedNode, error) {
	ctx, _, err := s.nodes.Bind(ctx)
	if err != nil {
		return nil, err
	}
	paths, err := s.nodes.walk(ctx, root)
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	nodes := make([]DumpedNode, len(paths))
	err = s.nodes.Each(len(paths), func(i int) error {
		n, err := s.nodes.ReadUnwatched(ctx, paths[i])
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		nodes[i] = DumpedNode{Path: paths[i], Data: n.Data, Ephemeral: n.Stat.EphemeralOwner != 0, Version: n.Version()}
		return nil
	})
	kept := nodes[:0]
	for _, n := range nodes {
		if n.Path != "" {
			kept = append(kept, n)
		}
	}
	return kept, err
}
