package settings

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// Load reads a properties file, applies the overrides of the command line and the defaults, and
// checks the result. The error joins all Problems; the one that Kafka would report is first.
func Load(file string, overrides map[string]string) (*Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return LoadFrom(data, file, overrides)
}

// LoadFrom is like Load for a file that has been read. name is its name in errors.
func LoadFrom(data []byte, name string, overrides map[string]string) (*Config, error) {
	entries, err := parseProperties(data, name)
	if err != nil {
		return nil, err
	}
	for key, value := range overrides {
		entries[key] = entry{value: value}
	}
	return fromEntries(entries)
}

// FromMap is like Load without a file.
func FromMap(values map[string]string) (*Config, error) {
	entries := make(map[string]entry, len(values))
	for key, value := range values {
		entries[key] = entry{value: value}
	}
	return fromEntries(entries)
}

func fromEntries(entries map[string]entry) (*Config, error) {
	originals := make(map[string]string, len(entries))
	places := make(map[string]place, len(entries))
	for key, e := range entries {
		originals[key] = e.value
		places[key] = e.place
	}
	if err := resolvePlaceholders(originals); err != nil {
		return nil, err
	}
	warnings := adoptOldKeys(originals)
	adoptNodeID(originals)
	c, err := build(originals, places)
	if err != nil {
		return nil, err
	}
	c.warnings = append(append(warnings, unknownKeys(originals)...), c.warnings...)
	return c, nil
}

// build parses and checks a whole configuration. The Config keeps originals.
func build(originals map[string]string, places map[string]place) (*Config, error) {
	c := &Config{originals: originals, values: make(map[string]any, len(broker.keys))}
	var problems []error
	add := func(err error) {
		var p *Problem
		if errors.As(err, &p) && p.File == "" {
			at := places[p.Key]
			p.File, p.Line = at.file, at.line
		}
		problems = append(problems, err)
	}
	for key, text := range layered(originals) {
		value, err := parseKey(broker.byName[key], text)
		if err != nil {
			add(err)
			continue
		}
		c.values[key] = value
	}
	for _, err := range c.parseOwn() {
		add(err)
	}
	if len(problems) > 0 {
		slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, errors.Join(problems...)
	}
	for _, err := range c.derive() {
		add(err)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return c, nil
}

// layered returns the text of every key of the table: the one in originals, or else the default, or
// nil for null.
//
// Viper converts keys to lower case and splits them at its delimiter. Therefore only keys with the
// exact spelling are passed to it, and the delimiter is a byte that no key contains.
func layered(originals map[string]string) map[string]*string {
	v := viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	given := map[string]any{}
	for _, k := range broker.keys {
		if k.Default != null {
			v.SetDefault(k.Name, k.Default)
		}
		if text, ok := originals[k.Name]; ok {
			given[k.Name] = text
		}
	}
	if err := v.MergeConfigMap(given); err != nil { // a map of strings can always be merged
		panic("settings: " + err.Error())
	}
	texts := make(map[string]*string, len(broker.keys))
	for _, k := range broker.keys {
		texts[k.Name] = nil
		if text, ok := v.Get(k.Name).(string); ok {
			texts[k.Name] = &text
		}
	}
	return texts
}

// parseKey returns the key's value, or a Problem with Kafka's text.
func parseKey(k *Key, text *string) (any, error) {
	if text == nil {
		return nil, nil
	}
	value, problem := parse(k.Type, *text)
	written := *text
	if problem == "" && k.Check != nil {
		var bad any
		if bad, problem = k.Check.problem(k.Name, value); problem != "" {
			written = printed(bad)
		}
	}
	if problem == "" {
		return value, nil
	}
	if k.Sensitive() {
		written = hiddenText
	}
	p := invalid(k.Name, written, problem)
	if k.Check != nil {
		p.Allowed = k.Check.Allowed()
	}
	return nil, p
}

// adoptNodeID uses broker.id and node.id in place of each other.
func adoptNodeID(originals map[string]string) {
	ofBroker, hasBroker := originals[brokerID.Name]
	ofNode, hasNode := originals[nodeID.Name]
	switch {
	case hasBroker && !hasNode:
		originals[nodeID.Name] = ofBroker
	case hasNode && !hasBroker:
		originals[brokerID.Name] = ofNode
	}
}

// adoptOldKeys applies the keys for the single listener of a broker that Kafka had up to 2.8, if
// listeners or advertised.listeners are not set.
func adoptOldKeys(originals map[string]string) (warnings []string) {
	get := func(key, otherwise string) string {
		if value, ok := originals[key]; ok {
			return value
		}
		return otherwise
	}
	host, port := get("host.name", ""), get("port", "9092")
	if isAnySet(originals, "host.name", "port") && !isAnySet(originals, listeners.Name) {
		originals[listeners.Name] = "PLAINTEXT://" + host + ":" + port
	}
	if isAnySet(originals, "advertised.host.name", "advertised.port") && !isAnySet(originals, advertisedListeners.Name) {
		originals[advertisedListeners.Name] = "PLAINTEXT://" + get("advertised.host.name", host) + ":" + get("advertised.port", port)
	}
	for _, key := range oldKeys {
		if isAnySet(originals, key) {
			warnings = append(warnings, fmt.Sprintf("The configuration %s is deprecated, use listeners and advertised.listeners", key))
		}
	}
	return warnings
}

var oldKeys = []string{"port", "host.name", "advertised.port", "advertised.host.name"}

func isAnySet(originals map[string]string, keys ...string) bool {
	for _, key := range keys {
		if _, ok := originals[key]; ok {
			return true
		}
	}
	return false
}

// unknownKeys returns a warning for each unknown key, which names the known key with the most
// similar spelling.
func unknownKeys(originals map[string]string) (warnings []string) {
	for _, key := range slices.Sorted(maps.Keys(originals)) {
		if !Known(key) {
			warnings = append(warnings, UnknownKeyWarning(key, Nearest(key)))
		}
	}
	return warnings
}

// Known reports whether a key in the file of a broker is known or may belong to a plug-in.
func Known(key string) bool {
	return LookupAny(key) != nil || slices.Contains(oldKeys, key) || mayBeForeign(key)
}

// UnknownKeyWarning returns the warning about an unknown key. near is the key that was probably
// meant, or "".
func UnknownKeyWarning(key, near string) string {
	warning := "The configuration " + key + " is not known and has no effect"
	if near != "" {
		warning += "; did you mean " + near + "?"
	}
	return warning
}

// mayBeForeign reports whether a key may belong to a plug-in or is read by its prefix.
func mayBeForeign(key string) bool {
	if base, ok := listenerBase(key); ok { // listener.name.L.MECHANISM.KEY and keys of plug-ins
		return base != ""
	}
	for _, prefix := range []string{"config.providers", "super.users", "allow.everyone.if.no.acl.found", "authorizer.",
		"rlmm.config.", "rsm.config.", "sasl.oauthbearer."} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return dynamicOnly.byName[key] != nil
}
