package groups

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestGroupsAreListedAndDescribedAsJSON(t *testing.T) {
	const list, describe = "kafka-consumer-groups --list", "kafka-consumer-groups --describe"
	const live = `{"groups":[{"groupId":"live","state":"Stable","coordinator":{"id":0,"host":"127.0.0.1","port":9092},"assignmentStrategy":"range","memberCount":1`
	const member = `"consumerId":"a-client-of-a-rather-long-name-fff5b2b1-5a4a-47fe-bebc-5211389183b9"`
	const of = member + `,"host":"/127.0.0.1","clientId":"a-client-of-a-rather-long-name"}`
	toolreplay.Document(t, Tool, "list", list, `{"groups":[{"groupId":"fixed","type":"Classic","state":"Stable"},{"groupId":"idle","type":"Classic","state":"Empty"},`+
		`{"groupId":"live","type":"Classic","state":"Stable"},{"groupId":"second","type":"Classic","state":"Empty"}]}`)
	toolreplay.Document(t, Tool, "describe-offsets", describe, live+`,"offsets":[`+
		`{"topic":"lag","partition":0,"currentOffset":1,"logEndOffset":5,"lag":4,`+of+`,`+
		`{"topic":"lag","partition":1,"currentOffset":null,"logEndOffset":3,"lag":null,`+of+`,`+
		`{"topic":"lag","partition":2,"currentOffset":null,"logEndOffset":0,"lag":null,`+of+`]}]}`)
	toolreplay.Document(t, Tool, "describe-members-verbose", describe, live+`,"members":[{`+member+
		`,"groupInstanceId":null,"host":"/127.0.0.1","clientId":"a-client-of-a-rather-long-name","partitionCount":3,"assignment":[{"topic":"lag","partitions":[0,1,2]}]}]}]}`)
	toolreplay.Document(t, Tool, "describe-state", describe, live+`}]}`)
	toolreplay.Document(t, Tool, "describe-empty-state", describe, `{"groups":[{"groupId":"idle","state":"Empty","coordinator":{"id":0,"host":"127.0.0.1","port":9092},"assignmentStrategy":"","memberCount":0}]}`)
	toolreplay.Document(t, Tool, "describe-missing", describe, `{"groups":[{"groupId":"nosuch","state":"Dead","coordinator":{"id":0,"host":"127.0.0.1","port":9092},"assignmentStrategy":"","memberCount":0,"offsets":[]}]}`)
}
