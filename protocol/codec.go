package protocol

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrUnsupportedVersion is the error of DecodeRequest for a key or version
// that the message tables do not have.
var ErrUnsupportedVersion = errors.New("unsupported API key or version")

// DecodeRequest parses a request's body. Byte strings in the result alias
// body; strings do not. Bytes after the request are ignored, as Kafka does.
// Everybody decodes requests here and not by kmsg's ReadFrom, since this knows
// StopReplica v4 better.
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

// AppendRequest appends a request's body at the version set in it. Everybody
// encodes requests here and not by kmsg's AppendTo.
func AppendRequest(dst []byte, req kmsg.Request) []byte {
	start := len(dst)
	dst = req.AppendTo(dst)
	if APIKey(req.Key()) == StopReplica && req.GetVersion() == stopReplicaSwapped {
		copy(dst[start:], swapStopReplicaBack(dst[start:]))
	}
	return dst
}

// AppendResponse appends a whole answer, header and body, at the version set
// in resp.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	dst = AppendResponseHeader(dst, APIKey(resp.Key()), resp.GetVersion(), correlationID)
	return resp.AppendTo(dst)
}

// stopReplicaSwapped is the version of StopReplica in which kmsg 1.15 has two
// fields in the wrong order: Kafka writes controller id (4 bytes), the KRaft
// flag (1) and then the controller epoch (4); kmsg the epoch before the flag.
const stopReplicaSwapped = 4

// swapStopReplica returns the first nine bytes of Kafka's order in kmsg's.
func swapStopReplica(body []byte) []byte {
	out := append([]byte(nil), body[:9]...)
	copy(out[4:8], body[5:9])
	out[8] = body[4]
	return out
}

// swapStopReplicaBack returns the first nine bytes of kmsg's order in Kafka's.
func swapStopReplicaBack(body []byte) []byte {
	out := append([]byte(nil), body[:9]...)
	copy(out[5:9], body[4:8])
	out[4] = body[8]
	return out
}
