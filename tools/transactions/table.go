package transactions

import (
	"fmt"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/tools/cli"
)

// printTable prints rows below a header. Columns are padded, and each cell ends with a tab.
func printTable(env *cli.Env, header []string, rows [][]string) {
	widths := make([]int, len(header))
	table := append([][]string{header}, rows...)
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], javatext.Length(cell))
		}
	}
	for _, row := range table {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "%s%*s\t", cell, widths[i]-javatext.Length(cell), "")
		}
		env.Println(b.String())
	}
}
