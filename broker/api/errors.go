package api

import "github.com/monedula/monedula/protocol"

// codeAndMessage returns the error code and message for an answer or an entry of one. The message
// is null unless err has one of its own.
func codeAndMessage(err error) (code int16, message *string) {
	return int16(protocol.CodeOf(err)), protocol.SpecificMessage(err)
}

// codeAndText is like codeAndMessage, but returns the text of the code instead of a null message.
func codeAndText(err error) (code int16, message *string) {
	code, message = codeAndMessage(err)
	if message == nil && code != 0 {
		text := protocol.ErrorCode(code).Message()
		message = &text
	}
	return code, message
}
