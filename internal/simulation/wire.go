package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
)

const (
	requestTimeout = 2 * time.Second
	// longestWay is the longest delay of a message. A crashed broker restarts later than that, so
	// no message of its earlier life is still on its way.
	longestWay = 700 * time.Millisecond
)

// response is a response, or the reason why there is none.
type response struct {
	message kmsg.Response
	err     error
}

var (
	errTimeout = errors.New("no answer in time")
	errRefused = errors.New("connection refused")
)

const client = metadata.NoBroker // stands for a client in the place of a broker id

// send carries a request and its response over the network. got is called with the response or an
// error, as an event of the sender. It is not called if the sender crashes in the meantime. If from
// is nil, the sender is a client.
func (w *world) send(from *broker, to metadata.BrokerID, req kmsg.Request, got func(response)) {
	w.sendWhile(func() bool { return true }, from, to, req, got)
}

// sendWhile is like send, but the request is lost if wanted returns false when it arrives.
func (w *world) sendWhile(wanted func() bool, from *broker, to metadata.BrokerID, req kmsg.Request, got func(response)) {
	sender, life := client, 0
	if from != nil {
		sender, life = from.id, from.life
	}
	done := false
	deliver := func(r response) {
		if done || from != nil && (from.life != life || !from.alive) {
			return
		}
		done = true
		got(r)
	}
	arrive := func(d time.Duration, r response) {
		if from != nil {
			from.after(d, func() { deliver(r) })
		} else {
			w.after(d, func() { deliver(r) })
		}
	}
	if to < 0 || int(to) >= len(w.brokers) {
		arrive(time.Millisecond, response{err: errRefused})
		return
	}
	arrive(requestTimeout, response{err: errTimeout})
	body, version, key := req.AppendTo(nil), req.GetVersion(), req.Key()
	order := w.orderOf(sender, to, key)
	copies := 1
	if w.chaotic && w.chance(50) && repeatable(key) {
		copies = 2
	}
	for i := range copies {
		if w.chaotic && w.chance(50) {
			continue // lost
		}
		w.after(w.way(i > 0), func() {
			b := w.brokers[to]
			if w.isCut(sender, to) {
				return
			}
			if !b.alive || b.registered < 0 { // requests are served only after the registration
				arrive(time.Millisecond, response{err: errRefused})
				return
			}
			b.after(0, func() {
				if !order.inTime() || !wanted() {
					return
				}
				copied := kmsg.RequestForKey(key)
				copied.SetVersion(version)
				received := body
				if w.cfg.Transactions { // without them, seeds keep their traces
					received = slices.Clone(body) // a leader writes offsets into the records
				}
				if err := copied.ReadFrom(received); err != nil {
					w.fail("%s v%d does not decode: %v", protocol.APIKey(key), version, err)
					return
				}
				b.handle(copied, func(resp kmsg.Response) {
					resp.SetVersion(version)
					answer := resp.AppendTo(nil)
					w.say("broker %d answers %s of %d%s", to, protocol.APIKey(key), sender, about(copied, resp))
					if w.isCut(to, sender) || w.chaotic && w.chance(50) {
						return
					}
					back := copied.ResponseKind()
					back.SetVersion(version)
					if err := back.ReadFrom(answer); err != nil {
						w.fail("the answer to %s v%d does not decode: %v", protocol.APIKey(key), version, err)
						return
					}
					arrive(w.way(false), response{message: back})
				})
			})
		})
	}
}

// order is the position of a control request among those that one controller sends to one broker.
// It is needed because here each request travels on its own, while a real connection delivers
// nothing after its successor has delivered a request. UpdateMetadata has no number by which the
// receiver could recognize an outdated one.
type order struct {
	handled *int64 // position of the last request handled
	place   int64
}

func (w *world) orderOf(from, to metadata.BrokerID, key int16) order {
	switch protocol.APIKey(key) {
	case protocol.LeaderAndIsr, protocol.StopReplica, protocol.UpdateMetadata:
		link := [2]metadata.BrokerID{from, to}
		if w.links[link] == nil {
			w.links[link] = new(int64)
		}
		w.next++
		return order{w.links[link], w.next}
	}
	return order{}
}

func (o order) inTime() bool {
	if o.handled == nil {
		return true
	}
	if o.place < *o.handled {
		return false
	}
	*o.handled = o.place
	return true
}

// way returns the delay of a message. A late one, such as the second copy of a request, may take up
// to longestWay.
func (w *world) way(late bool) time.Duration {
	switch {
	case late, w.chaotic && w.chance(40):
		return w.between(0, longestWay)
	}
	return w.between(200*time.Microsecond, 8*time.Millisecond)
}

func (w *world) isCut(from, to metadata.BrokerID) bool {
	return w.now < w.cut[[2]metadata.BrokerID{from, to}]
}

// about describes a message for the trace.
func about(req kmsg.Request, resp kmsg.Response) string {
	switch r := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		return fmt.Sprintf(", controller epoch %d: %d", r.ControllerEpoch, resp.(*kmsg.LeaderAndISRResponse).ErrorCode)
	case *kmsg.UpdateMetadataRequest:
		return fmt.Sprintf(", controller epoch %d: %d", r.ControllerEpoch, resp.(*kmsg.UpdateMetadataResponse).ErrorCode)
	case *kmsg.AlterPartitionRequest:
		text := fmt.Sprintf(": %d", resp.(*kmsg.AlterPartitionResponse).ErrorCode)
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				text += fmt.Sprintf(", %d wants %v/%v in epoch %d", p.Partition, p.NewISR, p.NewEpochISR, p.LeaderEpoch)
			}
		}
		return text
	case *kmsg.FetchRequest:
		text := fmt.Sprintf(": %d", resp.(*kmsg.FetchResponse).ErrorCode)
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				text += fmt.Sprintf(", %d at %d epoch %d/%d", p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.LastFetchedEpoch)
			}
		}
		for _, t := range resp.(*kmsg.FetchResponse).Topics {
			for _, p := range t.Partitions {
				text += fmt.Sprintf("; %d: code %d, hw %d, %d bytes, diverging %d/%d", p.Partition, p.ErrorCode, p.HighWatermark, len(p.RecordBatches), p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset)
			}
		}
		return text
	case *kmsg.ProduceRequest:
		p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		return fmt.Sprintf(", partition %d: code %d, offset %d", p.Partition, p.ErrorCode, p.BaseOffset)
	}
	return aboutTransactions(req, resp)
}

// aboutTransactions describes the messages of transactions.
func aboutTransactions(req kmsg.Request, resp kmsg.Response) string {
	switch r := req.(type) {
	case *kmsg.InitProducerIDRequest:
		a := resp.(*kmsg.InitProducerIDResponse)
		return fmt.Sprintf(", %s: code %d, producer %d, epoch %d", *r.TransactionalID, a.ErrorCode, a.ProducerID, a.ProducerEpoch)
	case *kmsg.AddPartitionsToTxnRequest:
		if r.Version >= 4 {
			t := resp.(*kmsg.AddPartitionsToTxnResponse).Transactions[0]
			return fmt.Sprintf(", verifies %s: %v", t.TransactionalID, t.Topics)
		}
		return fmt.Sprintf(", %s: %v", r.TransactionalID, resp.(*kmsg.AddPartitionsToTxnResponse).Topics)
	case *kmsg.EndTxnRequest:
		return fmt.Sprintf(", %s, commit %t: code %d", r.TransactionalID, r.Commit, resp.(*kmsg.EndTxnResponse).ErrorCode)
	case *kmsg.WriteTxnMarkersRequest:
		return fmt.Sprintf(": %v", resp.(*kmsg.WriteTxnMarkersResponse).Markers)
	}
	return ""
}

// handle serves a request as package broker/api does.
func (b *broker) handle(req kmsg.Request, reply func(kmsg.Response)) {
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		for _, p := range b.w.places {
			b.prefer(p)
		}
		resp := b.replicas.BecomeLeaderOrFollower(req, 0)
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if protocol.ErrorCode(p.ErrorCode) == protocol.UnknownServerError {
					b.w.fail("broker %d, LeaderAndIsr: partition %d failed for an unexpected reason", b.id, p.Partition)
					return
				}
			}
		}
		reply(resp)
	case *kmsg.UpdateMetadataRequest:
		resp, _ := b.replicas.UpdateMetadata(req, 0)
		reply(resp)
	case *kmsg.StopReplicaRequest:
		reply(b.replicas.StopReplica(req, 0))
	case *kmsg.AlterPartitionRequest:
		if !b.control.m.Active() {
			resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
			resp.ErrorCode = int16(protocol.NotController)
			reply(resp)
			return
		}
		controller.Requests{Agenda: b.control}.AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) { reply(resp) })
	case *kmsg.ControlledShutdownRequest:
		b.serveShutdown(req, reply)
	case *kmsg.FetchRequest:
		b.serveFetch(req, reply)
	case *kmsg.OffsetForLeaderEpochRequest:
		b.serveEpochs(req, reply)
	case *kmsg.ListOffsetsRequest:
		b.serveOffsets(req, reply)
	case *kmsg.ProduceRequest:
		b.serveProduce(req, reply)
	case *kmsg.InitProducerIDRequest:
		b.serveInit(req, reply)
	case *kmsg.AddPartitionsToTxnRequest:
		b.serveAddPartitions(req, reply)
	case *kmsg.EndTxnRequest:
		b.serveEndTxn(req, reply)
	case *kmsg.WriteTxnMarkersRequest:
		b.serveMarkers(req, reply)
	}
}

// park keeps a request until it is woken or its time limit has passed. Whatever settles a request
// must wake it: a response that waits for the time limit is correct, but late.
func (b *broker) park(w *replication.Parked, limit time.Duration, what string, done func()) {
	p := &parked{w: w}
	p.done = func() { p.done = nil; done() }
	b.parked = append(b.parked, p)
	b.after(limit, func() {
		for i, other := range b.parked {
			if other == p {
				online := b.online()
				if w.Overslept() && b.online() == online { // otherwise the check itself noticed that a directory fails
					b.w.fail("broker %d: the %s was settled but not woken before its time limit of %v", b.id, what, limit)
				}
				b.parked = append(b.parked[:i:i], b.parked[i+1:]...)
				p.done()
				return
			}
		}
	})
}

func (b *broker) serveProduce(req *kmsg.ProduceRequest, reply func(kmsg.Response)) {
	p := b.replicas.NewProduce()
	p.Version, p.Acks, p.Timeout = req.Version, req.Acks, time.Duration(req.TimeoutMillis)*time.Millisecond
	p.TransactionalID = req.TransactionID
	for _, t := range req.Topics {
		for _, part := range t.Partitions {
			p.Add(t.Topic, part.Partition, part.Records)
		}
	}
	answer := func() {
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for i := range p.Partitions {
			a := p.Partitions[i].Answer()
			t, part := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
			t.Topic = p.Partitions[i].Topic
			part.Partition, part.ErrorCode, part.BaseOffset, part.LogStartOffset = a.Partition, int16(a.ErrorCode), a.BaseOffset, a.LogStartOffset
			t.Partitions = append(t.Partitions, part)
			resp.Topics = append(resp.Topics, t)
		}
		p.Release()
		reply(resp)
	}
	b.verify(p.Begin(), func(refused map[replication.TopicPartition]protocol.ErrorCode) {
		p.Finish(refused)
		if !p.Waits() {
			answer()
			return
		}
		w := p.Park()
		b.park(w, p.Timeout, "produce", func() { p.Unpark(w); answer() })
	})
}

func (b *broker) serveFetch(req *kmsg.FetchRequest, reply func(kmsg.Response)) {
	f := b.replicas.NewFetch()
	f.Version, f.ReplicaID, f.ReplicaEpoch = req.Version, metadata.BrokerID(req.ReplicaID), -1
	if req.Version >= 15 {
		f.ReplicaID, f.ReplicaEpoch = metadata.BrokerID(req.ReplicaState.ID), req.ReplicaState.Epoch
	}
	f.MaxWait, f.MinBytes, f.MaxBytes = time.Duration(req.MaxWaitMillis)*time.Millisecond, req.MinBytes, req.MaxBytes
	f.SessionID, f.SessionEpoch = req.SessionID, req.SessionEpoch
	f.ReadCommitted = req.IsolationLevel == 1
	f.Client = replication.ClientInfo{Listener: "PLAINTEXT"}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			f.Ask(replication.PartitionAsk{Topic: t.Topic, TopicID: t.TopicID, Partition: p.Partition, FetchOffset: record.Offset(p.FetchOffset),
				LogStartOffset: record.Offset(p.LogStartOffset), MaxBytes: p.PartitionMaxBytes, CurrentLeaderEpoch: metadata.LeaderEpoch(p.CurrentLeaderEpoch), LastFetchedEpoch: metadata.LeaderEpoch(p.LastFetchedEpoch)})
		}
	}
	for _, t := range req.ForgottenTopics {
		for _, p := range t.Partitions {
			f.Forget(t.Topic, t.TopicID, p)
		}
	}
	answer := func(code protocol.ErrorCode) {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		if code == protocol.None {
			resp.SessionID, code = f.Finish()
			b.w.check.served(b, f)
		}
		resp.ErrorCode = int16(code)
		for i := range f.Partitions {
			if p := &f.Partitions[i]; code == protocol.None && !p.Omitted {
				t, err := fetchAnswer(p)
				if err != nil { // the response has begun, so the connection is closed
					b.w.say("broker %d cannot read %s-%d: %v", b.id, p.Topic, p.Partition, err)
					f.Release()
					return
				}
				resp.Topics = append(resp.Topics, t)
			}
		}
		f.Release()
		reply(resp)
	}
	if code := f.Begin(); code != protocol.None {
		answer(code)
		return
	}
	cluster := b.cache.Snapshot()
	for i := range f.Partitions {
		switch p := &f.Partitions[i]; {
		case p.Topic == "" && f.Version >= 13:
			p.Refuse(protocol.UnknownTopicID)
		case cluster.Partition(p.Topic, p.Partition) == nil:
			p.Refuse(protocol.UnknownTopicOrPartition)
		}
	}
	w := f.Park()
	if w == nil {
		answer(protocol.None)
		return
	}
	b.park(w, f.MaxWait, fmt.Sprintf("fetch of replica %d", f.ReplicaID), func() { f.Unpark(w); answer(protocol.None) })
}

func fetchAnswer(p *replication.PartitionFetch) (kmsg.FetchResponseTopic, error) {
	t, a := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	t.Topic, t.TopicID = p.Topic, p.TopicID
	a.Partition, a.ErrorCode = p.Partition, int16(p.Code)
	a.HighWatermark, a.LastStableOffset, a.LogStartOffset = int64(p.HighWatermark), int64(p.LastStable), int64(p.LogStart)
	if p.HasDiverged {
		a.DivergingEpoch.Epoch, a.DivergingEpoch.EndOffset = p.Diverged.Epoch, p.Diverged.EndOffset
	}
	if p.AbortedListed {
		for _, txn := range p.Data.Aborted {
			listed := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			listed.ProducerID, listed.FirstOffset = txn.ProducerID, int64(txn.FirstOffset)
			a.AbortedTransactions = append(a.AbortedTransactions, listed)
		}
	}
	if p.Data.Length > 0 {
		a.RecordBatches = make([]byte, p.Data.Length)
		if _, err := p.Data.File.ReadAt(a.RecordBatches, p.Data.Position); err != nil {
			return t, err
		}
	}
	t.Partitions = append(t.Partitions, a)
	return t, nil
}

func (b *broker) serveEpochs(req *kmsg.OffsetForLeaderEpochRequest, reply func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for _, asked := range req.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = asked.Topic
		for _, p := range asked.Partitions {
			a := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			var err error
			a.Partition = p.Partition
			var found metadata.LeaderEpoch
			var end record.Offset
			found, end, err = b.replicas.EndOffsetForEpoch(asked.Topic, p.Partition,
				metadata.LeaderEpoch(p.CurrentLeaderEpoch), metadata.LeaderEpoch(p.LeaderEpoch))
			a.LeaderEpoch, a.EndOffset = int32(found), int64(end)
			a.ErrorCode = int16(protocol.CodeOf(err))
			t.Partitions = append(t.Partitions, a)
		}
		resp.Topics = append(resp.Topics, t)
	}
	reply(resp)
}

func (b *broker) serveOffsets(req *kmsg.ListOffsetsRequest, reply func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, asked := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = asked.Topic
		for _, p := range asked.Partitions {
			a := kmsg.NewListOffsetsResponseTopicPartition()
			found, err := b.replicas.ListOffset(replication.OffsetAsk{Version: req.Version, ReplicaID: metadata.BrokerID(req.ReplicaID), Topic: asked.Topic,
				Partition: p.Partition, CurrentLeaderEpoch: metadata.LeaderEpoch(p.CurrentLeaderEpoch), Timestamp: p.Timestamp})
			a.Partition, a.ErrorCode = p.Partition, int16(protocol.CodeOf(err))
			if err == nil {
				a.Timestamp, a.Offset, a.LeaderEpoch = found.Timestamp, int64(found.Offset), int32(found.LeaderEpoch)
			}
			t.Partitions = append(t.Partitions, a)
		}
		resp.Topics = append(resp.Topics, t)
	}
	reply(resp)
}
