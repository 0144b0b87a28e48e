package settings

import (
	"math"
	"testing"
)

// The results are those of a real Kafka 3.9.1, which uses Java's parseInt and parseDouble.
func TestNumbersAreReadAsJavaDoes(t *testing.T) {
	for _, c := range []struct {
		kind Type
		text string
		want any // nil: not a number
	}{
		{Int, "+5", int32(5)}, {Int, "\u0661\u0662", int32(12)}, {Int, "\uff15", int32(5)}, {Int, "\U0001d7d9", nil}, {Int, "1_000", nil}, {Int, "0x10", nil}, {Int, "2147483648", nil},
		{Long, "-\u0967", int64(-1)}, {Short, "\u0661", int16(1)},
		{Double, "0.5d", 0.5}, {Double, "1.5f", 1.5}, {Double, "2D", 2.0}, {Double, "5.", 5.0}, {Double, ".5", .5}, {Double, "1e3F", 1000.0}, {Double, "0x1p-2", .25}, {Double, "0x1p-2d", .25},
		{Double, "1e999", math.Inf(1)}, {Double, "-1e999", math.Inf(-1)}, {Double, "Infinity", math.Inf(1)}, {Double, "+Infinity", math.Inf(1)}, {Double, "-Infinity", math.Inf(-1)},
		{Double, "1_000", nil}, {Double, "0x_1p-2", nil}, {Double, "inf", nil}, {Double, "+Inf", nil}, {Double, "infinity", nil}, {Double, "nan", nil}, {Double, "d", nil}, {Double, "", nil}, {Double, "\u0661", nil},
	} {
		if got, ok := parseNumber(c.kind, c.text); ok != (c.want != nil) || ok && got != c.want {
			t.Errorf("%s %q is %v (%v), want %v", c.kind, c.text, got, ok, c.want)
		}
	}
	for _, text := range []string{"NaN", "-NaN", "+NaN"} {
		if got, ok := parseNumber(Double, text); !ok || !math.IsNaN(got.(float64)) {
			t.Errorf("%q is %v (%v)", text, got, ok)
		}
	}
}
