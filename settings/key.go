package settings

import (
	"maps"
	"slices"
	"strings"
)

// Type is the type of a key's value, as in Kafka's ConfigDef.
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

// Wire returns the number of the type in a DescribeConfigs response.
func (t Type) Wire() int8 { return int8(t) }

// Importance is the importance of a key in Kafka's documentation.
type Importance int8

// The importances.
const (
	Low Importance = iota
	Medium
	High
)

// Mode is how a key of a running broker can be changed.
type Mode int8

// The modes (KIP-226). Internal is added to the mode of keys for tests, which are not described.
const (
	ReadOnly    Mode = 0 // needs a restart
	PerBroker   Mode = 1 // for one broker only
	ClusterWide Mode = 2 // for one broker, or as default of all brokers
	Internal    Mode = 8
)

// Key is one row of the table of configuration keys.
type Key struct {
	Name       string
	Type       Type
	Default    string // as DescribeConfigs shows it, or null
	Check      Check  // nil accepts every value of the type
	Importance Importance
	Mode       Mode
	Doc        string

	broker *Key // for a topic's key: the broker's key that provides the default, or nil
}

// null is the Default of a key without a value.
const null = "<null>"

// Internal reports whether the key is left out of descriptions.
func (k *Key) Internal() bool { return k.Mode&Internal != 0 }

// Dynamic returns how the key can be changed in a running broker.
func (k *Key) Dynamic() Mode { return k.Mode &^ Internal }

// Parse returns the value for a text of a properties file, with the Go type that Value lists for
// the key's type. The error is a *Problem.
func (k *Key) Parse(text string) (any, error) { return parseKey(k, &text) }

// DefaultText returns the default as the text of a properties file. It returns "" and false for
// null.
func (k *Key) DefaultText() (text string, ok bool) {
	if k.Default == null {
		return "", false
	}
	return k.Default, true
}

// OfBroker returns, for a topic's key, the broker's key that provides the default, or nil.
func (k *Key) OfBroker() *Key { return k.broker }

// OnlyKRaft reports whether the key has an effect in KRaft mode only.
func (k *Key) OnlyKRaft() bool { return strings.HasSuffix(k.Doc, onlyKRaft) }

// onlyKRaft ends the documentation of keys that have no effect with ZooKeeper.
const onlyKRaft = "Used in KRaft mode only."

// Sensitive reports whether the value must not be shown.
func (k *Key) Sensitive() bool { return k.Type == Password }

// table is a set of keys. Keys are added only while the variables of the package are initialized.
type table struct {
	keys   []*Key // in the order in which they were added
	byName map[string]*Key
	texts  map[string]string // the defaults that are not null, by name
}

func newTable(keys ...*Key) *table {
	t := &table{byName: map[string]*Key{}, texts: map[string]string{}}
	for _, k := range keys {
		t.add(k)
	}
	return t
}

// add adds a key and returns it. It panics if the table has one with the same name.
func (t *table) add(k *Key) *Key {
	if t.byName[k.Name] != nil {
		panic("settings: two rows for " + k.Name)
	}
	t.keys, t.byName[k.Name] = append(t.keys, k), k
	if k.Default != null {
		t.texts[k.Name] = k.Default
	}
	return k
}

// The tables. The declarations of the keys fill them; see key, topicKey and dynamicKey.
var (
	broker      = newTable()
	topic       = newTable()
	dynamicOnly = newTable() // keys that no file can set, only a dynamic configuration
)

// Keys returns a broker's keys in no particular order.
func Keys() []*Key { return broker.keys }

// Lookup returns the row of a broker's key, or nil if it is unknown. It ignores a listener prefix
// (listener.name.external.).
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

// LookupAny is like Lookup, but also finds the keys that Kafka does not have.
func LookupAny(name string) *Key {
	if k := monedula.byName[name]; k != nil {
		return k
	}
	return Lookup(name)
}

// mechanismKeys can have a SASL mechanism between the listener prefix and the key.
var mechanismKeys = []string{saslJAASConfig.Name, saslLoginCallbackHandlerClass.Name, saslLoginClass.Name,
	saslServerCallbackHandlerClass.Name, connectionsMaxReauthMs.Name}

// listenerBase returns the part of name after listener.name.X., if it has such a prefix.
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
	return k.Default
}

// Loggable formats values of a broker for a log line. Keys are sorted; secrets and the values of
// unknown keys are hidden.
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
