// Print prints what package figures counts in a module: lines, comments, tests, documentation and
// methods, as Markdown.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/monedula/monedula/internal/figures"
)

func main() {
	root := flag.String("C", ".", "the `directory` of the module")
	flag.Parse()
	c, err := figures.Count(*root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
	c.Print(os.Stdout)
}
