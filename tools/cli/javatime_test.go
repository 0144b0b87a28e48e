package cli

import (
	"testing"
	"testing/synctest"
	"time"
)

// The expected values are the results of java.time.Duration.parse and Kafka's Utils.getDateTime.
func TestTimesAreParsedLikeInJava(t *testing.T) {
	for text, want := range map[string]int64{
		"2020-09-13T12:26:40.000":        1600000000000,
		"2020-09-13T12:26:40.5":          1600000000005,
		"2020-09-13T12:26:40.000Z":       1600000000000,
		"2020-09-13T14:26:40.000+02:00":  1600000000000,
		"2020-09-13T14:26:40.000+02":     1600000000000,
		"2020-09-13T06:56:40.000-05:30":  1600000000000,
		"1970-01-01T00:00:00.000":        0,
		"2020-02-29T00:00:00.000":        1582934400000,
		"2020-09-13T12:26:40":            -1,
		"2020-09-13 12:26:40.000":        -1,
		"2020-13-13T12:26:40.000":        -1,
		"2021-02-29T12:26:40.000":        -1,
		"2020-09-13T24:26:40.000":        -1,
		"2020-09-13T12:60:40.000":        -1,
		"2020-00-13T12:26:40.000":        -1,
		"99999999999999-01-01T0:0:0.000": -1,
		"T":                              -1,
	} {
		got, err := ParseDateTime(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%s: %d (%v), want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]time.Duration{
		"PT1H": time.Hour, "P1D": 24 * time.Hour, "P1DT2H3M4.5S": 26*time.Hour + 3*time.Minute + 4500*time.Millisecond,
		"pt-1h": -time.Hour, "-PT1H": -time.Hour, "PT0.001S": time.Millisecond, "PT-0.5S": -500 * time.Millisecond,
		"": -1, "P": -1, "PT": -1, "P1DT": -1, "1h": -1, "P1Y": -1, "PT1H2": -1, "P999999999999D": -1,
	} {
		got, err := ParseDuration(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v (%v), want %v", text, got, err, want)
		}
	}
}

func TestDatesAreFormattedByJavaPatterns(t *testing.T) {
	at := time.Date(2026, 3, 7, 4, 5, 6, 78_000_000, time.UTC)
	for pattern, want := range map[string]string{
		"yyyy-MM-dd HH:mm:ss:SSS": "2026-03-07 04:05:06:078", "dd.MM.yy": "07.03.26", "d MMM": "7 Mar", "MMMM": "March", "": "",
	} {
		if got, err := JavaDate(pattern, at); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", pattern, got, err, want)
		}
	}
	if _, err := JavaDate("Q", at); err == nil {
		t.Error("an unknown letter was accepted")
	}
}

func TestProgressIsShownOnTerminalsOnly(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var errs writes
		p := Progress{Env: &Env{Stderr: &errs, Progress: terminal}, Total: 200}
		p.Show(50)
		p.Show(60) // less than 200 ms later
		p.Clear()
		want := writes{}
		if terminal {
			want = writes{"\r[##########..............................] 25% 50 of 200", "\r" + spaces(57-1) + "\r"}
		}
		if len(errs) != len(want) {
			t.Fatalf("terminal %t: %q", terminal, errs)
		}
		for i := range want {
			if errs[i] != want[i] {
				t.Errorf("terminal %t: %q, want %q", terminal, errs[i], want[i])
			}
		}
	}
}

func TestProgressOfShortOperationsIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs writes
		p := Progress{Env: &Env{Stderr: &errs, Progress: true}, Total: 4, What: "a.log", Late: true}
		p.Show(1)
		time.Sleep(199 * time.Millisecond)
		p.Show(2)
		p.Clear()
		if len(errs) > 0 {
			t.Errorf("%q", errs)
		}
		time.Sleep(time.Millisecond)
		p.Show(2)
		if want := "\ra.log [####################....................] 50% 2 of 4"; len(errs) != 1 || errs[0] != want {
			t.Errorf("%q, want %q", errs, want)
		}
	})
}

type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func spaces(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = ' '
	}
	return string(b)
}
