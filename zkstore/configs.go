package zkstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedula/monedula/zkstore/zkclient"
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

// configs has the operations on the configurations of entities.
type configs struct{ nodes nodes }

// Config reads an entity's configuration, which is empty if there is none. name must be sanitised
// (see SanitizeEntity).
func (cs configs) Config(ctx context.Context, t EntityType, name string) (map[string]string, error) {
	path := EntityPath(t, name)
	n, err := cs.nodes.Read(ctx, path)
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
func (cs configs) Configs(ctx context.Context, t EntityType, names []string) (configs map[string]map[string]string, unreadable map[string]error, err error) {
	ctx, _, err = cs.nodes.Bind(ctx)
	if err != nil {
		return nil, nil, err
	}
	read, errs := make([]map[string]string, len(names)), make([]error, len(names))
	err = cs.nodes.Each(len(names), func(i int) error {
		read[i], errs[i] = cs.Config(ctx, t, names[i])
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
func (cs configs) ConfigEntities(ctx context.Context, t EntityType) ([]string, error) {
	return cs.nodes.SortedChildren(ctx, configPath+"/"+string(t), false)
}

// UserClientEntities returns the sorted names of a user's client entities, which are names for
// EntityUsers ("user/clients/client").
func (cs configs) UserClientEntities(ctx context.Context, user string) ([]string, error) {
	prefix := user + "/clients"
	clients, err := cs.nodes.SortedChildren(ctx, EntityPath(EntityUsers, prefix), false)
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
func (cs configs) SetConfig(ctx context.Context, t EntityType, name string, config map[string]string) error {
	ctx, _, err := cs.nodes.Bind(ctx)
	if err != nil {
		return err
	}
	n, err := cs.nodes.ReadUnwatched(ctx, ControllerPath)
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
	check := zkclient.CheckOp(ControllerPath, n.Version())
	return cs.writeConfig(ctx, t, name, config, check)
}

// SetConfigUnchecked is like SetConfig, but does not check /controller. It is for tools that write
// before a broker runs.
func (cs configs) SetConfigUnchecked(ctx context.Context, t EntityType, name string, config map[string]string) error {
	return cs.nodes.SetOrCreate(ctx, EntityPath(t, name), encodeConfig(config))
}

// writeConfig writes the configuration of an existing entity together with the check. It creates a
// missing entity without the check.
func (cs configs) writeConfig(ctx context.Context, t EntityType, name string, config map[string]string, check zkclient.Op) error {
	path, data := EntityPath(t, name), encodeConfig(config)
	for {
		_, failed, _, err := cs.nodes.Multi(ctx, "write", path, check, zkclient.SetOp(path, data, AnyVersion))
		if failed != 1 || !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := cs.nodes.CreateRecursive(ctx, path, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// DeleteConfig deletes an entity's node and all nodes below it. A missing node is not an error.
func (cs configs) DeleteConfig(ctx context.Context, t EntityType, name string) error {
	return cs.nodes.removeTree(ctx, NoFence(), EntityPath(t, name))
}
