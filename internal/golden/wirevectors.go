package golden

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
)

// WireVector is one message that a real Kafka encoded.
type WireVector struct {
	Line     int // in the golden file, from 1
	Key      int16
	Name     string // Kafka's name of the key
	Response bool
	Version  int16
	Body     []byte // without the header
}

// WireVectors returns requests and responses of all API keys and versions.
func WireVectors(t testing.TB) []WireVector {
	t.Helper()
	var vectors []WireVector
	for i, line := range Lines(t, Path(t, "wire-vectors-3.9.1.txt.gz")) {
		f := append(strings.Split(line, " "), "")
		if f[2] == "log" { // the value of a record of an internal topic
			continue
		}
		vectors = append(vectors, WireVector{Line: i + 1, Key: Int16(t, f[0]), Name: f[1], Response: f[2] == "resp",
			Version: Int16(t, f[3]), Body: Bytes(t, f[4])})
	}
	return vectors
}

// Lines unpacks a file that was compressed with gzip and returns its lines.
func Lines(t testing.TB, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return lines
}

// Bytes decodes a field in hexadecimal notation. "-" stands for no bytes.
func Bytes(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(text, "-"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Int16 parses a field with a key or a version.
func Int16(t testing.TB, text string) int16 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return int16(n)
}
