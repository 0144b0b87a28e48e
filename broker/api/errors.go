package api

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// codeAndMessage returns the error code and message for an entry of an answer. The message is null
// if it would only repeat the code's text, and for UNKNOWN_SERVER_ERROR, whose cause is not
// disclosed to clients.
func codeAndMessage(err error) (code int16, message *string) {
	c := protocol.CodeOf(err)
	var e *protocol.Error
	if !errors.As(err, &e) || c == protocol.UnknownServerError || e.Message == c.Message() {
		return int16(c), nil
	}
	text := e.Message
	return int16(c), &text
}

// codeAndText is codeAndMessage with the code's own text instead of a null message.
func codeAndText(err error) (code int16, message *string) {
	code, message = codeAndMessage(err)
	if message == nil && code != 0 {
		text := protocol.ErrorCode(code).Message()
		message = &text
	}
	return code, message
}
