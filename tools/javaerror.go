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
	var none errNoNode
	if errors.As(err, &none) {
		return "org.apache.kafka.common.errors.TimeoutException"
	}
	if name := protocol.CodeOf(err).Exception(); name != "" {
		return "org.apache.kafka.common.errors." + name
	}
	return "java.lang.RuntimeException"
}
