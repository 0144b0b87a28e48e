package peerlink

import (
	"context"
	"fmt"

	"github.com/monedula/monedula/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersionsNewest is the version of the first ApiVersions request.
const apiVersionsNewest = 3

// UnsupportedError reports that a broker supports no version of a request that this side can send.
// errors.Is(err, protocol.UnsupportedVersion) is true.
type UnsupportedError struct {
	Key                  int16
	BrokerMin, BrokerMax int16 // both -1: the broker does not support the request
	OwnMin, OwnMax       int16
}

func (e *UnsupportedError) Error() string {
	name := protocol.APIKey(e.Key)
	if e.BrokerMax < 0 {
		return fmt.Sprintf("the node does not support %s", name)
	}
	return fmt.Sprintf("the node supports %s %d to %d, this side %d to %d", name, e.BrokerMin, e.BrokerMax, e.OwnMin, e.OwnMax)
}

// Unwrap returns the protocol's error code.
func (e *UnsupportedError) Unwrap() error { return protocol.UnsupportedVersion }

// negotiate sends ApiVersions once per connection. A broker that does not support the version
// answers in version 0 with UNSUPPORTED_VERSION and, since KIP-511, with the range that it
// supports.
func (l *Link) negotiate(ctx context.Context) (*kmsg.ApiVersionsResponse, error) {
	if l.conn != nil && stale(l.conn) {
		l.drop()
	}
	if l.conn != nil && l.versions != nil {
		return l.versions, nil
	}
	version := int16(apiVersionsNewest)
	for {
		req := kmsg.NewPtrApiVersionsRequest()
		req.SetVersion(version)
		req.ClientSoftwareName, req.ClientSoftwareVersion = "monedula", "1"
		answer, err := l.roundTrip(ctx, req)
		if err != nil {
			return nil, err
		}
		resp := answer.(*kmsg.ApiVersionsResponse)
		switch code := protocol.ErrorCode(resp.ErrorCode); {
		case code == protocol.None:
			l.versions = resp
			return resp, nil
		case code == protocol.UnsupportedVersion && version > 0:
			version = min(version-1, offeredMax(resp))
		default:
			l.drop()
			return nil, fmt.Errorf("ApiVersions: %w", code)
		}
	}
}

// offeredMax returns the highest ApiVersions version in a refusal, or 0 if it names none.
func offeredMax(resp *kmsg.ApiVersionsResponse) int16 {
	for _, k := range resp.ApiKeys {
		if k.ApiKey == int16(protocol.ApiVersions) {
			return max(0, k.MaxVersion)
		}
	}
	return 0
}

func commonVersion(versions *kmsg.ApiVersionsResponse, req kmsg.Request, least, limit int16) (int16, error) {
	own := req.MaxVersion()
	if limit >= 0 {
		own = min(own, limit)
	}
	for _, k := range versions.ApiKeys {
		if k.ApiKey != req.Key() {
			continue
		}
		if version := min(own, k.MaxVersion); version >= k.MinVersion && version >= least {
			return version, nil
		}
		return 0, &UnsupportedError{Key: req.Key(), BrokerMin: k.MinVersion, BrokerMax: k.MaxVersion, OwnMin: least, OwnMax: own}
	}
	return 0, &UnsupportedError{Key: req.Key(), BrokerMin: -1, BrokerMax: -1, OwnMin: least, OwnMax: own}
}
