// Package settings is the configuration. It has a table with one row per key, loads and checks
// properties files, and provides typed values to the other packages.
package settings

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/metadata"
)

// Config is an immutable configuration of a broker. Values are read by key: Int("num.partitions").
// Reading a key that the table does not have, or with the wrong type, is a programming error and
// panics, as does reading a null as a number or boolean (see IsNull).
type Config struct {
	originals map[string]string // as given, with placeholders resolved; includes unknown keys
	values    map[string]any    // every key of the table; nil is null
	own       map[string]any    // every key that Kafka does not have
	warnings  []string

	// Derived from the values by derive:
	ibp            IBP
	listeners      []Endpoint
	advertised     []Endpoint
	protocols      map[string]SecurityProtocol
	interBroker    string
	topicDefaults  map[string]any // every topic key
	connectionsPer map[string]int
}

// String returns the value of a key of type String or Class, "" for null.
func (c *Config) String(key string) string {
	switch v := c.value(key).(type) {
	case nil:
		return ""
	case string:
		return v
	case className:
		return string(v)
	}
	panic(wrongType(key, "a string"))
}

// StringOrNil is like String, but returns nil for null.
func (c *Config) StringOrNil(key string) *string {
	if c.IsNull(key) {
		return nil
	}
	s := c.String(key)
	return &s
}

// Int returns the value of a key of type Int or Short.
func (c *Config) Int(key string) int32 {
	switch v := c.value(key).(type) {
	case int32:
		return v
	case int16:
		return int32(v)
	}
	panic(wrongType(key, "an int"))
}

// Long returns the value of a key of any integer type.
func (c *Config) Long(key string) int64 {
	if v, ok := c.value(key).(int64); ok {
		return v
	}
	return int64(c.Int(key))
}

// Double returns the value of a key of type Double.
func (c *Config) Double(key string) float64 {
	v, ok := c.value(key).(float64)
	if !ok {
		panic(wrongType(key, "a double"))
	}
	return v
}

// Bool returns the value of a key of type Boolean.
func (c *Config) Bool(key string) bool {
	v, ok := c.value(key).(bool)
	if !ok {
		panic(wrongType(key, "a boolean"))
	}
	return v
}

// List returns the elements of a list, none for null. Callers must not change the slice.
func (c *Config) List(key string) []string {
	switch v := c.value(key).(type) {
	case nil:
		return nil
	case []string:
		return v
	}
	panic(wrongType(key, "a list"))
}

// Password returns a secret in plain text, "" for null.
func (c *Config) Password(key string) string {
	switch v := c.value(key).(type) {
	case nil:
		return ""
	case secret:
		return string(v)
	}
	panic(wrongType(key, "a password"))
}

// IsNull reports whether the value of the key is null.
func (c *Config) IsNull(key string) bool { return c.value(key) == nil }

// IsSet reports whether the configuration gives a value for the key, instead of using its default.
func (c *Config) IsSet(key string) bool {
	_, ok := c.originals[key]
	return ok
}

// Original returns the text that was given for a key. The key need not be in the table: plug-ins
// have their own keys, and keys can have a listener prefix.
func (c *Config) Original(key string) (text string, ok bool) {
	text, ok = c.originals[key]
	return text, ok
}

// Originals returns the given texts by key. Callers must not change the map.
func (c *Config) Originals() map[string]string { return c.originals }

// Warnings returns messages for the user at the start, about unknown and deprecated keys.
func (c *Config) Warnings() []string { return c.warnings }

// BrokerID returns broker.id, or metadata.NoBroker if an id must be generated.
func (c *Config) BrokerID() metadata.BrokerID { return metadata.BrokerID(c.Int("broker.id")) }

// MaxReservedBrokerID returns reserved.broker.max.id. Generated broker ids are larger.
func (c *Config) MaxReservedBrokerID() metadata.BrokerID {
	return metadata.BrokerID(c.Int("reserved.broker.max.id"))
}

// WithBrokerID returns the configuration with an id that was generated or read from
// meta.properties.
func (c *Config) WithBrokerID(id metadata.BrokerID) *Config {
	with := *c
	with.originals, with.values = maps.Clone(c.originals), maps.Clone(c.values)
	for _, key := range []string{"broker.id", "node.id"} {
		with.originals[key] = strconv.Itoa(int(id))
		with.values[key] = int32(id)
	}
	return &with
}

// LogDirs returns the log directories: log.dirs, or log.dir if that is not set.
func (c *Config) LogDirs() []string {
	text := c.String("log.dir")
	if !c.IsNull("log.dirs") {
		text = c.String("log.dirs")
	}
	return splitList(text)
}

// IBP returns inter.broker.protocol.version.
func (c *Config) IBP() IBP { return c.ibp }

// RetentionMs returns how long records are kept in ms: log.retention.ms, or else .minutes, or else
// .hours; -1 for no limit.
func (c *Config) RetentionMs() int64 {
	return max(-1, c.firstSet(1, "log.retention.ms", 60_000, "log.retention.minutes", 3_600_000, "log.retention.hours"))
}

// RollMs returns the age in ms at which a segment is rolled: log.roll.ms, or else .hours.
func (c *Config) RollMs() int64 { return c.firstSet(1, "log.roll.ms", 3_600_000, "log.roll.hours") }

// RollJitterMs returns log.roll.jitter.ms, or else .hours, in ms.
func (c *Config) RollJitterMs() int64 {
	return c.firstSet(1, "log.roll.jitter.ms", 3_600_000, "log.roll.jitter.hours")
}

// FlushMs returns log.flush.interval.ms, or else log.flush.scheduler.interval.ms.
func (c *Config) FlushMs() int64 {
	return c.firstSet(1, "log.flush.interval.ms", 1, "log.flush.scheduler.interval.ms")
}

// firstSet takes pairs of a factor and a key. It returns the first value that is not null,
// multiplied by its factor.
func (c *Config) firstSet(pairs ...any) int64 {
	for i := 0; i < len(pairs); i += 2 {
		if key := pairs[i+1].(string); !c.IsNull(key) {
			return c.Long(key) * int64(pairs[i].(int))
		}
	}
	panic(fmt.Sprintf("settings: all of %v are null", pairs))
}

// Values returns the block that Kafka logs at the start: all keys with their values, sorted, with
// secrets hidden.
func (c *Config) Values() string {
	var b strings.Builder
	b.WriteString("KafkaConfig values: \n")
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		b.WriteString("\t" + name + " = " + printed(c.values[name]) + "\n")
	}
	return b.String()
}

func (c *Config) value(key string) any {
	v, ok := c.values[key]
	if !ok {
		panic("settings: unknown key " + key)
	}
	return v
}

func wrongType(key, want string) string { return fmt.Sprintf("settings: %s is not %s", key, want) }

// splitList splits text at commas, trims the elements, and drops empty ones.
func splitList(text string) []string {
	var list []string
	for _, element := range strings.Split(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			list = append(list, element)
		}
	}
	return list
}
