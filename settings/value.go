package settings

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/monedula/monedula/internal/javatext"
)

// A value is one of nil (null), bool, string, int16, int32, int64, float64, []string, className and
// secret.

// className is the name of a Java class whose function is built in.
type className string

// secret is a value that must not be shown.
type secret string

// hiddenText is what Kafka shows in place of a secret.
const hiddenText = "[hidden]"

var commaWithBlanks = regexp.MustCompile(`\s*,\s*`)

// parse converts the text of a properties file to a value of type t. problem is Kafka's text for an
// error, or empty.
func parse(t Type, text string) (value any, problem string) {
	trimmed := javaTrim(text)
	switch t {
	case Boolean:
		switch {
		case strings.EqualFold(trimmed, "true"):
			return true, ""
		case strings.EqualFold(trimmed, "false"):
			return false, ""
		}
		return nil, "Expected value to be either true or false"
	case Password:
		return secret(trimmed), ""
	case String:
		return trimmed, ""
	case List:
		if trimmed == "" {
			return []string{}, ""
		}
		return commaWithBlanks.Split(trimmed, -1), ""
	case Class:
		if !knownClasses[trimmed] {
			return nil, "Class " + text + " could not be found."
		}
		return className(trimmed), ""
	}
	if value, ok := parseNumber(t, trimmed); ok {
		return value, ""
	}
	return nil, "Not a number of type " + t.String()
}

// knownClasses are the Java classes whose function is built in. Others cannot be loaded.
var knownClasses = map[string]bool{
	defaultPrincipalBuilder: true,
}

const defaultPrincipalBuilder = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"

func parseNumber(t Type, text string) (value any, ok bool) {
	if t != Double {
		text = asciiDigits(text)
	}
	switch t {
	case Int:
		n, err := strconv.ParseInt(text, 10, 32)
		return int32(n), err == nil
	case Short:
		n, err := strconv.ParseInt(text, 10, 16)
		return int16(n), err == nil
	case Long:
		n, err := strconv.ParseInt(text, 10, 64)
		return n, err == nil
	case Double:
		n, ok := parseDouble(text)
		return n, ok
	}
	return nil, false
}

// asciiDigits replaces the digits of other scripts, which Java's parseInt accepts.
func asciiDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r <= unicode.MaxASCII || !unicode.IsDigit(r) {
			return r
		}
		// The digits of a script are consecutive, and every range of the table begins with a 0.
		for _, digits := range unicode.Nd.R16 {
			if rune(digits.Lo) <= r && r <= rune(digits.Hi) {
				return '0' + (r-rune(digits.Lo))%10
			}
		}
		return r
	}, text)
}

// parseDouble parses a number like Java's Double.parseDouble: the suffixes f and d are allowed,
// Go's underscores and short names of infinity are not, and a number that is too large becomes
// infinite.
func parseDouble(text string) (float64, bool) {
	switch text {
	case "NaN", "+NaN", "-NaN": // Go does not accept signs here
		return math.NaN(), true
	case "Infinity", "+Infinity", "-Infinity":
	default:
		if n := len(text); n > 1 && strings.IndexByte("fFdD", text[n-1]) >= 0 {
			text = text[:n-1]
		}
		if strings.ContainsAny(text, "_nNiI") {
			return 0, false
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}

// show formats a value as in the configuration APIs, where lists are joined with commas. It returns
// nil for null.
func show(value any) *string {
	var text string
	switch v := value.(type) {
	case nil:
		return nil
	case secret:
		text = hiddenText
	case []string:
		text = strings.Join(v, ",")
	case className:
		text = string(v)
	default:
		text = printed(v)
	}
	return &text
}

// printed formats a value like Java's toString, as in log lines.
func printed(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return v
	case className:
		return "class " + string(v)
	case secret:
		return hiddenText
	case int16:
		return strconv.Itoa(int(v))
	case int32:
		return strconv.Itoa(int(v))
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return javatext.Double(v)
	case []string:
		return javatext.List(v)
	}
	panic("settings: no such type of value")
}

// javaTrim removes control characters and blanks from both ends, like Java's trim.
func javaTrim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}
