package api

import (
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// tokenRefusal returns the error of requests about delegation tokens to a broker without
// delegation.token.secret.key. Over PLAINTEXT, or over TLS without a client certificate, such
// requests are never allowed; otherwise tokens are disabled.
func tokenRefusal(c *Call, s Settings) error {
	anonymous := c.Peer.Principal == anonymousPrincipal
	switch protection := s.Current().ListenerProtocols()[c.Peer.Listener]; {
	case protection == settings.Plaintext, protection == settings.SSL && anonymous:
		return protocol.DelegationTokenRequestNotAllowed
	}
	return protocol.DelegationTokenAuthDisabled
}

const anonymousPrincipal = "User:ANONYMOUS"
