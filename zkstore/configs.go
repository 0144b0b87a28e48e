package zkstore

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/go-zookeeper/zk"
)

// EntityType is a type of entities with a configuration under /config.
type EntityType string

// The entity types. A quota of a user and client id is an entity of type EntityUsers with the name
// "user/clients/client".
const (
	EntityTopics  EntityType = "topics"
	EntityBrokers EntityType = "brokers"
	EntityClients EntityType = "clients"
	EntityUsers   EntityType = "users"
	EntityIPs     EntityType = "ips"
)

// DefaultEntity is the name of the default entity of a type.
const DefaultEntity = "<default>"

// Config reads an entity's configuration, which is empty if there is none. name must be sanitised
// (see SanitizeEntity).
func (s *Store) Config(ctx context.Context, t EntityType, name string) (map[string]string, error) {
	path := EntityPath(t, name)
	n, err := s.Read(ctx, path)
	if errors.Is(err, ErrNoNode) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	config, err := decodeConfig(n.Data)
	return config, invalid(path, err)
}

// Configs reads the configurations of several entities of one type, each like Config. unreadable
// has the errors of those that are not in configs. err is set if the read as a whole failed.
func (s *Store) Configs(ctx context.Context, t EntityType, names []string) (configs map[string]map[string]string, unreadable map[string]error, err error) {
	ctx, _, err = s.Bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	read, errs := make([]map[string]string, len(names)), make([]error, len(names))
	err = s.Each(len(names), func(i int) error {
		read[i], errs[i] = s.Config(ctx, t, names[i])
		if fatal(errs[i]) {
			return errs[i]
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	configs, unreadable = make(map[string]map[string]string, len(names)), map[string]error{}
	for i, name := range names {
		if errs[i] != nil {
			unreadable[name] = errs[i]
		} else {
			configs[name] = read[i]
		}
	}
	return configs, unreadable, nil
}

// ConfigEntities returns the sorted names of the entities of a type. There are none if the type's
// node is missing.
func (s *Store) ConfigEntities(ctx context.Context, t EntityType) ([]string, error) {
	return s.SortedChildren(ctx, configPath+"/"+string(t), false)
}

// UserClientEntities returns the sorted names of a user's client entities, which are names for
// EntityUsers ("user/clients/client").
func (s *Store) UserClientEntities(ctx context.Context, user string) ([]string, error) {
	prefix := user + "/clients"
	clients, err := s.SortedChildren(ctx, EntityPath(EntityUsers, prefix), false)
	for i, client := range clients {
		clients[i] = prefix + "/" + client
	}
	return clients, err
}

// ConfigBytes returns the size of an entity's node with this configuration, in bytes.
func ConfigBytes(config map[string]string) int { return len(encodeConfig(config)) }

// SetConfig writes an entity's configuration. Like Kafka since 3.7.1, it checks /controller: it
// returns a *ControllerMovedError if there is no controller or a KRaft controller, and
// ErrBadVersion if /controller changes in the meantime.
func (s *Store) SetConfig(ctx context.Context, t EntityType, name string, config map[string]string) error {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return err
	}
	n, err := s.ReadUnwatched(ctx, ControllerPath)
	if errors.Is(err, ErrNoNode) {
		return &ControllerMovedError{fmt.Sprintf("Cannot set entity configs for %s %s when there is no controller.", t, name)}
	}
	if err != nil {
		return err
	}
	c, err := decodeController(n.Data)
	if err != nil {
		return invalid(ControllerPath, err)
	}
	if c.KRaftEpoch > 0 {
		return &ControllerMovedError{fmt.Sprintf("Cannot set entity configs for %s %s directly when there is a KRaft controller.", t, name)}
	}
	check := s.CheckOp(ControllerPath, n.Version())
	return s.writeConfig(ctx, t, name, config, check)
}

// SetConfigUnchecked is SetConfig without the check of /controller, for tools that write before a
// broker runs.
func (s *Store) SetConfigUnchecked(ctx context.Context, t EntityType, name string, config map[string]string) error {
	return s.SetOrCreate(ctx, EntityPath(t, name), encodeConfig(config))
}

// writeConfig writes the configuration of an existing entity together with the check. It creates a
// missing entity without the check.
func (s *Store) writeConfig(ctx context.Context, t EntityType, name string, config map[string]string, check *zk.CheckVersionRequest) error {
	path, data := EntityPath(t, name), encodeConfig(config)
	for {
		_, failed, _, err := s.Multi(ctx, "write", path, check, s.SetOp(path, data, AnyVersion))
		if failed != 1 || !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := s.CreateRecursive(ctx, path, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// DeleteConfig deletes an entity's node and all nodes below it. A missing node is not an error.
func (s *Store) DeleteConfig(ctx context.Context, t EntityType, name string) error {
	return s.removeTree(ctx, NoFence(), EntityPath(t, name))
}

// NotifyConfigChange creates a notification that an entity changed. Callers use it after SetConfig.
func (s *Store) NotifyConfigChange(ctx context.Context, t EntityType, name string) error {
	if err := s.EnsurePath(ctx, ConfigChangesPath); err != nil {
		return err
	}
	return s.CreateSequential(ctx, ConfigChangesPath+"/"+configChangePrefix, encodeConfigChange(string(t)+"/"+name))
}

// ConfigChange is one node of /config/changes.
type ConfigChange struct {
	Node    string // config_change_0000000007
	Number  int64
	Path    string // topics/T, users/U/clients/C, ...; valid if Err is nil
	Created int64  // ctime, in ms
	Err     error  // why the node is invalid
}

// ConfigChanges reads the notifications with a number above after, in order, and arms the children
// watch on ConfigChangesPath. all has the names of all notifications, for PurgeConfigChanges.
func (s *Store) ConfigChanges(ctx context.Context, after int64) (changes []ConfigChange, all []string, err error) {
	ctx, _, err = s.Bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err = s.Children(ctx, ConfigChangesPath, true)
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
	nodes, found, err := s.ReadMany(ctx, paths)
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
// Each broker purges after each change.
func (s *Store) PurgeConfigChanges(ctx context.Context, nodes []string, before int64) error {
	ctx, _, err := s.Bind(ctx)
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
	if _, err := s.purge(ctx, foreign, before); err != nil {
		return err
	}
	sort.Slice(numbered, func(i, j int) bool { return numbered[i].Number < numbered[j].Number })
	for size := 1; len(numbered) > 0; size *= 2 {
		var names []string
		for _, c := range numbered[:min(size, len(numbered))] {
			names = append(names, c.Node)
		}
		if stay, err := s.purge(ctx, names, before); err != nil || stay {
			return err
		}
		numbered = numbered[len(names):]
	}
	return nil
}

// purge deletes the nodes that were created before the given time, and reports whether any node
// stays.
func (s *Store) purge(ctx context.Context, nodes []string, before int64) (stay bool, err error) {
	paths := make([]string, len(nodes))
	for i, name := range nodes {
		paths[i] = ConfigChangesPath + "/" + name
	}
	read, found, err := s.ReadMany(ctx, paths)
	if err != nil {
		return false, err
	}
	for i := range paths {
		stay = stay || found[i] && read[i].Stat.Ctime >= before
	}
	return stay, s.Each(len(paths), func(i int) error {
		if !found[i] || read[i].Stat.Ctime >= before {
			return nil
		}
		return s.Remove(ctx, paths[i])
	})
}
