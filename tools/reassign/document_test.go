package reassign

import (
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestReassignmentsAreListedAsJSON(t *testing.T) {
	s := newScripted()
	s.running["placed-1"] = "012/12/0"
	have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--bootstrap-server {B} --list --output json"}, nil, s.answer)
	const want = `{"reassignments":[{"topic":"placed","partition":1,"replicas":[0,1,2],"addingReplicas":[1,2],"removingReplicas":[0]}]}`
	if have != "[out] "+want+"\n[err]\n[exit] 0\n" {
		t.Errorf("%s", have)
	}
	toolreplay.CheckFields(t, "kafka-reassign-partitions --list", want)
	toolreplay.Document(t, Tool, "list-none", "kafka-reassign-partitions --list", `{"reassignments":[]}`)
	have = toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--bootstrap-server {B} --verify --reassignment-json-file x --output json"}, nil, s.answer)
	if !strings.Contains(have, "Option(s) [output] are unavailable given other options on the command line") {
		t.Errorf("with --verify: %s", have)
	}
}
