package tools

import (
	"regexp"
	"strings"
)

// includeList compiles a topic list like Kafka's tools: commas separate alternatives, and quotes
// and spaces are dropped.
func includeList(text string) (*regexp.Regexp, error) {
	text = strings.NewReplacer(",", "|", " ", "").Replace(strings.Trim(strings.TrimSpace(text), `"'`))
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, javaError{"java.lang.RuntimeException", text + " is an invalid regex."}
	}
	return re, nil
}

func isInternal(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state"
}
