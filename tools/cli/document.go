package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// outputDoc is the description of --output.
const outputDoc = "Print one JSON document instead of text, and messages on stderr: json. The fields are described in docs/json.md. (default: text)"

// Output declares the option --output json, which Kafka's tools do not have. If there are options in
// with, it is only allowed together with one of them. It must be spelled out, so the unique prefixes
// of Kafka's options are still unique.
func (o *Options) Output(with ...*Option) *Option {
	o.output = o.Value("output", "String: json", outputDoc)
	o.output.choices, o.output.spelledOut, o.output.with = []string{"json"}, true, with
	return o.output
}

// checkOutput checks the value of --output. If a document is wanted, it sends everything else that
// the tool prints to stderr.
func (o *Options) checkOutput() error {
	if o.output == nil || !o.output.Given() {
		return nil
	}
	if value := o.output.Or(""); !slices.Contains(o.output.choices, value) {
		return BadOption{fmt.Sprintf("Cannot parse argument '%s' of option output; it can be: %s", value, strings.Join(o.output.choices, ", ")), "OptionArgumentConversionException"}
	}
	o.document = o.Env.Stdout
	o.Env.Stdout = o.Env.Stderr
	return nil
}

// WantsDocument reports whether the tool is to print one JSON document instead of text.
func (o *Options) WantsDocument() bool { return o.document != nil }

// PrintDocument prints value as the JSON document.
func (o *Options) PrintDocument(value any) { printDocument(o.document, value) }

// Output is like that of Options, for a command of a tool with argparse4j's options.
func (a *Arguments) Output() {
	a.output = a.Add(Argument{Name: "--output", Metavar: "{json}", Choices: []string{"json"}, Doc: outputDoc, own: true})
}

// checkOutput is like that of Options; the value has been checked.
func (a *Arguments) checkOutput() {
	if a.output != nil && a.output.Given() {
		a.document = a.env.Stdout
		a.env.Stdout = a.env.Stderr
	}
}

// WantsDocument reports whether the tool is to print one JSON document instead of text.
func (a *Arguments) WantsDocument() bool { return a.document != nil }

// PrintDocument prints value as the JSON document.
func (a *Arguments) PrintDocument(value any) { printDocument(a.document, value) }

func printDocument(to io.Writer, value any) { fmt.Fprintln(to, CompactJSON(value)) }
