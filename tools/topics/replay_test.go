package topics

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// guarded are the commands that forbid everything but describing the topic "guarded", and everything
// with the topic "hidden".
var guarded = []toolreplay.Command{
	toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic guarded --partitions 1", ""),
	toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic hidden --partitions 1", ""),
	toolreplay.ACL("--topic guarded --operation Describe --operation DescribeConfigs --allow-principal User:ANONYMOUS"),
	toolreplay.ACL("--topic hidden --operation All --deny-principal User:ANONYMOUS"),
}

func TestTopicsPrintsWhatTheRealToolPrints(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "version", Args: "--bootstrap-server {B} --version"},
		toolreplay.Case{Name: "list-none", Args: "--bootstrap-server {B} --list"},
		toolreplay.Case{Name: "describe-none", Args: "--bootstrap-server {B} --describe"},
		toolreplay.Case{Name: "create", Args: "--bootstrap-server {B} --create --topic t1 --partitions 3 --replication-factor 1"},
		toolreplay.Case{Name: "create-with-configs", Args: "--bootstrap-server {B} --create --topic my.topic_x --partitions 1 --replication-factor 1 --config retention.ms=1000000 --config cleanup.policy=compact"},
		toolreplay.Case{Name: "create-with-defaults", Args: "--bootstrap-server {B} --create --topic plain"},
		toolreplay.Case{Name: "create-existing", Args: "--bootstrap-server {B} --create --topic t1"},
		toolreplay.Case{Name: "create-if-not-exists", Args: "--bootstrap-server {B} --create --topic t1 --if-not-exists"},
		toolreplay.Case{Name: "create-colliding-name", Args: "--bootstrap-server {B} --create --topic my_topic.x"},
		toolreplay.Case{Name: "create-invalid-name", Args: "--bootstrap-server {B} --create --topic bad%topic"},
		toolreplay.Case{Name: "create-too-many-replicas", Args: "--bootstrap-server {B} --create --topic rf9 --replication-factor 9"},
		toolreplay.Case{Name: "create-zero-replicas", Args: "--bootstrap-server {B} --create --topic rf0 --replication-factor 0"},
		toolreplay.Case{Name: "create-zero-partitions", Args: "--bootstrap-server {B} --create --topic zero --partitions 0"},
		toolreplay.Case{Name: "create-partitions-not-a-number", Args: "--bootstrap-server {B} --create --topic a --partitions many"},
		toolreplay.Case{Name: "create-unknown-config", Args: "--bootstrap-server {B} --create --topic badcfg --config no.such=1"},
		toolreplay.Case{Name: "create-invalid-config", Args: "--bootstrap-server {B} --create --topic badcfg --config segment.bytes=1"},
		toolreplay.Case{Name: "create-config-without-value", Args: "--bootstrap-server {B} --create --topic badcfg --config segment.bytes"},
		toolreplay.Case{Name: "create-assigned", Args: "--bootstrap-server {B} --create --topic ra --replica-assignment 0,0"},
		toolreplay.Case{Name: "create-assigned-twice", Args: "--bootstrap-server {B} --create --topic rb --replica-assignment 0:0"},
		toolreplay.Case{Name: "create-assigned-unknown-broker", Args: "--bootstrap-server {B} --create --topic rc --replica-assignment 0,5"},
		toolreplay.Case{Name: "create-assigned-with-partitions", Args: "--bootstrap-server {B} --create --topic rd --replica-assignment 0 --partitions 2"},
		toolreplay.Case{Name: "create-without-topic", Args: "--bootstrap-server {B} --create"},
		toolreplay.Case{Name: "list", Args: "--bootstrap-server {B} --list"},
		toolreplay.Case{Name: "list-by-pattern", Args: "--bootstrap-server {B} --list --topic t.*"},
		toolreplay.Case{Name: "list-by-names", Args: "--bootstrap-server {B} --list --topic t1,plain,nosuch"},
		toolreplay.Case{Name: "list-invalid-pattern", Args: "--bootstrap-server {B} --list --topic t("},
		toolreplay.Case{Name: "list-exclude-internal", Args: "--bootstrap-server {B} --list --exclude-internal"},
		toolreplay.Case{Name: "describe", Args: "--bootstrap-server {B} --describe --topic t1"},
		toolreplay.Case{Name: "describe-all", Args: "--bootstrap-server {B} --describe"},
		toolreplay.Case{Name: "describe-overrides", Args: "--bootstrap-server {B} --describe --topic my.topic_x"},
		toolreplay.Case{Name: "describe-with-overrides", Args: "--bootstrap-server {B} --describe --topics-with-overrides"},
		toolreplay.Case{Name: "describe-missing", Args: "--bootstrap-server {B} --describe --topic nosuch"},
		toolreplay.Case{Name: "describe-missing-if-exists", Args: "--bootstrap-server {B} --describe --topic nosuch --if-exists"},
		toolreplay.Case{Name: "describe-missing-id", Args: "--bootstrap-server {B} --describe --topic-id AAAAAAAAAAAAAAAAAAAAAQ"},
		toolreplay.Case{Name: "describe-under-replicated", Args: "--bootstrap-server {B} --describe --under-replicated-partitions"},
		toolreplay.Case{Name: "describe-unavailable", Args: "--bootstrap-server {B} --describe --unavailable-partitions"},
		toolreplay.Case{Name: "describe-under-min-isr", Args: "--bootstrap-server {B} --describe --under-min-isr-partitions"},
		toolreplay.Case{Name: "describe-at-min-isr", Args: "--bootstrap-server {B} --describe --at-min-isr-partitions"},
		toolreplay.Case{Name: "alter-more-partitions", Args: "--bootstrap-server {B} --alter --topic my.topic_x --partitions 4"},
		toolreplay.Case{Name: "alter-assigned", Args: "--bootstrap-server {B} --alter --topic plain --partitions 2 --replica-assignment 0,0"},
		toolreplay.Case{Name: "alter-fewer-partitions", Args: "--bootstrap-server {B} --alter --topic my.topic_x --partitions 2"},
		toolreplay.Case{Name: "alter-missing", Args: "--bootstrap-server {B} --alter --topic nosuch --partitions 2"},
		toolreplay.Case{Name: "alter-missing-if-exists", Args: "--bootstrap-server {B} --alter --topic nosuch --partitions 2 --if-exists"},
		toolreplay.Case{Name: "alter-without-partitions", Args: "--bootstrap-server {B} --alter --topic t1"},
		toolreplay.Case{Name: "alter-config", Args: "--bootstrap-server {B} --alter --topic t1 --config retention.ms=1"},
		toolreplay.Case{Name: "delete", Args: "--bootstrap-server {B} --delete --topic ra"},
		toolreplay.Case{Name: "delete-missing", Args: "--bootstrap-server {B} --delete --topic nosuch"},
		toolreplay.Case{Name: "delete-missing-if-exists", Args: "--bootstrap-server {B} --delete --topic nosuch --if-exists"},
		toolreplay.Case{Name: "no-action", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "no-broker", Args: "--list"},
		toolreplay.Case{Name: "two-actions", Args: "--bootstrap-server {B} --list --delete"},
		toolreplay.Case{Name: "unknown-option", Args: "--bootstrap-server {B} --list --nosuch"},
		toolreplay.Case{Name: "option-of-another-action", Args: "--bootstrap-server {B} --list --topic t1 --partitions 2"},
		toolreplay.Case{Name: "option-without-argument", Args: "--bootstrap-server {B} --create --topic"},

		toolreplay.Case{Name: "alter-not-allowed", Args: "--bootstrap-server {B} --alter --topic guarded --partitions 2", Before: guarded},
		toolreplay.Case{Name: "delete-not-allowed", Args: "--bootstrap-server {B} --delete --topic guarded"},
		toolreplay.Case{Name: "describe-without-other-rights", Args: "--bootstrap-server {B} --describe --topic guarded"},
		toolreplay.Case{Name: "list-without-hidden", Args: "--bootstrap-server {B} --list"},
		toolreplay.Case{Name: "describe-not-allowed", Args: "--bootstrap-server {B} --describe --topic hidden"},
	)})
}
