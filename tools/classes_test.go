package tools

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// Every tool has a class, apart from the script that never had one.
func TestEveryToolAnswersForAClass(t *testing.T) {
	var named []string
	for _, tool := range classes {
		named = append(named, tool.Name)
	}
	for name := range All() {
		if !slices.Contains(named, name) && name != "kafka-server-stop" {
			t.Errorf("no class stands for %s", name)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		if !strings.HasPrefix(class, "kafka.") && !strings.HasPrefix(class, "org.apache.kafka.") {
			t.Errorf("%s is no class of Kafka", class)
		}
	}
}

// Every tool has a script in bin, and every script of that form a tool.
func TestEveryToolHasAScript(t *testing.T) {
	files, err := os.ReadDir("../bin")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range files {
		have[strings.TrimSuffix(f.Name(), ".sh")] = true
	}
	for _, name := range Names() {
		if !have[name] {
			t.Errorf("bin/%s.sh is missing", name)
		}
	}
}
