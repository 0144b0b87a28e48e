package testkit

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// ToolResult is the output and the exit code of a tool.
type ToolResult struct {
	Stdout, Stderr string
	Code           int
}

var (
	stamps     = regexp.MustCompile(`\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]|CreateTime:\d{13}|127\.0\.0\.1:\d+(/t\d+)?|adminclient-\d+|(Timed out waiting for a node assignment\. Call: |Call\(callName=)deleteRecords[^\n]*|TopicId: [\w-]{22}|Cluster ID: [\w-]{22}|(?:/tmp|` + regexp.QuoteMeta(strings.TrimSuffix(os.TempDir(), "/")) + `)/[^\s"/]+/\d{3}`)
	stackLines = regexp.MustCompile(`(?m)^(\s+at |Caused by: |\s+\.\.\. \d+ more).*\n`)
	usageTable = regexp.MustCompile(`(?ms)^(Option\s+Description|usage: ).*`)
	usageError = regexp.MustCompile(`(?ms)^usage: .*?^([\w.-]+:)\s+error:(.*)\z`)
	libraries  = regexp.MustCompile(`(?m)^SLF4J: .*\n`)
	clientNews = regexp.MustCompile(`(?m)^\[[^\]]*\] WARN .*\(org\.apache\.kafka\.clients\.NetworkClient\)\n`)
)

// Masked returns the output without values that differ between runs, without Java stack traces, and
// without the table of options, whose descriptions are our own.
func (s ToolResult) Masked(tidy func(string) string) string {
	var out strings.Builder
	for _, part := range []struct{ name, text string }{{"out", s.Stdout}, {"err", s.Stderr}} {
		text := libraries.ReplaceAllString(clientNews.ReplaceAllString(part.text, ""), "")
		text = stackLines.ReplaceAllString(text, "")
		text = usageError.ReplaceAllStringFunc(text, func(text string) string {
			// argparse4j pads and breaks lines.
			m := usageError.FindStringSubmatch(text)
			return "(usage)\n" + m[1] + " error: " + strings.ReplaceAll(strings.Join(strings.Fields(m[2]), " "), "- ", "-")
		})
		text = usageTable.ReplaceAllString(text, "(usage table)\n")
		text = stamps.ReplaceAllString(text, "*")
		if tidy != nil {
			text = tidy(text)
		}
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			fmt.Fprintf(&out, "[%s] %s\n", part.name, line)
		}
	}
	fmt.Fprintf(&out, "[exit] %d\n", s.Code)
	return out.String()
}

var (
	resetHead   = regexp.MustCompile(`(GROUP {26}TOPIC {26}PARTITION  NEW-OFFSET {5})(.*)`)
	resetRow    = regexp.MustCompile(`.{30} .{30} .{10} .{15}`)
	deletedHead = regexp.MustCompile(`(TOPIC {26}PARTITION {7}STATUS {9})(.*)`)
	deletedRow  = regexp.MustCompile(`.{30} .{15} (Successful {5}|Error: :[A-Za-z.]+: (FindCoordinator [^.]*? failure|[^.]*\.))`)
	memberID    = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	callNumbers = regexp.MustCompile(`adminclient-\d+|(deadlineMs=|tries=|nextAllowedTryMs=|timed out at |after )\d+`)
	topicOwned  = regexp.MustCompile(`\w+(\([0-9,]+\))`)
	parserNoise = regexp.MustCompile(`(?m)^com\.fasterxml\..*\n`)
)

// TidyGroups removes the real tool's missing line breaks and random order, the topics that it does
// not name with --verbose, and values that differ between runs.
func TidyGroups(text string) string {
	for _, table := range []struct{ head, row *regexp.Regexp }{{resetHead, resetRow}, {deletedHead, deletedRow}} {
		text = table.head.ReplaceAllStringFunc(text, func(line string) string {
			m := table.head.FindStringSubmatch(line)
			return m[1] + "\n" + table.row.ReplaceAllString(m[2], "$0\n")
		})
	}
	text = memberID.ReplaceAllString(text, "00000000-0000-0000-0000-000000000000")
	text = callNumbers.ReplaceAllString(text, "*")
	text = topicOwned.ReplaceAllString(text, "$1")
	text = strings.ReplaceAll(text, "'new', '", "'new'")
	text = parserNoise.ReplaceAllString(text, "")
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" })
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var (
	eventNumbers   = regexp.MustCompile(`("timestamp":|"avg_throughput":)[\d.E]+`)
	producedNumber = regexp.MustCompile(`[\d.]+ (records/sec|ms|MB/sec)`)
	randomGroup    = regexp.MustCompile(`perf-consumer-\d+`)
	consumedLine   = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}, ([\d.]+), \S+, (\d+), \S+, \d+, -?\d+, \S+, \S+$`)
)

// TidyClients removes measured values and random names of groups.
func TidyClients(text string) string {
	text = eventNumbers.ReplaceAllString(text, "$1*")
	text = producedNumber.ReplaceAllString(text, "* $1")
	text = randomGroup.ReplaceAllString(text, "perf-consumer-*")
	text = consumedLine.ReplaceAllString(text, "*, *, $1, *, $2, *, *, *, *, *")
	return strings.TrimSuffix(text, "\n")
}
