package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// RenewDelegationToken refuses, as CreateDelegationToken does.
//
// Versions 0 to 2.
func RenewDelegationToken(settings Settings) Handler {
	h := Handler{Key: protocol.RenewDelegationToken, Min: 0, Max: 2}
	return Typed(h, func(c *Call, _ *kmsg.RenewDelegationTokenRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrRenewDelegationTokenResponse()
		resp.ErrorCode, resp.ExpiryTimestamp = int16(protocol.CodeOf(tokenRefusal(c, settings))), -1
		return resp, nil
	})
}
