package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// recordsOf returns the values of all lines of in.
func recordsOf(t *testing.T, in io.Reader) []string {
	t.Helper()
	r, err := newLineReader("t", map[string]string{}, in, func() {})
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for {
		record, err := r.next()
		if err == io.EOF {
			return values
		}
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(record.Value))
	}
}

// A line ends with \n, \r or \r\n, regardless of how the input is split into reads.
func TestLineEndsDoNotDependOnHowTheInputIsRead(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"a\r\nb\r\n", []string{"a", "b"}},
		{"a\rb\r", []string{"a", "b"}},
		{"a\r\n\r\nb", []string{"a", "", "b"}},
		{"a\r\r\nb", []string{"a", "", "b"}},
		{"a\n\rb", []string{"a", "", "b"}},
		{"a\n\nb\n", []string{"a", "", "b"}},
		{"\r\n", []string{""}},
		{"a\r", []string{"a"}},
	} {
		for name, in := range map[string]io.Reader{
			"at once": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			"with the end": iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			if got := recordsOf(t, in); !slices.Equal(got, c.want) {
				t.Errorf("%q %s: %q, want %q", c.in, name, got, c.want)
			}
		}
	}
}

// A \r\n that is split by the end of the buffer is a single line end.
func TestALineEndAcrossTwoBuffersIsOne(t *testing.T) {
	for length := 64<<10 - 3; length <= 64<<10+1; length++ {
		long := strings.Repeat("x", length)
		if got := recordsOf(t, strings.NewReader(long+"\r\ny\r\n")); len(got) != 2 || got[0] != long || got[1] != "y" {
			t.Errorf("a line of %d bytes: %d records, want 2", length, len(got))
		}
	}
	var lines strings.Builder
	for i := range 666 {
		fmt.Fprintf(&lines, "%0200d\r\n", i)
	}
	if got := recordsOf(t, strings.NewReader(lines.String())); len(got) != 666 {
		t.Errorf("%d records of 666 lines", len(got))
	}
}

// A line that a terminal ends with \r must be returned before the next key is pressed.
func TestACarriageReturnEndsALineWithoutWaitingForMore(t *testing.T) {
	in, typed := io.Pipe()
	defer typed.Close()
	r, err := newLineReader("t", map[string]string{}, in, func() {})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = typed.Write([]byte("first\r")) }()
	record, err := r.next()
	if err != nil || string(record.Value) != "first" {
		t.Fatalf("%v, %v", record, err)
	}
}
