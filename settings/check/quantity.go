package check

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var (
	withUnit = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)$`)
	exponent = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]+$`)
	decimals = regexp.MustCompile(`^[0-9]+\.0*$`)
	grouped  = regexp.MustCompile(`^[0-9]{1,3}([_,' ][0-9]{3})+$`)
)

// units are the units in which people write sizes and times, in bytes or ms.
var units = map[string]float64{
	"b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
	"t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40,
	"ms": 1, "s": 1e3, "sec": 1e3, "min": 6e4, "h": 3.6e6, "d": 8.64e7, "day": 8.64e7, "days": 8.64e7, "hours": 3.6e6, "minutes": 6e4, "seconds": 1e3,
}

// quantity parses a number that is written with a unit, an exponent or separators, such as 1GB,
// 2.1e+07 or 1_000_000. n is the number in bytes or ms, and unit the unit as written.
func quantity(text string) (n int64, unit string, ok bool) {
	if m := withUnit.FindStringSubmatch(text); m != nil && !exponent.MatchString(text) {
		factor, known := units[strings.ToLower(m[2])]
		value, err := strconv.ParseFloat(m[1], 64)
		return int64(value * factor), m[2], known && err == nil
	}
	switch {
	case exponent.MatchString(text), decimals.MatchString(text):
		value, err := strconv.ParseFloat(text, 64)
		return int64(value), "", err == nil && value < math.MaxInt64
	case grouped.MatchString(text):
		n, err := strconv.ParseInt(strings.NewReplacer("_", "", ",", "", "'", "", " ", "").Replace(text), 10, 64)
		return n, "", err == nil
	}
	return 0, "", false
}

func isInteger(text string) bool {
	digits := strings.TrimLeft(text, "+-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// The factors by which a key's value becomes a number of ms or bytes, by the end of its name.
const (
	inMs      = 1
	inSeconds = 1000
	inMinutes = 60 * inSeconds
	inHours   = 60 * inMinutes
	inDays    = 24 * inHours
)

// duration formats a number of ms, such as "7 days" or "1.5 s".
func duration(ms float64) string {
	for _, unit := range []struct {
		ms   float64
		name string
	}{{365 * inDays, "years"}, {inDays, "days"}, {inHours, "hours"}, {inMinutes, "minutes"}, {inSeconds, "seconds"}} {
		if ms >= 2*unit.ms {
			return rounded(ms/unit.ms) + " " + unit.name
		}
		if ms == unit.ms {
			return "1 " + strings.TrimSuffix(unit.name, "s")
		}
	}
	return rounded(ms) + " ms"
}

// size formats a number of bytes, such as "1 GiB".
func size(bytes float64) string {
	for _, unit := range []struct {
		bytes float64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if bytes >= unit.bytes {
			return rounded(bytes/unit.bytes) + " " + unit.name
		}
	}
	if bytes == 1 {
		return "1 byte"
	}
	return rounded(bytes) + " bytes"
}

// rounded formats a number with at most one decimal.
func rounded(n float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0")
}
