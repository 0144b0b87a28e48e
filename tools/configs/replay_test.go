package configs

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestConfigsPrintsWhatTheRealToolPrints(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{
		Files: map[string]string{
			"topic.properties": "flush.ms=1000\nretention.bytes=1000000\n",
			"short.properties": "default.api.timeout.ms={T}\nrequest.timeout.ms=250\n",
		},
		Prepare: []toolreplay.Command{toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic one --partitions 1", "")},
		Cases: toolreplay.Of(Tool,
			toolreplay.Case{Name: "topic-add", Args: "--bootstrap-server {B} --entity-type topics --entity-name one --alter --add-config retention.ms=3600000,max.message.bytes=2000000"},
			toolreplay.Case{Name: "topic-describe", Args: "--bootstrap-server {B} --entity-type topics --entity-name one --describe"},
			toolreplay.Case{Name: "topic-describe-all", Args: "--bootstrap-server {B} --topic one --describe --all"},
			toolreplay.Case{Name: "topic-add-and-delete", Args: "--bootstrap-server {B} --topic one --alter --add-config cleanup.policy=[compact,delete],retention.ms=5000 --delete-config max.message.bytes"},
			toolreplay.Case{Name: "topics-describe", Args: "--bootstrap-server {B} --entity-type topics --describe"},
			toolreplay.Case{Name: "topic-delete", Args: "--bootstrap-server {B} --topic one --alter --delete-config retention.ms,cleanup.policy"},
			toolreplay.Case{Name: "topic-delete-unset", Args: "--bootstrap-server {B} --topic one --alter --delete-config retention.ms,nosuch"},
			toolreplay.Case{Name: "topic-add-unknown", Args: "--bootstrap-server {B} --topic one --alter --add-config nosuch=1"},
			toolreplay.Case{Name: "topic-add-invalid", Args: "--bootstrap-server {B} --topic one --alter --add-config segment.bytes=1"},
			toolreplay.Case{Name: "topic-add-message-format", Args: "--bootstrap-server {B} --topic one --alter --add-config message.format.version=2.8"},
			toolreplay.Case{Name: "topic-add-file", Args: "--bootstrap-server {B} --topic one --alter --add-config-file {F}/topic.properties"},
			toolreplay.Case{Name: "topic-describe-missing", Args: "--bootstrap-server {B} --entity-type topics --entity-name nosuch --describe"},
			toolreplay.Case{Name: "topic-add-missing", Args: "--bootstrap-server {B} --topic nosuch --alter --add-config retention.ms=1"},
			toolreplay.Case{Name: "topic-describe-invalid-name", Args: "--bootstrap-server {B} --topic bad%name --describe"},

			toolreplay.Case{Name: "broker-describe", Args: "--bootstrap-server {B} --entity-type brokers --entity-name 0 --describe"},
			toolreplay.Case{Name: "broker-add", Args: "--bootstrap-server {B} --broker 0 --alter --add-config log.cleaner.threads=2"},
			toolreplay.Case{Name: "broker-defaults-add", Args: "--bootstrap-server {B} --broker-defaults --alter --add-config message.max.bytes=2000000"},
			toolreplay.Case{Name: "brokers-describe", Args: "--bootstrap-server {B} --entity-type brokers --describe"},
			toolreplay.Case{Name: "broker-add-static-key", Args: "--bootstrap-server {B} --broker 0 --alter --add-config broker.id=5"},
			toolreplay.Case{Name: "broker-add-invalid", Args: "--bootstrap-server {B} --broker 0 --alter --add-config log.cleaner.threads=many"},
			toolreplay.Case{Name: "broker-delete-unset", Args: "--bootstrap-server {B} --broker 0 --alter --delete-config nosuch"},
			toolreplay.Case{Name: "broker-delete", Args: "--bootstrap-server {B} --broker 0 --alter --delete-config log.cleaner.threads"},
			toolreplay.Case{Name: "broker-defaults-delete", Args: "--bootstrap-server {B} --entity-type brokers --entity-default --alter --delete-config message.max.bytes"},
			toolreplay.Case{Name: "logger-add-unknown", Args: "--bootstrap-server {B} --broker-logger 0 --alter --add-config kafka.nosuch=DEBUG"},
			toolreplay.Case{Name: "broker-missing", Args: "--bootstrap-server {B} --command-config {F}/short.properties --broker 7 --describe"},

			toolreplay.Case{Name: "user-quota-add", Args: "--bootstrap-server {B} --user alice --alter --add-config producer_byte_rate=1024,consumer_byte_rate=2048"},
			toolreplay.Case{Name: "user-client-quota-add", Args: "--bootstrap-server {B} --entity-type users --entity-name alice --entity-type clients --entity-name c1 --alter --add-config request_percentage=50"},
			toolreplay.Case{Name: "client-defaults-add", Args: "--bootstrap-server {B} --client-defaults --alter --add-config producer_byte_rate=10485760"},
			toolreplay.Case{Name: "ip-quota-add", Args: "--bootstrap-server {B} --ip 10.1.1.1 --alter --add-config connection_creation_rate=20"},
			toolreplay.Case{Name: "scram-add", Args: "--bootstrap-server {B} --user alice --alter --add-config SCRAM-SHA-256=[iterations=4096,password=secret]"},
			toolreplay.Case{Name: "users-describe", Args: "--bootstrap-server {B} --entity-type users --describe"},
			toolreplay.Case{Name: "user-describe", Args: "--bootstrap-server {B} --user alice --describe"},
			toolreplay.Case{Name: "clients-describe", Args: "--bootstrap-server {B} --entity-type clients --describe"},
			toolreplay.Case{Name: "user-clients-describe", Args: "--bootstrap-server {B} --entity-type users --entity-type clients --describe"},
			toolreplay.Case{Name: "ips-describe", Args: "--bootstrap-server {B} --entity-type ips --describe"},
			toolreplay.Case{Name: "user-delete-unset", Args: "--bootstrap-server {B} --user alice --alter --delete-config nosuch"},
			toolreplay.Case{Name: "user-add-unknown", Args: "--bootstrap-server {B} --user alice --alter --add-config nosuch=1"},
			toolreplay.Case{Name: "user-add-quota-and-scram", Args: "--bootstrap-server {B} --user alice --alter --add-config SCRAM-SHA-256=[password=x],producer_byte_rate=1"},
			toolreplay.Case{Name: "scram-too-few-iterations", Args: "--bootstrap-server {B} --user alice --alter --add-config SCRAM-SHA-256=[iterations=1,password=x]"},
			toolreplay.Case{Name: "scram-invalid", Args: "--bootstrap-server {B} --user alice --alter --add-config SCRAM-SHA-256=x"},
			toolreplay.Case{Name: "scram-for-defaults", Args: "--bootstrap-server {B} --user-defaults --alter --add-config SCRAM-SHA-256=[password=x]"},
			toolreplay.Case{Name: "scram-for-client", Args: "--bootstrap-server {B} --client c1 --alter --add-config SCRAM-SHA-256=[password=x],nosuch=1"},
			toolreplay.Case{Name: "user-quota-delete", Args: "--bootstrap-server {B} --user alice --alter --delete-config producer_byte_rate"},
			toolreplay.Case{Name: "scram-delete", Args: "--bootstrap-server {B} --user alice --alter --delete-config SCRAM-SHA-256"},
			toolreplay.Case{Name: "ip-add-unknown", Args: "--bootstrap-server {B} --ip 10.1.1.1 --alter --add-config nosuch=1"},

			toolreplay.Case{Name: "topic-not-allowed", Args: "--bootstrap-server {B} --topic one --alter --add-config retention.ms=1", Before: []toolreplay.Command{
				toolreplay.ACL("--topic one --operation AlterConfigs --deny-principal User:ANONYMOUS"),
				toolreplay.ACL("--topic one --operation DescribeConfigs --allow-principal User:ANONYMOUS"),
				toolreplay.ACL("--cluster --operation ClusterAction --allow-principal User:ANONYMOUS"),
			}},
			toolreplay.Case{Name: "quota-not-allowed", Args: "--bootstrap-server {B} --user alice --alter --add-config producer_byte_rate=1"},
			toolreplay.Case{Name: "quota-describe-not-allowed", Args: "--bootstrap-server {B} --entity-type ips --describe"},
			toolreplay.Case{Name: "broker-not-allowed", Args: "--bootstrap-server {B} --broker 0 --describe"},
		),
	})
}
