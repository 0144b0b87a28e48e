package verifiable

import (
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

// The real tools print their last lines as the process exits, so each needs its own.
func TestTheVerifiableClientsPrintWhatTheRealOnesPrint(t *testing.T) {
	const (
		produce = "--bootstrap-server {B} --topic one --producer.config {F}/linger.properties "
		consume = "--bootstrap-server {B} --topic one --group-id "
	)
	cases := []toolreplay.Case{
		{Name: "produce", Tool: ProducerTool, Args: produce + "--max-messages 3"},
		{Name: "produce-keys", Tool: ProducerTool, Args: produce + "--max-messages 3 --value-prefix 7 --repeating-keys 2 --message-create-time 4000000000000"},
		{Name: "produce-acks", Tool: ProducerTool, Args: "--broker-list {B} --topic one --producer.config {F}/linger.properties --max-messages 1 --acks 1 --throughput 1000"},
		{Name: "produce-invalid-topic", Tool: ProducerTool, Args: "--bootstrap-server {B} --topic bad%topic --max-messages 1"},

		{Name: "consume", Tool: ConsumerTool, Args: consume + "a --max-messages 3"},
		{Name: "consume-verbose", Tool: ConsumerTool, Args: consume + "b --max-messages 7 --verbose"},
		{Name: "consume-automatic-commits", Tool: ConsumerTool, Args: consume + "c --max-messages 3 --enable-autocommit --group-instance-id i"},
		{Name: "consume-round-robin", Tool: ConsumerTool, Args: consume + "d --max-messages 3 --assignment-strategy org.apache.kafka.clients.consumer.RoundRobinAssignor"},
		{Name: "consume-without-offset", Tool: ConsumerTool, Args: consume + "e --max-messages 3 --reset-policy none"},

		{Name: "produce-not-allowed", Tool: ProducerTool, Args: produce + "--max-messages 1", Before: []toolreplay.Command{
			toolreplay.ACL("--topic one --operation Write --deny-principal User:ANONYMOUS"),
			toolreplay.ACL("--topic one --operation Read --allow-principal User:ANONYMOUS"),
			toolreplay.ACL("--group a --operation All --deny-principal User:ANONYMOUS"),
		}},
		{Name: "consume-not-allowed", Tool: ConsumerTool, Args: consume + "a --max-messages 3"},
	}
	for i := range cases {
		cases[i].Tidy, cases[i].Alone = tidy, true
	}
	toolreplay.Run(t, toolreplay.Suite{
		Files: map[string]string{"linger.properties": "linger.ms=500\n"},
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic one --partitions 1", ""),
			// This creates the topic of offsets, so no case waits for it.
			toolreplay.Real("kafka-consumer-groups", "--bootstrap-server {B} --timeout 60000 --reset-offsets --group warm --topic one --to-earliest --execute", ""),
		},
		Cases: cases,
	})
}

// tidy also sorts the lines, since the first rebalance and the start are reported in any order.
func tidy(text string) string {
	lines := strings.Split(testkit.TidyClients(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
