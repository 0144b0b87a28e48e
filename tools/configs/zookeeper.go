package configs

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/zkstore"
)

// configsStore implements kafka-configs with --zookeeper, as in 2.8. It reads and writes the znodes
// directly; brokers notice the changes through notification nodes.
type configsStore struct {
	*options
	store *zkstore.Store
	admin *admin.Admin
}

// entity is something with a configuration. For a client of a user, the user is the root. Names are
// sanitised; nil stands for all.
type entity struct {
	rootType  string
	root      *string
	childType string // "" if there is no child
	child     *string
}

// full returns the entity's path below its type.
func (e entity) full() string {
	name := ""
	if e.root != nil {
		name = *e.root
	}
	if e.childType != "" {
		name += "/" + e.childType
		if e.child != nil {
			name += "/" + *e.child
		}
	}
	return name
}

func (e entity) String() string {
	text := entityText(e.rootType, e.root)
	if e.childType != "" {
		text += ", " + entityText(e.childType, e.child)
	}
	return text
}

func entityText(entityType string, name *string) string {
	if name == nil {
		return entityType
	}
	shown, text := entityType, *name
	switch entityType {
	case typeUsers:
		shown, text = "user-principal", zkstore.DesanitizeEntity(text)
	case typeClients:
		shown, text = "client-id", zkstore.DesanitizeEntity(text)
	case typeTopics:
		shown = "topic"
	}
	if *name == zkstore.DefaultEntity {
		return "default " + shown
	}
	return fmt.Sprintf("%s '%s'", shown, text)
}

// entity returns the entity that the options select.
func (o *options) entity() (entity, error) {
	types, names := o.types(), o.names()
	sanitized := make([]*string, 2)
	for i, name := range names[:min(len(names), 2)] {
		switch {
		case name == "":
			name = zkstore.DefaultEntity
		case types[0] == typeUsers || types[0] == typeClients:
			name = zkstore.SanitizeEntity(name)
		}
		sanitized[i] = &name
	}
	if types[0] != typeUsers && types[0] != typeClients {
		return entity{rootType: types[0], root: sanitized[0]}, nil
	}
	if o.alter.Given() && len(names) != len(types) {
		return entity{}, cli.IllegalArgument("--entity-name or --entity-default must be specified with each --entity-type for --alter")
	}
	if len(types) == 1 {
		return entity{rootType: types[0], root: sanitized[0]}, nil
	}
	if types[0] == typeClients && len(names) == 2 {
		slices.Reverse(sanitized)
	}
	return entity{typeUsers, sanitized[0], typeClients, sanitized[1]}, nil
}

func (o *options) runOverZooKeeper() error {
	o.Env.Println("Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.")
	o.Env.Println("Use --bootstrap-server instead to specify a broker to connect to.")
	ctx := context.Background()
	store, log, err := client.OpenStore(ctx, o.Env, o.zookeeper.Or(""))
	if err != nil {
		return err
	}
	defer store.Close()
	s := &configsStore{o, store, admin.New(admin.Options{Store: store, Unchecked: true, Logger: log})}
	if o.alter.Given() {
		return s.alterEntity(ctx)
	}
	return s.describeEntities(ctx)
}

func (s *configsStore) alterEntity(ctx context.Context) error {
	added, err := s.added()
	if err != nil {
		return err
	}
	deleted := s.deleted()
	e, err := s.entity()
	if err != nil {
		return err
	}
	switch e.rootType {
	case typeUsers:
		err = hideCredentials(added)
	case typeBrokers:
		added, err = s.offlineConfigs(ctx, e.full(), added)
	}
	if err != nil {
		return err
	}
	config, err := s.store.Config(ctx, zkstore.EntityType(e.rootType), e.full())
	if err != nil {
		return err
	}
	if err := requireSet(deleted, func(key string) bool { _, found := config[key]; return found }); err != nil {
		return err
	}
	for key, value := range added {
		config[key] = value
	}
	for _, key := range deleted {
		delete(config, key)
	}
	if err := s.write(ctx, e, config); err != nil {
		return err
	}
	s.Env.Printf("Completed updating config for entity: %s.\n", e)
	return nil
}

func (s *configsStore) write(ctx context.Context, e entity, config map[string]string) error {
	name := e.full()
	var err error
	switch e.rootType {
	case typeTopics:
		return client.JavaConfigError(s.admin.SetTopicConfig(ctx, name, config, admin.Change{}))
	case typeClients:
		err = settings.ValidateClient(config)
	case typeUsers:
		if name == zkstore.DefaultEntity || e.childType != "" {
			err = settings.ValidateClient(config)
		} else {
			err = settings.ValidateUser(config)
		}
	case typeIPs:
		if name != zkstore.DefaultEntity {
			if _, err := net.LookupHost(name); err != nil {
				return cli.NewJavaError("kafka.admin.AdminOperationException", name+" is not a valid IP or resolvable host.")
			}
		}
		err = settings.ValidateAddress(config)
	}
	if err != nil {
		return client.JavaConfigError(err)
	}
	entityType := zkstore.EntityType(e.rootType)
	if err := s.store.SetConfigUnchecked(ctx, entityType, name, config); err != nil {
		return err
	}
	return s.store.NotifyConfigChange(ctx, entityType, name)
}

// hideCredentials replaces the passwords in SCRAM credentials with their stored form.
func hideCredentials(configs map[string]string) error {
	for name, m := range scramMechanisms {
		text, given := configs[name]
		if !given {
			continue
		}
		iterations, password, err := m.parse(name, text, javaScramName(name))
		if err != nil {
			return err
		}
		if configs[name], err = m.stored(password, newSalt(), iterations); err != nil {
			return err
		}
	}
	return nil
}

// throttleRates may be changed while the broker is running.
var throttleRates = []string{settings.LeaderReplicationThrottledRate.Name, settings.FollowerReplicationThrottledRate.Name,
	settings.ReplicaAlterLogDirsIOMaxBytesPerSecond.Name}

// offlineConfigs checks the configuration to be set for a broker, and that the broker is not
// running.
func (s *configsStore) offlineConfigs(ctx context.Context, broker string, added map[string]string) (map[string]string, error) {
	var others []string
	for _, key := range javatext.PropertiesOrder(slices.Sorted(maps.Keys(added))) {
		if !slices.Contains(throttleRates, key) {
			others = append(others, key)
		}
	}
	if len(others) == 0 {
		return added, nil
	}
	const info = "Broker configuration updates using ZooKeeper are supported for bootstrapping before brokers" +
		" are started to enable encrypted password configs to be stored in ZooKeeper."
	refused := "requirement failed: --bootstrap-server option must be specified to update broker configs " + javatext.Collection("Set", others) + "."
	running, err := s.store.BrokerIDs(ctx)
	if err != nil {
		return nil, err
	}
	perBroker := broker != zkstore.DefaultEntity
	if perBroker {
		if id, err := strconv.ParseInt(broker, 10, 32); err == nil && slices.Contains(running, metadata.BrokerID(id)) {
			return nil, cli.IllegalArgument(fmt.Sprintf("%s when broker %s is running. %s", refused, broker, info))
		}
	} else if len(running) > 0 {
		return nil, cli.IllegalArgument(fmt.Sprintf("%s for default cluster if any broker is running. %s", refused, info))
	}
	stored, err := settings.OfflineBroker(added, perBroker)
	return stored, client.JavaConfigError(err)
}

func (s *configsStore) describeEntities(ctx context.Context) error {
	e, err := s.entity()
	if err != nil {
		return err
	}
	all, err := s.expand(ctx, e)
	if err != nil {
		return err
	}
	everyUser := e.rootType == typeUsers && e.root == nil && e.childType == ""
	for _, one := range all {
		config, err := s.store.Config(ctx, zkstore.EntityType(one.rootType), one.full())
		if err != nil {
			return err
		}
		if len(config) == 0 && everyUser {
			continue // a user that has no configuration, only clients
		}
		if s.WantsDocument() {
			s.addDescribed(one.document(), describedValues(config))
			continue
		}
		var pairs []string
		for _, key := range javatext.PropertiesOrder(slices.Sorted(maps.Keys(config))) {
			pairs = append(pairs, key+"="+config[key])
		}
		s.Env.Printf("Configs for %s are %s\n", one, strings.Join(pairs, ","))
	}
	return nil
}

// expand returns the entities that e stands for.
func (s *configsStore) expand(ctx context.Context, e entity) ([]entity, error) {
	if e.root == nil {
		names, err := s.store.ConfigEntities(ctx, zkstore.EntityType(e.rootType))
		if err != nil {
			return nil, err
		}
		var all []entity
		for _, name := range names {
			one := e
			one.root = &name
			if e.childType == "" {
				all = append(all, one)
				continue
			}
			one.child = nil
			below, err := s.expand(ctx, one)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		}
		return all, nil
	}
	if e.childType == "" || e.child != nil {
		return []entity{e}, nil
	}
	clients, err := s.store.UserClientEntities(ctx, *e.root)
	if err != nil {
		return nil, err
	}
	var all []entity
	for _, full := range clients {
		one := e
		name := full[strings.LastIndexByte(full, '/')+1:]
		one.child = &name
		all = append(all, one)
	}
	return all, nil
}
