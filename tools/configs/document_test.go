package configs

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestConfigurationsAreDescribedAsJSON(t *testing.T) {
	const title = "kafka-configs --describe"
	toolreplay.Document(t, Tool, "topic-describe", title, `{"entities":[{"entity":[{"type":"topics","name":"one"}],"configs":[`+
		`{"name":"max.message.bytes","value":"2000000","sensitive":false,"source":"DYNAMIC_TOPIC_CONFIG","synonyms":[`+
		`{"source":"DYNAMIC_TOPIC_CONFIG","name":"max.message.bytes","value":"2000000"},{"source":"DEFAULT_CONFIG","name":"message.max.bytes","value":"1048588"}]},`+
		`{"name":"retention.ms","value":"3600000","sensitive":false,"source":"DYNAMIC_TOPIC_CONFIG","synonyms":[{"source":"DYNAMIC_TOPIC_CONFIG","name":"retention.ms","value":"3600000"}]}]}]}`)
	toolreplay.Document(t, Tool, "brokers-describe", title, `{"entities":[{"entity":[{"type":"brokers","name":"0"}],"configs":[`+
		`{"name":"log.cleaner.threads","value":"2","sensitive":false,"source":"DYNAMIC_BROKER_CONFIG","synonyms":[`+
		`{"source":"DYNAMIC_BROKER_CONFIG","name":"log.cleaner.threads","value":"2"},{"source":"DEFAULT_CONFIG","name":"log.cleaner.threads","value":"1"}]}]},`+
		`{"entity":[{"type":"brokers","name":null}],"configs":[{"name":"message.max.bytes","value":"2000000","sensitive":false,"source":"DYNAMIC_DEFAULT_BROKER_CONFIG",`+
		`"synonyms":[{"source":"DYNAMIC_DEFAULT_BROKER_CONFIG","name":"message.max.bytes","value":"2000000"}]}]}]}`)
	toolreplay.Document(t, Tool, "user-describe", title, `{"entities":[{"entity":[{"type":"users","name":"alice"}],"configs":[`+
		`{"name":"consumer_byte_rate","value":"2048","sensitive":false,"source":null,"synonyms":[]},{"name":"producer_byte_rate","value":"1024","sensitive":false,"source":null,"synonyms":[]}]},`+
		`{"entity":[{"type":"users","name":"alice"}],"configs":[{"name":"SCRAM-SHA-256","value":"iterations=4096","sensitive":false,"source":null,"synonyms":[]}]}]}`)
	toolreplay.Document(t, Tool, "user-clients-describe", title, `{"entities":[{"entity":[{"type":"users","name":"alice"},{"type":"clients","name":"c1"}],"configs":[`+
		`{"name":"request_percentage","value":"50","sensitive":false,"source":null,"synonyms":[]}]}]}`)
}
