package protocol

// RequestHeader is the head of every request (v0, v1 and v2; tags are skipped).
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      *string
}
