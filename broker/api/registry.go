// Package api answers requests. It has one file for each API key, with the versions served, the
// interfaces the handler needs, a constructor that returns a Handler, and what is special about the
// answer to a request that failed as a whole (erroranswer.go has the default). A Registry holds the
// handlers; ApiVersions advertises exactly those.
package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// Handler answers the requests of one API key.
type Handler struct {
	Key      protocol.APIKey
	Min, Max int16 // versions served, advertised by ApiVersions
	// Serve answers a request of a version between Min and Max.
	Serve func(*Call) network.Response
	// Sender is the kind of peer that sends such requests. It decides which limits of memory they
	// have (budget.go).
	Sender Sender
	// Weight is the memory in bytes that a body of any size may take when it is decoded. 0 means
	// weightAllowed.
	Weight int
	// Unsupported answers requests of other versions. If it is nil the connection is closed, as
	// Kafka does for every API except ApiVersions.
	Unsupported func(*Call) network.Response
	// PerEntry is set if the answer to a request that failed as a whole repeats the entries of the
	// request, each with the code, instead of one code for the whole answer. Such an API cannot
	// answer a request that was not decoded.
	PerEntry bool
	// Unthrottled is set if that answer always has a throttle time of 0 in Kafka.
	Unthrottled bool
	// Fail completes that answer if the API's differs from the default answer, resp. It returns
	// resp, or nil if the connection must be closed instead. Use completed for an API's own types.
	Fail func(req kmsg.Request, resp kmsg.Response, err error) kmsg.Response

	codes *codeFields // of the answers, set by Register
}

// Sender is the kind of peer that sends the requests of an API.
type Sender int8

// The senders. A client with all permissions may send all requests, too.
const (
	Clients    Sender = iota // clients, and brokers as clients of each other
	Brokers                  // only brokers
	Controller               // only the controller
)

// Typed returns h with a Serve whose requests are decoded by kmsg. answer returns the response,
// whose version Typed sets, or an error, which becomes the answer to a request that failed as a
// whole. Byte strings in the request alias the frame and are invalid after answer has returned.
func Typed[R kmsg.Request](h Handler, answer func(*Call, R) (kmsg.Response, error)) Handler {
	scale := protocol.NewScale(h.Key)
	h.Serve = func(c *Call) network.Response {
		decoded, release, err := c.decode(scale)
		if err != nil {
			return c.refuseBody(err)
		}
		defer release()
		req, ok := decoded.(R)
		if !ok {
			return c.refuse(fmt.Errorf("%s is decoded as %T", c.Key, decoded))
		}
		resp, err := answer(c, req)
		var bad *unreadable
		switch {
		case errors.As(err, &bad):
			return c.refuse(err)
		case err != nil:
			return c.Fail(req, err)
		}
		return c.Answer(resp)
	}
	return h
}

// unreadable is the error of a request that kmsg decodes but Kafka does not: the connection is
// closed without an answer.
type unreadable struct{ reason string }

func (e *unreadable) Error() string { return e.reason }

// Registry holds the handlers by API key and is the network.Handler of a broker. Handlers must be
// registered before the first request.
type Registry struct {
	handlers map[protocol.APIKey]*Handler
	access   Access
	budget   *budget
	log      *logrus.Logger
	errors   ErrorCounter
	waits    Waits
}

// NewRegistry returns a registry without handlers. access is the authorizer; nil allows everything.
func NewRegistry(access Access, log *logrus.Logger) *Registry {
	if access == nil {
		access = AllowAll{}
	}
	return &Registry{handlers: map[protocol.APIKey]*Handler{}, access: access, budget: newBudget(), log: log}
}

// CountErrors passes the codes of all answers to count. It must be called before the first request.
func (r *Registry) CountErrors(count ErrorCounter) { r.errors = count }

// Waits returns the numbers of requests that wait for the metadata.
func (r *Registry) Waits() *Waits { return &r.waits }

// Register adds handlers. It panics if a key has a handler already.
func (r *Registry) Register(handlers ...Handler) {
	for _, h := range handlers {
		if r.handlers[h.Key] != nil {
			panic(fmt.Sprintf("api: two handlers for %s", h.Key))
		}
		h.codes = answerCodes(h.Key)
		r.handlers[h.Key] = &h
	}
}

// Advertised returns the handlers in the order of their keys. They must not be changed.
func (r *Registry) Advertised() []*Handler {
	return slices.SortedFunc(maps.Values(r.handlers), func(a, b *Handler) int { return int(a.Key) - int(b.Key) })
}

// Serve answers one request. An unknown key or version closes the connection.
func (r *Registry) Serve(req *network.Request) network.Response {
	h := r.handlers[req.Key]
	c := &Call{Request: req, handler: h, access: r.access, budget: r.budget, log: r.log, countErrors: r.errors, waits: &r.waits}
	switch {
	case h == nil:
		return c.refuse(fmt.Errorf("%s v%d is not served: %w", req.Key, req.Version, protocol.ErrUnsupportedVersion))
	case req.Version >= h.Min && req.Version <= h.Max:
		return h.Serve(c)
	case h.Unsupported != nil:
		return h.Unsupported(c)
	}
	return c.refuse(fmt.Errorf("%s v%d is not served, only versions %d to %d: %w", req.Key, req.Version, h.Min, h.Max,
		protocol.ErrUnsupportedVersion))
}

var _ network.Handler = (*Registry)(nil)

// refuse closes the connection for a request that cannot be answered at all.
func (c *Call) refuse(err error) network.Response { return network.Refuse(err) }
