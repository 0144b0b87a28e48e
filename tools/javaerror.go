package tools

import (
	"errors"
	"fmt"
	"strings"

	"github.com/monedula/monedula/protocol"
)

// javaError is an error with the Java class that tools print.
type javaError struct{ class, text string }

// newJavaError returns the error that Java prints as class and text.
func newJavaError(class, text string) error { return javaError{class, text} }

func (e javaError) Error() string { return e.text }

func (e javaError) javaClass() string { return e.class }

// classed is an error that names its Java exception class.
type classed interface {
	error
	javaClass() string
}

// caused is an error with a cause, which Java's stack traces show.
type caused struct {
	error
	cause error
}

// withCause returns err with a cause.
func withCause(err, cause error) error { return caused{err, cause} }

func (c caused) Unwrap() error { return c.error }

// suppressing is an error with suppressed errors, which Java's stack traces list below it.
type suppressing struct {
	error
	suppressed []error
}

// withSuppressed returns err with suppressed errors.
func withSuppressed(err error, suppressed []error) error { return suppressing{err, suppressed} }

func (b suppressing) Unwrap() error { return b.error }

// stack returns the first lines that Java prints for an error and its causes.
func stack(err error) string {
	text := exception(javaClass(err), err.Error())
	var b suppressing
	if errors.As(err, &b) {
		for _, one := range b.suppressed {
			text += "\n\tSuppressed: " + exception(javaClass(one), one.Error())
		}
	}
	var c caused
	if errors.As(err, &c) {
		text += "\nCaused by: " + stack(c.cause)
	}
	return text
}

// javaClass returns the Java exception class of an error.
func javaClass(err error) string {
	var named classed
	if errors.As(err, &named) {
		return named.javaClass()
	}
	if name := protocol.CodeOf(err).Exception(); name != "" {
		return "org.apache.kafka.common.errors." + name
	}
	return "java.lang.RuntimeException"
}

// illegalArgument is the error that Kafka's tools return for invalid arguments.
func illegalArgument(text string) error { return javaError{"java.lang.IllegalArgumentException", text} }

// complainWithStack prints an error like most of Kafka's tools: its text, followed by Java's stack
// trace, which here consists of classes and texts only.
func (e *Env) complainWithStack(err error) {
	e.complainf("%s\n%s\n", err, stack(err))
}

// uncaught prints an error like an uncaught exception that ends a Java program.
func (e *Env) uncaught(err error) {
	e.complainf("Exception in thread \"main\" %s", stack(err))
}

// wrapped returns err as the cause of another Java exception. The text is the class and text of the
// cause.
func wrapped(class string, err error) error {
	return javaError{class, exception(javaClass(err), err.Error())}
}

// runtimeError wraps err in Java's RuntimeException, which Java code uses for checked exceptions.
func runtimeError(err error) error { return wrapped("java.lang.RuntimeException", err) }

// exception formats an error like a Java exception that ended the program: class, colon, text.
func exception(class, text string) string {
	if text == "" {
		return class
	}
	return class + ": " + text
}

// asException returns err with the text that Java prints for it.
func asException(err error) error { return errors.New(exception(javaClass(err), err.Error())) }

func adminOperation(format string, args ...any) error {
	return javaError{"org.apache.kafka.server.common.AdminOperationException", fmt.Sprintf(format, args...)}
}

func commandFailed(format string, args ...any) error {
	return javaError{"org.apache.kafka.server.common.AdminCommandFailedException", fmt.Sprintf(format, args...)}
}

// asIn28 returns err with the exception class that an administration tool of 2.8 prints.
func asIn28(err error) error {
	var b suppressing
	if errors.As(err, &b) {
		return suppressing{asIn28(b.error), b.suppressed}
	}
	var java javaError
	if !errors.As(err, &java) {
		return err
	}
	for _, class := range []struct{ now, then string }{
		{"org.apache.kafka.server.common.AdminCommandFailedException", "kafka.common.AdminCommandFailedException"},
		{"org.apache.kafka.server.common.AdminOperationException", "kafka.admin.AdminOperationException"},
	} {
		if java.class == class.now {
			java.class = class.then
		}
	}
	var c caused
	if errors.As(err, &c) {
		return caused{java, asIn28(c.cause)}
	}
	return java
}

// plainFailure is a failure that is printed without a class and a stack.
type plainFailure struct{ text string }

func (e plainFailure) Error() string { return e.text }

// isTimeout reports whether err is one of Java's timeout exceptions.
func isTimeout(err error) bool {
	var named classed
	return errors.As(err, &named) && strings.HasSuffix(named.javaClass(), ".TimeoutException")
}
