package integration

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// formatterLines read topics with the same contents as the internal topics.
var formatterLines = func() (lines []toolLine) {
	for topic, classes := range map[string][]string{
		"offsets": {
			"org.apache.kafka.tools.consumer.OffsetsMessageFormatter", "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter",
			"kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter", "kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter",
		},
		"transactions": {"org.apache.kafka.tools.consumer.TransactionLogMessageFormatter", "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter"},
	} {
		for _, class := range classes {
			lines = append(lines, toolLine{script: "kafka-console-consumer", tidy: lineForEach,
				args: "--bootstrap-server {B} --topic " + topic + " --partition 0 --offset earliest --max-messages 7 --timeout-ms 20000 --formatter " + class})
		}
	}
	return lines
}()

// lineForEach puts every JSON object on its own line, since 3.9.1 omits some line breaks.
func lineForEach(text string) string {
	return strings.TrimSuffix(strings.ReplaceAll(text, "}{\"key\"", "}\n{\"key\""), "\n")
}

func TestOurFormattersOfInternalTopicsPrintWhatTheRealOnesPrint(t *testing.T) {
	compareTools(t, "3.9.1", formatterLines, toolSetting{prepare: func(brokers []*broker) { fillLikeInternalTopics(t, brokers[0]) }})
}

func fillLikeInternalTopics(t *testing.T, b *broker) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b.createTopic("offsets", 1)
	b.createTopic("transactions", 1)
	testkit.SendInternalRecords(func(topic string, key, value []byte) {
		if err := client.ProduceSync(background(), &kgo.Record{Topic: topic, Key: key, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	})
}
