package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

func TestSASLOutsideASASLListenerIsRefused(t *testing.T) {
	c := newCaller(t, nil, SaslHandshake(), SaslAuthenticate())
	for v := int16(0); v <= 1; v++ {
		if resp := call[*kmsg.SASLHandshakeResponse](c, v, kmsg.NewPtrSASLHandshakeRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.IllegalSASLState || len(resp.SupportedMechanisms) != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
	}
	for v := int16(0); v <= 2; v++ {
		if resp := call[*kmsg.SASLAuthenticateResponse](c, v, kmsg.NewPtrSASLAuthenticateRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.IllegalSASLState ||
			*resp.ErrorMessage != "SaslAuthenticate request received after successful authentication" {
			t.Errorf("v%d: %+v", v, resp)
		}
	}
}

func TestWithoutAnAuthorizerAccessListsAreDisabled(t *testing.T) {
	c := newCaller(t, nil, DescribeAcls(), CreateAcls(), DeleteAcls())
	for v := int16(0); v <= 3; v++ {
		describe := kmsg.NewPtrDescribeACLsRequest()
		describe.ResourcePatternType = kmsg.ACLResourcePatternTypeLiteral
		describe.ResourceType, describe.Operation, describe.PermissionType = kmsg.ACLResourceTypeTopic, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		if resp := call[*kmsg.DescribeACLsResponse](c, v, describe); protocol.ErrorCode(resp.ErrorCode) != protocol.SecurityDisabled ||
			*resp.ErrorMessage != "No Authorizer is configured on the broker" {
			t.Errorf("v%d: %+v", v, resp)
		}
		create := kmsg.NewPtrCreateACLsRequest()
		create.Creations = []kmsg.CreateACLsRequestCreation{{ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral, ResourceType: kmsg.ACLResourceTypeTopic, Operation: kmsg.ACLOperationRead, PermissionType: kmsg.ACLPermissionTypeAllow}}
		if resp := call[*kmsg.CreateACLsResponse](c, v, create); protocol.ErrorCode(resp.Results[0].ErrorCode) != protocol.SecurityDisabled ||
			*resp.Results[0].ErrorMessage != "No Authorizer is configured." {
			t.Errorf("v%d: %+v", v, resp)
		}
		remove := kmsg.NewPtrDeleteACLsRequest()
		remove.Filters = []kmsg.DeleteACLsRequestFilter{{ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral, ResourceType: kmsg.ACLResourceTypeTopic, Operation: kmsg.ACLOperationRead, PermissionType: kmsg.ACLPermissionTypeAllow}}
		if resp := call[*kmsg.DeleteACLsResponse](c, v, remove); protocol.ErrorCode(resp.Results[0].ErrorCode) != protocol.SecurityDisabled {
			t.Errorf("v%d: %+v", v, resp)
		}
	}
}

func TestDelegationTokensAreRefused(t *testing.T) {
	config := dynamicOf(t, map[string]string{"listeners": "PLAINTEXT://:1,SASL_SSL://:2"})
	c := newCaller(t, nil, CreateDelegationToken(config), RenewDelegationToken(config), ExpireDelegationToken(config), DescribeDelegationToken(config))
	codes := func() (codes [4]protocol.ErrorCode) {
		create := call[*kmsg.CreateDelegationTokenResponse](c, 3, kmsg.NewPtrCreateDelegationTokenRequest())
		renew := call[*kmsg.RenewDelegationTokenResponse](c, 2, kmsg.NewPtrRenewDelegationTokenRequest())
		expire := call[*kmsg.ExpireDelegationTokenResponse](c, 2, kmsg.NewPtrExpireDelegationTokenRequest())
		describe := call[*kmsg.DescribeDelegationTokenResponse](c, 3, kmsg.NewPtrDescribeDelegationTokenRequest())
		if create.IssueTimestamp != -1 || renew.ExpiryTimestamp != -1 || expire.ExpiryTimestamp != -1 || create.PrincipalName == "" {
			t.Errorf("%+v %+v %+v", create, renew, expire)
		}
		for i, code := range []int16{create.ErrorCode, renew.ErrorCode, expire.ErrorCode, describe.ErrorCode} {
			codes[i] = protocol.ErrorCode(code)
		}
		return codes
	}
	notAllowed, disabled := protocol.DelegationTokenRequestNotAllowed, protocol.DelegationTokenAuthDisabled
	if got := codes(); got != [4]protocol.ErrorCode{notAllowed, notAllowed, notAllowed, notAllowed} {
		t.Errorf("over PLAINTEXT: %v", got)
	}
	c.peer.Listener, c.peer.Principal = "SASL_SSL", "User:alice"
	if got := codes(); got != [4]protocol.ErrorCode{disabled, disabled, disabled, disabled} {
		t.Errorf("over SASL_SSL: %v", got)
	}
	req := kmsg.NewPtrCreateDelegationTokenRequest()
	req.Renewers = []kmsg.CreateDelegationTokenRequestRenewer{{PrincipalType: "Group", PrincipalName: "g"}}
	if resp := call[*kmsg.CreateDelegationTokenResponse](c, 3, req); protocol.ErrorCode(resp.ErrorCode) != protocol.InvalidPrincipalType {
		t.Errorf("%+v", resp)
	}
}

func TestGroupsOfTheNewProtocolAreUnsupported(t *testing.T) {
	c := newCaller(t, nil, ConsumerGroupHeartbeat(), ConsumerGroupDescribe())
	if resp := call[*kmsg.ConsumerGroupHeartbeatResponse](c, 0, kmsg.NewPtrConsumerGroupHeartbeatRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.UnsupportedVersion {
		t.Errorf("%+v", resp)
	}
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{"g1"}
	c.peer.ID = "x"
	resp := c.send(protocol.ConsumerGroupDescribe, 0, protocol.AppendRequest(nil, req))
	want := "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x02\x00\x23\x00\x03g1\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x80\x00\x00\x00\x00\x00" // the answer of a real broker
	if got := string(resp.Runs[0].Bytes); got != want {
		t.Errorf("%x, want %x", got, want)
	}
}
