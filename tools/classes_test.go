package tools

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// kafkas returns the names of the tools that Kafka has.
func kafkas() (names []string) {
	for _, subject := range Subjects() {
		for _, tool := range subject.Tools {
			if strings.HasPrefix(tool.Name, "kafka-") {
				names = append(names, tool.Name)
			}
		}
	}
	return names
}

// Every tool must have a class, except for the script that never had one.
func TestEveryToolReplacesAJavaClass(t *testing.T) {
	var named []string
	for _, tool := range classes {
		named = append(named, tool.Name)
	}
	for _, name := range kafkas() {
		if !slices.Contains(named, name) && name != "kafka-server-stop" {
			t.Errorf("no class maps to %s", name)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		if !strings.HasPrefix(class, "kafka.") && !strings.HasPrefix(class, "org.apache.kafka.") && !strings.HasPrefix(class, "org.apache.zookeeper.") {
			t.Errorf("%s is not a class of Kafka or ZooKeeper", class)
		}
	}
}

// Every tool must have a script in bin.
func TestEveryToolHasAScript(t *testing.T) {
	files, err := os.ReadDir("../bin")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range files {
		have[strings.TrimSuffix(f.Name(), ".sh")] = true
	}
	for _, name := range kafkas() {
		if !have[name] {
			t.Errorf("bin/%s.sh is missing", name)
		}
	}
}
