package api

import (
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
)

// Fetch reads records, for consumers and for followers.
//
// Versions 0 to 17. v3 adds a limit for the whole answer, v4 read_committed, v7 sessions, v9 the
// leader epoch that the client knows, v11 reading from followers. v12 is flexible and adds
// diverging epochs, v13 topic ids, v16 the current leader to NOT_LEADER_OR_FOLLOWER and
// FENCED_LEADER_EPOCH. v0 to v3 get the records in the older formats. Records are sent from the
// file to the socket without a copy.
func Fetch(replicas *replication.Manager) Handler {
	h := &fetchHandler{replicas: replicas}
	h.pool.New = func() any {
		x := &fetchCall{h: h}
		x.released = x.release
		return x
	}
	return Handler{Key: protocol.Fetch, Min: 0, Max: 17, PerEntry: true, Fail: completed(failFetch), Serve: h.serve}
}

// failFetch removes the partitions, which repeat the code, from v13 on. Up to v12 it keeps them,
// because older clients do not look at the code at the top level.
func failFetch(req *kmsg.FetchRequest, resp *kmsg.FetchResponse, _ error) {
	resp.SessionID = req.SessionID
	if req.Version >= 13 {
		resp.Topics = nil
	}
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			t.Partitions[i].HighWatermark = -1
			t.Partitions[i].AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		}
	}
}

type fetchHandler struct {
	replicas *replication.Manager
	pool     sync.Pool // *fetchCall
}

// fetchCall holds the memory of one request. It is reused once the answer is written.
type fetchCall struct {
	h        *fetchHandler
	released func() // the method value release, allocated once
	req      protocol.FetchRequest
	resp     protocol.FetchResponse
	answers  []protocol.FetchPartitionResponse // of all topics, in the order of the response
	sources  []*replication.PartitionFetch     // the partition of each element of answers
	diverged []protocol.EpochEndOffset
	aborted  []protocol.AbortedTransaction
	head     []byte
	cuts     []int
	files    []network.Run
	runs     []network.Run
	fetch    *replication.Fetch
}

// labelOf returns the label under which metrics count the fetch in addition to Fetch.
func labelOf(f *replication.Fetch) string {
	if f.FromFollower() {
		return "FetchFollower"
	}
	return "FetchConsumer"
}

func (h *fetchHandler) serve(c *Call) network.Response {
	x := h.pool.Get().(*fetchCall)
	if err := x.req.ReadFrom(c.Version, c.Body); err != nil {
		x.release()
		return c.refuse(err)
	}
	f := x.begin(c)
	c.Label = labelOf(f)
	code := f.Begin()
	if code == protocol.None {
		x.admit(c, f)
		f.Read()
		c.Waited = f.Waited
		x.resp.SessionID, code = f.Finish()
	}
	x.resp.Version, x.resp.ErrorCode = c.Version, code
	if code == protocol.None {
		x.collect(c, f)
	}
	c.Conversion = f.Conversion
	x.countErrors(c)
	return x.answer(c)
}

// countErrors counts the codes of the answer.
func (x *fetchCall) countErrors(c *Call) {
	t, counted := c.tally()
	if !counted {
		return
	}
	t.add(x.resp.ErrorCode)
	for i := range x.answers {
		t.add(x.answers[i].ErrorCode)
	}
	t.done()
}

// begin returns a new fetch with the values of the request.
func (x *fetchCall) begin(c *Call) *replication.Fetch {
	f := x.h.replicas.NewFetch()
	x.fetch = f
	req := &x.req
	f.Version, f.ReplicaID, f.ReplicaEpoch = c.Version, metadata.BrokerID(req.ReplicaID), req.ReplicaEpoch
	f.MaxWait, f.MinBytes, f.MaxBytes = time.Duration(req.MaxWaitMs)*time.Millisecond, req.MinBytes, req.MaxBytes
	f.ReadCommitted = req.IsolationLevel == 1
	f.SessionID, f.SessionEpoch = req.SessionID, req.SessionEpoch
	f.Client = replication.ClientInfo{Rack: req.RackID, Listener: c.Peer.Listener}
	f.Done = c.Done
	asked := 0
	for i := range req.Topics {
		asked += len(req.Topics[i].Partitions)
	}
	f.Partitions = slices.Grow(f.Partitions, asked)
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			f.Ask(replication.PartitionAsk{Topic: t.Topic, TopicID: t.TopicID, Partition: p.Partition,
				FetchOffset: record.Offset(p.FetchOffset), LogStartOffset: record.Offset(p.LogStartOffset), MaxBytes: p.MaxBytes,
				CurrentLeaderEpoch: metadata.LeaderEpoch(p.CurrentLeaderEpoch), LastFetchedEpoch: metadata.LeaderEpoch(p.LastFetchedEpoch)})
		}
	}
	for i := range req.Forgotten {
		t := &req.Forgotten[i]
		for _, p := range t.Partitions {
			f.Forget(t.Topic, t.TopicID, p)
		}
	}
	return f
}

// admit refuses partitions that the client is not allowed to read and partitions that do not exist.
func (x *fetchCall) admit(c *Call, f *replication.Fetch) {
	cluster := x.h.replicas.Metadata()
	trusted := f.FromFollower() && c.AllowsCluster(kmsg.ACLOperationClusterAction)
	topic, allowed := "", false // of the previous partition: partitions of a topic are adjacent
	for i := range f.Partitions {
		p := &f.Partitions[i]
		if i == 0 || p.Topic != topic {
			topic = p.Topic
			allowed = trusted || !f.FromFollower() && c.Allows(kmsg.ACLOperationRead, kmsg.ACLResourceTypeTopic, topic)
		}
		switch {
		case f.FromFollower() && !allowed:
			p.Refuse(protocol.TopicAuthorizationFailed)
		case p.Topic == "" && f.Version >= 13:
			p.Refuse(unknownID(cluster))
		case !allowed:
			p.Refuse(protocol.TopicAuthorizationFailed)
		case cluster.Partition(p.Topic, p.Partition) == nil:
			if code := x.h.replicas.CheckKnown(p.Topic, p.Partition); code != protocol.None {
				p.Refuse(code)
			}
		}
	}
}

// unknownID returns the code for a topic id that is missing in the metadata.
func unknownID(cluster *metadata.Snapshot) protocol.ErrorCode {
	if cluster.Complete {
		return protocol.UnknownTopicID
	}
	return protocol.NotLeaderOrFollower
}

// collect fills in the response in Kafka's order: the partitions that were read, then the refused
// ones. Adjacent partitions of a topic share an entry.
func (x *fetchCall) collect(c *Call, f *replication.Fetch) {
	n, diverged := 0, 0
	for i := range f.Partitions {
		if !f.Partitions[i].Omitted {
			n++
		}
		if f.Partitions[i].HasDiverged {
			diverged++
		}
	}
	if cap(x.answers) < n {
		x.answers = make([]protocol.FetchPartitionResponse, 0, n)
	}
	if cap(x.diverged) < diverged { // it must not grow later, since answers point into it
		x.diverged = make([]protocol.EpochEndOffset, 0, diverged)
	}
	for _, refused := range []bool{false, true} {
		for i := range f.Partitions {
			if p := &f.Partitions[i]; p.Refused == refused && !p.Omitted {
				x.add(p)
			}
		}
	}
	if c.Version >= 16 {
		x.addLeaders(c)
	}
}

func (x *fetchCall) add(p *replication.PartitionFetch) {
	a := protocol.NewFetchPartitionResponse(p.Partition, p.Code)
	a.HighWatermark, a.LastStableOffset, a.LogStartOffset = int64(p.HighWatermark), int64(p.LastStable), int64(p.LogStart)
	a.PreferredReadReplica = int32(p.PreferredReadReplica)
	if p.HasDiverged {
		x.diverged = append(x.diverged, p.Diverged)
		a.DivergingEpoch = &x.diverged[len(x.diverged)-1]
	}
	a.RecordsSize = int32(p.RecordBytes())
	switch {
	case p.Bare:
		a.RecordsSize = -1
	case !p.AbortedListed:
		a.Aborted = nil
	default:
		from := len(x.aborted)
		for _, t := range p.Data.Aborted {
			x.aborted = append(x.aborted, protocol.AbortedTransaction{ProducerID: t.ProducerID, FirstOffset: int64(t.FirstOffset)})
		}
		a.Aborted = x.aborted[from:len(x.aborted):len(x.aborted)]
		if a.Aborted == nil {
			a.Aborted = []protocol.AbortedTransaction{}
		}
	}
	x.sources = append(x.sources, p)
	x.answers = append(x.answers, a)
	if n := len(x.resp.Topics); n > 0 && x.resp.Topics[n-1].Topic == p.Topic && x.resp.Topics[n-1].TopicID == p.TopicID {
		t := &x.resp.Topics[n-1]
		t.Partitions = x.answers[len(x.answers)-1-len(t.Partitions) : len(x.answers)]
		return
	}
	x.resp.Topics = append(x.resp.Topics, protocol.FetchTopicResponse{Topic: p.Topic, TopicID: p.TopicID, Partitions: x.answers[len(x.answers)-1:]})
}

func (x *fetchCall) addLeaders(c *Call) {
	leaders := leaderHints{replicas: x.h.replicas, listener: c.Peer.Listener}
	for i := range x.answers {
		if code := x.answers[i].ErrorCode; code == protocol.NotLeaderOrFollower || code == protocol.FencedLeaderEpoch {
			x.answers[i].CurrentLeader = leaders.hint(x.sources[i].Topic, x.sources[i].Partition)
		}
	}
	x.resp.NodeEndpoints = leaders.endpoints
}

// answer encodes the response and inserts the records, mostly as runs of files, at its cuts.
func (x *fetchCall) answer(c *Call) network.Response {
	head := protocol.AppendResponseHeader(x.head[:0], protocol.Fetch, c.Version, c.CorrelationID)
	x.head, x.cuts = x.resp.AppendTo(head, x.cuts[:0])
	for _, p := range x.sources {
		switch {
		case p.RecordBytes() == 0:
		case p.Converted != nil:
			x.files = append(x.files, network.Run{Bytes: p.Converted})
		default:
			x.files = append(x.files, network.Run{File: p.Data.File, Position: p.Data.Position, Length: int64(p.Data.Length)})
		}
	}
	x.runs = network.Splice(x.runs[:0], x.head, x.cuts, x.files)
	return network.Response{Runs: x.runs, Release: x.released}
}

func (x *fetchCall) release() {
	if x.fetch != nil {
		x.fetch.Release()
	}
	clear(x.resp.Topics)
	clear(x.answers)
	clear(x.sources)
	clear(x.files)
	clear(x.runs)
	x.resp = protocol.FetchResponse{Topics: x.resp.Topics[:0]}
	x.answers, x.sources, x.diverged, x.aborted = x.answers[:0], x.sources[:0], x.diverged[:0], x.aborted[:0]
	x.files, x.runs, x.fetch = x.files[:0], x.runs[:0], nil
	x.h.pool.Put(x)
}
