package protocol

import (
	"errors"
	"fmt"
	"testing"
)

func TestErrorsCarryACodeAndAMessage(t *testing.T) {
	wrong := Errorf(InvalidTopicException, "%s is not a name", "x y")
	for _, c := range []struct {
		err     error
		code    ErrorCode
		message string
	}{
		{nil, None, ""},
		{NotController, NotController, NotController.Message()},
		{fmt.Errorf("creating: %w", NotController), NotController, NotController.Message()},
		{wrong, InvalidTopicException, "x y is not a name"},
		{fmt.Errorf("creating: %w", wrong), InvalidTopicException, "x y is not a name"},
		{errors.New("secret"), UnknownServerError, UnknownServerError.Message()},
	} {
		if got := CodeOf(c.err); got != c.code {
			t.Errorf("the code of %v is %s, want %s", c.err, got, c.code)
		}
		message := MessageOf(c.err)
		if (message == nil) != (c.err == nil) || message != nil && *message != c.message {
			t.Errorf("the message of %v is %v, want %q", c.err, message, c.message)
		}
	}
	if !errors.Is(wrong, InvalidTopicException) {
		t.Error("errors.Is does not find the code of an error")
	}
}

// A text that is the default one of its code, or that describes an internal error, is not sent.
func TestOnlyASpecificMessageIsSent(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""}, {NotController, ""}, {errors.New("secret"), ""},
		{Errorf(UnknownServerError, "secret"), ""},
		{Errorf(NotController, "%s", NotController.Message()), ""},
		{Errorf(NotController, "broker 1 is the controller"), "broker 1 is the controller"},
		{fmt.Errorf("sending: %w", Errorf(NotController, "broker 1 is the controller")), "broker 1 is the controller"},
	} {
		message := SpecificMessage(c.err)
		if (message == nil) != (c.want == "") || message != nil && *message != c.want {
			t.Errorf("%v: %v, want %q", c.err, message, c.want)
		}
	}
}
