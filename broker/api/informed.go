package api

import (
	"context"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// informedWait is how long a request waits for the first news from a controller. A broker that
// starts hears from it within milliseconds of its registration. Where there is no controller,
// clients are answered with a retriable error after this time and may ask another broker.
const informedWait = time.Second

// Informed makes handlers wait, for a second at most, until the broker knows anything about the
// cluster's topics. Requests of the controller must never wait so.
func Informed(cache Metadata, handlers ...Handler) []Handler {
	for i := range handlers {
		serve := handlers[i].Serve
		handlers[i].Serve = func(c *Call) network.Response {
			awaitInformed(c.Context(), cache)
			return serve(c)
		}
	}
	return handlers
}

func awaitInformed(ctx context.Context, cache Metadata) {
	cache.Await(ctx, informedWait, func(s *metadata.Snapshot) bool { return s.Complete || len(s.Topics) > 0 })
}

// missing returns the code for a topic or partition that the snapshot lacks: unknown if it does
// not exist; again, which makes clients try again, if a controller may only not have announced it.
func missing(s *metadata.Snapshot, unknown, again protocol.ErrorCode) protocol.ErrorCode {
	if s.Complete {
		return unknown
	}
	return again
}
