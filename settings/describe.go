package settings

import (
	"maps"
	"slices"
	"strings"
)

// Source is where a value comes from, as numbered in DescribeConfigs.
type Source int8

// The sources. Those from SourceTopic to SourceDefault are in order of precedence.
const (
	SourceTopic                Source = 1
	SourceDynamicBroker        Source = 2
	SourceDynamicDefaultBroker Source = 3
	SourceStaticBroker         Source = 4
	SourceDefault              Source = 5
	SourceDynamicBrokerLogger  Source = 6
)

// Entry describes one key of a broker or topic and its current value.
type Entry struct {
	Name      string
	Value     *string // nil if null or secret
	Source    Source
	Sensitive bool
	ReadOnly  bool
	Synonyms  []Synonym // all values for the key, starting with the one in effect
	Type      int8      // see Type.Wire; 0: unknown
	Doc       *string   // nil for unknown keys
}

// Synonym is a value that some source gives for a key or for a key with the same meaning.
type Synonym struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic describes all keys of a topic with the given overrides, sorted by name.
func (d *Dynamic) DescribeTopic(overrides map[string]string) ([]Entry, error) {
	s := d.snapshot()
	values, err := topicValues(s.current.topicDefaults, overrides)
	if err != nil {
		return nil, err
	}
	for name, text := range overrides {
		if _, known := values[name]; !known {
			values[name] = text
		}
	}
	entries := make([]Entry, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		entries = append(entries, s.topicEntry(name, values[name], overrides))
	}
	return entries, nil
}

func (s *dynamicState) topicEntry(name string, value any, overrides map[string]string) Entry {
	e := Entry{Name: name, Source: SourceDefault, Sensitive: true}
	if k := topic.byName[name]; k != nil {
		e.Type, e.Doc, e.Sensitive = k.Type.Wire(), &k.Doc, false
		e.Value = show(value)
		if k.broker != nil {
			e.Synonyms = s.synonyms(k.broker.Name, false)
		}
	}
	if _, own := overrides[name]; own {
		e.Synonyms = append([]Synonym{{name, e.Value, SourceTopic}}, e.Synonyms...)
	}
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	return e
}

// DescribeBroker describes all keys of this broker, sorted by name: those of the table that are not
// internal, and unknown keys with a value.
func (d *Dynamic) DescribeBroker() []Entry {
	s := d.snapshot()
	names := map[string]bool{}
	for name := range s.current.originals {
		names[name] = true
	}
	for _, k := range broker.keys {
		if !k.Internal() {
			names[k.Name] = true
		}
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		text, value := s.current.originals[name], any(nil)
		if parsed, known := s.current.values[name]; known {
			value = parsed
		} else {
			value = text
		}
		entries = append(entries, s.brokerEntry(name, value, true))
	}
	return entries
}

// DescribeDefaults describes the keys that are set as default of all brokers, sorted by name.
func (d *Dynamic) DescribeDefaults() []Entry {
	s := d.snapshot()
	entries := []Entry{}
	for _, name := range slices.Sorted(maps.Keys(s.defaults)) {
		entries = append(entries, s.brokerEntry(name, s.defaults[name], false))
	}
	return entries
}

func (s *dynamicState) brokerEntry(name string, value any, perBroker bool) Entry {
	k := describedKey(name)
	e := Entry{Name: name, Source: SourceDefault, Sensitive: k == nil || k.Sensitive(), ReadOnly: !isDynamic(name)}
	if k != nil {
		e.Type = k.Type.Wire()
	}
	if exact := broker.byName[name]; exact != nil {
		e.Doc = &exact.Doc
	}
	if !e.Sensitive {
		e.Value = show(value)
	}
	e.Synonyms = s.synonyms(name, e.Sensitive)
	if !perBroker {
		e.Synonyms = slices.DeleteFunc(e.Synonyms, func(s Synonym) bool { return s.Source != SourceDynamicDefaultBroker })
	}
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	return e
}

// describedKey is like Lookup, but also finds the keys that can only be set dynamically.
func describedKey(name string) *Key {
	if k := dynamicOnly.byName[name]; k != nil {
		return k
	}
	return Lookup(name)
}

// synonyms returns the values for a broker's key and for its synonyms, those with the highest
// precedence first. As in Kafka, values before the first one of the key itself are left out: for
// log.retention.ms the result has no log.retention.hours unless log.retention.ms is set.
func (s *dynamicState) synonyms(name string, sensitive bool) []Synonym {
	var all []Synonym
	add := func(values map[string]string, source Source) {
		for _, synonym := range brokerSynonyms(name, true) {
			if text, ok := values[synonym]; ok {
				value := &text
				if sensitive {
					value = nil
				}
				all = append(all, Synonym{synonym, value, source})
			}
		}
	}
	add(s.perBroker, SourceDynamicBroker)
	add(s.defaults, SourceDynamicDefaultBroker)
	add(s.static.originals, SourceStaticBroker)
	add(broker.texts, SourceDefault)
	for i, synonym := range all {
		if synonym.Name == name {
			return all[i:]
		}
	}
	return nil
}

func mustParse(k *Key) any {
	value, problem := parse(k.Type, k.Default)
	if problem != "" {
		panic("settings: default of " + k.Name + ": " + problem)
	}
	return value
}

// brokerSynonyms returns the keys that can provide the value of a key, in order of precedence. With
// throughPrefix, a key with a listener prefix is followed by the key without the prefix.
func brokerSynonyms(name string, throughPrefix bool) []string {
	for _, group := range [][]string{
		{logRollMs.Name, logRollHours.Name},
		{logRollJitterMs.Name, logRollJitterHours.Name},
		{logRetentionMs.Name, logRetentionMinutes.Name, logRetentionHours.Name},
	} {
		if slices.Contains(group, name) {
			return group
		}
	}
	if name == logFlushIntervalMs.Name {
		return []string{name, LogFlushSchedulerIntervalMs.Name}
	}
	base, ok := listenerBase(name)
	if !ok || !throughPrefix {
		return []string{name}
	}
	for _, suffix := range mechanismKeys {
		if strings.HasSuffix(base, suffix) {
			return []string{name, suffix}
		}
	}
	return []string{name, base}
}
