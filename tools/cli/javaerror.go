package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/monedula/monedula/protocol"
)

// JavaError is an error with the Java class that tools print.
type JavaError struct{ Class, Text string }

// NewJavaError returns the error that Java prints as class and text.
func NewJavaError(class, text string) error { return JavaError{class, text} }

func (e JavaError) Error() string { return e.Text }

// JavaClass returns the Java class that tools print.
func (e JavaError) JavaClass() string { return e.Class }

// classed is an error that names its Java exception class.
type classed interface {
	error
	JavaClass() string
}

// caused is an error with a cause, which Java's stack traces show.
type caused struct {
	error
	cause error
}

// WithCause returns err with a cause.
func WithCause(err, cause error) error { return caused{err, cause} }

func (c caused) Unwrap() error { return c.error }

// suppressing is an error with suppressed errors, which Java's stack traces list below it.
type suppressing struct {
	error
	suppressed []error
}

// WithSuppressed returns err with suppressed errors.
func WithSuppressed(err error, suppressed []error) error { return suppressing{err, suppressed} }

func (b suppressing) Unwrap() error { return b.error }

// Stack returns the first lines that Java prints for an error and its causes.
func Stack(err error) string {
	text := ExceptionText(JavaClass(err), err.Error())
	var b suppressing
	if errors.As(err, &b) {
		for _, one := range b.suppressed {
			text += "\n\tSuppressed: " + ExceptionText(JavaClass(one), one.Error())
		}
	}
	var c caused
	if errors.As(err, &c) {
		text += "\nCaused by: " + Stack(c.cause)
	}
	return text
}

// JavaClass returns the Java exception class of an error.
func JavaClass(err error) string {
	var named classed
	if errors.As(err, &named) {
		return named.JavaClass()
	}
	if name := protocol.CodeOf(err).Exception(); name != "" {
		return "org.apache.kafka.common.errors." + name
	}
	return "java.lang.RuntimeException"
}

// IllegalArgument returns the exception of Kafka's tools for invalid arguments.
func IllegalArgument(text string) error { return JavaError{"java.lang.IllegalArgumentException", text} }

// ComplainWithStack prints an error like most of Kafka's tools: its text, followed by Java's stack
// trace, which here consists of classes and messages only.
func (e *Env) ComplainWithStack(err error) {
	e.Complainf("%s\n%s\n", err, Stack(err))
}

// Uncaught prints an error like an uncaught exception that ends a Java program.
func (e *Env) Uncaught(err error) {
	e.Complainf("Exception in thread \"main\" %s", Stack(err))
}

// wrapped returns err as the cause of another Java exception. The text is the class and text of the
// cause.
func wrapped(class string, err error) error {
	return JavaError{class, ExceptionText(JavaClass(err), err.Error())}
}

// RuntimeError wraps err in Java's RuntimeException, which Java code uses for checked exceptions.
func RuntimeError(err error) error { return wrapped("java.lang.RuntimeException", err) }

// ExceptionText formats an error like a Java exception that ended the program: class, colon, text.
func ExceptionText(class, text string) string {
	if text == "" {
		return class
	}
	return class + ": " + text
}

// AsException returns err with the text that Java prints for it.
func AsException(err error) error { return errors.New(ExceptionText(JavaClass(err), err.Error())) }

// AdminOperation returns the exception of an operation that is refused or invalid.
func AdminOperation(format string, args ...any) error {
	return JavaError{"org.apache.kafka.server.common.AdminOperationException", fmt.Sprintf(format, args...)}
}

// CommandFailed returns the exception of a command that cannot be carried out.
func CommandFailed(format string, args ...any) error {
	return JavaError{"org.apache.kafka.server.common.AdminCommandFailedException", fmt.Sprintf(format, args...)}
}

// AsIn28 returns err with the exception class that an administration tool of 2.8 prints.
func AsIn28(err error) error {
	var b suppressing
	if errors.As(err, &b) {
		return suppressing{AsIn28(b.error), b.suppressed}
	}
	var java JavaError
	if !errors.As(err, &java) {
		return err
	}
	for _, class := range []struct{ now, then string }{
		{"org.apache.kafka.server.common.AdminCommandFailedException", "kafka.common.AdminCommandFailedException"},
		{"org.apache.kafka.server.common.AdminOperationException", "kafka.admin.AdminOperationException"},
	} {
		if java.Class == class.now {
			java.Class = class.then
		}
	}
	var c caused
	if errors.As(err, &c) {
		return caused{java, AsIn28(c.cause)}
	}
	return java
}

// PlainFailure is a failure that is printed without a class and a stack.
type PlainFailure struct{ Text string }

func (e PlainFailure) Error() string { return e.Text }

// IsTimeout reports whether err is one of Java's timeout exceptions.
func IsTimeout(err error) bool {
	var named classed
	return errors.As(err, &named) && strings.HasSuffix(named.JavaClass(), ".TimeoutException")
}
