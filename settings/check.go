package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
)

// Check is a condition for the value of a key in addition to its type.
type Check interface {
	// problem returns the text in which Kafka describes what is wrong with the value of the key, or
	// "" if nothing is. bad is the value or, for a list, the wrong element.
	problem(name string, value any) (bad any, text string)
	// Allowed describes the accepted values as Kafka's documentation does: [1,...].
	Allowed() string
}

// span accepts numbers in a range. A nil bound is no bound.
type span struct{ min, max *float64 }

func atLeast(min float64) Check      { return span{min: &min} }
func between(min, max float64) Check { return span{&min, &max} }

func (s span) problem(_ string, value any) (bad any, text string) {
	n, ok := number(value)
	switch {
	case !ok:
		return value, "Value must be non-null"
	case s.min != nil && n < *s.min:
		return value, "Value must be at least " + bound(s.min)
	case s.max != nil && n > *s.max:
		return value, "Value must be no more than " + bound(s.max)
	}
	return nil, ""
}

func (s span) Allowed() string {
	if s.max == nil {
		return "[" + bound(s.min) + ",...]"
	}
	return "[" + bound(s.min) + ",...," + bound(s.max) + "]"
}

func bound(f *float64) string { return strconv.FormatFloat(*f, 'f', -1, 64) }

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int16:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// oneOf accepts the listed strings and, for a list, only elements that are listed.
type oneOf []string

func in(values ...string) Check { return oneOf(values) }

func (c oneOf) problem(_ string, value any) (bad any, text string) {
	list, ok := value.([]string)
	if !ok {
		text, _ := value.(string)
		list = []string{text}
	}
	for _, element := range list {
		if !slices.Contains(c, element) {
			return element, "String must be one of: " + strings.Join(c, ", ")
		}
	}
	return nil, ""
}

func (c oneOf) Allowed() string { return javatext.List(c) }

// anyCase accepts the listed strings in upper and lower case.
type anyCase []string

func inAnyCase(values ...string) Check { return anyCase(values) }

func (c anyCase) problem(_ string, value any) (bad any, text string) {
	given, _ := value.(string)
	for _, v := range c {
		if strings.EqualFold(v, given) {
			return nil, ""
		}
	}
	return value, "String must be one of (case insensitive): " + strings.Join(c, ", ")
}

func (c anyCase) Allowed() string { return "(case insensitive) " + javatext.List(c) }

// rule is a check by a function.
type rule struct {
	allowed string
	check   func(name string, value any) string
}

func (r rule) problem(name string, value any) (bad any, text string) {
	return value, r.check(name, value)
}
func (r rule) Allowed() string { return r.allowed }

var nonEmpty Check = rule{"non-empty string", func(_ string, value any) string {
	if value == "" {
		return "String must be non-empty"
	}
	return ""
}}

// gzipLevel accepts 1 to 9, and -1 for the default level.
var gzipLevel Check = rule{"[1,...,9] or -1", func(_ string, value any) string {
	if n := value.(int32); n == -1 || n >= 1 && n <= 9 {
		return ""
	}
	return "Value must be between 1 and 9 or equal to -1"
}}

// protocolVersion accepts the versions that ParseIBP accepts.
var protocolVersion Check = rule{versionNames(), func(_ string, value any) string {
	if _, err := ParseIBP(value.(string)); err != nil {
		return err.Error()
	}
	return ""
}}

// throttledReplicas accepts "*" or partition:broker pairs.
var throttledReplicas Check = rule{"[partitionId]:[brokerId],[partitionId]:[brokerId],...", func(name string, value any) string {
	list := value.([]string)
	if len(list) == 0 || len(list) == 1 && list[0] == "*" {
		return ""
	}
	for _, element := range list {
		if element == "" {
			continue
		}
		partition, broker, ok := strings.Cut(element, ":")
		if !ok || !isNumber(partition) || !isNumber(broker) {
			return name + " must be the literal '*' or a list of replicas in the following format: " +
				"[partitionId]:[brokerId],[partitionId]:[brokerId],..."
		}
	}
	return ""
}}

func isNumber(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// copierThreads accepts a number of threads, or -1 for that of the whole pool.
var copierThreads Check = rule{"The default value of -1 means that this will be set to the configured value of " +
	"remote.log.manager.thread.pool.size, if available; otherwise, it defaults to 10.", func(_ string, value any) string {
	if n := value.(int32); n < -1 || n == 0 {
		return "Value can be -1 or greater than 0"
	}
	return ""
}}

// Problem is an error in a configuration.
type Problem struct {
	Key     string // "" if several keys contradict each other
	Value   string // as written
	Text    string // what is wrong; Kafka's text if it has one
	Allowed string // accepted values, "" if Text is enough
	File    string // file of the value, "" for --override and defaults
	Line    int

	whole bool // see IsWhole
}

// IsWhole reports whether clients receive only Message. When a configuration is altered, other
// messages follow the name of the resource. The reason is that Kafka throws two kinds of exceptions
// here.
func (p *Problem) IsWhole() bool { return p.whole }

// Error returns Kafka's message, followed by the position of the value and the accepted values.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Text)
	switch {
	case p.File != "" && p.Allowed != "":
		fmt.Fprintf(&b, " (%s, line %d; accepted: %s)", p.File, p.Line, p.Allowed)
	case p.File != "":
		fmt.Fprintf(&b, " (%s, line %d)", p.File, p.Line)
	case p.Allowed != "":
		fmt.Fprintf(&b, " (accepted: %s)", p.Allowed)
	}
	return b.String()
}

// Message returns only Kafka's message, which is sent to clients.
func (p *Problem) Message() string { return p.Text }

// invalid returns the Problem with Kafka's text for an invalid value.
func invalid(key, value, problem string) *Problem {
	return &Problem{Key: key, Value: value, Text: fmt.Sprintf("Invalid value %s for configuration %s: %s", value, key, problem)}
}
