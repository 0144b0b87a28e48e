// Package checkconfig is the program that checks the properties files of brokers.
package checkconfig

import (
	"fmt"
	"os"
	"strconv"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/settings/check"
	"github.com/monedula/monedula/tools/cli"
)

// Tool checks the properties files of brokers. Kafka has no such program.
var Tool = cli.Tool{
	Name:    "check-config",
	Summary: "Checks properties files of brokers: typing errors, contradictions, unlikely values.",
	Run:     run,
}

const about = `USAGE: monedula check-config [OPTIONS] server.properties [server2.properties ...]
Reports unknown and deprecated keys, contradictions and values that were probably not meant, with the
line and a remedy. Several files are taken for those of the brokers of one cluster and compared.
The exit code is 1 if a broker would not start or if there are errors; warnings and remarks leave it at 0.`

type options struct {
	*cli.Options
	brokers, output *cli.Option
}

func newOptions(env *cli.Env) *options {
	o := &options{Options: cli.NewOptions(env, "check-config", about)}
	o.brokers = o.Value("brokers", "Integer: count", "The number of brokers of the cluster. The default is the number of files if there are several.")
	o.output = o.Value("output", "format", "text (the default) or json.")
	return o
}

func run(env *cli.Env, args []string) int {
	o := newOptions(env)
	if err := o.parse(args); err != nil {
		return o.FailParsing(err)
	}
	brokers, err := strconv.Atoi(o.brokers.Or("0"))
	if err != nil { // parse has checked it
		brokers = 0
	}
	r := examine(o.Args(), brokers)
	if o.output.Or("") == "json" {
		if err := findings.PrintJSON(env.Stdout, r); err != nil {
			return 1
		}
	} else {
		r.print(env)
	}
	if r.Errors > 0 {
		return 1
	}
	return 0
}

func (o *options) parse(args []string) error {
	if err := o.Parse(args); err != nil {
		return err
	}
	if err := o.CheckNumbers(); err != nil {
		return err
	}
	if len(o.Args()) == 0 {
		return cli.UsageError{Text: "Name at least one properties file."}
	}
	if format := o.output.Or("text"); format != "text" && format != "json" {
		return cli.UsageError{Text: fmt.Sprintf("%q is not a format of --output; write text or json.", format)}
	}
	return nil
}

// report is the output of the program.
type report struct {
	Files   []string `json:"files"`
	Refused []string `json:"refused"` // the files with which a broker does not start
	findings.Report
}

// examine reads and checks the files.
func examine(names []string, brokers int) report {
	r := report{Files: names, Refused: []string{}}
	var files []check.File
	var list []findings.Finding
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			list = append(list, findings.Finding{Severity: findings.Error, Code: "unreadable", File: name, Text: "the file cannot be read: " + err.Error()})
			r.Refused = append(r.Refused, name)
			continue
		}
		files = append(files, check.File{Name: name, Data: data})
	}
	found, refused := check.Files(files, brokers)
	r.Refused = append(r.Refused, refused...)
	r.Report = findings.NewReport(append(list, found...))
	return r
}

func (r report) print(env *cli.Env) {
	findings.Print(env.Stdout, r.Findings)
	if len(r.Findings) > 0 {
		env.Println()
	}
	for _, name := range r.Refused {
		env.Printf("%s: a broker does not start with it\n", name)
	}
	env.Println(r.Summary())
}
