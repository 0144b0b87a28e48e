package configs

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/internal/zktest"
)

// The expected output is that of the tool of 2.8. It changes the nodes of configurations and
// notifies the brokers by creating another node.
func TestConfigurationsAreChangedInZooKeeper(t *testing.T) {
	for _, test := range []struct {
		name, args, want string
		nodes            map[string]string // afterwards
	}{
		{"describe topics", "--entity-type topics --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for topic 't' are retention.ms=1000
[err]
[exit] 0
`, nil},
		{"describe a topic", "--topic t --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for topic 't' are retention.ms=1000
[err]
[exit] 0
`, nil},
		{"set keys of a topic", "--topic t --alter --add-config flush.ms=5", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: topic 't'.
[err]
[exit] 0
`, map[string]string{"/config/topics/t": `{"version":1,"config":{"flush.ms":"5","retention.ms":"1000"}}`,
			"/config/changes/config_change_0000000000": `{"version":2,"entity_path":"topics/t"}`}},
		{"delete a key of a topic", "--topic t --alter --delete-config retention.ms", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: topic 't'.
[err]
[exit] 0
`, map[string]string{"/config/topics/t": `{"version":1,"config":{}}`}},
		{"delete a key that is not set", "--topic t --alter --delete-config flush.ms", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Invalid config(s): flush.ms
[exit] 1
`, map[string]string{"/config/changes/config_change_0000000000": ""}},
		{"an unknown key", "--topic t --alter --add-config nosuch=1", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Unknown topic config name: nosuch
[exit] 1
`, nil},
		{"an invalid value", "--topic t --alter --add-config segment.bytes=1", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Error while executing config command with args '--zookeeper * --topic t --alter --add-config segment.bytes=1'
[err] org.apache.kafka.common.config.ConfigException: Invalid value 1 for configuration segment.bytes: Value must be at least 14
[exit] 1
`, nil},
		{"an unknown topic", "--topic nosuch --alter --add-config retention.ms=1", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Error while executing config command with args '--zookeeper * --topic nosuch --alter --add-config retention.ms=1'
[err] org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic 'nosuch' does not exist.
[exit] 1
`, nil},
		{"describe a user", "--user alice --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for user-principal 'alice' are producer_byte_rate=1024
[err]
[exit] 0
`, nil},
		{"describe users", "--entity-type users --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for user-principal 'alice' are producer_byte_rate=1024
[err]
[exit] 0
`, nil},
		{"describe clients of users", "--entity-type users --entity-type clients --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for user-principal 'alice', client-id 'c1' are request_percentage=50
[err]
[exit] 0
`, nil},
		{"describe clients of a user", "--entity-type users --entity-name alice --entity-type clients --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for user-principal 'alice', client-id 'c1' are request_percentage=50
[err]
[exit] 0
`, nil},
		{"set quotas of a user", "--user bob --alter --add-config producer_byte_rate=5", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: user-principal 'bob'.
[err]
[exit] 0
`, map[string]string{"/config/users/bob": `{"version":1,"config":{"producer_byte_rate":"5"}}`,
			"/config/changes/config_change_0000000000": `{"version":2,"entity_path":"users/bob"}`}},
		{"set quotas of a user with special characters", "--user al@ice --alter --add-config producer_byte_rate=5", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: user-principal 'al@ice'.
[err]
[exit] 0
`, map[string]string{"/config/users/al%40ice": `{"version":1,"config":{"producer_byte_rate":"5"}}`}},
		{"set quotas of the default user", "--entity-type users --entity-default --alter --add-config producer_byte_rate=5", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: default user-principal.
[err]
[exit] 0
`, map[string]string{"/config/users/<default>": `{"version":1,"config":{"producer_byte_rate":"5"}}`}},
		{"set quotas of a client of a user", "--entity-type clients --entity-name c2 --entity-type users --entity-name alice --alter --add-config request_percentage=50", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: user-principal 'alice', client-id 'c2'.
[err]
[exit] 0
`,
			map[string]string{"/config/users/alice/clients/c2": `{"version":1,"config":{"request_percentage":"50"}}`}},
		{"a quota that is not a number", "--user bob --alter --add-config producer_byte_rate=many", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Error while executing config command with args '--zookeeper * --user bob --alter --add-config producer_byte_rate=many'
[err] org.apache.kafka.common.config.ConfigException: Invalid value many for configuration producer_byte_rate: Not a number of type LONG
[exit] 1
`, map[string]string{"/config/users/bob": ""}},
		{"an unknown key of a user", "--user bob --alter --add-config nosuch=1", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] requirement failed: Unknown Dynamic Configuration: HashSet(nosuch).
[exit] 1
`, nil},
		{"too few iterations", "--user bob --alter --add-config SCRAM-SHA-512=[iterations=1,password=x]", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Iterations 1 is less than the minimum 4096 required for SCRAM_SHA_512
[exit] 1
`, nil},
		{"credentials of a client", "--client c1 --alter --add-config SCRAM-SHA-256=[password=x]", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] requirement failed: Unknown Dynamic Configuration: HashSet(SCRAM-SHA-256).
[exit] 1
`, nil},
		{"set quotas of a client", "--client c1 --alter --add-config producer_byte_rate=5", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: client-id 'c1'.
[err]
[exit] 0
`, map[string]string{"/config/clients/c1": `{"version":1,"config":{"producer_byte_rate":"5"}}`}},
		{"describe clients", "--entity-type clients --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err]
[exit] 0
`, nil},
		{"set a rate of connections", "--ip 10.1.1.1 --alter --add-config connection_creation_rate=20", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: ips '10.1.1.1'.
[err]
[exit] 0
`, map[string]string{"/config/ips/10.1.1.1": `{"version":1,"config":{"connection_creation_rate":"20"}}`}},
		{"describe addresses", "--entity-type ips --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Configs for ips '10.0.0.1' are connection_creation_rate=7
[err]
[exit] 0
`, nil},
		{"a throttle of a running broker", "--broker 0 --alter --add-config leader.replication.throttled.rate=1000", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: brokers '0'.
[err]
[exit] 0
`, map[string]string{"/config/brokers/0": `{"version":1,"config":{"leader.replication.throttled.rate":"1000"}}`}},
		{"another key of a running broker", "--broker 0 --alter --add-config log.cleaner.threads=2", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] requirement failed: --bootstrap-server option must be specified to update broker configs Set(log.cleaner.threads). when broker 0 is running. Broker configuration updates using ZooKeeper are supported for bootstrapping before brokers are started to enable encrypted password configs to be stored in ZooKeeper.
[exit] 1
`, nil},
		{"a key of all brokers", "--broker-defaults --alter --add-config log.cleaner.threads=2", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] requirement failed: --bootstrap-server option must be specified to update broker configs Set(log.cleaner.threads). for default cluster if any broker is running. Broker configuration updates using ZooKeeper are supported for bootstrapping before brokers are started to enable encrypted password configs to be stored in ZooKeeper.
[exit] 1
`, nil},
		{"a key of a stopped broker", "--broker 7 --alter --add-config log.cleaner.threads=2", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Completed updating config for entity: brokers '7'.
[err]
[exit] 0
`, map[string]string{"/config/brokers/7": `{"version":1,"config":{"log.cleaner.threads":"2"}}`}},
		{"a static key of a stopped broker", "--broker 7 --alter --add-config log.cleaner.threads=2,broker.id=3", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Error while executing config command with args '--zookeeper * --broker 7 --alter --add-config log.cleaner.threads=2,broker.id=3'
[err] org.apache.kafka.common.config.ConfigException: Cannot update these configs dynamically: Set(broker.id)
[exit] 1
`, nil},
		{"a password without a secret", "--broker 7 --alter --add-config listener.name.internal.ssl.key.password=secret", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] requirement failed: password.encoder.secret must be specified to update Set(listener.name.internal.ssl.key.password). Other password encoder configs like cipher algorithm and iterations may also be specified to override the default encoding parameters. Password encoder configs will not be persisted in ZooKeeper.
[exit] 1
`, nil},
		{"describe brokers", "--entity-type brokers --describe", `[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err]
[exit] 0
`, nil},
		{"describe loggers", "--broker-logger 0 --describe", `[out]
[err] Invalid entity type broker-loggers, the entity type must be one of topics,clients,users,brokers,ips with the --zookeeper argument
[exit] 1
`, nil},
		{"defaults", "--topic t --describe --all", `[out]
[err] --bootstrap-server must be specified for --all
[exit] 1
`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			zookeeper := zktest.Start(t)
			zookeeper.Put(t, "/brokers/ids/0", `{"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://127.0.0.1:9092"],"jmx_port":-1,"host":"127.0.0.1","timestamp":"1","port":9092,"version":4}`)
			zookeeper.Put(t, "/brokers/topics/t", `{"version":1,"partitions":{"0":[0]}}`)
			zookeeper.Put(t, "/config/topics/t", `{"version":1,"config":{"retention.ms":"1000"}}`)
			zookeeper.Put(t, "/config/users/alice", `{"version":1,"config":{"producer_byte_rate":"1024"}}`)
			zookeeper.Put(t, "/config/users/alice/clients/c1", `{"version":1,"config":{"request_percentage":"50"}}`)
			zookeeper.Put(t, "/config/ips/10.0.0.1", `{"version":1,"config":{"connection_creation_rate":"7"}}`)
			for _, empty := range []string{"/config/changes", "/config/clients", "/config/brokers"} {
				zookeeper.Put(t, empty, "")
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--zookeeper " + zookeeper.Address() + " " + test.args}, nil, func(kmsg.Request) kmsg.Response { return nil })
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			for path, want := range test.nodes {
				if node, _ := zookeeper.Get(path); node != want {
					t.Errorf("%s is %s, want %s", path, node, want)
				}
			}
		})
	}
}
