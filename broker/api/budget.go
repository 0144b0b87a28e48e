package api

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/semaphore"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// A decoded body may take many times its size in memory. Its weight, the bytes that it takes, is
// computed before it is decoded. A request that weighs more than weightAllowed and more than
// weightPerByte times its size is refused like one that does not parse, and all requests that are
// handled at the same time share one budget. Since an entry of four bytes may have an answer of a
// hundred, the memory for handling and answering a request is estimated from its entries.
const (
	// bodyBytesMax bounds the bodies that kmsg decodes. Produce and Fetch have their own codecs,
	// and the controller's requests are not bounded since they grow with the cluster.
	bodyBytesMax = 16 << 20
	// weightPerByte is how many bytes of memory a byte of a large body may take when decoded.
	// Requests of clients and controllers take up to four, but about ten if topic names have only a
	// few characters.
	weightPerByte = 8
	// weightAllowed is the weight, in bytes, allowed for a body of any size. The budget bounds how
	// many of them are handled at the same time. It is enough for tens of thousands of topics with
	// short names.
	weightAllowed = 4 << 20
	// entryWeight is the most memory, in bytes, that handling and answering an entry takes.
	entryWeight = 512
	// entriesAllowed is the number of entries allowed in a request of any size, more than the
	// topics, partitions or groups in any request of a real cluster. A larger request may have one
	// entry for each bytesPerEntry of its size.
	entriesAllowed = 1 << 17
	bytesPerEntry  = entryWeight / weightPerByte
	// weightFree is the weight up to which a request needs no share of the budget.
	weightFree = 256 << 10
	// unweighedBytes is a size of bodies that never weigh more than weightFree.
	unweighedBytes = 2 << 10
	// budgetBytes is the budget of all requests of clients. The requests of brokers, which clients
	// must not delay, have another one of that size. A request that weighs more waits until it has
	// the whole budget. A client with all permissions on the brokers' listener counts as a broker.
	budgetBytes = 64 << 20
	// shareTime is how long a request keeps its share of the budget: a request that waits longer,
	// such as JoinGroup, must not block others.
	shareTime = 5 * time.Second
)

// budget is the memory budget of a broker's requests.
type budget struct{ clients, brokers *semaphore.Weighted }

func newBudget() *budget {
	return &budget{semaphore.NewWeighted(budgetBytes), semaphore.NewWeighted(budgetBytes)}
}

// reserve waits for a share of weight bytes or until the call's context ends.
func (b *budget) reserve(c *Call, weight int) (release func(), err error) {
	if b == nil || weight <= weightFree {
		return func() {}, nil
	}
	pool, share := b.clients, int64(min(weight, budgetBytes))
	if c.fromBroker() {
		pool = b.brokers
	}
	if err := pool.Acquire(c.Context(), share); err != nil {
		return nil, fmt.Errorf("%s waiting for %d bytes of memory that other requests use: %w", c.Key, weight, err)
	}
	giveBack := sync.OnceFunc(func() { pool.Release(share) })
	late := time.AfterFunc(shareTime, giveBack)
	return func() {
		late.Stop()
		giveBack()
	}, nil
}

// betweenBrokers reports whether only brokers send such requests.
func (h *Handler) betweenBrokers() bool { return h.Sender != Clients }

// fromBroker reports whether the request comes from another broker: only brokers send its type, it
// came over one of their listeners, and the peer has the permission to send it.
func (c *Call) fromBroker() bool {
	return c.handler.betweenBrokers() && c.Peer.Privileged && c.AllowsCluster(kmsg.ACLOperationClusterAction)
}

// tooLarge is the error of a request that is not decoded because of its size.
type tooLarge string

func (e tooLarge) Error() string { return string(e) }

// refuseBody answers a request that was not decoded. Usually it closes the connection, as for a
// request that does not parse. A client would then send the same request again, so a request that
// is too large is answered with INVALID_REQUEST if its type has a code for the whole answer.
// Requests of brokers always close the connection: they must be sent again.
func (c *Call) refuseBody(err error) network.Response {
	var large tooLarge
	if !errors.As(err, &large) || c.handler.betweenBrokers() {
		return c.refuse(err)
	}
	resp := c.handler.refusal(c.Version, protocol.Errorf(protocol.InvalidRequest, "%s", large))
	if resp == nil {
		return c.refuse(err)
	}
	kafkalog.For(c.log, "kafka.server.KafkaApis").Warnf("Refused a request of %s: %v", c.Peer.ID, err)
	return c.Answer(resp)
}

// decode weighs and decodes the request. release returns its share to the budget.
func (c *Call) decode(scale *protocol.Scale) (req kmsg.Request, release func(), err error) {
	body := c.Body
	if len(body) > bodyBytesMax && c.handler.Sender != Controller {
		return nil, nil, tooLarge(fmt.Sprintf("%s of %d bytes is larger than the limit of %d bytes", c.Key, len(body), bodyBytesMax))
	}
	var weight protocol.Weight
	if len(body) > unweighedBytes {
		if weight, body, err = scale.Weigh(c.Version, body); err != nil {
			return nil, nil, err
		}
	}
	if weight.Bytes > max(cmp.Or(c.handler.Weight, weightAllowed), weightPerByte*len(c.Body)) {
		return nil, nil, tooLarge(fmt.Sprintf("%s v%d of %d bytes takes %d bytes of memory, more than %d times its size", c.Key, c.Version, len(c.Body), weight.Bytes, weightPerByte))
	}
	share := weight.Bytes
	if !c.handler.betweenBrokers() {
		if most := max(entriesAllowed, len(c.Body)/bytesPerEntry); weight.Entries > most {
			return nil, nil, tooLarge(fmt.Sprintf("%s v%d of %d bytes has %d entries, more than the limit of %d", c.Key, c.Version, len(c.Body), weight.Entries, most))
		}
		share += entryWeight * weight.Entries
	}
	release, err = c.budget.reserve(c, share)
	if err != nil {
		return nil, nil, err
	}
	if req, err = protocol.DecodeRequest(c.Key, c.Version, body); err != nil {
		release()
		return nil, nil, err
	}
	return req, release, nil
}
