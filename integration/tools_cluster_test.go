package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

var clusterFiles = map[string]string{
	"delete.json":      `{"partitions":[{"topic":"one","partition":0,"offset":1}],"version":1}`,
	"all.json":         `{"partitions":[{"topic":"one","partition":0,"offset":-1}]}`,
	"nosuch.json":      `{"partitions":[{"topic":"one","partition":0,"offset":2},{"topic":"one","partition":7,"offset":1},{"topic":"nosuch","partition":0,"offset":1}]}`,
	"far.json":         `{"partitions":[{"topic":"one","partition":0,"offset":99}]}`,
	"twice.json":       `{"partitions":[{"topic":"one","partition":0,"offset":1},{"topic":"one","partition":0,"offset":2}]}`,
	"field.json":       `{"partitions":[{"topic":"one","partition":0}]}`,
	"version.json":     `{"partitions":[],"version":2}`,
	"noparts.json":     `{"version":1}`,
	"empty.json":       ``,
	"broken.json":      `{"partitions":[`,
	"none.json":        `{"partitions":[]}`,
	"elect.json":       `{"partitions":[{"topic":"placed","partition":0},{"topic":"placed","partition":1}]}`,
	"electtwice.json":  `{"partitions":[{"topic":"placed","partition":0},{"topic":"placed","partition":0}]}`,
	"electnosuch.json": `{"partitions":[{"topic":"nosuch","partition":0},{"topic":"placed","partition":0}]}`,
	"short.properties": shortTimeouts,
}

// clusterLines are command lines of the smaller administration tools.
var clusterLines = []toolLine{
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/delete.json"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic one --time earliest"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/far.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/all.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/none.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/nosuch.json --command-config {F}/short.properties"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/twice.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/field.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/version.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/noparts.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/empty.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/broken.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --offset-json-file {F}/absent.json"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B}"},
	{script: "kafka-delete-records", args: "--bootstrap-server {B} --nosuch"},
	{script: "kafka-delete-records", args: "--bootstrap-server 127.0.0.1:1 --offset-json-file {F}/delete.json --command-config {F}/short.properties"},
	{script: "kafka-delete-records", args: "--version", more: true},
	{script: "kafka-delete-records", args: "", more: true},

	{script: "kafka-log-dirs", args: "--bootstrap-server {B} --describe --topic-list placed,one"},
	{script: "kafka-log-dirs", args: "--bootstrap-server {B} --describe --broker-list 1,0"},
	{script: "kafka-log-dirs", args: "--bootstrap-server {B} --describe --broker-list 0 --topic-list nosuch"},
	{script: "kafka-log-dirs", args: "--bootstrap-server {B} --describe --broker-list 0,7"},
	{script: "kafka-log-dirs", args: "--bootstrap-server {B} --describe --broker-list x"},
	{script: "kafka-log-dirs", args: "--bootstrap-server {B}"},
	{script: "kafka-log-dirs", args: "--describe"},
	{script: "kafka-log-dirs", args: "--bootstrap-server {B} --nosuch"},
	{script: "kafka-log-dirs", args: "--bootstrap-server 127.0.0.1:1 --describe --command-config {F}/short.properties"},
	{script: "kafka-log-dirs", args: "", more: true},

	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --topic placed --partition 0"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type PREFERRED --path-to-json-file {F}/elect.json"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --all-topic-partitions"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type unclean --all-topic-partitions"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type unclean --topic placed --partition 0"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --topic nosuch --partition 0"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/electnosuch.json"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/electtwice.json"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/broken.json"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/noparts.json"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/absent.json"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type best --all-topic-partitions"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --topic placed"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --all-topic-partitions --partition 0"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --all-topic-partitions --topic placed --partition 0"},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --election-type preferred --topic placed --partition zero"},
	{script: "kafka-leader-election", args: "--election-type preferred --all-topic-partitions"},
	{script: "kafka-leader-election", args: "--all-topic-partitions", more: true},
	{script: "kafka-leader-election", args: "--bootstrap-server {B} --nosuch"},
	{script: "kafka-leader-election", args: "--bootstrap-server 127.0.0.1:1 --election-type preferred --all-topic-partitions --admin.config {F}/short.properties"},
	{script: "kafka-leader-election", args: "", more: true},

	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic placed"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topics-with-overrides"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --under-min-isr-partitions"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --at-min-isr-partitions"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --under-replicated-partitions"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --unavailable-partitions"},
}

// placeAndFill creates a topic whose leaders are not the preferred ones, a topic with fewer
// replicas than its min.insync.replicas, and some records.
func placeAndFill(brokers []*broker) {
	b := brokers[0]
	must(b.t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "placed", "--replica-assignment", "0:1,0:1",
		"--config", "min.insync.replicas=2", "--config", "retention.ms=1000000", "--config", "flush.ms=1000")...)
	must(b.t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "strict", "--replica-assignment", "0", "--config", "min.insync.replicas=2")...)
	for _, record := range []string{"a", "b", "c"} {
		b.produce("one", record)
	}
	b.stop()
	b.start()
	testkit.Eventually(b.t, 60*time.Second, "broker 0 to follow again", func() bool {
		out, _, _ := run(b.t, "kafka-topics", append(brokers[1].bootstrap(), "--describe", "--topic", "placed")...)
		offsets, _, _ := run(b.t, "kafka-get-offsets", append(b.bootstrap(), "--topic", "one")...)
		return strings.Count(out, "Leader: 1\tReplicas: 0,1\tIsr: 1,0") == 2 && offsets == "one:0:3\n"
	})
}

func TestOurClusterToolsPrintWhatTheRealOnesPrint(t *testing.T) {
	compareTools(t, "3.9.1", clusterLines, toolSetting{brokers: 2, files: clusterFiles, prepare: placeAndFill})
}

// zookeeperElectionLines are command lines of 2.8's tool for preferred leader election.
var zookeeperElectionLines = []toolLine{
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B} --path-to-json-file {F}/elect.json"},
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B} --path-to-json-file {F}/electnosuch.json"},
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B}"},
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B} --path-to-json-file {F}/electtwice.json"},
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B} --path-to-json-file {F}/broken.json"},
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B} --path-to-json-file {F}/absent.json"},
	{script: "kafka-preferred-replica-election", args: "--zookeeper {Z} --path-to-json-file {F}/elect.json"},
	{script: "kafka-topics", args: "--zookeeper {Z} --describe --topic placed"},
	{script: "kafka-preferred-replica-election", args: "--zookeeper {Z} --bootstrap-server {B}"},
	{script: "kafka-preferred-replica-election", args: "--path-to-json-file {F}/elect.json"},
	{script: "kafka-preferred-replica-election", args: "--bootstrap-server {B} --nosuch"},
	{script: "kafka-preferred-replica-election", args: ""},
}

func TestOurPreferredElectionToolPrintsWhatTheRealOnePrints(t *testing.T) {
	compareTools(t, "2.8.2", zookeeperElectionLines, toolSetting{brokers: 2, files: clusterFiles, prepare: placeAndFill})
}
