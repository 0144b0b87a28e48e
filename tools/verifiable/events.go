package verifiable

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/monedula/monedula/tools/cli"
)

// events prints the events of a verifiable client, one JSON object per line, in the format that
// Kafka's system tests read. Safe for concurrent use.
type events struct {
	env *cli.Env
	mu  sync.Mutex // held while writing a line
}

// eventField is a member of an event.
type eventField struct {
	name  string
	value any
}

// print prints an event with its time, its name and fields, in that order.
func (e *events) print(name string, fields ...eventField) {
	line := []byte(`{"timestamp":` + jsonText(time.Now().UnixMilli()) + `,"name":` + jsonText(name))
	for _, f := range fields {
		line = append(line, ","+jsonText(f.name)+":"+jsonText(f.value)...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _ = e.env.Stdout.Write(append(line, "}\n"...))
}

func jsonText(value any) string {
	if text, ok := value.(string); ok {
		return cli.JSONString(text)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return cli.JSONString(err.Error())
	}
	return string(raw)
}

// topicAndPartition is a partition in an event.
type topicAndPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}
