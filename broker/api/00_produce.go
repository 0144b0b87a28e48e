package api

import (
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// adminClientID is the client id with which Kafka's own admin tools may write to internal topics.
const adminClientID = "__admin_client"

// Produce appends records.
//
// Versions 0 to 11. v0 to v2 take message sets of the old formats, later versions exactly one v2
// batch for each partition. v7 adds zstd, v8 record errors, v9 is flexible, v10 adds the current
// leader to NOT_LEADER_OR_FOLLOWER, v11 TRANSACTION_ABORTABLE. A request with acks=0 gets no
// answer, and an error closes its connection. acks=-1 waits for the in-sync replicas.
func Produce(replicas *replication.Manager) Handler {
	h := &produceHandler{replicas: replicas}
	h.pool.New = func() any {
		x := &produceCall{h: h}
		x.released = x.release
		return x
	}
	return Handler{Key: protocol.Produce, Min: 0, Max: 11, PerEntry: true, Fail: failProduce, Serve: h.serve}
}

// failProduce returns no answer to a request with acks=0.
func failProduce(req kmsg.Request, resp kmsg.Response, _ error) kmsg.Response {
	if req.(*kmsg.ProduceRequest).Acks == 0 {
		return nil
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for i := range t.Partitions {
			t.Partitions[i].BaseOffset = -1
		}
	}
	return resp
}

type produceHandler struct {
	replicas *replication.Manager
	pool     sync.Pool // *produceCall
}

// produceCall holds the memory of one request. It is reused once the answer is written.
type produceCall struct {
	h        *produceHandler
	released func() // the method value release, allocated once
	req      protocol.ProduceRequest
	resp     protocol.ProduceResponse
	answers  []protocol.ProducePartitionResponse // of all topics, in the request's order
	body     []byte
	runs     [1]network.Run
}

func (h *produceHandler) serve(c *Call) network.Response {
	x := h.pool.Get().(*produceCall)
	if err := x.req.ReadFrom(c.Version, c.Body); err != nil {
		x.release()
		return c.refuse(err)
	}
	p := h.replicas.NewProduce()
	p.Version, p.Acks, p.Timeout = c.Version, x.req.Acks, time.Duration(x.req.TimeoutMs)*time.Millisecond
	p.TransactionalID, p.InternalAllowed, p.Done = x.req.TransactionalID, c.ClientIDOrEmpty() == adminClientID, c.Done
	x.admit(c, p)
	p.Append()
	if p.Waits() {
		// The request's buffer is reused when serve returns. From here on only the names are
		// used, not the records.
		return network.Response{Deferred: func() network.Response {
			began := time.Now()
			p.Wait()
			c.Waited = time.Since(began)
			return x.answer(c, p)
		}}
	}
	return x.answer(c, p)
}

// admit adds the request's partitions to p. Those that the client is not allowed to write to are
// refused.
func (x *produceCall) admit(c *Call, p *replication.Produce) {
	asked := 0
	for i := range x.req.Topics {
		asked += len(x.req.Topics[i].Partitions)
	}
	p.Partitions = slices.Grow(p.Partitions, asked)
	for i := range x.req.Topics {
		t := &x.req.Topics[i]
		allowed := c.Allows(kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTopic, t.Topic)
		for j := range t.Partitions {
			p.Add(t.Topic, t.Partitions[j].Partition, t.Partitions[j].Records)
			if !allowed {
				p.Partitions[len(p.Partitions)-1].Err = protocol.TopicAuthorizationFailed
			}
		}
	}
	if p.Transactional() && (p.TransactionalID == nil ||
		!c.Allows(kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTransactionalId, *p.TransactionalID)) {
		p.RefuseAll(protocol.TransactionalIDAuthorizationFailed)
	}
}

// answer builds the response. The call's memory returns to the pool once that is written.
func (x *produceCall) answer(c *Call, p *replication.Produce) network.Response {
	defer p.Release()
	c.Conversion = p.Conversion
	if p.Acks == 0 {
		defer x.release()
		if !p.Failed() {
			return network.Response{NoAnswer: true}
		}
		x.countErrors(c, p)
		kafkalog.For(c.log, "kafka.server.KafkaApis").Infof(
			"Closing connection due to error during produce request with correlation id %d from client id %s with ack=0\nTopic and partition to exceptions: %s",
			c.CorrelationID, c.ClientIDOrEmpty(), p.ErrorSummary())
		return network.Response{NoAnswer: true, Close: true}
	}
	x.collect(c, p)
	x.countErrors(c, p)
	head := protocol.AppendResponseHeader(x.body[:0], protocol.Produce, c.Version, c.CorrelationID)
	x.body = x.resp.AppendTo(head)
	x.runs[0] = network.Run{Bytes: x.body}
	return network.Response{Runs: x.runs[:], Release: x.released}
}

// countErrors counts the code of each partition.
func (x *produceCall) countErrors(c *Call, p *replication.Produce) {
	t, counted := c.tally()
	if !counted {
		return
	}
	for i := range p.Partitions {
		t.add(protocol.CodeOf(p.Partitions[i].Err))
	}
	t.done()
}

// collect groups the answers by topic as in the request.
func (x *produceCall) collect(c *Call, p *replication.Produce) {
	x.resp.Version = c.Version
	x.answers = slices.Grow(x.answers[:0], len(p.Partitions))
	for i := range p.Partitions {
		x.answers = append(x.answers, p.Partitions[i].Answer())
	}
	next := 0
	for i := range x.req.Topics {
		t := &x.req.Topics[i]
		to := next + len(t.Partitions)
		x.resp.Topics = append(x.resp.Topics, protocol.ProduceTopicResponse{Topic: t.Topic, Partitions: x.answers[next:to]})
		next = to
	}
	if c.Version < 10 {
		return
	}
	leaders := leaderHints{replicas: x.h.replicas, listener: c.Peer.Listener}
	for i := range x.answers {
		if x.answers[i].ErrorCode == protocol.NotLeaderOrFollower {
			x.answers[i].CurrentLeader = leaders.hint(p.Partitions[i].Topic, p.Partitions[i].Partition)
		}
	}
	x.resp.NodeEndpoints = leaders.endpoints
}

func (x *produceCall) release() {
	x.req.Clear()
	clear(x.resp.Topics)
	clear(x.answers)
	x.resp = protocol.ProduceResponse{Topics: x.resp.Topics[:0]}
	x.runs[0] = network.Run{}
	x.h.pool.Put(x)
}
