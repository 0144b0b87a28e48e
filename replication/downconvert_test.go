package replication

import "testing"

// Fetch up to v1 is answered in v0, and up to v3 in v1 at most, as in Kafka.
func TestTheFormatOfAResponseFollowsTheVersionOfTheFetch(t *testing.T) {
	for logMagic := range int8(3) {
		for version := range int16(18) {
			want := logMagic
			switch {
			case version <= 1:
				want = 0
			case version <= 3:
				want = min(logMagic, 1)
			}
			magic, needed := downConversion(logMagic, version)
			if needed != (want != logMagic) || needed && magic != want {
				t.Errorf("log of v%d, fetch v%d: converted %t to v%d, want v%d", logMagic, version, needed, magic, want)
			}
		}
	}
}
