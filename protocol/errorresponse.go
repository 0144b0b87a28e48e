package protocol

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrorResponse returns Kafka's answer to req when its handler fails as a whole: the code of err in
// every entry or at the top level, depending on the request type. It returns false if no such
// answer exists and the connection must be closed instead: for Produce with acks=0, and for types
// that a broker does not serve.
//
// Answers with a code for each entry are in errorentries.go and erroradmin.go, the others here.
func ErrorResponse(req kmsg.Request, err error, throttleMs int32) (kmsg.Response, bool) {
	f := failureOf(err)
	resp := f.entries(req)
	if resp == nil {
		resp = f.topLevel(req)
	}
	if resp == nil {
		return nil, false
	}
	resp.SetVersion(req.GetVersion())
	if t, ok := resp.(kmsg.SetThrottleResponse); ok && !unthrottledErrors[APIKey(req.Key())] {
		t.SetThrottle(throttleMs)
	}
	return resp, true
}

// Refusal returns the answer to a request that was not decoded, if its type has one code for the
// whole answer. For other types it returns false, since an answer without entries could be taken
// for a success.
func Refusal(key APIKey, version int16, err error) (kmsg.Response, bool) {
	req := kmsg.RequestForKey(int16(key))
	if req == nil {
		return nil, false
	}
	req.SetVersion(version)
	f := failureOf(err)
	if f.entries(req) != nil {
		return nil, false
	}
	resp := f.topLevel(req)
	if resp == nil {
		return nil, false
	}
	resp.SetVersion(version)
	return resp, true
}

// unthrottledErrors are the types whose error answer always has a throttle time of 0 in Kafka.
var unthrottledErrors = map[APIKey]bool{
	FindCoordinator: true, InitProducerId: true, OffsetForLeaderEpoch: true, IncrementalAlterConfigs: true,
	AlterUserScramCredentials: true, DescribeCluster: true, DescribeProducers: true,
}

// failure is the content of an error answer.
type failure struct {
	code int16
	// specific is the message in most answers. It is null if it would only repeat the code's
	// text, and for UNKNOWN_SERVER_ERROR, whose cause is not disclosed to clients.
	specific *string
	// text is the code's default text, which some answers have instead.
	text *string
}

func failureOf(err error) failure {
	code := CodeOf(err)
	text := code.Message()
	if code == None {
		text = code.Name()
	}
	return failure{code: int16(code), specific: specificMessage(err), text: &text}
}

// specificMessage returns err's own message, or nil if it has none that clients may see.
func specificMessage(err error) *string {
	var e *Error
	if !errors.As(err, &e) || e.Code == UnknownServerError || e.Message == e.Code.Message() {
		return nil
	}
	message := e.Message
	return &message
}

// topLevel returns the error answer of the types that have one code for the whole answer, or nil
// for other types.
func (f failure) topLevel(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.UpdateMetadataRequest, *kmsg.ControlledShutdownRequest, *kmsg.HeartbeatRequest,
		*kmsg.LeaveGroupRequest, *kmsg.SyncGroupRequest, *kmsg.ListGroupsRequest, *kmsg.JoinGroupRequest,
		*kmsg.OffsetDeleteRequest:
		return f.topLevelOfBrokersAndGroups(req)
	case *kmsg.InitProducerIDRequest, *kmsg.AddOffsetsToTxnRequest, *kmsg.EndTxnRequest,
		*kmsg.ListTransactionsRequest, *kmsg.AllocateProducerIDsRequest, *kmsg.ConsumerGroupHeartbeatRequest:
		return f.topLevelOfTransactions(req)
	case *kmsg.SASLHandshakeRequest, *kmsg.SASLAuthenticateRequest, *kmsg.DescribeACLsRequest,
		*kmsg.CreateDelegationTokenRequest, *kmsg.RenewDelegationTokenRequest,
		*kmsg.ExpireDelegationTokenRequest, *kmsg.DescribeDelegationTokenRequest:
		return f.topLevelOfSecurity(req)
	}
	return f.topLevelOfAdmin(req)
}

func (f failure) topLevelOfBrokersAndGroups(req kmsg.Request) kmsg.Response {
	switch resp := req.ResponseKind().(type) {
	case *kmsg.UpdateMetadataResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.ControlledShutdownResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.HeartbeatResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.LeaveGroupResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.SyncGroupResponse:
		resp.ErrorCode = f.code
		resp.MemberAssignment = []byte{}
		return resp
	case *kmsg.ListGroupsResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.OffsetDeleteResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.JoinGroupResponse:
		resp.ErrorCode = f.code
		resp.Generation = -1
		if resp.Version < 7 {
			resp.Protocol = new(string)
		}
		return resp
	}
	return nil
}

func (f failure) topLevelOfTransactions(req kmsg.Request) kmsg.Response {
	switch resp := req.ResponseKind().(type) {
	case *kmsg.InitProducerIDResponse:
		resp.ErrorCode = f.code
		resp.ProducerID = -1
		resp.ProducerEpoch = -1
		return resp
	case *kmsg.AddOffsetsToTxnResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.EndTxnResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.ListTransactionsResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.AllocateProducerIDsResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.ConsumerGroupHeartbeatResponse:
		resp.ErrorCode = f.code
		return resp
	}
	return nil
}

func (f failure) topLevelOfSecurity(req kmsg.Request) kmsg.Response {
	switch resp := req.ResponseKind().(type) {
	case *kmsg.SASLHandshakeResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.SASLAuthenticateResponse:
		resp.ErrorCode = f.code
		resp.ErrorMessage = f.specific
		return resp
	case *kmsg.DescribeACLsResponse:
		resp.ErrorCode = f.code
		resp.ErrorMessage = f.specific
		return resp
	case *kmsg.CreateDelegationTokenResponse:
		resp.ErrorCode = f.code
		resp.PrincipalType, resp.PrincipalName = "User", "ANONYMOUS"
		resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = "User", "ANONYMOUS"
		resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
		return resp
	case *kmsg.RenewDelegationTokenResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.ExpireDelegationTokenResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.DescribeDelegationTokenResponse:
		resp.ErrorCode = f.code
		return resp
	}
	return nil
}

func (f failure) topLevelOfAdmin(req kmsg.Request) kmsg.Response {
	switch resp := req.ResponseKind().(type) {
	case *kmsg.ApiVersionsResponse:
		resp.ErrorCode = f.code
		if ErrorCode(f.code) == UnsupportedVersion { // KIP-511: the versions that the client may use
			entry := kmsg.NewApiVersionsResponseApiKey()
			entry.ApiKey, entry.MaxVersion = int16(ApiVersions), maxApiVersionsVersion
			resp.ApiKeys = append(resp.ApiKeys, entry)
		}
		return resp
	case *kmsg.DescribeLogDirsResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.DescribeClientQuotasResponse:
		resp.ErrorCode = f.code
		resp.ErrorMessage = f.specific
		return resp
	case *kmsg.AlterPartitionResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.UpdateFeaturesResponse:
		resp.ErrorCode = f.code
		resp.ErrorMessage = f.specific
		return resp
	case *kmsg.EnvelopeResponse:
		resp.ErrorCode = f.code
		return resp
	case *kmsg.DescribeClusterResponse:
		resp.ErrorCode = f.code
		resp.ErrorMessage = f.specific
		return resp
	}
	return nil
}

// maxApiVersionsVersion is the highest ApiVersions version of Kafka 3.9.
const maxApiVersionsVersion = 4
