package api

import (
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

// Decoding turns a body into structures that may take many times its bytes. What they take is
// known before: a request that would take more than weightAllowed and more than weightPerByte
// times its size is refused, as one that does not parse, and all that are handled at the same
// time share one budget. An entry of four bytes may be answered by one of a hundred, so that
// handling and answering a request are reckoned by its entries.
const (
	// bodyBytesMax bounds the bodies that kmsg decodes. Produce and Fetch have codecs
	// of their own; the controller's requests grow with the cluster.
	bodyBytesMax = 16 << 20
	// weightPerByte is how much memory a byte of a large body may take once it is decoded.
	// What clients and controllers send takes up to four, but some ten where topics have
	// names of a few characters.
	weightPerByte = 8
	// weightAllowed may be taken by a body of any size: the budget bounds how many of them
	// there are at the same time, and it is enough for tens of thousands of such topics.
	weightAllowed = 4 << 20
	// stopsAllowed is the same for StopReplica. Before v3 each entry is one replica: some ten bytes
	// that become a hundred. It is enough for some 130,000 replicas in one request.
	stopsAllowed = 16 << 20
	// entryWeight is how much memory handling and answering an entry takes at most.
	entryWeight = 512
	// entriesAllowed may be in a request of any size: no cluster has requests about as many
	// topics, partitions or groups. A larger request may have one for each bytesPerEntry.
	entriesAllowed = 1 << 17
	bytesPerEntry  = entryWeight / weightPerByte
	// weightFree may be taken without a share in the budget.
	weightFree = 256 << 10
	// unweighedBytes is the size up to which a body takes no more than weightFree,
	// whatever it is.
	unweighedBytes = 2 << 10
	// budgetBytes is what all requests of clients may take together, and again all of
	// other brokers, which clients must not delay. One that takes more waits to be alone.
	// A client that may do everything, over the listener of the brokers, passes for one.
	budgetBytes = 64 << 20
	// shareTime is how long a request has its share: one that waits for longer, such as
	// a JoinGroup, must not keep others waiting.
	shareTime = 5 * time.Second
)

// budget is shared by the requests of a broker.
type budget struct{ clients, brokers *semaphore.Weighted }

func newBudget() *budget {
	return &budget{semaphore.NewWeighted(budgetBytes), semaphore.NewWeighted(budgetBytes)}
}

// reserve waits for a share of weight bytes, or the end of the call's context.
func (b *budget) reserve(c *Call, weight int) (release func(), err error) {
	if b == nil || weight <= weightFree {
		return func() {}, nil
	}
	pool, share := b.clients, int64(min(weight, budgetBytes))
	if c.fromBroker() {
		pool = b.brokers
	}
	if err := pool.Acquire(c.Context(), share); err != nil {
		return nil, fmt.Errorf("%s of %d bytes in memory waited for other requests: %w", c.Key, weight, err)
	}
	giveBack := sync.OnceFunc(func() { pool.Release(share) })
	late := time.AfterFunc(shareTime, giveBack)
	return func() {
		late.Stop()
		giveBack()
	}, nil
}

func ofController(key protocol.APIKey) bool {
	return key == protocol.LeaderAndIsr || key == protocol.StopReplica || key == protocol.UpdateMetadata
}

// allowance is what a request of any size may take in memory.
func allowance(key protocol.APIKey) int {
	if key == protocol.StopReplica {
		return stopsAllowed
	}
	return weightAllowed
}

// betweenBrokers reports whether only brokers send such requests.
func betweenBrokers(key protocol.APIKey) bool {
	return ofController(key) || key == protocol.AlterPartition || key == protocol.ControlledShutdown || key == protocol.AllocateProducerIds
}

// fromBroker reports whether the request is another broker's: of a type that only brokers
// send, over one of their listeners, and from a peer that may send it.
func (c *Call) fromBroker() bool {
	return betweenBrokers(c.Key) && c.Peer.Privileged && c.AllowsCluster(kmsg.ACLOperationClusterAction)
}

// tooLarge is the error of a request that is not decoded because of its size.
type tooLarge string

func (e tooLarge) Error() string { return string(e) }

// refuseBody answers a request that was not decoded. Most close the connection, as those that
// do not parse; but clients send the same again then, so that one which is too large, and whose
// type has a code for the whole, is answered with it. Brokers are to send theirs again.
func (c *Call) refuseBody(err error) network.Response {
	var large tooLarge
	if !errors.As(err, &large) || betweenBrokers(c.Key) {
		return c.refuse(err)
	}
	resp, ok := protocol.Refusal(c.Key, c.Version, protocol.Errorf(protocol.InvalidRequest, "%s", large))
	if !ok {
		return c.refuse(err)
	}
	kafkalog.For(c.log, "kafka.server.KafkaApis").Warnf("Refused a request of %s: %v", c.Peer.ID, err)
	return c.Answer(resp)
}

// decode weighs and decodes the request. release gives back its share in the budget.
func (c *Call) decode(scale *protocol.Scale) (req kmsg.Request, release func(), err error) {
	body := c.Body
	if len(body) > bodyBytesMax && !ofController(c.Key) {
		return nil, nil, tooLarge(fmt.Sprintf("%s of %d bytes is larger than the %d that such a request may have", c.Key, len(body), bodyBytesMax))
	}
	var weight protocol.Weight
	if len(body) > unweighedBytes {
		if weight, body, err = scale.Weigh(c.Version, body); err != nil {
			return nil, nil, err
		}
	}
	if weight.Bytes > max(allowance(c.Key), weightPerByte*len(c.Body)) {
		return nil, nil, tooLarge(fmt.Sprintf("%s v%d of %d bytes takes %d in memory, more than %d times as much", c.Key, c.Version, len(c.Body), weight.Bytes, weightPerByte))
	}
	share := weight.Bytes
	if !betweenBrokers(c.Key) {
		if most := max(entriesAllowed, len(c.Body)/bytesPerEntry); weight.Entries > most {
			return nil, nil, tooLarge(fmt.Sprintf("%s v%d of %d bytes has %d entries, more than %d", c.Key, c.Version, len(c.Body), weight.Entries, most))
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
