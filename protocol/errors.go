// Package protocol contains the parts of the wire protocol that all APIs share: error codes, API
// keys, request and response headers. It also has hand-written codecs for Produce and Fetch, the
// requests on the hot path. All other messages are encoded by github.com/twmb/franz-go/pkg/kmsg.
package protocol

import (
	"errors"
	"fmt"
)

// Name returns the name of Kafka's constant, such as UNKNOWN_TOPIC_OR_PARTITION, or
// UNKNOWN_SERVER_ERROR for a number that Kafka does not know.
func (c ErrorCode) Name() string { return c.text().name }

// Exception returns the simple name of the code's Java exception, such as
// UnknownTopicOrPartitionException. It is empty for None.
func (c ErrorCode) Exception() string { return c.text().exception }

// Message returns the default text that Kafka puts into error_message fields.
func (c ErrorCode) Message() string { return c.text().message }

// Retriable reports whether Kafka's clients try again by themselves after the code.
func (c ErrorCode) Retriable() bool { return c.text().retriable }

// Error returns the default text. It makes an ErrorCode an error.
func (c ErrorCode) Error() string { return c.text().message }

func (c ErrorCode) String() string { return c.text().name }

func (c ErrorCode) text() errorText {
	if t, ok := errorTexts[c]; ok {
		return t
	}
	return errorTexts[UnknownServerError]
}

// Error is a code with a message of its own, which is sent to the client instead of the code's
// default text.
type Error struct {
	Code    ErrorCode
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes errors.Is(err, code) true.
func (e *Error) Unwrap() error { return e.Code }

// Errorf returns an *Error with the code and the formatted message.
func Errorf(code ErrorCode, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the ErrorCode in the chain of err, None for nil, or UnknownServerError if err has
// no code.
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

// MessageOf returns the text for an error_message field: nil if err is nil, the message of an
// *Error, or else the default text of err's code.
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

// SpecificMessage returns the text for an error_message field that is null unless err has a message
// of its own. It is also null for UNKNOWN_SERVER_ERROR, whose cause is not disclosed to clients.
func SpecificMessage(err error) *string {
	var e *Error
	if !errors.As(err, &e) || e.Code == UnknownServerError || e.Message == e.Code.Message() {
		return nil
	}
	message := e.Message
	return &message
}
