package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DescribeDelegationToken refuses, as CreateDelegationToken does.
//
// Versions 0 to 3.
func DescribeDelegationToken(settings Settings) Handler {
	h := Handler{Key: protocol.DescribeDelegationToken, Min: 0, Max: 3}
	return Typed(h, func(c *Call, _ *kmsg.DescribeDelegationTokenRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrDescribeDelegationTokenResponse()
		resp.ErrorCode = int16(protocol.CodeOf(tokenRefusal(c, settings)))
		return resp, nil
	})
}
