package configs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/zkstore"
)

// The document of --output json. docs/json.md describes its fields.
type (
	configsDocument struct {
		Entities []describedEntity `json:"entities"`
	}
	describedEntity struct {
		Entity  []entityName      `json:"entity"`
		Configs []describedConfig `json:"configs"`
	}
	entityName struct {
		Type string  `json:"type"`
		Name *string `json:"name"` // nil: the default
	}
	describedConfig struct {
		Name      string    `json:"name"`
		Value     *string   `json:"value"`
		Sensitive bool      `json:"sensitive"`
		Source    *string   `json:"source"`
		Synonyms  []synonym `json:"synonyms"`
	}
	synonym struct {
		Source string  `json:"source"`
		Name   string  `json:"name"`
		Value  *string `json:"value"`
	}
)

// addDescribed adds an entity to the document.
func (o *options) addDescribed(entity []entityName, configs []describedConfig) {
	o.described = append(o.described, describedEntity{entity, configs})
}

// nameOf returns the name of an entity; "" is the default of its type.
func nameOf(entityType, name string) entityName {
	if name == "" {
		return entityName{Type: entityType}
	}
	return entityName{entityType, &name}
}

// describedEntries returns the entries of a broker's answer.
func describedEntries(entries []configEntry) []describedConfig {
	configs := []describedConfig{}
	for _, e := range entries {
		source := configSource(kmsg.ConfigSource(e.Source))
		c := describedConfig{Name: e.Name, Value: e.Value, Sensitive: e.IsSensitive, Source: &source, Synonyms: []synonym{}}
		for _, s := range e.ConfigSynonyms {
			c.Synonyms = append(c.Synonyms, synonym{configSource(s.Source), s.Name, s.Value})
		}
		configs = append(configs, c)
	}
	return configs
}

// describedValues returns values of which only the text is known, sorted by name.
func describedValues(values map[string]string) []describedConfig {
	configs := []describedConfig{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		configs = append(configs, describedConfig{Name: name, Value: &value, Synonyms: []synonym{}})
	}
	return configs
}

// document returns the names of an entity in ZooKeeper.
func (e entity) document() []entityName {
	name := func(entityType string, sanitized *string) entityName {
		switch {
		case sanitized == nil || *sanitized == zkstore.DefaultEntity:
			return nameOf(entityType, "")
		case entityType == typeUsers || entityType == typeClients:
			return nameOf(entityType, zkstore.DesanitizeEntity(*sanitized))
		}
		return nameOf(entityType, *sanitized)
	}
	names := []entityName{name(e.rootType, e.root)}
	if e.childType != "" {
		names = append(names, name(e.childType, e.child))
	}
	return names
}

// names returns the names of an entity with quotas.
func (q quotas) names() (names []entityName) {
	for _, t := range quotaTypes {
		if name, found := q.entity[t.wire]; found {
			names = append(names, entityName{t.option, name})
		}
	}
	return names
}

// configs returns the quotas of an entity.
func (q quotas) configs() []describedConfig {
	values := map[string]string{}
	for key, value := range q.values {
		values[key] = strconv.FormatFloat(value, 'f', -1, 64)
	}
	return describedValues(values)
}

// credentials returns the SCRAM credentials of a user.
func credentials(infos []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo) []describedConfig {
	values := map[string]string{}
	for _, c := range infos {
		values[scramName(c.Mechanism)] = fmt.Sprintf("iterations=%d", c.Iterations)
	}
	return describedValues(values)
}
