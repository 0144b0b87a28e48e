package api

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// CreateDelegationToken refuses: delegation tokens need delegation.token.secret.key, which is not
// supported.
//
// Versions 0 to 3.
func CreateDelegationToken(settings Settings) Handler {
	h := Handler{Key: protocol.CreateDelegationToken, Min: 0, Max: 3, Fail: completed(failCreateDelegationToken)}
	return Typed(h, func(c *Call, req *kmsg.CreateDelegationTokenRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrCreateDelegationTokenResponse()
		requesterType, requester, _ := strings.Cut(c.Peer.Principal, ":")
		ownerType, owner := requesterType, requester
		if req.OwnerPrincipalName != nil && *req.OwnerPrincipalName != "" {
			owner = *req.OwnerPrincipalName
			if req.OwnerPrincipalType != nil {
				ownerType = *req.OwnerPrincipalType
			}
		}
		err := tokenRefusal(c, settings)
		if protocol.CodeOf(err) == protocol.DelegationTokenAuthDisabled {
			err = checkTokenRequest(c, req, ownerType+":"+owner, err)
		}
		resp.ErrorCode = int16(protocol.CodeOf(err))
		resp.PrincipalType, resp.PrincipalName = ownerType, owner
		resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = requesterType, requester
		resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
		resp.HMAC = []byte{}
		return resp, nil
	})
}

// failCreateDelegationToken sets the anonymous principal as owner and requester, and no times.
func failCreateDelegationToken(_ *kmsg.CreateDelegationTokenRequest, resp *kmsg.CreateDelegationTokenResponse, _ error) {
	resp.PrincipalType, resp.PrincipalName, _ = strings.Cut(anonymousPrincipal, ":")
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = resp.PrincipalType, resp.PrincipalName
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
}

// checkTokenRequest performs the checks that Kafka performs before it refuses a request because
// tokens are disabled. If they pass, it returns disabled.
func checkTokenRequest(c *Call, req *kmsg.CreateDelegationTokenRequest, owner string, disabled error) error {
	if owner != c.Peer.Principal && !c.Allows(kmsg.ACLOperationCreateTokens, kmsg.ACLResourceTypeUser, owner) {
		return protocol.DelegationTokenAuthorizationFailed
	}
	for _, r := range req.Renewers {
		if r.PrincipalType != "User" {
			return protocol.InvalidPrincipalType
		}
	}
	return disabled
}
