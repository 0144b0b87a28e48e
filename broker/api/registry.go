// Package api answers requests: one file per API key, each with its versions,
// the few interfaces it needs and a constructor that returns a Handler. A
// Registry holds the handlers; what it holds is what ApiVersions advertises.
package api

import (
	"errors"
	"fmt"
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
	// Unsupported answers requests of other versions; nil: the connection is
	// closed, as Kafka does for every API but ApiVersions.
	Unsupported func(*Call) network.Response
}

// Typed returns a Handler of the versions min to max whose requests are decoded
// by kmsg. answer returns the response, whose version is set here, or an error,
// which becomes the request type's own error answer (protocol.ErrorResponse).
// Byte strings in the request alias the frame and are gone when answer has returned.
func Typed[R kmsg.Request](key protocol.APIKey, min, max int16, answer func(*Call, R) (kmsg.Response, error)) Handler {
	scale := protocol.NewScale(key)
	return Handler{Key: key, Min: min, Max: max, Serve: func(c *Call) network.Response {
		decoded, release, err := c.decode(scale)
		if err != nil {
			return c.refuseBody(err)
		}
		defer release()
		req, ok := decoded.(R)
		if !ok {
			return c.refuse(fmt.Errorf("%s decodes as %T", key, decoded))
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
	}}
}

// unreadable is the error of a request that decodes but that Kafka refuses to
// parse: the connection is closed without an answer.
type unreadable struct{ reason string }

func (e *unreadable) Error() string { return e.reason }

// Registry holds the handlers by API key and is the network.Handler of a
// broker. Handlers are registered before the first request.
type Registry struct {
	handlers map[protocol.APIKey]*Handler
	access   Access
	budget   *budget
	log      *logrus.Logger
}

// NewRegistry returns a registry without handlers. access says who may do
// what; nil: everybody everything, as without an authorizer.
func NewRegistry(access Access, log *logrus.Logger) *Registry {
	if access == nil {
		access = AllowAll{}
	}
	return &Registry{handlers: map[protocol.APIKey]*Handler{}, access: access, budget: newBudget(), log: log}
}

// Register adds handlers. Two for one key are a programming error.
func (r *Registry) Register(handlers ...Handler) {
	for _, h := range handlers {
		if r.handlers[h.Key] != nil {
			panic(fmt.Sprintf("api: two handlers for %s", h.Key))
		}
		r.handlers[h.Key] = &h
	}
}

// Versions is the range of versions served of one API key.
type Versions struct {
	Key      protocol.APIKey
	Min, Max int16
}

// Advertised returns the served keys and versions, by key.
func (r *Registry) Advertised() []Versions {
	list := make([]Versions, 0, len(r.handlers))
	for _, h := range r.handlers {
		list = append(list, Versions{h.Key, h.Min, h.Max})
	}
	slices.SortFunc(list, func(a, b Versions) int { return int(a.Key) - int(b.Key) })
	return list
}

// Serve answers one request. One of an unknown key or version closes the
// connection.
func (r *Registry) Serve(req *network.Request) network.Response {
	c := &Call{Request: req, access: r.access, budget: r.budget, log: r.log}
	h := r.handlers[req.Key]
	switch {
	case h == nil:
		return c.refuse(fmt.Errorf("%s v%d is not served: %w", req.Key, req.Version, protocol.ErrUnsupportedVersion))
	case req.Version >= h.Min && req.Version <= h.Max:
		return h.Serve(c)
	case h.Unsupported != nil:
		return h.Unsupported(c)
	}
	return c.refuse(fmt.Errorf("%s v%d is not served, %d to %d are: %w", req.Key, req.Version, h.Min, h.Max,
		protocol.ErrUnsupportedVersion))
}

var _ network.Handler = (*Registry)(nil)

// refuse closes the connection for a request that cannot be answered at all.
func (c *Call) refuse(err error) network.Response { return network.Refuse(err) }
