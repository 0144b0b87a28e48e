package zkstore

import (
	"context"
	"errors"
	"sort"
)

// DumpedNode is one node of Dump. Null data is nil, empty data is not.
type DumpedNode struct {
	Path      string
	Data      []byte
	Ephemeral bool
	Version   Version
}

// Dump reads the whole tree below root, sorted by path; nodes that vanish
// meanwhile are left out.
func (s *Store) Dump(ctx context.Context, root string) ([]DumpedNode, error) {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return nil, err
	}
	paths, err := s.walk(ctx, root)
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	nodes := make([]DumpedNode, len(paths))
	err = s.each(len(paths), func(i int) error {
		n, err := s.readUnwatched(ctx, paths[i])
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		nodes[i] = DumpedNode{Path: paths[i], Data: n.data, Ephemeral: n.stat.EphemeralOwner != 0, Version: n.stat.Version}
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
