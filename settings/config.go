// Package settings is the configuration. It has a table with one row per key, loads and checks
// properties files, and provides typed values to the other packages.
//
// The files table_*.go declare the keys. A declaration is at the same time the row of the table and
// the typed value with which the code reads the key:
//
//	var NumPartitions = key[int32]("num.partitions", 1, atLeast(1), Medium, ReadOnly,
//		"Number of partitions of a new topic if none is given.")
//
//	n := settings.NumPartitions.Of(config) // an int32
//
// To add a key, add a declaration to the file of its subject: key, nullableKey for a key whose
// default is null, topicKey for a topic's, dynamicKey for one that no file can set. The type
// parameter follows from Kafka's type; see Value. Export the name only if another package uses it,
// and declare a key that has no effect as _. A key that Kafka does not have is declared in
// table_monedula.go.
package settings

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/metadata"
)

// Config is an immutable configuration of a broker. The keys read its values: NumPartitions.Of(c).
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

// Given returns the text that the configuration gives for the key, instead of its default.
func (c *Config) Given(k *Key) (text string, given bool) {
	text, given = c.originals[k.Name]
	return text, given
}

// Originals returns the given values as text, by key. Callers must not change the map.
func (c *Config) Originals() map[string]string { return c.originals }

// Warnings returns messages for the user at the start, about unknown and deprecated keys unless
// WithWarnings has replaced them.
func (c *Config) Warnings() []string { return c.warnings }

// WithWarnings returns the configuration with other warnings.
func (c *Config) WithWarnings(warnings []string) *Config {
	with := *c
	with.warnings = warnings
	return &with
}

// BrokerID returns broker.id, or metadata.NoBroker if an id must be generated.
func (c *Config) BrokerID() metadata.BrokerID { return metadata.BrokerID(brokerID.Of(c)) }

// MaxReservedBrokerID returns reserved.broker.max.id. Generated broker ids are larger.
func (c *Config) MaxReservedBrokerID() metadata.BrokerID {
	return metadata.BrokerID(reservedBrokerMaxID.Of(c))
}

// WithBrokerID returns the configuration with an id that was generated or read from
// meta.properties.
func (c *Config) WithBrokerID(id metadata.BrokerID) *Config {
	with := *c
	with.originals, with.values = maps.Clone(c.originals), maps.Clone(c.values)
	for _, key := range []string{brokerID.Name, nodeID.Name} {
		with.originals[key] = strconv.Itoa(int(id))
		with.values[key] = int32(id)
	}
	return &with
}

// LogDirs returns the log directories: log.dirs, or log.dir if that is not set.
func (c *Config) LogDirs() []string {
	if !logDirs.IsNull(c) {
		return splitList(logDirs.OrZero(c))
	}
	return splitList(logDir.Of(c))
}

// IBP returns inter.broker.protocol.version.
func (c *Config) IBP() IBP { return c.ibp }

const (
	msPerMinute = 60_000
	msPerHour   = 60 * msPerMinute
)

// RetentionMs returns how long records are kept in ms: log.retention.ms, or else .minutes, or else
// .hours; -1 for no limit.
func (c *Config) RetentionMs() int64 {
	ms := int64(logRetentionHours.Of(c)) * msPerHour
	if !logRetentionMs.IsNull(c) {
		ms = logRetentionMs.OrZero(c)
	} else if !logRetentionMinutes.IsNull(c) {
		ms = int64(logRetentionMinutes.OrZero(c)) * msPerMinute
	}
	return max(-1, ms)
}

// RollMs returns the age in ms at which a segment is rolled: log.roll.ms, or else .hours.
func (c *Config) RollMs() int64 { return msOr(c, logRollMs, int64(logRollHours.Of(c))*msPerHour) }

// RollJitterMs returns log.roll.jitter.ms, or else .hours, in ms.
func (c *Config) RollJitterMs() int64 {
	return msOr(c, logRollJitterMs, int64(logRollJitterHours.Of(c))*msPerHour)
}

// FlushMs returns log.flush.interval.ms, or else log.flush.scheduler.interval.ms.
func (c *Config) FlushMs() int64 {
	return msOr(c, logFlushIntervalMs, LogFlushSchedulerIntervalMs.Of(c))
}

// msOr returns the key's value, or otherwise if it is null.
func msOr(c *Config, k NullableKeyOf[int64], otherwise int64) int64 {
	if k.IsNull(c) {
		return otherwise
	}
	return k.OrZero(c)
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
