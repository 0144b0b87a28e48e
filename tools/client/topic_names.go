package client

import (
	"regexp"
	"strings"

	"github.com/monedula/monedula/tools/cli"
)

// IncludeList compiles a topic list like Kafka's tools: commas separate alternatives, and quotes
// and spaces are dropped.
func IncludeList(text string) (*regexp.Regexp, error) {
	text = strings.NewReplacer(",", "|", " ", "").Replace(strings.Trim(strings.TrimSpace(text), `"'`))
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, cli.NewJavaError("java.lang.RuntimeException", text+" is an invalid regex.")
	}
	return re, nil
}
