package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// ConsumerGroupDescribe answers UNSUPPORTED_VERSION for every group, as
// ConsumerGroupHeartbeat does.
//
// Version 0.
func ConsumerGroupDescribe() Handler {
	return Typed(protocol.ConsumerGroupDescribe, 0, 0, func(*Call, *kmsg.ConsumerGroupDescribeRequest) (kmsg.Response, error) {
		return nil, protocol.UnsupportedVersion
	})
}
