package kafkalog

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestALineHasKafkasPattern(t *testing.T) {
	var out bytes.Buffer
	For(New(&out), "kafka.server.KafkaServer").Warn("started")
	if !regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] WARN started \(kafka\.server\.KafkaServer\)\n$`).MatchString(out.String()) {
		t.Fatalf("got %q", out.String())
	}
}

func TestControllerLinesGoToTheirOwnFileOnly(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	l, err := NewServer(&out, dir)
	if err != nil {
		t.Fatal(err)
	}
	For(l, "kafka.controller.KafkaController").Info("elected")
	For(l, "kafka.server.KafkaServer").Info("started")
	if s := out.String(); strings.Contains(s, "elected") || !strings.Contains(s, "started") {
		t.Errorf("stdout: %q", s)
	}
	for file, want := range map[string]string{"controller.log": "elected", "server.log": "started"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %q, %v", file, b, err)
		}
	}
}

func TestAFileRollsWhenItsHourIsOver(t *testing.T) {
	h := &hourly{path: filepath.Join(t.TempDir(), "server.log")}
	at := time.Date(2026, 1, 2, 3, 59, 0, 0, time.Local)
	for _, minutes := range []int{0, 2} {
		if err := h.write(at.Add(time.Duration(minutes)*time.Minute), []byte("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(h.path + ".2026-01-02-03")
	if err != nil || string(old) != "x\n" {
		t.Fatalf("rolled file: %q, %v", old, err)
	}
}
