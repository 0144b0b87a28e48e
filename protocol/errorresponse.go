package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// ErrorResponse returns the answer that Kafka gives to req when its handler
// fails as a whole: err's code on every entry, or at the top level, as each
// request type has it. false where there is no such answer: the connection is
// closed then (Produce with acks=0).
func ErrorResponse(req kmsg.Request, err error, throttleMs int32) (kmsg.Response, bool) {
	panic("unwritten")
}
