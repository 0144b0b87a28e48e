package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// ConsumerGroupHeartbeat answers UNSUPPORTED_VERSION although it is advertised, as in every Kafka
// cluster with ZooKeeper: groups of the new protocol need KRaft.
//
// Version 0.
func ConsumerGroupHeartbeat() Handler {
	h := Handler{Key: protocol.ConsumerGroupHeartbeat, Min: 0, Max: 0, Fail: completed(failConsumerGroupHeartbeat)}
	return Typed(h, func(*Call, *kmsg.ConsumerGroupHeartbeatRequest) (kmsg.Response, error) {
		return nil, protocol.UnsupportedVersion
	})
}

// failConsumerGroupHeartbeat returns no message.
func failConsumerGroupHeartbeat(_ *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse, _ error) {
	resp.ErrorMessage = nil
}
