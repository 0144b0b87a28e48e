package zkstore

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/go-zookeeper/zk"
)

// EntityType is a kind of thing that has a configuration under /config.
type EntityType string

// The entity types. Users' client quotas are entities of type EntityUsers with
// the name "user/clients/client".
const (
	EntityTopics  EntityType = "topics"
	EntityBrokers EntityType = "brokers"
	EntityClients EntityType = "clients"
	EntityUsers   EntityType = "users"
	EntityIPs     EntityType = "ips"
)

// DefaultEntity is the name of the default entity of a type.
const DefaultEntity = "<default>"

// Config reads an entity's configuration, empty where there is none. name is
// sanitised (see SanitizeEntity).
func (s *Store) Config(ctx context.Context, t EntityType, name string) (map[string]string, error) {
	path := EntityPath(t, name)
	n, err := s.read(ctx, path)
	if errors.Is(err, ErrNoNode) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	config, err := decodeConfig(n.data)
	return config, invalid(path, err)
}

// Configs reads many entities of one type, as Config does each. unreadable has the
// errors of those that are not in configs; err is set if nothing can be read.
func (s *Store) Configs(ctx context.Context, t EntityType, names []string) (configs map[string]map[string]string, unreadable map[string]error, err error) {
	ctx, _, err = s.bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	read, errs := make([]map[string]string, len(names)), make([]error, len(names))
	err = s.each(len(names), func(i int) error {
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

// ConfigEntities lists the entities of a type, sorted; none where the type's
// node is absent.
func (s *Store) ConfigEntities(ctx context.Context, t EntityType) ([]string, error) {
	return s.sortedChildren(ctx, configPath+"/"+string(t), false)
}

// UserClientEntities lists the client entities of a user, as names for
// EntityUsers ("user/clients/client"), sorted.
func (s *Store) UserClientEntities(ctx context.Context, user string) ([]string, error) {
	prefix := user + "/clients"
	clients, err := s.sortedChildren(ctx, EntityPath(EntityUsers, prefix), false)
	for i, client := range clients {
		clients[i] = prefix + "/" + client
	}
	return clients, err
}

// ConfigBytes is the size of the node of an entity's configuration in bytes.
func ConfigBytes(config map[string]string) int { return len(encodeConfig(config)) }

// SetConfig writes an entity's configuration, checked against /controller as
// Kafka does since 3.7.1: ErrControllerMoved where there is none or a KRaft
// controller (as a *ControllerMovedError), ErrBadVersion where it changed in between.
func (s *Store) SetConfig(ctx context.Context, t EntityType, name string, config map[string]string) error {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return err
	}
	n, err := s.readUnwatched(ctx, ControllerPath)
	if errors.Is(err, ErrNoNode) {
		return &ControllerMovedError{fmt.Sprintf("Cannot set entity configs for %s %s when there is no controller.", t, name)}
	}
	if err != nil {
		return err
	}
	c, err := decodeController(n.data)
	if err != nil {
		return invalid(ControllerPath, err)
	}
	if c.KRaftEpoch > 0 {
		return &ControllerMovedError{fmt.Sprintf("Cannot set entity configs for %s %s directly when there is a KRaft controller.", t, name)}
	}
	check := &zk.CheckVersionRequest{Path: s.full(ControllerPath), Version: n.stat.Version}
	return s.writeConfig(ctx, t, name, config, check)
}

// SetConfigUnchecked is SetConfig without the check, for tools that write
// before a broker runs.
func (s *Store) SetConfigUnchecked(ctx context.Context, t EntityType, name string, config map[string]string) error {
	return s.setOrCreate(ctx, EntityPath(t, name), encodeConfig(config))
}

// writeConfig sets an existing entity behind the check, or creates it without.
func (s *Store) writeConfig(ctx context.Context, t EntityType, name string, config map[string]string, check *zk.CheckVersionRequest) error {
	path, data := EntityPath(t, name), encodeConfig(config)
	for {
		_, failed, _, err := s.multi(ctx, "write", path, check, s.setOp(path, data, AnyVersion))
		if failed != 1 || !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := s.createRecursive(ctx, path, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// DeleteConfig deletes an entity's node and all below it; absent is no error.
func (s *Store) DeleteConfig(ctx context.Context, t EntityType, name string) error {
	return s.removeTree(ctx, NoFence(), EntityPath(t, name))
}

// NotifyConfigChange announces that an entity changed: after SetConfig.
func (s *Store) NotifyConfigChange(ctx context.Context, t EntityType, name string) error {
	if err := s.ensurePath(ctx, ConfigChangesPath); err != nil {
		return err
	}
	return s.createSequential(ctx, ConfigChangesPath+"/"+configChangePrefix, encodeConfigChange(string(t)+"/"+name))
}

// ConfigChange is one node of /config/changes.
type ConfigChange struct {
	Node    string // config_change_0000000007
	Number  int64
	Path    string // topics/T, users/U/clients/C, ... ; empty where the node says nothing usable
	Created int64  // ctime, ms
	Err     error  // why Path is empty
}

// ConfigChanges reads the notifications numbered above after, in order, and
// arms the children watch on ConfigChangesPath. all has every node's name, for
// PurgeConfigChanges.
func (s *Store) ConfigChanges(ctx context.Context, after int64) (changes []ConfigChange, all []string, err error) {
	ctx, _, err = s.bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err = s.children(ctx, ConfigChangesPath, true)
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
	nodes, found, err := s.readMany(ctx, paths)
	if err != nil {
		return nil, nil, err
	}
	kept := changes[:0]
	for i, c := range changes {
		if !found[i] { // purged by another broker
			continue
		}
		c.Created = nodes[i].stat.Ctime
		c.Path, c.Err = decodeConfigChange(nodes[i].data)
		c.Err = invalid(paths[i], c.Err)
		kept = append(kept, c)
	}
	return kept, all, nil
}

// OldestConfigChange returns the smallest number among the names of
// notifications; false: there is none.
func OldestConfigChange(nodes []string) (oldest int64, any bool) {
	for _, name := range nodes {
		if n, ok := notificationNumber(name, configChangePrefix); ok && (!any || n < oldest) {
			oldest, any = n, true
		}
	}
	return oldest, any
}

// PurgeConfigChanges deletes those of nodes created before the given time (ms);
// other brokers do so too. Notifications are numbered in the order of their creation, so that
// those after the first that stays are not read: there may be thousands, and each broker purges
// with every change.
func (s *Store) PurgeConfigChanges(ctx context.Context, nodes []string, before int64) error {
	ctx, _, err := s.bind(ctx)
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

// purge deletes those of the nodes created before the given time, and reports whether any stays.
func (s *Store) purge(ctx context.Context, nodes []string, before int64) (stay bool, err error) {
	paths := make([]string, len(nodes))
	for i, name := range nodes {
		paths[i] = ConfigChangesPath + "/" + name
	}
	read, found, err := s.readMany(ctx, paths)
	if err != nil {
		return false, err
	}
	for i := range paths {
		stay = stay || found[i] && read[i].stat.Ctime >= before
	}
	return stay, s.each(len(paths), func(i int) error {
		if !found[i] || read[i].stat.Ctime >= before {
			return nil
		}
		return s.remove(ctx, paths[i])
	})
}
