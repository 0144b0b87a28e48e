package settings

import (
	"maps"
	"slices"
	"strings"
)

// Type is the type of a key's value, as Kafka's ConfigDef has it.
type Type int8

// The types. Int has 32 bits, Long 64, Short 16.
const (
	Boolean Type = iota + 1
	String
	Int
	Short
	Long
	Double
	List
	Class
	Password
)

var typeNames = [...]string{"", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

// String returns Kafka's name of the type, such as INT.
func (t Type) String() string { return typeNames[t] }

// Wire returns the number of the type in a DescribeConfigs answer.
func (t Type) Wire() int8 { return int8(t) }

// Importance is how much Kafka's documentation makes of a key.
type Importance int8

// The importances.
const (
	Low Importance = iota
	Medium
	High
)

// Mode says how a key of the broker may be changed while it runs.
type Mode int8

// The modes (KIP-226). Internal is added to mark keys that are for tests and
// are not described.
const (
	ReadOnly    Mode = 0 // needs a restart
	PerBroker   Mode = 1 // for one broker only
	ClusterWide Mode = 2 // for one broker or as the default of all
	Internal    Mode = 8
)

// Key is one row of the table of configuration keys.
type Key struct {
	Name       string
	Type       Type
	Default    string // in the syntax of a properties file, or null
	Check      Check  // nil: every value of the type
	Importance Importance
	Mode       Mode
	Doc        string
}

// null is a Default that is no value at all.
const null = "<null>"

// Internal says whether the key is left out of descriptions.
func (k *Key) Internal() bool { return k.Mode&Internal != 0 }

// Dynamic says how the key may be changed at run time.
func (k *Key) Dynamic() Mode { return k.Mode &^ Internal }

// Sensitive says whether the value must not be shown.
func (k *Key) Sensitive() bool { return k.Type == Password }

// table is a set of keys, in the order in which they are checked.
type table struct {
	keys   []Key
	byName map[string]*Key
}

func newTable(groups ...[]Key) *table {
	t := &table{byName: map[string]*Key{}}
	for _, group := range groups {
		t.keys = append(t.keys, group...)
	}
	for i := range t.keys {
		k := &t.keys[i]
		if t.byName[k.Name] != nil {
			panic("settings: two rows for " + k.Name)
		}
		t.byName[k.Name] = k
	}
	return t
}

// broker is the table of a broker's keys. It is built once and never changed.
var broker = newTable(generalKeys, listenerKeys, securityKeys, zooKeeperKeys, logKeys,
	replicationKeys, groupKeys, transactionKeys, quotaAndMetricKeys, tieredStorageKeys, kraftKeys)

// Keys returns the table of a broker's keys, in no particular order.
func Keys() []Key { return broker.keys }

// Lookup returns the row of a broker's key, nil where there is none. A
// listener prefix (listener.name.external.) is looked through.
func Lookup(name string) *Key {
	if k := broker.byName[name]; k != nil {
		return k
	}
	base, ok := listenerBase(name)
	if !ok {
		return nil
	}
	for _, suffix := range mechanismKeys { // listener.name.L.MECHANISM.KEY
		if strings.HasSuffix(base, suffix) {
			return broker.byName[suffix]
		}
	}
	return broker.byName[base]
}

// mechanismKeys may have a SASL mechanism between the listener prefix and the key.
var mechanismKeys = []string{"sasl.jaas.config", "sasl.login.callback.handler.class", "sasl.login.class",
	"sasl.server.callback.handler.class", "connections.max.reauth.ms"}

// listenerBase returns what follows listener.name.X. in name.
func listenerBase(name string) (base string, ok bool) {
	rest, ok := strings.CutPrefix(name, "listener.name.")
	if !ok {
		return "", false
	}
	_, base, ok = strings.Cut(rest, ".")
	return base, ok
}

// DefaultList returns the default of a list as text, "" for null.
func (k *Key) DefaultList() string {
	if k.Default == null {
		return ""
	}
	return *show(mustParse(k))
}

// Loggable writes a broker's values for a log line, sorted, secrets and the
// values of keys that nobody knows hidden.
func Loggable(values map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := values[name]
		if k := describedKey(name); k == nil || k.Sensitive() {
			text = hiddenText
		}
		parts = append(parts, name+" -> "+text)
	}
	return strings.Join(parts, ",")
}
