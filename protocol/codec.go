package protocol

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrUnsupportedVersion is the error for an API key or version that the codecs do not know.
var ErrUnsupportedVersion = errors.New("unsupported API key or version")

// DecodeRequest parses a request's body. Byte strings in the result alias body; strings do not.
// Bytes after the request are ignored, as in Kafka. All requests must be decoded by DecodeRequest
// instead of kmsg's ReadFrom, which has the wrong field order for StopReplica v4.
func DecodeRequest(key APIKey, version int16, body []byte) (kmsg.Request, error) {
	req := kmsg.RequestForKey(int16(key))
	if req == nil || version < 0 || version > req.MaxVersion() {
		return nil, fmt.Errorf("%s v%d: %w", key, version, ErrUnsupportedVersion)
	}
	req.SetVersion(version)
	if key == StopReplica && version == stopReplicaSwapped && len(body) >= 9 {
		copy(body, swapStopReplica(body))
		defer func() { copy(body, swapStopReplicaBack(body)) }()
	}
	if err := req.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%s v%d of %d bytes: %w", key, version, len(body), err)
	}
	return req, nil
}

// AppendRequest appends a request's body in the version set in it. All requests must be encoded by
// AppendRequest instead of kmsg's AppendTo, for the reason given at DecodeRequest.
func AppendRequest(dst []byte, req kmsg.Request) []byte {
	start := len(dst)
	dst = req.AppendTo(dst)
	if APIKey(req.Key()) == StopReplica && req.GetVersion() == stopReplicaSwapped {
		copy(dst[start:], swapStopReplicaBack(dst[start:]))
	}
	return dst
}

// AppendResponse appends the header and the body of an answer in the version set in resp.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	dst = AppendResponseHeader(dst, APIKey(resp.Key()), resp.GetVersion(), correlationID)
	return resp.AppendTo(dst)
}

// stopReplicaSwapped is the version of StopReplica in which kmsg 1.15 has two fields in the wrong
// order. Kafka writes the controller id (4 bytes), the KRaft flag (1) and the controller epoch (4);
// kmsg writes the epoch before the flag.
const stopReplicaSwapped = 4

// swapStopReplica converts the first nine bytes from Kafka's order to kmsg's.
func swapStopReplica(body []byte) []byte {
	out := append([]byte(nil), body[:9]...)
	copy(out[4:8], body[5:9])
	out[8] = body[4]
	return out
}

// swapStopReplicaBack converts the first nine bytes from kmsg's order to Kafka's.
func swapStopReplicaBack(body []byte) []byte {
	out := append([]byte(nil), body[:9]...)
	copy(out[5:9], body[4:8])
	out[4] = body[8]
	return out
}
