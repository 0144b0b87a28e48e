package toolreplay

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/tools/cli"
)

// Document runs the command line of a recording with --output json added, and checks that the tool
// prints the document want and nothing else on stdout. In want, the port of the first broker is 9092. All
// fields of the document must be described in the section of docs/json.md with the title.
func Document(t *testing.T, tool cli.Tool, recording, title, want string) {
	t.Helper()
	r, err := readRecording(recording)
	if err != nil {
		t.Fatal(err)
	}
	broker := r.serve(t, mostBrokers)
	c := Case{Tool: tool, Args: strings.TrimPrefix(r.command, tool.Name) + " --output json"}
	result := c.run(Suite{}.places(t, broker, "300"))
	_, port := splitAddress(broker)
	if have := strings.ReplaceAll(result.Stdout, port, "9092"); result.Code != 0 || have != want+"\n" {
		t.Errorf("%s --output json: exit code %d\n--- have\n%s--- want\n%s\n--- messages\n%s", r.command, result.Code, have, want, result.Stderr)
	}
	CheckFields(t, title, result.Stdout)
}

// mostBrokers is the largest number of brokers in a recording.
const mostBrokers = 3

func splitAddress(address string) (host, port string) {
	i := strings.LastIndexByte(address, ':')
	return address[:i], address[i+1:]
}

// CheckFields checks that the section of docs/json.md with the title describes all fields of a
// document. The names in an object named configs are not fields.
func CheckFields(t *testing.T, title, document string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+title+"\n")
	if !found {
		t.Fatalf("docs/json.md has no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		t.Fatalf("not a JSON document: %v\n%s", err, document)
	}
	fields := map[string]bool{}
	addFields(fields, value)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("the section %q of docs/json.md does not describe the field %s", title, name)
		}
	}
}

// addFields adds the names of all fields in a value.
func addFields(to map[string]bool, value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			addFields(to, item)
		}
	case map[string]any:
		for name, item := range value {
			to[name] = true
			if _, object := item.(map[string]any); !object || name != "configs" {
				addFields(to, item)
			}
		}
	}
}
