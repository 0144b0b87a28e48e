package figures

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Print writes the figures to w as Markdown.
func (c *Counts) Print(w io.Writer) {
	all := &pkg{name: "all"}
	names := make([]string, 0, len(c.packages))
	for name, p := range c.packages {
		names = append(names, name)
		all.add(p)
	}
	slices.SortFunc(names, func(a, b string) int { return c.packages[b].lines - c.packages[a].lines })
	fmt.Fprintln(w, "| Package | Files | Lines | Comment lines | Test lines | Test ratio | Exported names documented |")
	fmt.Fprintln(w, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, p := range append([]*pkg{all}, pick(c.packages, names)...) {
		fmt.Fprintf(w, "| %s | %d | %d | %.1f %% | %d | %s | %s |\n", p.name, p.files, p.lines,
			percent(p.commentLines, p.lines), p.testLines, ratio(p.testLines, p.lines), share(p.documented, p.exported))
	}

	functions, files := lines(c.Functions), lines(c.Files)
	fmt.Fprintf(w, "\nFunctions: %d, of %d lines in the median, %d at the 95th percentile, %d at most. ",
		len(functions), at(functions, 50), at(functions, 95), at(functions, 100))
	fmt.Fprintf(w, "Files: %d lines in the median, %d at most.\n", at(files, 50), at(files, 100))

	var types []string
	for name, n := range c.Methods {
		if n >= 40 {
			types = append(types, fmt.Sprintf("%4d methods: %s", n, name))
		}
	}
	slices.Sort(types)
	slices.Reverse(types)
	fmt.Fprintf(w, "\nTypes with 40 methods or more:\n%s\n", strings.Join(types, "\n"))
}

func pick(all map[string]*pkg, names []string) []*pkg {
	list := make([]*pkg, len(names))
	for i, name := range names {
		list[i] = all[name]
	}
	return list
}

// lines returns the lengths in ascending order.
func lines(sizes []Size) []int {
	sorted := make([]int, len(sizes))
	for i, s := range sizes {
		sorted[i] = s.Lines
	}
	slices.Sort(sorted)
	return sorted
}

func at(sorted []int, percentile int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*percentile/100, len(sorted)-1)]
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(max(whole, 1)) }

func share(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", part, whole)
}

func ratio(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(part)/float64(whole))
}
