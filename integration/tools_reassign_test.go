package integration

import "testing"

// reassignFiles are the files of the command lines below. Topic "placed" has two partitions on
// broker 0.
var reassignFiles = map[string]string{
	"to1.json":         `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1]}]}`,
	"to0.json":         `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0]},{"topic":"placed","partition":1,"replicas":[0]}]}`,
	"both.json":        `{"partitions":[{"topic":"placed","partition":0,"replicas":[1,0],"log_dirs":["any","any"]},{"topic":"placed","partition":1,"replicas":[1]}]}`,
	"dir.json":         `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["{D}"]}]}`,
	"second.json":      `{"version":1,"partitions":[{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["{E}"]}]}`,
	"first.json":       `{"version":1,"partitions":[{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["{D}"]}]}`,
	"otherdir.json":    `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["{D}/nosuch"]}]}`,
	"dirs.json":        `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0,1],"log_dirs":["any"]}]}`,
	"nosuch.json":      `{"version":1,"partitions":[{"topic":"nosuch","partition":0,"replicas":[0]}]}`,
	"noparts.json":     `{"version":1,"partitions":[{"topic":"placed","partition":7,"replicas":[0]}]}`,
	"edge.json":        `{"version":1,"partitions":[{"topic":"placed","partition":2,"replicas":[0]}]}`,
	"nobroker.json":    `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[7]}]}`,
	"twice.json":       `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0]},{"topic":"placed","partition":0,"replicas":[1]}]}`,
	"twins.json":       `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0,0]}]}`,
	"noreplicas.json":  `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[]}]}`,
	"none.json":        `{"version":1,"partitions":[]}`,
	"empty.json":       ``,
	"version.json":     `{"version":2,"partitions":[]}`,
	"field.json":       `{"version":1,"partitions":[{"topic":"placed","replicas":[0]}]}`,
	"text.json":        `{"version":1,"partitions":[{"topic":"placed","partition":"0","replicas":[0]}]}`,
	"list.json":        `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":0}]}`,
	"object.json":      `[1, 2]`,
	"json1.json":       `{"version":1,partitions:[]}`,
	"json2.json":       `nonsense`,
	"json3.json":       `{"version" 1}`,
	"json4.json":       `{"version":1,"partitions":[1 2]}`,
	"json5.json":       `{"version":tru}`,
	"json6.json":       `{"version":1 "a":2}`,
	"json7.json":       `{"version":}`,
	"topics.json":      `{"version":1,"topics":[{"topic":"placed"}]}`,
	"topics2.json":     `{"version":1,"topics":[{"topic":"placed"},{"topic":"placed"}]}`,
	"notopics.json":    `{"version":1,"topics":[{"topic":"nosuch"}]}`,
	"short.properties": shortTimeouts,
}

var reassignLines = []toolLine{
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/topics.json --broker-list 1"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/topics2.json --broker-list 1"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/notopics.json --broker-list 1"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/topics.json --broker-list 1,1"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/topics.json --broker-list x"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/topics.json --broker-list 7 --disable-rack-aware"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/empty.json --broker-list 0"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --list"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/to1.json --throttle 1000000"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/to1.json --preserve-throttles", until: "is completed."},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic placed"},
	{script: "kafka-configs", args: "--bootstrap-server {B} --broker 0 --describe"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/to1.json"},
	{script: "kafka-configs", args: "--bootstrap-server {B} --broker 0 --describe"},
	{script: "kafka-configs", args: "--bootstrap-server {B} --topic placed --describe"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/to0.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/to0.json --timeout 5000"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/to0.json --preserve-throttles", until: "placed-0 is completed."},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --cancel --reassignment-json-file {F}/to0.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/second.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/second.json --preserve-throttles", until: "completed successfully"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/first.json --replica-alter-log-dirs-throttle 1000000"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/first.json --preserve-throttles", until: "completed successfully"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/second.json --preserve-throttles"},
	{script: "kafka-configs", args: "--bootstrap-server {B} --broker 0 --describe"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --cancel --reassignment-json-file {F}/first.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/otherdir.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/otherdir.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/dirs.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/nosuch.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/noparts.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/edge.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/none.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/nosuch.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/noparts.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/nobroker.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/twice.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/twins.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/noreplicas.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/none.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/empty.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json1.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json2.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json3.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json4.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json5.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json6.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/json7.json", more: true},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/version.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/field.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/text.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/list.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/object.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/absent.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/to1.json --throttle fast"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --execute --reassignment-json-file {F}/to1.json --broker-list 1"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --reassignment-json-file {F}/to1.json --throttle 1"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify --list"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --verify"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --generate --topics-to-move-json-file {F}/topics.json"},
	{script: "kafka-reassign-partitions", args: "--verify --reassignment-json-file {F}/to1.json"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server {B} --nosuch"},
	{script: "kafka-reassign-partitions", args: "--bootstrap-server 127.0.0.1:1 --command-config {F}/short.properties --list"},
	{script: "kafka-reassign-partitions", args: ""},
	{script: "kafka-reassign-partitions", args: "--version"},

	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic placed"},
}

// placeTopics creates topic "placed", which the files refer to.
func placeTopics(brokers []*broker) {
	must(brokers[0].t, "kafka-topics", append(brokers[0].bootstrap(), "--create", "--topic", "placed", "--replica-assignment", "0,0")...)
}

func TestOurReassignToolPrintsWhatTheRealOnePrints(t *testing.T) {
	compareTools(t, "3.9.1", reassignLines, toolSetting{brokers: 2, twoDirs: true, files: reassignFiles, prepare: placeTopics})
}

// zookeeperReassignLines are command lines of kafka-reassign-partitions over --zookeeper, as in
// 2.8.
var zookeeperReassignLines = []toolLine{
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --generate --topics-to-move-json-file {F}/topics.json --broker-list 1"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --generate --topics-to-move-json-file {F}/topics.json --broker-list 1,1"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --generate --topics-to-move-json-file {F}/topics2.json --broker-list 1", more: true},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/to1.json --throttle 1000000"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --verify --reassignment-json-file {F}/to1.json --preserve-throttles", until: "is complete."},
	{script: "kafka-topics", args: "--zookeeper {Z} --describe --topic placed"},
	{script: "kafka-configs", args: "--zookeeper {Z} --broker 0 --describe"},
	{script: "kafka-configs", args: "--zookeeper {Z} --topic placed --describe"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --verify --reassignment-json-file {F}/to1.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --verify --reassignment-json-file {F}/to0.json"},
	{script: "kafka-configs", args: "--zookeeper {Z} --broker 0 --describe"},
	{script: "kafka-configs", args: "--zookeeper {Z} --topic placed --describe"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/nosuch.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/nobroker.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/dir.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/twice.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/twins.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/none.json"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --execute --reassignment-json-file {F}/to1.json --additional"},
	{script: "kafka-reassign-partitions", args: "--zookeeper {Z} --cancel --reassignment-json-file {F}/to1.json"},
}

func TestOurReassignToolOverZooKeeperPrintsWhatTheRealOnePrints(t *testing.T) {
	compareTools(t, "2.8.2", zookeeperReassignLines, toolSetting{brokers: 2, files: reassignFiles, prepare: placeTopics})
}
