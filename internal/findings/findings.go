// Package findings contains what the programs that check something have in common: findings with
// their severity, cause and remedy, and their output as text and as JSON.
package findings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Severity is how bad a finding is.
type Severity int8

// The severities. Only an Error changes the exit code of a program.
const (
	Remark  Severity = iota // something to know; it may be intended
	Warning                 // it works, but probably not as intended
	Error                   // it does not work
)

var severities = [...]string{"remark", "warning", "error"}

func (s Severity) String() string { return severities[s] }

// MarshalText returns the name of the severity.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one finding.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`              // a name that does not change, for scripts and documents
	Subject  string   `json:"subject,omitempty"` // what it is about, such as "broker 2"; empty for a file
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"` // 0 for the whole file
	Text     string   `json:"text"`           // what is wrong, a sentence without a period
	Cause    string   `json:"cause,omitempty"`
	Remedy   string   `json:"remedy,omitempty"` // what to do, a command if there is one
}

// Place returns the position that the finding is about, such as server.properties:12 or broker 2.
func (f Finding) Place() string {
	switch {
	case f.File == "":
		return f.Subject
	case f.Line == 0:
		return f.File
	}
	return f.File + ":" + strconv.Itoa(f.Line)
}

// Headline returns the finding without cause and remedy, as programs print it.
func (f Finding) Headline() string {
	place := f.Place()
	if place != "" {
		place += ": "
	}
	return fmt.Sprintf("%s%s: %s [%s]", place, f.Severity, f.Text, f.Code)
}

// Print writes the findings as text: a line for each, and indented lines for its cause and its
// remedy.
func Print(w io.Writer, list []Finding) {
	for _, f := range list {
		fmt.Fprintln(w, f.Headline())
		indented(w, "cause:  ", f.Cause)
		indented(w, "remedy: ", f.Remedy)
	}
}

func indented(w io.Writer, label, text string) {
	if text == "" {
		return
	}
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintf(w, "    %s%s\n", label, line)
		label = strings.Repeat(" ", len(label))
	}
}

// Report is what programs print as JSON.
type Report struct {
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Remarks  int       `json:"remarks"`
	Findings []Finding `json:"findings"`
}

// NewReport counts the findings.
func NewReport(list []Finding) Report {
	r := Report{Findings: list}
	if list == nil {
		r.Findings = []Finding{}
	}
	for _, f := range list {
		switch f.Severity {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		case Remark:
			r.Remarks++
		}
	}
	return r
}

// Summary returns the numbers of findings as text, such as "1 error, 2 warnings, no remarks".
func (r Report) Summary() string {
	return counted(r.Errors, "error") + ", " + counted(r.Warnings, "warning") + ", " + counted(r.Remarks, "remark")
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// PrintJSON writes v, a Report or a struct that contains one, as indented JSON.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// ByPlace sorts findings by file and line; findings about whole files come first.
func ByPlace(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(b.Severity, a.Severity))
	})
}

// BySeverity sorts findings so that the worst are first.
func BySeverity(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
}
