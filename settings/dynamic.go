package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/javatext"
)

// Dynamic holds the configuration of a running broker (KIP-226). Values of this broker override the
// default of all brokers, which overrides the static configuration. Reading takes no lock.
type Dynamic struct {
	state atomic.Pointer[dynamicState]

	mu        sync.Mutex          // serializes writers
	secrets   *passwordEncoder    // nil if password.encoder.secret is not set
	supported func(*Config) error // set before use; nil accepts all
}

// dynamicState is an immutable state.
type dynamicState struct {
	static    *Config
	defaults  map[string]string // of /config/brokers/<default>, passwords in clear
	perBroker map[string]string // of /config/brokers/N
	current   *Config           // the result of merge
}

// NewDynamic returns a Dynamic without dynamic values.
func NewDynamic(static *Config) *Dynamic {
	d := &Dynamic{secrets: passwordEncoderOf(static)}
	d.state.Store(&dynamicState{static: static, current: static, defaults: map[string]string{}, perBroker: map[string]string{}})
	return d
}

// Current returns the current configuration.
func (d *Dynamic) Current() *Config { return d.snapshot().current }

// TopicConfig returns the effective configuration of a topic with the given overrides.
func (d *Dynamic) TopicConfig(overrides map[string]string) (*Topic, error) {
	return d.Current().Topic(overrides)
}

func (d *Dynamic) snapshot() *dynamicState { return d.state.Load() }

// RefuseUnless makes Validate refuse configurations for which supported returns an error. Call it
// before the Dynamic is shared.
func (d *Dynamic) RefuseUnless(supported func(*Config) error) { d.supported = supported }

// ApplyBroker replaces this broker's own values with those of /config/brokers/N. Values that cannot
// be set dynamically are left out; ignored describes them for the log. If the others do not make a
// valid configuration, it changes nothing and returns an error.
func (d *Dynamic) ApplyBroker(stored map[string]string) (ignored []string, err error) {
	return d.apply(stored, true)
}

// ApplyDefault is like ApplyBroker for /config/brokers/<default>.
func (d *Dynamic) ApplyDefault(stored map[string]string) (ignored []string, err error) {
	return d.apply(stored, false)
}

func (d *Dynamic) apply(stored map[string]string, perBroker bool) (ignored []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	values, ignored := d.FromStored(stored, perBroker)
	was := d.snapshot()
	next := &dynamicState{static: was.static, defaults: was.defaults, perBroker: was.perBroker}
	if perBroker {
		next.perBroker = values
	} else {
		next.defaults = values
	}
	if next.current, err = next.merge(); err != nil {
		return ignored, err
	}
	d.state.Store(next)
	return ignored, nil
}

// merge builds the configuration from the three layers. A key on a higher layer hides its synonyms
// on lower layers: if log.roll.ms is set dynamically, a static log.roll.hours has no effect.
func (s *dynamicState) merge() (*Config, error) {
	merged := maps.Clone(s.static.originals)
	for _, layer := range []map[string]string{s.defaults, s.perBroker} {
		for _, name := range slices.Sorted(maps.Keys(layer)) {
			for _, synonym := range brokerSynonyms(name, false) {
				delete(merged, synonym)
			}
			merged[name] = layer[name]
		}
	}
	id := s.static.BrokerID()
	generated := BrokerIDGenerationEnable.Of(s.static) && id > s.static.MaxReservedBrokerID()
	if generated { // a generated id may be above what a configuration may set, so it is set last
		delete(merged, brokerID.Name)
		delete(merged, nodeID.Name)
	}
	c, err := build(merged, nil)
	if err != nil || !generated {
		return c, err
	}
	return c.WithBrokerID(id), nil
}

// Validate reports whether values could be set for this broker (perBroker) or as default of all
// brokers. It returns nil or an error with Kafka's text. It does not resolve placeholders: values
// that name their own provider could otherwise show the client any file of this host in the error.
func (d *Dynamic) Validate(values map[string]string, perBroker bool) error {
	if err := checkDynamic(values, perBroker); err != nil {
		return err
	}
	was := d.snapshot()
	next := &dynamicState{static: was.static, defaults: was.defaults, perBroker: was.perBroker}
	if perBroker {
		next.perBroker = values
	} else {
		next.defaults = values
	}
	config, err := next.merge()
	if err != nil {
		return err
	}
	err = checkChange(was.current, config)
	if err == nil && d.supported != nil {
		err = d.supported(config)
	}
	if err != nil {
		return &Problem{Text: "Invalid value org.apache.kafka.common.config.ConfigException: " + err.Error() +
			" for configuration Invalid dynamic configuration"}
	}
	return nil
}

// checkDynamic checks which keys are set, and each value on its own.
func checkDynamic(values map[string]string, perBroker bool) error {
	order := propertiesOrder(values)
	if refused := filter(order, isStatic); len(refused) > 0 {
		return problem(refused[0], fmt.Errorf("Cannot update these configs dynamically: %s",
			javatext.ImmutableSet(refused, javatext.StringHash)))
	}
	if refused := filter(order, needsListenerPrefix); len(refused) > 0 {
		return problem(refused[0], fmt.Errorf("These security configs can be dynamically updated only per-listener using the listener prefix: %s",
			javatext.MutableSet(refused, javatext.StringHash)))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := checkDynamicValue(name, values[name]); err != nil {
			return err
		}
	}
	if perBroker {
		return nil
	}
	if refused := slices.Concat(filter(order, isPerBroker), filter(order, isPerBrokerOfListener)); len(refused) > 0 {
		return problem(refused[0], fmt.Errorf("Cannot update these configs at default cluster level, broker id must be specified: %s",
			javatext.ImmutableSet(refused, javatext.StringHash)))
	}
	return nil
}

// propertiesOrder returns the names in the order in which Kafka, which keeps them in a
// java.util.Properties, iterates over them. It assumes that they were inserted in the order of the
// alphabet, since a map has lost the order of the request.
func propertiesOrder(values map[string]string) []string {
	return javatext.PropertiesOrder(slices.Sorted(maps.Keys(values)))
}

func filter(names []string, keep func(name string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !keep(name) })
}

// checkDynamicValue parses the value of a key that can be set dynamically. Other keys belong to
// plug-ins.
func checkDynamicValue(name, text string) error {
	base := name
	if b, ok := listenerBase(name); ok {
		base = b
	}
	k := dynamicOnly.byName[base]
	if k == nil && isDynamic(base) {
		k = broker.byName[base]
	}
	if k == nil {
		return nil
	}
	_, err := parseKey(k, &text)
	return err
}

// FromStored converts the values stored in ZooKeeper: it decrypts passwords and drops what cannot
// be set dynamically. ignored describes what was dropped.
func (d *Dynamic) FromStored(stored map[string]string, perBroker bool) (values map[string]string, ignored []string) {
	values = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		text := stored[name]
		switch {
		case isStatic(name):
			ignored = append(ignored, "Non-dynamic configs configured in ZooKeeper will be ignored: "+name)
			continue
		case needsListenerPrefix(name):
			ignored = append(ignored, "Security configs can be dynamically updated only using listener prefix, base configs will be ignored: "+name)
			continue
		case !perBroker && (isPerBroker(name) || isPerBrokerOfListener(name)):
			ignored = append(ignored, "Per-broker configs defined at default cluster level will be ignored: "+name)
			continue
		}
		if isStoredSecret(name) {
			clear, err := d.secrets.decode(text)
			if err != nil {
				ignored = append(ignored, fmt.Sprintf("Dynamic password config %s could not be decoded, ignoring: %v", name, err))
				continue
			}
			text = clear
		}
		if err := checkDynamicValue(name, text); err != nil {
			ignored = append(ignored, fmt.Sprintf("Dynamic config contains invalid values in: %s, these configs will be ignored: %v", name, err))
			continue
		}
		values[name] = text
	}
	return values, ignored
}

// ToStored converts values to those stored in ZooKeeper: it encrypts passwords with
// password.encoder.secret.
func (d *Dynamic) ToStored(values map[string]string, perBroker bool) (map[string]string, error) {
	stored := maps.Clone(values)
	for name, text := range values {
		if !isStoredSecret(name) {
			continue
		}
		if !perBroker {
			return nil, problem(name, errors.New("Password config can be defined only at broker level"))
		}
		encoded, err := d.secrets.encode(text)
		if err != nil {
			return nil, problem(name, err)
		}
		stored[name] = encoded
	}
	return stored, nil
}

// Limits on replication (KIP-73, KIP-113).
var (
	LeaderReplicationThrottledRate = dynamicKey("leader.replication.throttled.rate",
		"Largest number of bytes per second that a leader sends to throttled replicas.")
	FollowerReplicationThrottledRate = dynamicKey("follower.replication.throttled.rate",
		"Largest number of bytes per second that a follower fetches for throttled replicas.")
	ReplicaAlterLogDirsIOMaxBytesPerSecond = dynamicKey("replica.alter.log.dirs.io.max.bytes.per.second",
		"Largest number of bytes per second moved between log directories.")
)

// isDynamic reports whether a key of the table can be set dynamically.
func isDynamic(name string) bool {
	k := broker.byName[name]
	return k != nil && k.Dynamic() != ReadOnly
}

// isStatic reports whether a key of the table can only be set in the file.
func isStatic(name string) bool {
	k := broker.byName[name]
	return k != nil && k.Dynamic() == ReadOnly
}

// reloadable are the security keys that can change only for a single listener.
var reloadable = []string{sslKeystoreType.Name, sslKeystoreLocation.Name, sslKeystorePassword.Name, sslKeyPassword.Name,
	sslTruststoreType.Name, sslTruststoreLocation.Name, sslTruststorePassword.Name, sslKeystoreCertificateChain.Name,
	sslKeystoreKey.Name, sslTruststoreCertificates.Name}

// adjustable are the keys of a listener that can change while it is open.
var adjustable = []string{MaxConnections.Name, maxConnectionCreationRate.Name, numNetworkThreads.Name}

func needsListenerPrefix(name string) bool { return slices.Contains(reloadable, name) }

// isPerBroker reports whether a key of the table cannot be set for all brokers at once.
func isPerBroker(name string) bool {
	k := broker.byName[name]
	return k != nil && k.Dynamic() == PerBroker
}

// isPerBrokerOfListener reports whether a key with the prefix of a listener cannot be set for all
// brokers at once.
func isPerBrokerOfListener(name string) bool {
	base, ok := listenerBase(name)
	return ok && !slices.Contains(adjustable, base)
}

// isStoredSecret reports whether the value is encrypted in ZooKeeper.
func isStoredSecret(name string) bool {
	for _, k := range broker.keys {
		if k.Sensitive() && k.Dynamic() != ReadOnly && strings.HasSuffix(name, k.Name) {
			return true
		}
	}
	return false
}
