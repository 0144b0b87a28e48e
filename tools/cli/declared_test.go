package cli

import (
	"reflect"
	"slices"
	"testing"
)

func TestProgramsDeclareTheirOptionsWithoutRunning(t *testing.T) {
	ran := false
	options := Tool{Name: "options", Run: func(env *Env, args []string) int {
		o := NewOptions(env, "options", "A tool for tests.")
		list := o.Toggle("list", "List.")
		o.Value("topic", "String: name", "The topic.")
		o.Output(list)
		if err := o.Parse(args); err != nil {
			return o.Fail(err)
		}
		ran = true
		return 0
	}}
	want := []Declared{{Name: "--help", Doc: "Print usage information."}, {Name: "--version", Doc: "Display Kafka version."}, {Name: "--list", Doc: "List."},
		{Name: "--topic", Takes: true, Doc: "The topic."}, {Name: "--output", Takes: true, Choices: []string{"json"}, Doc: outputDoc}}
	if have := DeclaredOptions(options); !reflect.DeepEqual(have, want) {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
	arguments := Tool{Name: "arguments", Run: func(env *Env, args []string) int {
		a := NewArguments(env, "arguments", "A tool for tests.")
		a.Add(Argument{Name: "--bootstrap-server", Metavar: "HOST", Required: true, Doc: "The brokers."})
		c := a.Command("list", "Lists.")
		c.Add(Argument{Name: "--all", Doc: "All."})
		return a.Run(args, func() error { ran = true; return nil })
	}}
	names := func(tool Tool) (all []string) {
		for _, d := range DeclaredOptions(tool) {
			all = append(all, d.Command+" "+d.Name)
		}
		return all
	}
	if have, want := names(arguments), []string{" --help", " --version", " --bootstrap-server", "list ", "list --help", "list --all"}; !slices.Equal(have, want) {
		t.Errorf("%q, want %q", have, want)
	}
	own := Tool{Name: "own", Run: func(env *Env, args []string) int {
		if env.Declare(Declared{Name: "--override", Takes: true}) {
			return 0
		}
		ran = true
		return 0
	}}
	if have, want := names(own), []string{" --override", " --help", " --version"}; !slices.Equal(have, want) {
		t.Errorf("%q, want %q", have, want)
	}
	if ran {
		t.Error("a program has run")
	}
}
