package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// Since makes handlers answer every request with UNSUPPORTED_VERSION if the inter-broker protocol is
// older than first. Brokers of such a protocol may not know what the requests are about. As in Kafka
// the APIs are still advertised.
func Since(first string, ibp settings.IBP, handlers ...Handler) []Handler {
	if ibp.AtLeast(first) {
		return handlers
	}
	for i := range handlers {
		handlers[i] = Typed(handlers[i], func(*Call, kmsg.Request) (kmsg.Response, error) { return nil, protocol.UnsupportedVersion })
	}
	return handlers
}
