package api

import (
	"context"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
)

// informedWait is how long a request waits for the first metadata from a controller. A broker that
// starts gets it within milliseconds of its registration. If there is no controller, clients get a
// retriable error after this time and may ask another broker.
const informedWait = time.Second

// Informed makes handlers wait until the broker knows anything about the cluster's topics, for at
// most informedWait. It must not be used for requests of the controller.
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
