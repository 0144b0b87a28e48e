package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// RenewDelegationToken refuses, as CreateDelegationToken does.
//
// Versions 0 to 2.
func RenewDelegationToken(settings Settings) Handler {
	return Typed(protocol.RenewDelegationToken, 0, 2, func(c *Call, _ *kmsg.RenewDelegationTokenRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrRenewDelegationTokenResponse()
		resp.ErrorCode, resp.ExpiryTimestamp = int16(protocol.CodeOf(tokenRefusal(c, settings))), -1
		return resp, nil
	})
}
