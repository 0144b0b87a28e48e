package tools

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// javaError is an error with the Java class that tools print.
type javaError struct{ class, text string }

func (e javaError) Error() string { return e.text }

// caused is an error with a cause, which Java's stack traces show.
type caused struct {
	error
	cause error
}

func (c caused) Unwrap() error { return c.error }

// suppressing is an error with suppressed errors, which Java's stack traces list below it.
type suppressing struct {
	error
	suppressed []error
}

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
	var java javaError
	if errors.As(err, &java) {
		return java.class
	}
	var bad badOption
	if errors.As(err, &bad) {
		return "joptsimple." + bad.class
	}
	var none errNoNode
	if errors.As(err, &none) {
		return "org.apache.kafka.common.errors.TimeoutException"
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
