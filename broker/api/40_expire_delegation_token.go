package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// ExpireDelegationToken refuses, as CreateDelegationToken does.
//
// Versions 0 to 2.
func ExpireDelegationToken(settings Settings) Handler {
	h := Handler{Key: protocol.ExpireDelegationToken, Min: 0, Max: 2}
	return Typed(h, func(c *Call, _ *kmsg.ExpireDelegationTokenRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrExpireDelegationTokenResponse()
		resp.ErrorCode, resp.ExpiryTimestamp = int16(protocol.CodeOf(tokenRefusal(c, settings))), -1
		return resp, nil
	})
}
