package api

import (
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// tokenRefusal is how requests about delegation tokens are refused by a broker
// without delegation.token.secret.key: over PLAINTEXT, or TLS without a
// client's certificate, they are never allowed; elsewhere tokens are disabled.
func tokenRefusal(c *Call, s Settings) error {
	anonymous := c.Peer.Principal == anonymousPrincipal
	switch protection := s.Current().ListenerProtocols()[c.Peer.Listener]; {
	case protection == settings.Plaintext, protection == settings.SSL && anonymous:
		return protocol.DelegationTokenRequestNotAllowed
	}
	return protocol.DelegationTokenAuthDisabled
}

const anonymousPrincipal = "User:ANONYMOUS"
