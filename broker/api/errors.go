package api

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// codeAndMessage are what an entry of an answer says of err: null as message
// where it would only repeat the code's text, and of UNKNOWN_SERVER_ERROR,
// whose cause is nobody's business outside.
func codeAndMessage(err error) (code int16, message *string) {
	c := protocol.CodeOf(err)
	var e *protocol.Error
	if !errors.As(err, &e) || c == protocol.UnknownServerError || e.Message == c.Message() {
		return int16(c), nil
	}
	text := e.Message
	return int16(c), &text
}

// codeAndText is codeAndMessage with the code's own text where there is no other.
func codeAndText(err error) (code int16, message *string) {
	code, message = codeAndMessage(err)
	if message == nil && code != 0 {
		text := protocol.ErrorCode(code).Message()
		message = &text
	}
	return code, message
}
