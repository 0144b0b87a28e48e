package partitions

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/toolreplay"
)

// The cases of three tools follow one another, since each sees what those before it changed.
func TestPartitionToolsPrintWhatTheRealToolsPrint(t *testing.T) {
	const json = "--bootstrap-server {B} --offset-json-file {F}/"
	toolreplay.Run(t, toolreplay.Suite{
		Files: files,
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic one --partitions 1 --config retention.ms=-1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic t1 --partitions 3", ""),
		},
		Fill: fillOne,
		Cases: []toolreplay.Case{
			{Name: "offsets", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one"},
			{Name: "offsets-of-all", Tool: GetOffsetsTool, Args: "--bootstrap-server {B}"},
			{Name: "offsets-latest", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic t1 --time latest"},
			{Name: "offsets-since-a-time", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one --time 1600000000500"},
			{Name: "offsets-after-the-last", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one --time 2300000000000"},
			{Name: "offsets-without-internal-topics", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --exclude-internal-topics"},
			{Name: "offsets-over-broker-list", Tool: GetOffsetsTool, Args: "--broker-list {B} --topic one --partitions 0"},
			{Name: "offsets-of-missing-partition", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one --partitions 7"},
			{Name: "offsets-below", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic-partitions t1:-2"},
			{Name: "offsets-from", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic-partitions t.*:1-,:0"},
			{Name: "offsets-earliest-local", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one --time earliest-local"},
			{Name: "offsets-earliest", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic t1 --time earliest"},
			{Name: "offsets-max-timestamp", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one --time -3"},
			{Name: "offsets-of-partitions", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic-partitions t1:0,t1:2,one:0 --time -1"},
			{Name: "offsets-by-pattern", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic t.* --partitions 0,1"},
			{Name: "offsets-by-range", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic-partitions t1:1-3"},
			{Name: "offsets-of-missing-topic", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic nosuch"},

			{Name: "records-delete", Tool: DeleteRecordsTool, Args: json + "delete.json"},
			{Name: "records-beyond-the-end", Tool: DeleteRecordsTool, Args: json + "far.json"},
			{Name: "records-all", Tool: DeleteRecordsTool, Args: json + "all.json"},
			{Name: "records-none", Tool: DeleteRecordsTool, Args: json + "none.json"},
			{Name: "records-of-missing-partitions", Tool: DeleteRecordsTool, Args: json + "nosuch.json --command-config {F}/short.properties"},
			{Name: "offsets-after-deletion", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one --time earliest"},

			{Name: "log-dirs-of-topics", Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe --topic-list t1,one"},
			{Name: "log-dirs-of-broker", Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe --broker-list 0"},
			{Name: "log-dirs-of-missing-topic", Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe --broker-list 0 --topic-list nosuch"},
			{Name: "log-dirs-of-missing-broker", Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe --broker-list 0,7"},
			{Name: "log-dirs-of-no-broker", Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe --broker-list x"},

			{Name: "replicas-of-missing-topic", Tool: ReplicaVerificationTool, Args: "--broker-list {B} --topics-include nosuch"},

			{Name: "records-not-allowed", Tool: DeleteRecordsTool, Args: json + "delete.json", Before: []toolreplay.Command{
				toolreplay.ACL("--topic one --operation Describe --allow-principal User:ANONYMOUS"),
			}},
			{Name: "offsets-not-allowed", Tool: GetOffsetsTool, Args: "--bootstrap-server {B} --topic one", Before: []toolreplay.Command{
				toolreplay.ACL("--topic one --operation All --deny-principal User:ANONYMOUS"),
			}},
			{Name: "log-dirs-not-allowed", Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe", Before: []toolreplay.Command{
				toolreplay.ACL("--cluster --operation ClusterAction --allow-principal User:ANONYMOUS"),
			}},
		},
	})
}

// fillOne writes three records, one per second.
func fillOne(t testing.TB, broker string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range int64(3) {
		r := &kgo.Record{Topic: "one", Value: []byte{'x'}, Timestamp: time.Unix(1600000000+i, 0)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}
