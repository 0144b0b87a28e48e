package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// ConsumerGroupHeartbeat is advertised but answers UNSUPPORTED_VERSION, as in every Kafka cluster
// with ZooKeeper: groups of the new protocol need KRaft.
//
// Version 0.
func ConsumerGroupHeartbeat() Handler {
	return Typed(protocol.ConsumerGroupHeartbeat, 0, 0, func(*Call, *kmsg.ConsumerGroupHeartbeatRequest) (kmsg.Response, error) {
		return nil, protocol.UnsupportedVersion
	})
}
