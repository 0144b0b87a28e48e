package metrics

import (
	"regexp"
	"strings"
)

// Name is the name of a metric in Kafka's terms: the parts of its MBean's name.
type Name struct {
	Group string // such as kafka.server
	Type  string // such as BrokerTopicMetrics
	Name  string // such as MessagesInPerSec
	// Attribute is the attribute of an MBean without a name, which Kafka's newer metrics have: for
	// example connection-count of socket-server-metrics.
	Attribute string
	Tags      []Tag // in Kafka's order
}

// Tag distinguishes metrics with the same name, for example by topic or listener.
type Tag struct{ Key, Value string }

// With returns the name with more tags, given as alternating keys and values.
func (n Name) With(pairs ...string) Name {
	tags := make([]Tag, 0, len(n.Tags)+len(pairs)/2)
	tags = append(tags, n.Tags...)
	for i := 0; i+1 < len(pairs); i += 2 {
		tags = append(tags, Tag{pairs[i], pairs[i+1]})
	}
	n.Tags = tags
	return n
}

// MBean returns the name under which Kafka registers the metric with JMX, followed by a space and
// the attribute if there is one: kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=t.
func (n Name) MBean() string {
	var b strings.Builder
	b.WriteString(n.Group + ":type=" + n.Type)
	if n.Name != "" {
		b.WriteString(",name=" + n.Name)
	}
	for _, t := range n.Tags {
		b.WriteString("," + t.Key + "=" + quoted(t.Value))
	}
	if n.Attribute != "" {
		b.WriteString(" " + n.Attribute)
	}
	return b.String()
}

var plain = regexp.MustCompile(`^[\w\-%. \t]*$`)

// quoted returns a value as JMX requires it: in quotes if it contains special characters.
func quoted(value string) string {
	if plain.MatchString(value) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `*`, `\*`, `?`, `\?`, "\n", `\n`).Replace(value) + `"`
}

// family is a name without its tags; the exposition groups metrics by family.
type family struct{ group, typ, name, attribute string }

func (n Name) family() family { return family{n.Group, n.Type, n.Name, n.Attribute} }

func (f family) mbean() string {
	return Name{Group: f.group, Type: f.typ, Name: f.name, Attribute: f.attribute}.MBean()
}

// exposed returns the name that the common rules of the Prometheus JMX exporter give: the parts in
// lower case, joined by underscores. For counters "PerSec" is replaced by "_total", and the count of
// a meter with another name ends with "_count".
func (f family) exposed(k kind) string {
	var b strings.Builder
	for _, part := range [...]string{f.group, f.typ, f.name, f.attribute} {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('_')
		}
		if k == counterKind {
			part = strings.TrimSuffix(part, "PerSec")
		}
		writeExposed(&b, part)
	}
	name := b.String()
	switch {
	case k != counterKind || strings.HasSuffix(name, "_total"):
	case strings.HasPrefix(f.group, "kafka.") && f.name != "" && !strings.HasSuffix(f.name, "PerSec"):
		name += "_count"
	default:
		name += "_total"
	}
	return name
}

func writeExposed(b *strings.Builder, part string) {
	for i := 0; i < len(part); i++ {
		c := part[i]
		switch {
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteByte(c)
		default:
			b.WriteByte('_')
		}
	}
}
