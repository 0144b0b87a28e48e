package tools

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// javaError is an error with the Java class that tools name.
type javaError struct{ class, text string }

// caused is a Java exception with a cause that its text does not tell.
type caused struct {
	javaError
	cause error
}

func (e caused) Unwrap() error { return e.javaError }

// trace is the first line of what Java prints of an exception, and the cause
// where the line does not tell it.
func trace(err error) string {
	line := exception(javaClass(err), err.Error())
	var c caused
	if errors.As(err, &c) {
		line += "\nCaused by: " + exception(javaClass(c.cause), c.cause.Error())
	}
	return line
}

func (e javaError) Error() string { return e.text }

// javaClass names the Java exception of an error.
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

// illegalArgument is what Kafka's tools say of arguments that make no sense.
func illegalArgument(text string) error { return javaError{"java.lang.IllegalArgumentException", text} }

// complainWithStack prints an error as most of Kafka's tools do: its text, then
// what Java prints of its stack, which is the class and the text here.
func (e *Env) complainWithStack(err error) {
	e.complainf("%s\n%s\n", err, exception(javaClass(err), err.Error()))
}

// uncaught prints an error that ends a Java program on its own.
func (e *Env) uncaught(err error) {
	e.complainf("Exception in thread \"main\" %s", exception(javaClass(err), err.Error()))
}

// wrapped is err as the cause of another Java exception: the text is that of the
// cause with its class.
func wrapped(class string, err error) error {
	return javaError{class, exception(javaClass(err), err.Error())}
}

// runtimeError is err in the exception that Java code throws for what it need not declare.
func runtimeError(err error) error { return wrapped("java.lang.RuntimeException", err) }
