package configs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
)

// scripted is a broker that keeps configurations, quotas and credentials.
type scripted struct {
	toolreplay.Cluster
	configs     map[string]map[string]string // "type name" -> key -> value; "" is hidden
	quotas      map[string]map[string]float64
	credentials map[string][]kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo
	failures    map[protocol.APIKey]protocol.ErrorCode
	asked       []string // the changes that were requested
}

const (
	topicType, brokerType, loggerType, metricsType = "2", "4", "8", "16"
)

func newScripted() *scripted {
	credential := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
	credential.Mechanism, credential.Iterations = 1, 4096
	other := credential
	other.Mechanism, other.Iterations = 2, 8192
	return &scripted{
		Cluster: toolreplay.Cluster{Brokers: []int32{0, 1}, Topics: map[string][]toolreplay.Partition{"t": {{Leader: 0, Replicas: []int32{0}}}, "u": {{Leader: 0, Replicas: []int32{0}}}}},
		configs: map[string]map[string]string{
			topicType + " t":      {"retention.ms": "1000", "cleanup.policy": "compact"},
			topicType + " u":      {},
			brokerType + " 0":     {"log.cleaner.threads": "2"},
			brokerType + " 1":     {"listener.name.internal.ssl.key.password": ""},
			brokerType + " ":      {"message.max.bytes": "5"},
			loggerType + " 0":     {"root": "INFO", "kafka": "DEBUG"},
			metricsType + " push": {"interval.ms": "5000"},
		},
		quotas: map[string]map[string]float64{
			"user=alice":              {"producer_byte_rate": 1024, "consumer_byte_rate": 2048},
			"user=alice,client-id=c1": {"request_percentage": 12.5},
			"user=<default>":          {"producer_byte_rate": 1e7},
			"client-id=c1":            {"producer_byte_rate": 5},
			"ip=10.0.0.1":             {"connection_creation_rate": 20},
		},
		credentials: map[string][]kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{"alice": {credential, other}, "bob": {other}},
		failures:    map[protocol.APIKey]protocol.ErrorCode{},
	}
}

func (s *scripted) answer(req kmsg.Request) kmsg.Response {
	code := int16(s.failures[protocol.APIKey(req.Key())])
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return s.Metadata(req)
	case *kmsg.DescribeConfigsRequest:
		return s.describe(req, code)
	case *kmsg.IncrementalAlterConfigsRequest:
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		for _, r := range req.Resources {
			for _, c := range r.Configs {
				s.asked = append(s.asked, strings.Join([]string{strconv.Itoa(int(r.ResourceType)), r.ResourceName, c.Op.String(), c.Name, orNull(c.Value)}, " "))
			}
			one := kmsg.NewIncrementalAlterConfigsResponseResource()
			one.ResourceType, one.ResourceName, one.ErrorCode = r.ResourceType, r.ResourceName, code
			resp.Resources = append(resp.Resources, one)
		}
		return resp
	case *kmsg.AlterConfigsRequest:
		resp := kmsg.NewPtrAlterConfigsResponse()
		for _, r := range req.Resources {
			for _, c := range r.Configs {
				s.asked = append(s.asked, strings.Join([]string{strconv.Itoa(int(r.ResourceType)), r.ResourceName, c.Name, orNull(c.Value)}, " "))
			}
			one := kmsg.NewAlterConfigsResponseResource()
			one.ResourceType, one.ResourceName, one.ErrorCode = r.ResourceType, r.ResourceName, code
			resp.Resources = append(resp.Resources, one)
		}
		return resp
	case *kmsg.DescribeClientQuotasRequest:
		return s.describeQuotas(req, code)
	case *kmsg.AlterClientQuotasRequest:
		return s.alterQuotas(req, code)
	case *kmsg.DescribeUserSCRAMCredentialsRequest:
		return s.describeCredentials(req, code)
	case *kmsg.AlterUserSCRAMCredentialsRequest:
		resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
		add := func(user, what string, mechanism int8) {
			s.asked = append(s.asked, user+" "+what+" "+scramName(mechanism))
			r := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
			r.User, r.ErrorCode = user, code
			resp.Results = append(resp.Results, r)
		}
		for _, d := range req.Deletions {
			add(d.Name, "delete", d.Mechanism)
		}
		for _, u := range req.Upsertions {
			add(u.Name, "set "+strconv.Itoa(int(u.Iterations)), u.Mechanism)
		}
		return resp
	}
	return nil
}

func (s *scripted) describe(req *kmsg.DescribeConfigsRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, wanted := range req.Resources {
		kind := strconv.Itoa(int(wanted.ResourceType))
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName, r.ErrorCode = wanted.ResourceType, wanted.ResourceName, code
		configs, found := s.configs[kind+" "+wanted.ResourceName]
		if !found && code == 0 {
			r.ErrorCode = int16(protocol.UnknownTopicOrPartition)
		}
		for _, name := range slices.Sorted(maps.Keys(configs)) {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Source = name, map[string]kmsg.ConfigSource{topicType: 1, brokerType: 2, loggerType: 6, metricsType: 7}[kind]
			if kind == brokerType && wanted.ResourceName == "" {
				c.Source = kmsg.ConfigSourceDynamicDefaultBrokerConfig
			}
			if value := configs[name]; value != "" {
				c.Value = &value
			} else {
				c.IsSensitive = true
			}
			synonym := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			synonym.Name, synonym.Value, synonym.Source = name, c.Value, c.Source
			c.ConfigSynonyms = append(c.ConfigSynonyms, synonym)
			r.Configs = append(r.Configs, c)
		}
		standard := kmsg.NewDescribeConfigsResponseResourceConfig()
		standard.Name, standard.Value, standard.Source = "a.default", kmsg.StringPtr("x"), kmsg.ConfigSourceDefaultConfig
		r.Configs = append(r.Configs, standard)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

// entityTextOf writes an entity as type=name,type=name.
func entityTextOf(kind string, name *string) string {
	if name == nil {
		return kind + "=<default>"
	}
	return kind + "=" + *name
}

func (s *scripted) describeQuotas(req *kmsg.DescribeClientQuotasRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	resp.ErrorCode, resp.Entries = code, []kmsg.DescribeClientQuotasResponseEntry{}
	for _, text := range slices.Sorted(maps.Keys(s.quotas)) {
		entry := kmsg.NewDescribeClientQuotasResponseEntry()
		parts := strings.Split(text, ",")
		matches := len(parts) == len(req.Components) || !req.Strict && len(parts) >= len(req.Components)
		for _, part := range parts {
			kind, name, _ := strings.Cut(part, "=")
			e := kmsg.NewDescribeClientQuotasResponseEntryEntity()
			e.Type = kind
			if name != "<default>" {
				e.Name = &name
			}
			entry.Entity = append(entry.Entity, e)
		}
		for _, c := range req.Components {
			matches = matches && slices.ContainsFunc(entry.Entity, func(e kmsg.DescribeClientQuotasResponseEntryEntity) bool {
				return e.Type == c.EntityType && (c.MatchType == 2 || c.MatchType == 1 && e.Name == nil || c.MatchType == 0 && e.Name != nil && *e.Name == *c.Match)
			})
		}
		for _, key := range slices.Sorted(maps.Keys(s.quotas[text])) {
			v := kmsg.NewDescribeClientQuotasResponseEntryValue()
			v.Key, v.Value = key, s.quotas[text][key]
			entry.Values = append(entry.Values, v)
		}
		if matches {
			resp.Entries = append(resp.Entries, entry)
		}
	}
	return resp
}

func (s *scripted) alterQuotas(req *kmsg.AlterClientQuotasRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	for _, e := range req.Entries {
		one := kmsg.NewAlterClientQuotasResponseEntry()
		one.ErrorCode = code
		var entity []string
		for _, part := range e.Entity {
			entity = append(entity, entityTextOf(part.Type, part.Name))
			p := kmsg.NewAlterClientQuotasResponseEntryEntity()
			p.Type, p.Name = part.Type, part.Name
			one.Entity = append(one.Entity, p)
		}
		for _, op := range e.Ops {
			change := strconv.FormatFloat(op.Value, 'f', -1, 64)
			if op.Remove {
				change = "removed"
			}
			s.asked = append(s.asked, strings.Join(entity, ",")+" "+op.Key+" "+change)
		}
		resp.Entries = append(resp.Entries, one)
	}
	return resp
}

func (s *scripted) describeCredentials(req *kmsg.DescribeUserSCRAMCredentialsRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	resp.ErrorCode = code
	names := slices.Sorted(maps.Keys(s.credentials))
	if len(req.Users) > 0 {
		names = nil
		for _, u := range req.Users {
			names = append(names, u.Name)
		}
	}
	for _, name := range names {
		r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		r.User, r.CredentialInfos = name, s.credentials[name]
		if r.CredentialInfos == nil {
			r.ErrorCode = int16(protocol.ResourceNotFound)
		}
		resp.Results = append(resp.Results, r)
	}
	return resp
}

func fail(key protocol.APIKey, code protocol.ErrorCode) func(s *scripted) {
	return func(s *scripted) { s.failures[key] = code }
}

var scriptedFiles = map[string]string{"topic.properties": "retention.ms=7\nflush.ms=8\n"}

func TestConfigurationsAreShownAndChangedLikeByTheRealTool(t *testing.T) {
	for _, test := range []struct {
		name, args string
		prepare    func(s *scripted)
		asked      string // the requested changes
		want       string
	}{
		{"describe a topic", "--topic t --describe", nil, "", `[out] Dynamic configs for topic t are:
[out]   cleanup.policy=compact sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact}
[out]   retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}
[err]
[exit] 0
`},
		{"describe a topic with defaults", "--topic t --describe --all", nil, "", `[out] All configs for topic t are:
[out]   a.default=x sensitive=false synonyms={}
[out]   cleanup.policy=compact sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact}
[out]   retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}
[err]
[exit] 0
`},
		{"describe all topics", "--entity-type topics --describe", nil, "", `[out] Dynamic configs for topic t are:
[out]   cleanup.policy=compact sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact}
[out]   retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}
[out] Dynamic configs for topic u are:
[err]
[exit] 0
`},
		{"describe an unknown topic", "--topic nosuch --describe", nil, "", `[out] Dynamic configs for topic nosuch are:
[err] Error while executing config command with args '--bootstrap-server * --topic nosuch --describe'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[exit] 1
`},
		{"describe is refused", "--topic t --describe", fail(protocol.DescribeConfigs, protocol.TopicAuthorizationFailed), "", `[out] Dynamic configs for topic t are:
[err] Error while executing config command with args '--bootstrap-server * --topic t --describe'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TopicAuthorizationException: Topic authorization failed.
[exit] 1
`},
		{"set keys of a topic", "--topic t --alter --add-config flush.ms=1,retention.ms=2", nil, "2 t SET flush.ms 1; 2 t SET retention.ms 2", `[out] Completed updating config for topic t.
[err]
[exit] 0
`},
		{"set keys from a file", "--topic t --alter --add-config-file {F}/topic.properties", nil, "2 t SET flush.ms 8; 2 t SET retention.ms 7", `[out] Completed updating config for topic t.
[err]
[exit] 0
`},
		{"set a list", "--topic t --alter --add-config cleanup.policy=[compact,delete]", nil, "2 t SET cleanup.policy compact,delete", `[out] Completed updating config for topic t.
[err]
[exit] 0
`},
		{"delete keys of a topic", "--topic t --alter --delete-config retention.ms,cleanup.policy", nil, "2 t DELETE cleanup.policy ; 2 t DELETE retention.ms ", `[out] Completed updating config for topic t.
[err]
[exit] 0
`},
		{"set and delete", "--topic t --alter --add-config flush.ms=1 --delete-config retention.ms", nil, "2 t DELETE retention.ms ; 2 t SET flush.ms 1", `[out] Completed updating config for topic t.
[err]
[exit] 0
`},
		{"delete a key that is not set", "--topic t --alter --delete-config flush.ms", nil, "", `[out]
[err] Invalid config(s): flush.ms
[exit] 1
`},
		{"a change is refused", "--topic t --alter --add-config flush.ms=1", fail(protocol.IncrementalAlterConfigs, protocol.PolicyViolation), "2 t SET flush.ms 1", `[out]
[err] Error while executing config command with args '--bootstrap-server * --topic t --alter --add-config flush.ms=1'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.PolicyViolationException: Request parameters do not satisfy the configured policy.
[exit] 1
`},
		{"a change is not allowed", "--topic t --alter --add-config flush.ms=1", fail(protocol.IncrementalAlterConfigs, protocol.TopicAuthorizationFailed), "2 t SET flush.ms 1", `[out]
[err] Error while executing config command with args '--bootstrap-server * --topic t --alter --add-config flush.ms=1'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TopicAuthorizationException: Topic authorization failed.
[exit] 1
`},

		{"describe a broker", "--broker 0 --describe", nil, "", `[out] Dynamic configs for broker 0 are:
[out]   log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2}
[err]
[exit] 0
`},
		{"describe the defaults of brokers", "--broker-defaults --describe", nil, "", `[out] Default configs for brokers in the cluster are:
[out]   message.max.bytes=5 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=5}
[err]
[exit] 0
`},
		{"describe all brokers", "--entity-type brokers --describe", nil, "", `[out] Dynamic configs for broker 0 are:
[out]   log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2}
[out] Dynamic configs for broker 1 are:
[out]   listener.name.internal.ssl.key.password=null sensitive=true synonyms={DYNAMIC_BROKER_CONFIG:listener.name.internal.ssl.key.password=null}
[out] Default configs for brokers in the cluster are:
[out]   message.max.bytes=5 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=5}
[err]
[exit] 0
`},
		{"set a key of a broker", "--broker 0 --alter --add-config background.threads=3", nil, "4 0 background.threads 3; 4 0 log.cleaner.threads 2", `[out] Completed updating config for broker 0.
[err]
[exit] 0
`},
		{"set a key of all brokers", "--broker-defaults --alter --add-config background.threads=3", nil, "4  background.threads 3; 4  message.max.bytes 5", `[out] Completed updating default config for brokers in the cluster.
[err]
[exit] 0
`},
		{"delete a key of a broker", "--broker 0 --alter --delete-config log.cleaner.threads", nil, "", `[out] Completed updating config for broker 0.
[err]
[exit] 0
`},
		{"a broker with secrets", "--broker 1 --alter --add-config background.threads=3", nil, "", `[out]
[err] All sensitive broker config entries must be specified for --alter, missing entries: Set(listener.name.internal.ssl.key.password)
[exit] 1
`},
		{"a broker with secrets that are given", "--broker 1 --alter --add-config listener.name.internal.ssl.key.password=new", nil, "4 1 listener.name.internal.ssl.key.password new", `[out] Completed updating config for broker 1.
[err]
[exit] 0
`},
		{"a broker refuses", "--broker 0 --alter --add-config background.threads=3", fail(protocol.AlterConfigs, protocol.ClusterAuthorizationFailed), "4 0 background.threads 3; 4 0 log.cleaner.threads 2", `[out]
[err] Error while executing config command with args '--bootstrap-server * --broker 0 --alter --add-config background.threads=3'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[exit] 1
`},

		{"describe loggers", "--broker-logger 0 --describe", nil, "", `[out] Dynamic configs for broker-logger 0 are:
[out]   a.default=x sensitive=false synonyms={}
[out]   kafka=DEBUG sensitive=false synonyms={DYNAMIC_BROKER_LOGGER_CONFIG:kafka=DEBUG}
[out]   root=INFO sensitive=false synonyms={DYNAMIC_BROKER_LOGGER_CONFIG:root=INFO}
[err]
[exit] 0
`},
		{"set a logger", "--broker-logger 0 --alter --add-config kafka=INFO", nil, "8 0 SET kafka INFO", `[out] Completed updating config for broker-logger 0.
[err]
[exit] 0
`},
		{"reset a logger", "--broker-logger 0 --alter --delete-config kafka", nil, "8 0 DELETE kafka ", `[out] Completed updating config for broker-logger 0.
[err]
[exit] 0
`},
		{"an unknown logger", "--broker-logger 0 --alter --add-config nosuch=INFO", nil, "", `[out]
[err] Invalid broker logger(s): nosuch
[exit] 1
`},
		{"describe client metrics", "--entity-type client-metrics --entity-name push --describe", nil, "", `[out] Dynamic configs for client-metric push are:
[out]   interval.ms=5000 sensitive=false synonyms={DYNAMIC_CLIENT_METRICS_CONFIG:interval.ms=5000}
[err]
[exit] 0
`},
		{"set client metrics", "--entity-type client-metrics --entity-name push --alter --add-config interval.ms=1", nil, "16 push SET interval.ms 1", `[out] Completed updating config for client-metric push.
[err]
[exit] 0
`},

		{"describe users", "--entity-type users --describe", nil, "", `[out] Quota configs for the default user-principal are producer_byte_rate=1.0E7
[out] Quota configs for user-principal 'alice' are consumer_byte_rate=2048.0, producer_byte_rate=1024.0
[out] SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-256=iterations=4096, SCRAM-SHA-512=iterations=8192
[out] SCRAM credential configs for user-principal 'bob' are SCRAM-SHA-512=iterations=8192
[err]
[exit] 0
`},
		{"describe a user", "--user alice --describe", nil, "", `[out] Quota configs for user-principal 'alice' are consumer_byte_rate=2048.0, producer_byte_rate=1024.0
[out] SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-256=iterations=4096, SCRAM-SHA-512=iterations=8192
[err]
[exit] 0
`},
		{"describe an unknown user", "--user carol --describe", nil, "", `[out]
[err]
[exit] 0
`},
		{"describe the default user", "--user-defaults --describe", nil, "", `[out] Quota configs for the default user-principal are producer_byte_rate=1.0E7
[err]
[exit] 0
`},
		{"describe clients", "--entity-type clients --describe", nil, "", `[out] Quota configs for client-id 'c1' are producer_byte_rate=5.0
[err]
[exit] 0
`},
		{"describe clients of users", "--entity-type users --entity-type clients --describe", nil, "", `[out] Quota configs for user-principal 'alice', client-id 'c1' are request_percentage=12.5
[err]
[exit] 0
`},
		{"describe a client of a user", "--user alice --client c1 --describe", nil, "", `[out] Quota configs for user-principal 'alice', client-id 'c1' are request_percentage=12.5
[err]
[exit] 0
`},
		{"describe addresses", "--entity-type ips --describe", nil, "", `[out] Quota configs for ip '10.0.0.1' are connection_creation_rate=20.0
[err]
[exit] 0
`},
		{"quotas are refused", "--entity-type ips --describe", fail(protocol.DescribeClientQuotas, protocol.ClusterAuthorizationFailed), "", `[out]
[err] Error while executing config command with args '--bootstrap-server * --entity-type ips --describe'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[exit] 1
`},
		{"credentials are refused", "--user alice --describe", fail(protocol.DescribeUserScramCredentials, protocol.ClusterAuthorizationFailed), "", `[out] Quota configs for user-principal 'alice' are consumer_byte_rate=2048.0, producer_byte_rate=1024.0
[err] Error while executing config command with args '--bootstrap-server * --user alice --describe'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[exit] 1
`},
		{"set quotas", "--user alice --alter --add-config producer_byte_rate=5,request_percentage=12.5", nil, "user=alice producer_byte_rate 5; user=alice request_percentage 12.5", `[out] Completed updating config for user alice.
[err]
[exit] 0
`},
		{"set quotas of a client of a user", "--user alice --client c1 --alter --add-config request_percentage=5", nil, "client-id=c1,user=alice request_percentage 5", `[out] Completed updating config for client c1.
[err]
[exit] 0
`},
		{"set quotas of the default client", "--client-defaults --alter --add-config request_percentage=5", nil, "client-id=<default> request_percentage 5", `[out] Completed updating default config for clients in the cluster.
[err]
[exit] 0
`},
		{"delete a quota", "--user alice --alter --delete-config producer_byte_rate", nil, "user=alice producer_byte_rate removed", `[out] Completed updating config for user alice.
[err]
[exit] 0
`},
		{"delete a quota that is not set", "--user alice --alter --delete-config request_percentage", nil, "", `[out]
[err] Invalid config(s): request_percentage
[exit] 1
`},
		{"a quota that is not a number", "--user alice --alter --add-config producer_byte_rate=many", nil, "", `[out]
[err] Cannot parse quota configuration value for producer_byte_rate: many
[exit] 1
`},
		{"quotas may not be changed", "--user alice --alter --add-config producer_byte_rate=5", fail(protocol.AlterClientQuotas, protocol.ClusterAuthorizationFailed), "user=alice producer_byte_rate 5", `[out]
[err] Error while executing config command with args '--bootstrap-server * --user alice --alter --add-config producer_byte_rate=5'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[exit] 1
`},
		{"set a rate of connections", "--ip 10.0.0.1 --alter --add-config connection_creation_rate=7", nil, "ip=10.0.0.1 connection_creation_rate 7", `[out] Completed updating config for ip 10.0.0.1.
[err]
[exit] 0
`},
		{"delete a rate of connections", "--ip 10.0.0.1 --alter --delete-config connection_creation_rate", nil, "ip=10.0.0.1 connection_creation_rate removed", `[out] Completed updating config for ip 10.0.0.1.
[err]
[exit] 0
`},
		{"set credentials", "--user carol --alter --add-config SCRAM-SHA-256=[password=x],SCRAM-SHA-512=[iterations=5000,password=y]", nil, "carol set 4096 SCRAM-SHA-256; carol set 5000 SCRAM-SHA-512", `[out] Completed updating config for user carol.
[err]
[exit] 0
`},
		{"delete credentials", "--user alice --alter --delete-config SCRAM-SHA-512", nil, "alice delete SCRAM-SHA-512", `[out] Completed updating config for user alice.
[err]
[exit] 0
`},
		{"credentials may not be changed", "--user carol --alter --add-config SCRAM-SHA-256=[password=x]", fail(protocol.AlterUserScramCredentials, protocol.ClusterAuthorizationFailed), "carol set 4096 SCRAM-SHA-256", `[out]
[err] Error while executing config command with args '--bootstrap-server * --user carol --alter --add-config SCRAM-SHA-256=[password=x]'
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted()
			if test.prepare != nil {
				test.prepare(s)
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--bootstrap-server {B} " + test.args}, scriptedFiles, s.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			slices.Sort(s.asked)
			if asked := strings.Join(s.asked, "; "); asked != test.asked {
				t.Errorf("asked %q, want %q", asked, test.asked)
			}
		})
	}
}
