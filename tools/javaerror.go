package tools

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// javaError is an error with the Java class that tools name.
type javaError struct{ class, text string }

func (e javaError) Error() string { return e.text }

// caused is an error with another one behind it, of which Java's stacks tell.
type caused struct {
	error
	cause error
}

func (c caused) Unwrap() error { return c.error }

// beside is an error with others that Java's stacks list below it.
type beside struct {
	error
	suppressed []error
}

func (b beside) Unwrap() error { return b.error }

// stack is what Java prints first of an error and of its causes.
func stack(err error) string {
	text := exception(javaClass(err), err.Error())
	var b beside
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
// what Java prints of its stack, which is classes and texts here.
func (e *Env) complainWithStack(err error) {
	e.complainf("%s\n%s\n", err, stack(err))
}

// uncaught prints an error that ends a Java program on its own.
func (e *Env) uncaught(err error) {
	e.complainf("Exception in thread \"main\" %s", stack(err))
}

// wrapped is err as the cause of another Java exception: the text is that of the
// cause with its class.
func wrapped(class string, err error) error {
	return javaError{class, exception(javaClass(err), err.Error())}
}

// runtimeError is err in the exception that Java code throws for what it need not declare.
func runtimeError(err error) error { return wrapped("java.lang.RuntimeException", err) }
