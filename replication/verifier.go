package replication

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
)

// Versions of AddPartitionsToTxn that brokers send; v4 introduced verify_only.
const (
	verifyVersionMin = 4
	verifyVersionMax = 5
)

// VerifierConfig holds what a Verifier needs.
type VerifierConfig struct {
	BrokerID metadata.BrokerID
	Listener string // inter-broker listener
	Metadata *metadata.Cache
	// PartitionFor returns the partition of __transaction_state that stores a transactional id.
	PartitionFor func(transactionalID string) int32
	// Local answers for the transactions that this broker coordinates, with a code for each
	// partition. If it is nil, they are verified with a request, like the others.
	Local   func(*Transaction) []protocol.ErrorCode
	Timeout time.Duration   // request.timeout.ms
	Dial    peerlink.Dialer // nil: TCP
	// Verified, if not nil, is called after each verification with the time it took and whether the
	// coordinator refused a partition. It must return at once.
	Verified func(took time.Duration, refused bool)
	// Post sends a request to a broker without waiting, in place of a goroutine that does; nil:
	// goroutines and connections. It sets the version. answered must be called with the response or
	// an error later, not by Post itself.
	Post   func(address string, req kmsg.Request, answered func(kmsg.Response, error))
	Logger *logrus.Logger
}

// Verifier is the Transactions that asks coordinators with AddPartitionsToTxn and verify_only. It
// has one request in flight per coordinator, with all waiting calls for it. Create it with
// NewVerifier and Close it when the broker stops.
//
// Goroutines: one per coordinator with waiting calls, none while idle.
type Verifier struct {
	cfg    VerifierConfig
	log    *logrus.Entry
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	verifying atomic.Bool
	traffic   peerlink.Traffic

	mu     sync.Mutex // a leaf; guards the fields below and the queues
	queues map[string]*verifyQueue
	closed bool
}

// verifyQueue holds the waiting calls for one coordinator, by transactional id.
type verifyQueue struct {
	link    *peerlink.Link
	waiting map[string]*verifyCall
	order   []string // in order of arrival
	asking  bool     // requests are being sent, one after another
}

// verifyCall is one transaction with the one-slot channel for its answer.
type verifyCall struct {
	*Transaction
	answer chan map[TopicPartition]protocol.ErrorCode
}

func (c *verifyCall) all(code protocol.ErrorCode) { c.answer <- c.refusal(code) }

// refused returns the partitions that the coordinator refuses, with codes that the client knows.
func (t *Transaction) refused(codes []protocol.ErrorCode) map[TopicPartition]protocol.ErrorCode {
	refused := map[TopicPartition]protocol.ErrorCode{}
	for i, id := range t.Partitions {
		if code := clientCode(codes[i], t.Abortable); code != protocol.None {
			refused[id] = code
		}
	}
	return refused
}

// refusal returns the code for every partition.
func (t *Transaction) refusal(code protocol.ErrorCode) map[TopicPartition]protocol.ErrorCode {
	refused := make(map[TopicPartition]protocol.ErrorCode, len(t.Partitions))
	for _, id := range t.Partitions {
		refused[id] = code
	}
	return refused
}

var _ Transactions = (*Verifier)(nil)

// NewVerifier returns a verifier without connections.
func NewVerifier(cfg VerifierConfig) *Verifier {
	v := &Verifier{cfg: cfg, queues: map[string]*verifyQueue{},
		log: kafkalog.For(cfg.Logger, "kafka.server.AddPartitionsToTxnManager")}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

// Close ends all calls with NETWORK_EXCEPTION.
func (v *Verifier) Close() {
	v.cancel()
	v.mu.Lock()
	v.closed = true
	queues := v.queues
	v.mu.Unlock()
	for _, q := range queues {
		q.link.Close()
	}
	v.wg.Wait()
}

// Verifying implements Transactions.
func (v *Verifier) Verifying() bool { return v.verifying.Load() }

// SetVerifying switches verification on or off. transaction.partition.verification.enable may
// change while the broker runs.
func (v *Verifier) SetVerifying(on bool) { v.verifying.Store(on) }

// Verify implements Transactions. Without a coordinator the code is COORDINATOR_NOT_AVAILABLE,
// without an answer NETWORK_EXCEPTION. Coordinators older than Kafka 3.6 cannot verify; their
// transactions count as verified.
func (v *Verifier) Verify(t *Transaction, done <-chan struct{}) map[TopicPartition]protocol.ErrorCode {
	began := time.Now()
	answer, asked := v.begin(t)
	select {
	case refused := <-answer:
		if asked {
			v.verified(time.Since(began), refused)
		}
		return refused
	case <-done:
		return t.refusal(protocol.NetworkException)
	}
}

// Traffic counts the requests to coordinators.
func (v *Verifier) Traffic() *peerlink.Traffic { return &v.traffic }

func (v *Verifier) verified(took time.Duration, refused map[TopicPartition]protocol.ErrorCode) {
	if v.cfg.Verified != nil {
		v.cfg.Verified(took, len(refused) > 0)
	}
}

// begin begins to verify a transaction. The channel gets the result. asked is false if no coordinator
// is known to ask.
func (v *Verifier) begin(t *Transaction) (answer <-chan map[TopicPartition]protocol.ErrorCode, asked bool) {
	call := &verifyCall{Transaction: t, answer: make(chan map[TopicPartition]protocol.ErrorCode, 1)}
	leader, address, ok := v.coordinator(t.ID)
	switch {
	case !ok:
		call.all(protocol.CoordinatorNotAvailable)
	case leader == v.cfg.BrokerID && v.cfg.Local != nil:
		call.answer <- t.refused(v.cfg.Local(t))
	default:
		if q := v.enqueue(address, call); q != nil {
			v.postNext(q)
		}
	}
	return call.answer, ok
}

// coordinator returns the leader of the transactional id's partition and its address.
func (v *Verifier) coordinator(id string) (leader metadata.BrokerID, address string, ok bool) {
	cluster := v.cfg.Metadata.Snapshot()
	p := cluster.Partition(metadata.TransactionStateTopic, v.cfg.PartitionFor(id))
	if p == nil || cluster.Brokers[p.Leader] == nil {
		return 0, "", false
	}
	e, ok := cluster.Brokers[p.Leader].Endpoints[v.cfg.Listener]
	return p.Leader, e.Address(), ok
}

// enqueue adds a call to the coordinator's queue. If two calls have the same transactional id, the
// one with the older producer epoch is fenced. With equal epochs the earlier call fails with an
// error on which the client tries again. It returns the queue if its next request must be posted.
func (v *Verifier) enqueue(address string, call *verifyCall) (due *verifyQueue) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		call.all(protocol.NetworkException)
		return nil
	}
	q := v.queues[address]
	if q == nil {
		q = &verifyQueue{waiting: map[string]*verifyCall{}, link: peerlink.New(peerlink.Config{Address: address,
			ClientID: strconv.Itoa(int(v.cfg.BrokerID)), Dial: v.cfg.Dial, ConnectTimeout: v.cfg.Timeout, RequestTimeout: v.cfg.Timeout,
			Traffic: &v.traffic})}
		v.queues[address] = q
	}
	switch former := q.waiting[call.ID]; {
	case former == nil:
		q.order = append(q.order, call.ID)
	case former.ProducerEpoch > call.ProducerEpoch:
		call.all(protocol.InvalidProducerEpoch)
		return nil
	case former.ProducerEpoch < call.ProducerEpoch:
		former.all(protocol.InvalidProducerEpoch)
	default:
		former.all(protocol.NetworkException)
	}
	q.waiting[call.ID] = call
	if q.asking {
		return nil
	}
	q.asking = true
	if v.cfg.Post != nil {
		return q
	}
	v.wg.Go(func() { v.ask(q) })
	return nil
}

// take removes and returns all calls of a queue. If there are none, asking ends.
func (v *Verifier) take(q *verifyQueue) []*verifyCall {
	v.mu.Lock()
	defer v.mu.Unlock()
	calls := make([]*verifyCall, len(q.order))
	for i, id := range q.order {
		calls[i] = q.waiting[id]
	}
	clear(q.waiting)
	q.order = q.order[:0]
	q.asking = len(calls) > 0
	return calls
}

func (v *Verifier) ask(q *verifyQueue) {
	for {
		calls := v.take(q)
		if len(calls) == 0 {
			return
		}
		resp, err := q.link.Between(v.ctx, verifyRequest(calls), verifyVersionMin, verifyVersionMax)
		v.settle(q, calls, resp, err)
	}
}

func verifyRequest(calls []*verifyCall) *kmsg.AddPartitionsToTxnRequest {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	for _, c := range calls {
		t := kmsg.NewAddPartitionsToTxnRequestTransaction()
		t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = c.ID, c.ProducerID, c.ProducerEpoch, true
		at := map[string]int{}
		for _, id := range c.Partitions {
			i, known := at[id.Topic]
			if !known {
				i = len(t.Topics)
				at[id.Topic] = i
				topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
				topic.Topic = id.Topic
				t.Topics = append(t.Topics, topic)
			}
			t.Topics[i].Partitions = append(t.Topics[i].Partitions, id.Partition)
		}
		req.Transactions = append(req.Transactions, t)
	}
	return req
}

// settle distributes the coordinator's response, or the error of the request.
func (v *Verifier) settle(q *verifyQueue, calls []*verifyCall, kresp kmsg.Response, err error) {
	all := func(code protocol.ErrorCode) {
		for _, c := range calls {
			c.all(code)
		}
	}
	var unsupported *peerlink.UnsupportedError
	resp, _ := kresp.(*kmsg.AddPartitionsToTxnResponse)
	switch {
	case errors.As(err, &unsupported) && unsupported.BrokerMax >= 0:
		v.log.Warnf("AddPartitionsToTxnRequest failed for node %s with invalid version exception. This suggests verification is not supported. Continuing handling the produce request.", q.link.Address())
		all(protocol.None)
	case errors.As(err, &unsupported):
		// The broker leads the partition but does not coordinate transactions, so it knows none.
		all(protocol.InvalidProducerIDMapping)
	case err != nil || resp == nil:
		if v.ctx.Err() == nil {
			v.log.Warnf("AddPartitionsToTxnRequest failed for node %s with a network exception: %v", q.link.Address(), err)
		}
		all(protocol.NetworkException)
	case resp.ErrorCode != 0:
		code := protocol.ErrorCode(resp.ErrorCode)
		v.log.Errorf("AddPartitionsToTxnRequest for node %s returned with error %s.", q.link.Address(), code.Name())
		if code == protocol.ClusterAuthorizationFailed {
			code = protocol.InvalidTxnState // not the client's fault
		}
		all(code)
	default:
		settleEach(calls, resp)
	}
}

// settleEach distributes the response to each transaction. If the coordinator left one out, the
// client tries again.
func settleEach(calls []*verifyCall, resp *kmsg.AddPartitionsToTxnResponse) {
	byID := make(map[string]*kmsg.AddPartitionsToTxnResponseTransaction, len(resp.Transactions))
	for i := range resp.Transactions {
		byID[resp.Transactions[i].TransactionalID] = &resp.Transactions[i]
	}
	for _, c := range calls {
		t := byID[c.ID]
		if t == nil {
			c.all(protocol.NetworkException)
			continue
		}
		refused := map[TopicPartition]protocol.ErrorCode{}
		for i := range t.Topics {
			for _, p := range t.Topics[i].Partitions {
				if code := clientCode(protocol.ErrorCode(p.ErrorCode), c.Abortable); code != protocol.None {
					refused[TopicPartition{Topic: t.Topics[i].Topic, Partition: p.Partition}] = code
				}
			}
		}
		c.answer <- refused
	}
}

// clientCode converts a coordinator's code to one that the client knows.
func clientCode(code protocol.ErrorCode, abortable bool) protocol.ErrorCode {
	switch {
	case code == protocol.ProducerFenced:
		return protocol.InvalidProducerEpoch
	case code == protocol.TransactionAbortable && !abortable:
		return protocol.InvalidTxnState
	}
	return code
}
