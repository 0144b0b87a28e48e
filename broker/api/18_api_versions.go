package api

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// Advertiser lists the handlers. It is implemented by *Registry.
type Advertiser interface{ Advertised() []*Handler }

// ApiVersions lists the served requests and records the client's software name.
//
// Versions 0 to 4. v3 adds the client's name and version, which must be well formed, and features.
// v4 only allows other minimum versions of features. A newer version is answered in the format of
// v0 with UNSUPPORTED_VERSION (35) and the versions of ApiVersions (KIP-511).
//
// featuresEpoch returns the dataVersion of /feature, or -1 if that does not exist.
func ApiVersions(served Advertiser, featuresEpoch func() int64) Handler {
	h := Handler{Key: protocol.ApiVersions, Min: 0, Max: maxApiVersions, Fail: completed(failApiVersions), Unsupported: refuseNewerVersion}
	return Typed(h, func(c *Call, req *kmsg.ApiVersionsRequest) (kmsg.Response, error) {
		if c.Version >= 3 {
			if !softwareName.MatchString(req.ClientSoftwareName) || !softwareName.MatchString(req.ClientSoftwareVersion) {
				return nil, protocol.InvalidRequest
			}
			c.Peer.SoftwareName, c.Peer.SoftwareVersion = req.ClientSoftwareName, req.ClientSoftwareVersion
		}
		resp := kmsg.NewPtrApiVersionsResponse()
		if c.Version >= 3 {
			resp.FinalizedFeaturesEpoch = featuresEpoch()
		}
		for _, v := range served.Advertised() {
			entry := kmsg.NewApiVersionsResponseApiKey()
			entry.ApiKey, entry.MinVersion, entry.MaxVersion = int16(v.Key), v.Min, v.Max
			resp.ApiKeys = append(resp.ApiKeys, entry)
		}
		return resp, nil
	})
}

// refuseNewerVersion answers in the format of v0, which every client reads.
func refuseNewerVersion(c *Call) network.Response {
	resp := c.handler.errorAnswer(kmsg.NewPtrApiVersionsRequest(), protocol.UnsupportedVersion, 0)
	c.countCodes(resp)
	return network.Bytes(protocol.AppendResponse(nil, c.CorrelationID, resp))
}

// failApiVersions adds the versions of ApiVersions to UNSUPPORTED_VERSION (KIP-511).
func failApiVersions(_ *kmsg.ApiVersionsRequest, resp *kmsg.ApiVersionsResponse, err error) {
	if protocol.CodeOf(err) == protocol.UnsupportedVersion {
		entry := kmsg.NewApiVersionsResponseApiKey()
		entry.ApiKey, entry.MaxVersion = int16(protocol.ApiVersions), maxApiVersions
		resp.ApiKeys = append(resp.ApiKeys, entry)
	}
}

// maxApiVersions is the highest version of ApiVersions in Kafka 3.9.
const maxApiVersions = 4

// softwareName matches valid names and versions of client software (KIP-511).
var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)
