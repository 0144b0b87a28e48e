package api

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// Call is a request that is being handled.
type Call struct {
	*network.Request
	handler *Handler // of the request's key
	access  Access
	budget  *budget // nil: the request is not limited
	log     *logrus.Logger
	// countErrors counts the codes in the answer; nil: they are not counted.
	countErrors ErrorCounter
	waits       *Waits // nil: waits are not counted
}

// Context returns a context that ends when the server stops or the connection is known to be lost.
func (c *Call) Context() context.Context { return doneContext{c.Done} }

// Allows reports whether the peer may do op on the resource.
func (c *Call) Allows(op kmsg.ACLOperation, resource kmsg.ACLResourceType, name string) bool {
	return c.access.Allows(c.Peer, op, resource, name)
}

// AllowsCluster reports whether the peer may do op on the cluster.
func (c *Call) AllowsCluster(op kmsg.ACLOperation) bool {
	return c.Allows(op, kmsg.ACLResourceTypeCluster, clusterResource)
}

// requireCluster returns CLUSTER_AUTHORIZATION_FAILED unless the peer may do op
// on the cluster.
func (c *Call) requireCluster(op kmsg.ACLOperation) error {
	if c.AllowsCluster(op) {
		return nil
	}
	return protocol.Errorf(protocol.ClusterAuthorizationFailed, "Request %s of %s is not authorized.", c.Key, c.Peer.Principal)
}

// Answer returns resp encoded in the request's version.
func (c *Call) Answer(resp kmsg.Response) network.Response {
	resp.SetVersion(c.Version)
	c.countCodes(resp)
	return network.Bytes(protocol.AppendResponse(nil, c.CorrelationID, resp))
}

// Fail logs err and returns the answer to a request that failed as a whole, as the request's API
// makes it. Without such an answer the connection is closed.
func (c *Call) Fail(req kmsg.Request, err error) network.Response {
	entry := kafkalog.For(c.log, "kafka.server.KafkaApis")
	if protocol.CodeOf(err) == protocol.UnknownServerError {
		entry.WithError(err).Errorf("Unexpected error handling request %s v%d of %s", c.Key, c.Version, c.Peer.ID)
	} else {
		entry.Debugf("Request %s v%d of %s failed: %v", c.Key, c.Version, c.Peer.ID, err)
	}
	resp := c.handler.errorAnswer(req, err, 0)
	if resp == nil {
		return network.Response{Close: true}
	}
	return c.Answer(resp)
}

// doneContext is a context that ends when a channel is closed.
type doneContext struct{ done <-chan struct{} }

func (doneContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (doneContext) Value(any) any               { return nil }
func (d doneContext) Done() <-chan struct{}     { return d.done }
func (d doneContext) Err() error {
	select {
	case <-d.done:
		return context.Canceled
	default:
		return nil
	}
}
