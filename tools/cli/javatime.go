package cli

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var dateTimeForm = regexp.MustCompile(`^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d+)(?:Z|([+-])(\d{1,2})(?::?(\d\d))?)`)

// ParseDateTime parses YYYY-MM-DDTHH:mm:SS.sss, in UTC unless Z, +HH, +HHmm or +HH:mm follows, and
// returns ms since 1970. As in Java, the fraction is a number of ms: .5 is 5 ms.
func ParseDateTime(text string) (int64, error) {
	_, clock, found := strings.Cut(text, "T")
	if !found || clock == "" {
		return 0, JavaError{"java.text.ParseException", "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format"}
	}
	if !strings.ContainsAny(clock, "+-Z") {
		text += "Z"
	}
	unparseable := JavaError{"java.text.ParseException", fmt.Sprintf("Unparseable date: %q", text)}
	m := dateTimeForm.FindStringSubmatch(text)
	if m == nil {
		return 0, unparseable
	}
	var n [7]int
	for i := range n {
		v, err := strconv.Atoi(m[i+1])
		if err != nil {
			return 0, unparseable
		}
		n[i] = v
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*int(time.Millisecond), time.UTC)
	if n[1] > 12 || n[3] > 23 || n[4] > 59 || n[5] > 59 || n[6] > 999 || t.Day() != n[2] || int(t.Month()) != n[1] {
		return 0, unparseable
	}
	hours, _ := strconv.Atoi(m[9])
	minutes, _ := strconv.Atoi(m[10])
	zone := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if m[8] == "-" {
		zone = -zone
	}
	return t.Add(-zone).UnixMilli(), nil
}

var durationForm = regexp.MustCompile(`(?i)^([-+]?)P(?:([-+]?[0-9]+)D)?(T(?:([-+]?[0-9]+)H)?(?:([-+]?[0-9]+)M)?(?:([-+]?[0-9]+)(?:[.,]([0-9]{0,9}))?S)?)?$`)

// ParseDuration parses PnDTnHnMn.nS.
func ParseDuration(text string) (time.Duration, error) {
	bad := JavaError{"java.time.format.DateTimeParseException", "Text cannot be parsed to a Duration"}
	m := durationForm.FindStringSubmatch(text)
	if m == nil || strings.EqualFold(m[3], "T") || m[2]+m[4]+m[5]+m[6] == "" {
		return 0, bad
	}
	seconds := 0.0
	for _, part := range []struct {
		text string
		unit float64
	}{{m[2], 86400}, {m[4], 3600}, {m[5], 60}, {m[6], 1}} {
		if part.text == "" {
			continue
		}
		n, err := strconv.ParseInt(part.text, 10, 64)
		if err != nil {
			return 0, bad
		}
		seconds += float64(n) * part.unit
	}
	if m[7] != "" {
		fraction, _ := strconv.ParseFloat("0."+m[7], 64)
		seconds += math.Copysign(fraction, func() float64 {
			if strings.HasPrefix(m[6], "-") {
				return -1
			}
			return 1
		}())
	}
	if m[1] == "-" {
		seconds = -seconds
	}
	if math.Abs(seconds) > math.MaxInt64/1e9 {
		return 0, bad
	}
	return time.Duration(seconds * 1e9), nil
}

// JavaDate formats a time by a pattern of Java's SimpleDateFormat. It supports the letters y, M, d,
// H, m, s and S, and characters that are not letters.
func JavaDate(pattern string, t time.Time) (string, error) {
	var b strings.Builder
	for rest := pattern; rest != ""; {
		letter := rest[0]
		n := len(rest) - len(strings.TrimLeft(rest, string(letter)))
		rest = rest[n:]
		value, known := map[byte]int{'y': t.Year(), 'M': int(t.Month()), 'd': t.Day(), 'H': t.Hour(), 'm': t.Minute(), 's': t.Second(), 'S': t.Nanosecond() / 1e6}[letter]
		switch {
		case letter == 'y' && n == 2:
			fmt.Fprintf(&b, "%02d", value%100)
		case letter == 'M' && n == 3:
			b.WriteString(t.Month().String()[:3])
		case letter == 'M' && n > 3:
			b.WriteString(t.Month().String())
		case known:
			fmt.Fprintf(&b, "%0*d", n, value)
		case letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z':
			return "", JavaError{"java.lang.IllegalArgumentException", fmt.Sprintf("Illegal pattern character '%c'", letter)}
		default:
			b.WriteString(strings.Repeat(string(letter), n))
		}
	}
	return b.String(), nil
}
