package settings

import (
	"math"
	"time"
)

// Value lists the Go types of values: bool for Boolean, string for String, int32 for Int, int16 for
// Short, int64 for Long, float64 for Double, []string for List, className for Class, secret for
// Password.
type Value interface {
	bool | string | int32 | int16 | int64 | float64 | []string | className | secret
}

// KeyOf is a broker's key whose value has the Go type T and is never null.
type KeyOf[T Value] struct{ *Key }

// Of returns the key's value in c. Callers must not change a slice.
func (k KeyOf[T]) Of(c *Config) T { return k.in(c.values) }

func (k KeyOf[T]) in(values map[string]any) T { return values[k.Name].(T) }

// NullableKeyOf is a broker's key whose value has the Go type T or is null.
type NullableKeyOf[T Value] struct{ *Key }

// IsNull reports whether the key's value in c is null.
func (k NullableKeyOf[T]) IsNull(c *Config) bool { return c.values[k.Name] == nil }

// OrZero returns the key's value in c, or the zero value of T for null.
func (k NullableKeyOf[T]) OrZero(c *Config) T {
	value, _ := c.values[k.Name].(T)
	return value
}

// OrNil returns the key's value in c, or nil for null.
func (k NullableKeyOf[T]) OrNil(c *Config) *T {
	if k.IsNull(c) {
		return nil
	}
	value := k.OrZero(c)
	return &value
}

// TopicKeyOf is a topic's key whose value has the Go type T. Topic has the values.
type TopicKeyOf[T Value] struct{ *Key }

func (k TopicKeyOf[T]) in(values map[string]any) T { return values[k.Name].(T) }

// set changes the key's value. A function lets the compiler check the type.
func (k TopicKeyOf[T]) set(values map[string]any, value T) { values[k.Name] = value }

// DynamicKey is a limit in bytes per second that no file can set, only a dynamic configuration.
type DynamicKey struct{ *Key }

// Of returns the key's value in d: this broker's own, else the default of all brokers, else the
// built-in one.
func (k DynamicKey) Of(d *Dynamic) int64 {
	s := d.snapshot()
	for _, layer := range []map[string]string{s.perBroker, s.defaults} {
		if text, set := layer[k.Name]; set {
			if value, err := parseKey(k.Key, &text); err == nil {
				return value.(int64)
			}
		}
	}
	return mustParse(k.Key).(int64)
}

// key adds a row to the table of a broker's keys.
func key[T Value](name string, value T, check Check, importance Importance, mode Mode, doc string) KeyOf[T] {
	return KeyOf[T]{broker.add(row(name, value, check, importance, mode, doc))}
}

// nullableKey is like key, with null as default.
func nullableKey[T Value](name string, check Check, importance Importance, mode Mode, doc string) NullableKeyOf[T] {
	return NullableKeyOf[T]{broker.add(nullableRow[T](name, check, importance, mode, doc))}
}

// topicKey adds a row to the table of a topic's keys. The default is the value of the broker's key
// ofBroker, if one is given, and value on a broker that does not set it.
func topicKey[T Value](name string, ofBroker *Key, value T, check Check, importance Importance, doc string) TopicKeyOf[T] {
	k := row(name, value, check, importance, ClusterWide, doc)
	if k.broker = ofBroker; ofBroker != nil && ofBroker.Type != k.Type {
		panic("settings: " + name + " has another type than " + ofBroker.Name)
	}
	return TopicKeyOf[T]{topic.add(k)}
}

// dynamicKey adds a row to the table of the keys that only a dynamic configuration can set: a limit
// in bytes per second.
func dynamicKey(name, doc string) DynamicKey {
	return DynamicKey{dynamicOnly.add(row[int64](name, math.MaxInt64, atLeast(0), Medium, ClusterWide, doc))}
}

// row returns a row that is in no table. The default is value.
func row[T Value](name string, value T, check Check, importance Importance, mode Mode, doc string) *Key {
	k := nullableRow[T](name, check, importance, mode, doc)
	k.Default = *show(value)
	return k
}

// nullableRow is like row, with null as default.
func nullableRow[T Value](name string, check Check, importance Importance, mode Mode, doc string) *Key {
	return &Key{Name: name, Type: typeOf[T](), Default: null, Check: check, Importance: importance, Mode: mode, Doc: doc}
}

func typeOf[T Value]() Type {
	switch any(*new(T)).(type) {
	case bool:
		return Boolean
	case string:
		return String
	case int32:
		return Int
	case int16:
		return Short
	case int64:
		return Long
	case float64:
		return Double
	case []string:
		return List
	case className:
		return Class
	case secret:
		return Password
	}
	panic("settings: not a type of values")
}

// Milliseconds converts ms to a Duration, limited to the longest one: Kafka's defaults use the
// largest int64 for "never".
func Milliseconds(ms int64) time.Duration {
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(ms, longest)) * time.Millisecond
}
