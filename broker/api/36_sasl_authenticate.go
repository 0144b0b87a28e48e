package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// SaslAuthenticate answers ILLEGAL_SASL_STATE, as SaslHandshake does.
//
// Versions 0 to 2.
func SaslAuthenticate() Handler {
	h := Handler{Key: protocol.SaslAuthenticate, Min: 0, Max: 2}
	return Typed(h, func(*Call, *kmsg.SASLAuthenticateRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrSASLAuthenticateResponse()
		resp.ErrorCode = int16(protocol.IllegalSASLState)
		resp.ErrorMessage = kmsg.StringPtr("SaslAuthenticate request received after successful authentication")
		return resp, nil
	})
}
