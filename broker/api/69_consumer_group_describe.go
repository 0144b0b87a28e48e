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
	h := Handler{Key: protocol.ConsumerGroupDescribe, Min: 0, Max: 0, PerEntry: true, Fail: completed(failConsumerGroupDescribe)}
	return Typed(h, func(*Call, *kmsg.ConsumerGroupDescribeRequest) (kmsg.Response, error) {
		return nil, protocol.UnsupportedVersion
	})
}

// failConsumerGroupDescribe returns no messages.
func failConsumerGroupDescribe(_ *kmsg.ConsumerGroupDescribeRequest, resp *kmsg.ConsumerGroupDescribeResponse, _ error) {
	for i := range resp.Groups {
		resp.Groups[i].ErrorMessage = nil
	}
}
