// Package protocol knows what goes over the wire before any API is understood:
// error codes, API keys, request and response headers, and the hand-written
// codecs of the two hot requests. Every other message is encoded by
// github.com/twmb/franz-go/pkg/kmsg.
package protocol

import (
	"errors"
	"fmt"
)

// Name returns Kafka's constant name, such as UNKNOWN_TOPIC_OR_PARTITION; for
// a number Kafka does not know, the name of UNKNOWN_SERVER_ERROR.
func (c ErrorCode) Name() string { return c.text().name }

// Exception returns the simple name of the Java exception for the code, such
// as UnknownTopicOrPartitionException; empty for None.
func (c ErrorCode) Exception() string { return c.text().exception }

// Message returns the default text that Kafka puts into error_message fields.
func (c ErrorCode) Message() string { return c.text().message }

// Retriable says whether Kafka's clients try again by themselves on the code.
func (c ErrorCode) Retriable() bool { return c.text().retriable }

// Error returns the default text, so that a code can be an error.
func (c ErrorCode) Error() string { return c.text().message }

func (c ErrorCode) String() string { return c.text().name }

func (c ErrorCode) text() errorText {
	if t, ok := errorTexts[c]; ok {
		return t
	}
	return errorTexts[UnknownServerError]
}

// Error is a code together with a text that says more than its default does.
// The text is what the client sees.
type Error struct {
	Code    ErrorCode
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes errors.Is(err, code) true.
func (e *Error) Unwrap() error { return e.Code }

// Errorf returns an *Error of the code with the formatted text.
func Errorf(code ErrorCode, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code inside err: None for nil, UnknownServerError where
// there is none.
func CodeOf(err error) ErrorCode {
	if err == nil {
		return None
	}
	var code ErrorCode
	if errors.As(err, &code) {
		return code
	}
	return UnknownServerError
}

// MessageOf returns the text for an error_message field: nil for success,
// the specific text where err carries one, else the code's default.
func MessageOf(err error) *string {
	if err == nil {
		return nil
	}
	text := CodeOf(err).Message()
	var e *Error
	if errors.As(err, &e) {
		text = e.Message
	}
	return &text
}
