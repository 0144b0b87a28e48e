// Package transactions implements kafka-transactions.
package transactions

import (
	"errors"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Tool is kafka-transactions.
var Tool = cli.Tool{
	Name:    "kafka-transactions",
	Summary: "Lists and describes transactions, and finds and aborts hanging ones.",
	Run:     runTransactions,
}

// command is a command of the tool.
type command struct {
	line *cli.Command
	run  func(a *admin) error
}

func runTransactions(env *cli.Env, args []string) int {
	line := cli.NewArguments(env, "kafka-transactions.sh", "Shows the transactions of a cluster and the producers of its partitions, and finds and aborts transactions that hang.")
	config := line.Add(cli.Argument{Name: "--command-config", Metavar: "FILE", Doc: "A properties file for the admin client."})
	bootstrap := line.Add(cli.Argument{Name: "--bootstrap-server", Metavar: "host:port", Required: true, Doc: "The brokers to connect to first, separated by commas."})
	commands := []command{listCommand(line), describeCommand(line), describeProducersCommand(line), abortCommand(line), findHangingCommand(line)}
	refused := 0
	code := line.Run(args, func() error {
		err := connected(env, bootstrap.Or(""), config.Or(""), func(a *admin) error {
			for _, c := range commands {
				if c.line == line.Chosen() {
					return c.run(a)
				}
			}
			return nil
		})
		var f failure
		if errors.As(err, &f) {
			env.Complainf("%s", f)
			refused = 1
			return nil
		}
		return err
	})
	return max(code, refused)
}

// connected calls run with an admin client.
func connected(env *cli.Env, bootstrap, config string, run func(a *admin) error) error {
	if _, err := client.LoadProperties(config); err != nil {
		return failure{"Failed to load admin client properties", err}
	}
	c, err := client.NewAdmin(env, "adminclient-1", bootstrap, config, client.AdminTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	return run(&admin{c})
}

// failure is an error that ends the tool with a line on stderr.
type failure struct {
	what  string
	cause error // nil: none
}

func (f failure) Error() string {
	if f.cause == nil {
		return f.what
	}
	return f.what + ": " + f.cause.Error() + ". Enable debug logging for additional detail."
}
