package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// goal is the value that a figure should reach; the zero value means none. A missed goal is marked
// in the table and is not a failure.
type goal struct {
	ratio   float64 // our median at most this many times the original's
	atLeast float64 // our median at least this many times the original's
	below   float64 // our median below this, in the metric's unit
}

// metric is a row of the table: the same figure of both brokers, one sample per round.
type metric struct {
	name    string // text in the table
	unit    string
	goal    goal
	samples map[string][]float64 // by the side's name, in the order of the rounds
}

// add adds a sample of a side.
func (m *metric) add(s *side, value float64) {
	m.samples[s.name] = append(m.samples[s.name], value)
}

// report collects metrics in the order in which they were first named, and notes for the readers of
// the table.
type report struct {
	ours, original string // names of the sides
	metrics        []*metric
	notes          []string
}

// metric returns the row with that name, which the first call creates.
func (r *report) metric(name, unit string, g goal) *metric {
	for _, m := range r.metrics {
		if m.name == name {
			return m
		}
	}
	m := &metric{name: name, unit: unit, goal: g, samples: map[string][]float64{}}
	r.metrics = append(r.metrics, m)
	return m
}

// note adds a line below the table, unless the table already has it.
func (r *report) note(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(r.notes, line) {
		r.notes = append(r.notes, line)
	}
}

// write prints the table and the notes. The table is Markdown with aligned columns, so it is also
// readable in a terminal.
func (r *report) write(w io.Writer) {
	rows := [][]string{{"Measurement", "Unit", r.ours, r.original, "Ratio", "Goal", "Reached"}}
	for _, m := range r.metrics {
		rows = append(rows, r.row(m))
	}
	for i, line := range alignMarkdown(rows) {
		fmt.Fprintln(w, line)
		if i == 0 {
			fmt.Fprintln(w, ruler(rows))
		}
	}
	if len(r.notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range r.notes {
		fmt.Fprintln(w, "- "+n)
	}
}

func (r *report) row(m *metric) []string {
	ours, original := m.samples[r.ours], m.samples[r.original]
	ratio := "-"
	if len(ours) > 0 && len(original) > 0 && median(original) > 0 {
		ratio = fmt.Sprintf("%.3f", median(ours)/median(original))
	}
	return []string{m.name, m.unit, summary(ours), summary(original), ratio, m.goal.String(), verdict(m.goal, ours, original)}
}

// summary returns "median (smallest-largest)".
func summary(samples []float64) string {
	switch len(samples) {
	case 0:
		return "-"
	case 1:
		return number(samples[0])
	}
	return fmt.Sprintf("%s (%s-%s)", number(median(samples)), number(slices.Min(samples)), number(slices.Max(samples)))
}

// number formats a number with three significant digits, or as a whole number from 100 on.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (g goal) String() string {
	switch {
	case g.ratio > 0:
		return fmt.Sprintf("ratio <= %.3g", g.ratio)
	case g.atLeast > 0:
		return fmt.Sprintf("ratio >= %.3g", g.atLeast)
	case g.below > 0:
		return fmt.Sprintf("< %.3g", g.below)
	}
	return "-"
}

// verdict returns text that shows whether the medians reach the goal. It returns "-" if there is no
// goal or a side has no sample.
func verdict(g goal, ours, original []float64) string {
	var reached bool
	switch {
	case g.ratio > 0 && len(ours) > 0 && len(original) > 0:
		reached = median(ours) <= g.ratio*median(original)
	case g.atLeast > 0 && len(ours) > 0 && len(original) > 0:
		reached = median(ours) >= g.atLeast*median(original)
	case g.below > 0 && len(ours) > 0:
		reached = median(ours) < g.below
	default:
		return "-"
	}
	if reached {
		return "yes"
	}
	return "MISSED"
}

func alignMarkdown(rows [][]string) []string {
	widths := columnWidths(rows)
	lines := make([]string, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for c, cell := range row {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[c]-utf8.RuneCountInString(cell)+1))
		}
		lines[i] = b.String() + "|"
	}
	return lines
}

func ruler(rows [][]string) string {
	var b strings.Builder
	for _, w := range columnWidths(rows) {
		b.WriteString("|" + strings.Repeat("-", w+2))
	}
	return b.String() + "|"
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for c, cell := range row {
			widths[c] = max(widths[c], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// median returns the middle sample, or the mean of the two middle ones if the number of samples is
// even. It is 0 if there are none.
func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile returns the smallest sample that at least the share p (0 to 1) of all samples does not
// exceed. sorted must be in ascending order and not empty.
func percentile(sorted []float64, p float64) float64 {
	rank := int(p*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}
