package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn replaces the binary. It prints what it inherited from the script.
const standIn = "#!/bin/sh\ncat /proc/self/timerslack_ns\necho \"$@\"\n"

func TestStartScriptSetsTheTimerSlack(t *testing.T) {
	base := t.TempDir()
	script, err := os.ReadFile("../../bin/kafka-server-start.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	start := filepath.Join(base, "bin", "kafka-server-start.sh")
	for file, text := range map[string]string{start: string(script), filepath.Join(base, "monedula"): standIn} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(start, "server.properties", "--override", "a=b").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := []string{"1000000", "kafka-server-start server.properties --override a=b"}
	if len(lines) != 2 || lines[0] != want[0] || lines[1] != want[1] {
		t.Errorf("the broker was started with %q, want %q", lines, want)
	}
}
