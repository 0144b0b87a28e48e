package topics

import (
	"bytes"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/tools/cli"
)

func TestTopicsAreListedAndDescribedAsJSON(t *testing.T) {
	const list, describe = "kafka-topics --list", "kafka-topics --describe"
	toolreplay.Document(t, Tool, "list-by-names", list, `{"topics":[{"name":"plain","internal":false,"markedForDeletion":false},{"name":"t1","internal":false,"markedForDeletion":false}]}`)
	toolreplay.Document(t, Tool, "list-none", list, `{"topics":[]}`)
	toolreplay.Document(t, Tool, "describe-overrides", describe, `{"topics":[{"name":"my.topic_x","internal":false,"markedForDeletion":false,"topicId":"hD4Wflu5R9WxgGiCOSE57Q",`+
		`"partitionCount":1,"replicationFactor":1,"configs":{"cleanup.policy":"compact","retention.ms":"1000000"},`+
		`"partitions":[{"partition":0,"leader":0,"replicas":[0],"isr":[0],"addingReplicas":[],"removingReplicas":[]}]}]}`)
	toolreplay.Document(t, Tool, "describe-none", describe, `{"topics":[]}`)
	toolreplay.Document(t, Tool, "describe-under-replicated", describe, `{"topics":[]}`)
}

// withJSON runs the tool with ZooKeeper.
func withJSON(t *testing.T, args string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Tool.Run(&cli.Env{Stdout: &stdout, Stderr: &stderr}, strings.Fields("--zookeeper "+inZooKeeper(t).Address()+" "+args+" --output json"))
	return stdout.String(), stderr.String(), code
}

func TestTopicsInZooKeeperAreListedAndDescribedAsJSON(t *testing.T) {
	const partitions = `"partitions":[{"partition":0,"leader":0,"replicas":[0,1],"isr":[0,1],"addingReplicas":[],"removingReplicas":[]},` +
		`{"partition":1,"leader":null,"replicas":[1,0],"isr":[1],"addingReplicas":[],"removingReplicas":[]}]`
	const second = `"partitions":[{"partition":1,"leader":null,"replicas":[1,0],"isr":[1],"addingReplicas":[],"removingReplicas":[]}]`
	const head = `{"topics":[{"name":"t","internal":false,"markedForDeletion":false,"topicId":"AAAAAAAAAAAAAAAAAAAAAQ","partitionCount":2,"replicationFactor":2,"configs":{"retention.ms":"1000"},`
	for args, want := range map[string]string{
		"--list":                             `{"topics":[{"name":"t","internal":false,"markedForDeletion":false},{"name":"u","internal":false,"markedForDeletion":true}]}`,
		"--describe --topic t":               head + partitions + `}]}`,
		"--describe --topics-with-overrides": head + partitions + `}]}`,
		"--describe --under-replicated-partitions --topic t": head + second + `}]}`,
	} {
		out, errs, code := withJSON(t, args)
		if out != want+"\n" || code != 0 {
			t.Errorf("%s: exit code %d\n%s\n%s", args, code, out, errs)
			continue
		}
		toolreplay.CheckFields(t, "kafka-topics "+strings.Fields(args)[0], out)
	}
}

// Text that explains a failure must not be mistaken for the document.
func TestFailuresOfJSONOutputAreOnStderr(t *testing.T) {
	out, errs, code := withJSON(t, "--describe --topic nosuch")
	if out != "" || code != 1 || !strings.Contains(errs, "Topic 'nosuch' does not exist as expected") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	out, errs, code = withJSON(t, "--delete --topic t")
	if out != "" || code != 1 || !strings.Contains(errs, "Option(s) [output] are unavailable given other options on the command line") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}
