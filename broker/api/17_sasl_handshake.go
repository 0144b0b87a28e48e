package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// SaslHandshake answers ILLEGAL_SASL_STATE: a listener that uses SASL authenticates the peer before
// any request is served.
//
// Versions 0 and 1.
func SaslHandshake() Handler {
	h := Handler{Key: protocol.SaslHandshake, Min: 0, Max: 1}
	return Typed(h, func(*Call, *kmsg.SASLHandshakeRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.ErrorCode = int16(protocol.IllegalSASLState)
		return resp, nil
	})
}
