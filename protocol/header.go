package protocol

import (
	"encoding/binary"
	"fmt"
)

// RequestHeader is the header of a request, in version 0, 1 or 2. Tagged fields are skipped.
type RequestHeader struct {
	Key           APIKey
	Version       int16
	CorrelationID int32
	// ClientID is nil if it is null, and always for ControlledShutdown v0.
	ClientID *string
}

// ClientIDOrEmpty returns the client id, or "" if it is null.
func (h *RequestHeader) ClientIDOrEmpty() string {
	if h.ClientID == nil {
		return ""
	}
	return *h.ClientID
}

// newestAPIVersions is the newest version of ApiVersions with a known header format.
const newestAPIVersions = 4

// ParseRequestHeader splits a frame into its header and the body, which aliases the frame. It fails
// for a truncated header and for an unknown key, since its header version is unknown; the caller
// must then close the connection without an answer. For versions of ApiVersions that are too new
// the rest of the header may have an unknown format. If it does not parse, ParseRequestHeader
// returns the header up to the correlation id and an empty body.
func ParseRequestHeader(frame []byte) (h RequestHeader, body []byte, err error) {
	if len(frame) < 8 {
		return h, nil, fmt.Errorf("request header: %d bytes, want at least 8", len(frame))
	}
	h.Key = APIKey(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	if !h.Key.Known() {
		return h, nil, fmt.Errorf("request header: unknown API key %d", int16(h.Key))
	}
	r := reader{src: frame[8:]}
	headerVersion := h.Key.RequestHeaderVersion(h.Version)
	if headerVersion >= 1 {
		h.ClientID = r.nullableString(false, nil)
	}
	if headerVersion >= 2 {
		r.skipTags()
	}
	if r.err != nil {
		if h.Key == ApiVersions && h.Version > newestAPIVersions {
			h.ClientID = nil
			return h, nil, nil
		}
		return h, nil, fmt.Errorf("request header of %s v%d: %w", h.Key, h.Version, r.err)
	}
	return h, r.src, nil
}

// AppendRequestHeader appends the header in the format that its key and version require.
func AppendRequestHeader(dst []byte, h RequestHeader) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Key))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.CorrelationID))
	headerVersion := h.Key.RequestHeaderVersion(h.Version)
	if headerVersion >= 1 {
		dst = appendNullableString(dst, h.ClientID, false)
	}
	if headerVersion >= 2 {
		dst = append(dst, 0)
	}
	return dst
}

// AppendResponseHeader appends the header of the answer to a request with the key and version.
func AppendResponseHeader(dst []byte, key APIKey, version int16, correlationID int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if key.ResponseHeaderVersion(version) >= 1 {
		dst = append(dst, 0)
	}
	return dst
}

// ParseResponseHeader splits the frame of an answer into its correlation id and the body, which
// aliases the frame.
func ParseResponseHeader(frame []byte, key APIKey, version int16) (correlationID int32, body []byte, err error) {
	r := reader{src: frame}
	correlationID = r.int32()
	if key.ResponseHeaderVersion(version) >= 1 {
		r.skipTags()
	}
	if r.err != nil {
		return 0, nil, fmt.Errorf("response header of %s v%d: %w", key, version, r.err)
	}
	return correlationID, r.src, nil
}
