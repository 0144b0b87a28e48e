package zkstore

import (
	"context"
	"sort"
)

// ConfigChange is one node of /config/changes.
type ConfigChange struct {
	Node    string // config_change_0000000007
	Number  int64
	Path    string // topics/T, users/U/clients/C, ...; valid if Err is nil
	Created int64  // ctime, in ms
	Err     error  // why the node is invalid
}

// configChanges has the operations on the notifications of changed configurations.
type configChanges struct{ nodes nodes }

// NotifyConfigChange creates a notification that an entity changed. Callers use it after SetConfig.
func (c configChanges) NotifyConfigChange(ctx context.Context, t EntityType, name string) error {
	if err := c.nodes.EnsurePath(ctx, ConfigChangesPath); err != nil {
		return err
	}
	return c.nodes.CreateSequential(ctx, ConfigChangesPath+"/"+configChangePrefix, encodeConfigChange(string(t)+"/"+name))
}

// ConfigChanges reads the notifications with a number above after, in order, and arms the children
// watch on ConfigChangesPath. all has the names of all notifications, for PurgeConfigChanges.
func (c configChanges) ConfigChanges(ctx context.Context, after int64) (changes []ConfigChange, all []string, err error) {
	ctx, _, err = c.nodes.Bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err = c.nodes.Children(ctx, ConfigChangesPath, true)
	if err != nil {
		return nil, nil, err
	}
	var paths []string
	for _, name := range all {
		if number, ok := notificationNumber(name, configChangePrefix); ok && number > after {
			changes = append(changes, ConfigChange{Node: name, Number: number})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Number < changes[j].Number })
	for _, c := range changes {
		paths = append(paths, ConfigChangesPath+"/"+c.Node)
	}
	nodes, found, err := c.nodes.ReadMany(ctx, paths)
	if err != nil {
		return nil, nil, err
	}
	kept := changes[:0]
	for i, c := range changes {
		if !found[i] { // deleted by another broker
			continue
		}
		c.Created = nodes[i].Stat.Ctime
		c.Path, c.Err = decodeConfigChange(nodes[i].Data)
		c.Err = invalid(paths[i], c.Err)
		kept = append(kept, c)
	}
	return kept, all, nil
}

// OldestConfigChange returns the smallest number in the names of notifications. any is false if
// there are none.
func OldestConfigChange(nodes []string) (oldest int64, any bool) {
	for _, name := range nodes {
		if n, ok := notificationNumber(name, configChangePrefix); ok && (!any || n < oldest) {
			oldest, any = n, true
		}
	}
	return oldest, any
}

// PurgeConfigChanges deletes the nodes that were created before the given time, in ms. Other
// brokers do the same concurrently. Since the numbers follow the order of creation, it stops
// reading at the first batch with a node that stays: there may be thousands of notifications, and
// each broker purges after each change.
func (c configChanges) PurgeConfigChanges(ctx context.Context, nodes []string, before int64) error {
	ctx, _, err := c.nodes.Bind(ctx)
	if err != nil {
		return err
	}
	var foreign []string
	var numbered []ConfigChange
	for _, name := range nodes {
		if number, ok := notificationNumber(name, configChangePrefix); ok {
			numbered = append(numbered, ConfigChange{Node: name, Number: number})
		} else {
			foreign = append(foreign, name)
		}
	}
	if _, err := c.purge(ctx, foreign, before); err != nil {
		return err
	}
	sort.Slice(numbered, func(i, j int) bool { return numbered[i].Number < numbered[j].Number })
	for size := 1; len(numbered) > 0; size *= 2 {
		var names []string
		for _, c := range numbered[:min(size, len(numbered))] {
			names = append(names, c.Node)
		}
		if stay, err := c.purge(ctx, names, before); err != nil || stay {
			return err
		}
		numbered = numbered[len(names):]
	}
	return nil
}

// purge deletes the nodes that were created before the given time, and reports whether any node
// stays.
func (c configChanges) purge(ctx context.Context, nodes []string, before int64) (stay bool, err error) {
	paths := make([]string, len(nodes))
	for i, name := range nodes {
		paths[i] = ConfigChangesPath + "/" + name
	}
	read, found, err := c.nodes.ReadMany(ctx, paths)
	if err != nil {
		return false, err
	}
	for i := range paths {
		stay = stay || found[i] && read[i].Stat.Ctime >= before
	}
	return stay, c.nodes.Each(len(paths), func(i int) error {
		if !found[i] || read[i].Stat.Ctime >= before {
			return nil
		}
		return c.nodes.Remove(ctx, paths[i])
	})
}
