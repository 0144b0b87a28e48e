// Package api answers requests. It has one file for each API key, with the versions served, the
// interfaces the handler needs and a constructor that returns a Handler. A Registry holds the
// handlers; ApiVersions advertises exactly those.
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
	// Unsupported answers requests of other versions. If it is nil the connection is closed, as
	// Kafka does for every API except ApiVersions.
	Unsupported func(*Call) network.Response
}

// Typed returns a Handler for the versions min to max whose requests are decoded by kmsg. answer
// returns the response, whose version Typed sets, or an error, which becomes the error answer of
// the request's type (protocol.ErrorResponse). Byte strings in the request alias the frame and are
// invalid after answer has returned.
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
			return c.refuse(fmt.Errorf("%s is decoded as %T", key, decoded))
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
}

// NewRegistry returns a registry without handlers. access is the authorizer; nil allows everything.
func NewRegistry(access Access, log *logrus.Logger) *Registry {
	if access == nil {
		access = AllowAll{}
	}
	return &Registry{handlers: map[protocol.APIKey]*Handler{}, access: access, budget: newBudget(), log: log}
}

// Register adds handlers. It panics if a key has a handler already.
func (r *Registry) Register(handlers ...Handler) {
	for _, h := range handlers {
		if r.handlers[h.Key] != nil {
			panic(fmt.Sprintf("api: two handlers for %s", h.Key))
		}
		r.handlers[h.Key] = &h
	}
}

// Versions is the range of served versions of one API key.
type Versions struct {
	Key      protocol.APIKey
	Min, Max int16
}

// Advertised returns the served keys and their versions, in the order of the keys.
func (r *Registry) Advertised() []Versions {
	list := make([]Versions, 0, len(r.handlers))
	for _, h := range r.handlers {
		list = append(list, Versions{h.Key, h.Min, h.Max})
	}
	slices.SortFunc(list, func(a, b Versions) int { return int(a.Key) - int(b.Key) })
	return list
}

// Serve answers one request. An unknown key or version closes the connection.
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
	return c.refuse(fmt.Errorf("%s v%d is not served, only versions %d to %d: %w", req.Key, req.Version, h.Min, h.Max,
		protocol.ErrUnsupportedVersion))
}

var _ network.Handler = (*Registry)(nil)

// refuse closes the connection for a request that cannot be answered at all.
func (c *Call) refuse(err error) network.Response { return network.Refuse(err) }
