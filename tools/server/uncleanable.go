package server

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monedula/monedula/tools/cli"
)

// UncleanableTool prints the partitions that a broker cannot compact. Kafka has no such program.
var UncleanableTool = cli.Tool{
	Name:    "uncleanable-partitions",
	Summary: "Prints the partitions that a broker cannot compact, and why.",
	Run:     runUncleanable,
}

const uncleanableUsage = `USAGE: monedula uncleanable-partitions ADDRESS
Prints the partitions that a broker cannot compact, one a line, with the reason.
ADDRESS is the broker's monedula.metrics.listener, for example 127.0.0.1:9404.`

func runUncleanable(env *cli.Env, args []string) int {
	if env.Declare() {
		return 0
	}
	switch {
	case len(args) == 1 && (args[0] == "-h" || args[0] == "--help"):
		env.Println(uncleanableUsage)
		return 0
	case len(args) == 1 && args[0] == "--version":
		env.Println(cli.Version)
		return 0
	case len(args) != 1 || strings.HasPrefix(args[0], "-"):
		env.Complainf("%s", uncleanableUsage)
		return 1
	}
	lines, err := uncleanableLines("http://" + args[0] + "/metrics")
	if err != nil {
		env.Complainf("uncleanable-partitions: the metrics of the broker cannot be read: %v", err)
		return 1
	}
	for _, line := range lines {
		env.Println(line)
	}
	return 0
}

// uncleanableMetric is the metric whose labels name the partitions.
const uncleanableMetric = "monedula_storage_uncleanable_partition{"

// uncleanableLines returns a line for each uncleanable partition on a page of metrics, sorted.
func uncleanableLines(url string) ([]string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	var found []string
	scan := bufio.NewScanner(answer.Body)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		text, ok := strings.CutPrefix(scan.Text(), uncleanableMetric)
		if !ok {
			continue
		}
		labels, err := parseLabels(text)
		if err != nil {
			return nil, fmt.Errorf("the line %q is not a metric: %w", scan.Text(), err)
		}
		found = append(found, fmt.Sprintf("%s-%s in %s: %s", labels["topic"], labels["partition"], labels["logDirectory"], labels["reason"]))
	}
	slices.Sort(found)
	return found, scan.Err()
}

// parseLabels parses labels up to the closing brace. Their values are quoted as in Go.
func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	for !strings.HasPrefix(text, "}") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(text, ","), "=")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, err
		}
		if labels[name], err = strconv.Unquote(quoted); err != nil {
			return nil, err
		}
		text = rest[len(quoted):]
	}
	return labels, nil
}
