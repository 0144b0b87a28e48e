package kafkalog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
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

func TestLinesBeginWithTheirPrefix(t *testing.T) {
	var out bytes.Buffer
	l := New(&out)
	log := WithPrefix(l, "kafka.log.UnifiedLog", "[UnifiedLog dir=%s] ", "/data/100%d")
	log.Debugf("not written")
	log.Tracef("not written")
	log.Infof("Deleting %d segments", 2)
	log.Warnf("of 50%%")
	log.Errorf("one")
	log.Failed(errors.New("the reason"), "Cannot delete %s", "it")
	LevelsOf(l).Set(Root, logrus.TraceLevel)
	if !log.Traced() {
		t.Error("lines at TRACE are not written")
	}
	log.Tracef("two")
	log.Debugf("three")
	var lines []string
	for line := range strings.Lines(out.String()) {
		_, text, dated := strings.Cut(line, "] ")
		if !dated {
			text = line
		}
		lines = append(lines, strings.TrimSuffix(text, "\n"))
	}
	const of = " (kafka.log.UnifiedLog)"
	want := []string{
		"INFO [UnifiedLog dir=/data/100%d] Deleting 2 segments" + of, "WARN [UnifiedLog dir=/data/100%d] of 50%" + of, "ERROR [UnifiedLog dir=/data/100%d] one" + of,
		"ERROR [UnifiedLog dir=/data/100%d] Cannot delete it" + of, "the reason",
		"TRACE [UnifiedLog dir=/data/100%d] two" + of, "DEBUG [UnifiedLog dir=/data/100%d] three" + of,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("have %q\nwant %q", lines, want)
	}
}
