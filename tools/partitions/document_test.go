package partitions

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestOffsetsAndLogDirectoriesAreJSON(t *testing.T) {
	toolreplay.Document(t, GetOffsetsTool, "offsets", "kafka-get-offsets", `{"offsets":[{"topic":"one","partition":0,"offset":3}]}`)
	toolreplay.Document(t, LogDirsTool, "log-dirs-of-broker", "kafka-log-dirs --describe", `{"brokers":[{"broker":0,"logDirs":[{"partitions":[`+
		`{"partition":"one-0","size":207,"offsetLag":0,"isFuture":false},{"partition":"t1-2","size":0,"offsetLag":0,"isFuture":false},`+
		`{"partition":"t1-1","size":0,"offsetLag":0,"isFuture":false},{"partition":"t1-0","size":0,"offsetLag":0,"isFuture":false}],`+
		`"error":null,"logDir":"/tmp/toolreplay/kafka-logs"}]}],"version":1}`)
}
