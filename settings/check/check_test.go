package check

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/findings"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the scenario files with the current findings; review the diff")

// TestScenarios runs the files testdata/*.txt. A scenario is a line with -- and its name, the lines
// of a properties file, a line with =>, and the findings. A line that begins with a quote is
// unquoted as in Go. "@ NAME" begins another file, "@brokers N" gives the number of brokers. Each
// file is completed with the lines of complete for keys that it does not mention, after the
// findings' lines, unless the scenario has a line "@bare".
func TestScenarios(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for i, scenario := range strings.Split(string(text), "\n-- ") {
			if i == 0 {
				got.WriteString(scenario)
				continue
			}
			input, want, _ := strings.Cut(scenario+"\n", "\n=>\n")
			title, lines, _ := strings.Cut(input, "\n")
			found := play(t, lines)
			fmt.Fprintf(&got, "\n-- %s\n=>\n%s", strings.TrimRight(input, "\n"), found)
			if want = strings.TrimRight(want, "\n"); !*rewrite && want != strings.TrimRight(found, "\n") {
				t.Errorf("%s, %s: found\n%s\nwant\n%s", name, title, found, want)
			}
		}
		if *rewrite {
			if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// complete are lines with which a file has only remarks.
var complete = []string{
	"zookeeper.connect=zoo1:2181,zoo2:2181,zoo3:2181", "broker.id=1", "log.dirs=/var/lib/kafka",
	"listeners=PLAINTEXT://kafka1.example.com:9092", "default.replication.factor=3",
}

// play checks the files of a scenario and returns the findings as text.
func play(t *testing.T, lines string) string {
	t.Helper()
	brokers, bare := 0, false
	files := []File{{Name: "server.properties"}}
	for _, line := range strings.Split(strings.TrimRight(lines, "\n"), "\n") {
		current := &files[len(files)-1]
		switch word, rest, _ := strings.Cut(line, " "); {
		case word == "@":
			if len(current.Data) == 0 {
				current.Name = rest
			} else {
				files = append(files, File{Name: rest})
			}
		case word == "@brokers":
			n, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			brokers = n
		case word == "@bare":
			bare = true
		case strings.HasPrefix(line, `"`):
			text, err := strconv.Unquote(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			current.Data = append(current.Data, text...)
		default:
			current.Data = append(current.Data, line+"\n"...)
		}
	}
	for i := range files {
		for _, line := range complete {
			key, _, _ := strings.Cut(line, "=")
			if !bare && !bytes.Contains(append([]byte("\n"), files[i].Data...), []byte("\n"+key+"=")) {
				files[i].Data = append(files[i].Data, line+"\n"...)
			}
		}
	}
	list, _ := Files(files, brokers)
	var out strings.Builder
	findings.Print(&out, list)
	return out.String()
}

// The files that are shipped must have remarks at most, and so must an empty file with the keys of
// complete.
func TestTheShippedConfigurationHasNoErrorsAndWarnings(t *testing.T) {
	for _, name := range []string{"../../config/server.properties", "../../server.properties"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list, refused := Files([]File{{Name: name, Data: data}}, 0)
		for _, f := range list {
			if f.Severity != findings.Remark {
				t.Error(f.Headline())
			}
		}
		if refused != nil {
			t.Errorf("a broker does not start with %s", name)
		}
	}
}

func TestABrokerLogsWhatWasProbablyNotMeantWhenItStarts(t *testing.T) {
	messages := AtStart(File{Name: "server.properties", Data: []byte("zookeeper.connect=zoo1:2181\nnum.partition=3\nlog.dirs=/var/lib/kafka\nbroker.id=\"1\"\n"),
		Overrides: map[string]string{"listener": "x"}})
	want := []string{
		"The configuration listener is not known and has no effect; did you mean listeners? Write listeners=x, or remove the line.",
		"The configuration num.partition is not known and has no effect; did you mean num.partitions? Write num.partitions=3, or remove the line. (server.properties, line 2)",
		"the quotes around the value of broker.id are part of it. Write broker.id=1. (server.properties, line 4)",
	}
	if !slices.Equal(messages, want) {
		t.Errorf("messages:\n%s\nwant\n%s", strings.Join(messages, "\n"), strings.Join(want, "\n"))
	}
	if got := AtStart(File{Name: "server.properties", Data: []byte("zookeeper.connect=localhost:2181\n")}); got != nil {
		t.Errorf("messages for a file without faults: %q", got)
	}
}
