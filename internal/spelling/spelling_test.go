package spelling

import "testing"

func TestTheNearestWordIsFound(t *testing.T) {
	known := []string{"kafka-topics", "kafka-configs", "kafka-server-start", "dev", "doctor"}
	for word, want := range map[string]string{
		"kafka-topic":        "kafka-topics",
		"kafak-topics":       "kafka-topics",
		"kafka-config":       "kafka-configs",
		"kafka_server_start": "kafka-server-start",
		"docter":             "doctor",
		"dve":                "dev",
		"de":                 "",
		"deb":                "dev",
		"dev":                "dev",
		"zookeeper":          "",
		"":                   "",
	} {
		if have := Nearest(word, known); have != want {
			t.Errorf("%q: %q, want %q", word, have, want)
		}
	}
}
