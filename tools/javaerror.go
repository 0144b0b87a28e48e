package tools

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// javaError is an error with the Java class that tools name.
type javaError struct{ class, text string }

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
