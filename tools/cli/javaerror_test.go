package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/monedula/monedula/protocol"
)

func TestErrorsHaveJavaClasses(t *testing.T) {
	io := NewJavaError("java.io.IOException", "no space")
	for _, test := range []struct {
		err         error
		class, text string
	}{
		{io, "java.io.IOException", "no space"},
		{fmt.Errorf("writing: %w", io), "java.io.IOException", "writing: no space"},
		{errors.New("odd"), "org.apache.kafka.common.errors.UnknownServerException", "odd"},
		{protocol.UnknownTopicOrPartition, "org.apache.kafka.common.errors.UnknownTopicOrPartitionException", protocol.UnknownTopicOrPartition.Error()},
		{protocol.Errorf(protocol.InvalidConfig, "bad"), "org.apache.kafka.common.errors.InvalidConfigurationException", "bad"},
		{BadOption{"bad", "OptionException"}, "joptsimple.OptionException", "bad"},
		{IllegalArgument("no"), "java.lang.IllegalArgumentException", "no"},
		{AdminOperation("no %d", 1), "org.apache.kafka.server.common.AdminOperationException", "no 1"},
		{CommandFailed("no %d", 1), "org.apache.kafka.server.common.AdminCommandFailedException", "no 1"},
		{RuntimeError(io), "java.lang.RuntimeException", "java.io.IOException: no space"},
		{WithCause(IllegalArgument("outer"), io), "java.lang.IllegalArgumentException", "outer"},
	} {
		if class := JavaClass(test.err); class != test.class || test.err.Error() != test.text {
			t.Errorf("%s: %s, want %s: %s", class, test.err, test.class, test.text)
		}
		if want := test.class + ": " + test.text; AsException(test.err).Error() != want {
			t.Errorf("%s, want %s", AsException(test.err), want)
		}
	}
	if text := ExceptionText("java.lang.NullPointerException", ""); text != "java.lang.NullPointerException" {
		t.Errorf("without a text: %s", text)
	}
}

func TestStacksListCausesAndSuppressedErrors(t *testing.T) {
	io, state := NewJavaError("java.io.IOException", "no space"), NewJavaError("java.lang.IllegalStateException", "closed")
	err := WithCause(WithSuppressed(CommandFailed("2 failed"), []error{io, state}), WithCause(IllegalArgument("outer"), io))
	const want = `org.apache.kafka.server.common.AdminCommandFailedException: 2 failed
	Suppressed: java.io.IOException: no space
	Suppressed: java.lang.IllegalStateException: closed
Caused by: java.lang.IllegalArgumentException: outer
Caused by: java.io.IOException: no space`
	if have := Stack(err); have != want {
		t.Errorf("%s\nwant\n%s", have, want)
	}
	var errs bytes.Buffer
	env := &Env{Stderr: &errs}
	env.Uncaught(io)
	env.ComplainWithStack(state)
	if errs.String() != "Exception in thread \"main\" java.io.IOException: no space\nclosed\njava.lang.IllegalStateException: closed\n\n" {
		t.Errorf("%q", errs.String())
	}
}

func TestErrorsHaveTheClassesOf28(t *testing.T) {
	failed := CommandFailed("failed")
	for _, test := range []struct{ err, want error }{
		{failed, NewJavaError("kafka.common.AdminCommandFailedException", "failed")},
		{AdminOperation("refused"), NewJavaError("kafka.admin.AdminOperationException", "refused")},
		{IllegalArgument("same"), IllegalArgument("same")},
		{protocol.InvalidConfig, protocol.InvalidConfig},
		{WithCause(failed, AdminOperation("refused")), WithCause(NewJavaError("kafka.common.AdminCommandFailedException", "failed"), NewJavaError("kafka.admin.AdminOperationException", "refused"))},
		{WithSuppressed(failed, []error{failed}), WithSuppressed(NewJavaError("kafka.common.AdminCommandFailedException", "failed"), []error{failed})},
	} {
		if have := Stack(AsIn28(test.err)); have != Stack(test.want) {
			t.Errorf("%s\nwant\n%s", have, Stack(test.want))
		}
	}
}

func TestTimeoutsAreRecognised(t *testing.T) {
	for _, class := range []string{"org.apache.kafka.common.errors.TimeoutException", "java.util.concurrent.TimeoutException"} {
		if !IsTimeout(WithCause(NewJavaError(class, ""), errors.New("x"))) {
			t.Errorf("%s is no timeout", class)
		}
	}
	if IsTimeout(IllegalArgument("TimeoutException")) || IsTimeout(errors.New("timeout")) || IsTimeout(nil) {
		t.Error("another error is a timeout")
	}
}
