package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// Failure is why a broker could not be reached.
type Failure int8

// The failures.
const (
	OtherFailure Failure = iota
	UnknownHost          // the name cannot be resolved
	Refused              // no process listens at the port
	Unroutable           // no route to the network or host
	TimedOut             // no answer, as from behind a firewall
	ClosedEarly          // the connection was closed before an answer: usually a TLS or SASL listener, or an overloaded broker
	SpeaksTLS            // the other side answered with TLS
	SpeaksHTTP           // the other side answered with HTTP
	NotABroker           // the other side answered with something else
)

// FailureOf classifies the error of a connection or request.
func FailureOf(err error) Failure {
	var dns *net.DNSError
	var size *peerlink.FrameSizeError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return UnknownHost
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Unroutable
	case errors.As(err, &size) && size.Head[0] >= 20 && size.Head[0] <= 23 && size.Head[1] == 3: // the type and version of a TLS record
		return SpeaksTLS
	case errors.As(err, &size) && string(size.Head[:]) == "HTTP":
		return SpeaksHTTP
	case errors.As(err, &size):
		return NotABroker
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ClosedEarly
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	}
	return OtherFailure
}

// Reason describes the error of a connection or request in a few words, for a list of addresses.
func Reason(err error) string {
	var dial *net.OpError
	at := ""
	if errors.As(err, &dial) && dial.Op == "dial" && dial.Addr != nil {
		at = " by " + dial.Addr.String()
	}
	var dns *net.DNSError
	switch FailureOf(err) {
	case UnknownHost:
		errors.As(err, &dns)
		return fmt.Sprintf("the name %s cannot be resolved (%s)", dns.Name, dns.Err)
	case Refused:
		return "connection refused" + at
	case Unroutable:
		return "no route to the host" + at
	case TimedOut:
		return "no answer in time" + at
	case ClosedEarly:
		return "the connection was closed without an answer"
	case SpeaksTLS:
		return "the answer is TLS, not plaintext"
	case SpeaksHTTP:
		return "the answer is HTTP, so this is not a broker"
	case NotABroker:
		return "the answer is not that of a broker"
	}
	return err.Error()
}

// observer returns a function for peerlink.Config that records which addresses answered.
func observer(env *cli.Env) func(address string, err error) {
	return func(address string, err error) {
		var code protocol.ErrorCode
		if err == nil || errors.As(err, &code) || errors.Is(err, protocol.UnsupportedVersion) {
			env.Reached(address)
			return
		}
		notReached(env, address, err)
	}
}

// notReached records a failed attempt. That one was not answered in time says less than an earlier
// reason, since the time of a tool ends at any moment, so it does not replace one.
func notReached(env *cli.Env, address string, err error) {
	if FailureOf(err) == TimedOut {
		env.Unanswered(address)
		return
	}
	env.NotReached(address, Reason(err))
}
