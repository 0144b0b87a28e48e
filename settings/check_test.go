package settings

import "testing"

func TestTheBoundsOfARangeAreAllowed(t *testing.T) {
	for _, c := range []struct {
		check Check
		value any
		want  string
	}{
		{atLeast(1), int32(0), "Value must be at least 1"},
		{atLeast(1), int32(1), ""},
		{atLeast(1), int32(2), ""},
		{between(1, 3), int16(0), "Value must be at least 1"},
		{between(1, 3), int16(1), ""},
		{between(1, 3), int64(3), ""},
		{between(1, 3), int64(4), "Value must be no more than 3"},
		{between(0, 0.5), 0.5, ""},
		{between(0, 0.5), 0.51, "Value must be no more than 0.5"},
		{between(0, 0.5), nil, "Value must be non-null"},
	} {
		bad, got := c.check.problem("key", c.value)
		if got != c.want || got != "" && bad != c.value {
			t.Errorf("%v in %s: %q of %v, want %q", c.value, c.check.Allowed(), got, bad, c.want)
		}
	}
}
