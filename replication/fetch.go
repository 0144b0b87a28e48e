package replication

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// PartitionAsk is what a fetch requests of one partition.
type PartitionAsk struct {
	Topic              string // empty if TopicID is unknown
	TopicID            TopicID
	FetchOffset        record.Offset
	LogStartOffset     record.Offset // a follower's; -1 from consumers
	Partition          int32
	MaxBytes           int32
	CurrentLeaderEpoch metadata.LeaderEpoch // -1: unchecked
	LastFetchedEpoch   metadata.LeaderEpoch // -1: no check for divergence
}

// PartitionFetch is one partition of a fetch: first the request, then the response.
type PartitionFetch struct {
	PartitionAsk

	Code protocol.ErrorCode
	// Refused: Code was set before reading, for example because the topic is unknown or the client
	// is not authorized. A refused partition does not end the wait of the others.
	Refused bool
	// Bare: the partition was not read. As in Kafka, the response then has null records; after a
	// failed read it has empty records.
	Bare bool
	// HasDiverged: the follower's log is not a prefix of the leader's. Diverged is the end of the
	// last epoch that both know.
	HasDiverged bool
	// AbortedListed: Data.Aborted is complete. Only read_committed consumers need it.
	AbortedListed bool
	// Omitted: the session's client knows all this already; leave it out of the response.
	Omitted bool
	// PreferredReadReplica is the broker that the consumer should read from instead; -1: none. If
	// it is set, the response has no data.
	PreferredReadReplica metadata.BrokerID
	// HighWatermark, LastStable and LogStart are the leader's, sampled before the read; -1 after an
	// error.
	HighWatermark record.Offset
	LastStable    record.Offset
	LogStart      record.Offset
	Diverged      protocol.EpochEndOffset
	// Data locates the records. Fetch.Release releases it.
	Data storage.Data
	// Converted replaces Data if an old consumer gets the records in an older format.
	Converted []byte

	partition *Partition
	member    *sessionPartition    // of an incremental session; otherwise nil
	order     uint64               // order of member when it was listed
	leaderEnd record.Offset        // this broker's log end before the read
	readEpoch metadata.LeaderEpoch // this broker's leader epoch at the read
	atEnd     bool                 // the reader is at the end of what it may read and, if it is a follower, in sync
	changed   bool                 // an event happened since ready looked at the partition
	available int64                // in bytes, as ready found
}

// RecordBytes returns the size of the records to send.
func (f *PartitionFetch) RecordBytes() int {
	if f.Converted != nil {
		return len(f.Converted)
	}
	return int(f.Data.Length)
}

// fail makes the response an error without data.
func (f *PartitionFetch) fail(code protocol.ErrorCode) {
	f.Data.Release()
	*f = PartitionFetch{PartitionAsk: f.PartitionAsk, Code: code, Refused: f.Refused, partition: f.partition, member: f.member, order: f.order,
		HighWatermark: -1, LastStable: -1, LogStart: -1, PreferredReadReplica: -1}
}

// exhausted reports whether there is nothing to send to the reader before the next event of the
// partition.
func (f *PartitionFetch) exhausted() bool {
	return f.atEnd && f.Code == protocol.None && !f.HasDiverged && f.PreferredReadReplica < 0 && f.RecordBytes() == 0
}

// Refuse sets the response of a partition before anything is read.
func (f *PartitionFetch) Refuse(code protocol.ErrorCode) {
	f.Refused = true
	f.bare(code)
}

// bare makes the response an error of a partition that was not read.
func (f *PartitionFetch) bare(code protocol.ErrorCode) {
	f.fail(code)
	f.Bare = true
}

// Fetch is one fetch while it is served. Take it from Manager.NewFetch, fill in the request, call
// Begin, refuse the partitions that the client is not allowed to read, and call Read, then Finish.
// Release it when the response is written.
type Fetch struct {
	Version       int16
	ReplicaID     metadata.BrokerID // the follower's broker id; negative for consumers
	ReplicaEpoch  int64             // the broker epoch that the follower claims, or -1
	MaxWait       time.Duration
	MinBytes      int32
	MaxBytes      int32
	ReadCommitted bool // isolation level read_committed
	SessionID     int32
	SessionEpoch  int32
	Client        ClientInfo
	Done          <-chan struct{} // closed when the response is no longer needed

	// Partitions is what the request names and, after Begin, all partitions to read, in order.
	Partitions []PartitionFetch
	// Waited is how long Read waited for more data.
	Waited time.Duration
	// Conversion is what Finish spent on converting records to an older format.
	Conversion network.Conversion

	m         *Manager
	use       sessionUse
	forgotten []sessionKey
	places    map[sessionKey]int
	scratch   []byte // buffer for records to be down-converted
	available int64  // bytes of all partitions, as ready found
	looked    bool   // ready has looked at every partition
}

// ClientInfo is what a replica selector may use to choose.
type ClientInfo struct {
	Rack     string // rack_id of Fetch v11+
	Listener string // listener of the client's connection
}

// NewFetch returns an empty fetch.
func (m *Manager) NewFetch() *Fetch {
	f, _ := m.fetches.Get().(*Fetch)
	if f == nil {
		f = &Fetch{m: m, places: map[sessionKey]int{}}
	}
	return f
}

// Release unpins the data and returns the fetch to the pool.
func (f *Fetch) Release() {
	for i := range f.Partitions {
		f.Partitions[i].Data.Release()
	}
	if max(cap(f.Partitions), cap(f.forgotten), len(f.places)) > pooledPartitions {
		return
	}
	clear(f.Partitions)
	clear(f.forgotten)
	if len(f.places) > 0 { // clearing a map takes time for its largest size so far
		clear(f.places)
	}
	*f = Fetch{m: f.m, Partitions: f.Partitions[:0], forgotten: f.forgotten[:0], places: f.places, scratch: f.scratch}
	f.m.fetches.Put(f)
}

// Ask adds a partition to the request.
func (f *Fetch) Ask(ask PartitionAsk) {
	f.Partitions = append(f.Partitions, PartitionFetch{PartitionAsk: ask})
}

// Forget removes a partition from the session.
func (f *Fetch) Forget(topic string, id TopicID, partition int32) {
	k := sessionKey{topic: topic, partition: partition}
	if f.byID() {
		k = sessionKey{id: id, partition: partition}
	}
	f.forgotten = append(f.forgotten, k)
}

func (f *Fetch) byID() bool { return f.Version >= 13 }

// FromFollower reports whether another broker sent the fetch.
func (f *Fetch) FromFollower() bool { return f.ReplicaID >= 0 }

func (f *Fetch) parkedKind() parkedKind {
	if f.FromFollower() {
		return parkedFollower
	}
	return parkedConsumer
}

// leaderOnly reports whether the fetch may only read from the leader, as followers and old
// consumers must.
func (f *Fetch) leaderOnly() bool { return f.FromFollower() || f.Version < 11 }

// hardLimit reports whether even the first batch is cut to the size limits, as before v3.
func (f *Fetch) hardLimit() bool { return f.Version < 3 }

func (f *Fetch) bound() storage.Bound {
	switch {
	case f.FromFollower():
		return storage.UpToLogEnd
	case f.ReadCommitted:
		return storage.UpToLastStable
	}
	return storage.UpToHighWatermark
}

// Begin resolves the fetch session and the names of topic ids. A code other than None is the
// response to the whole request.
func (f *Fetch) Begin() protocol.ErrorCode {
	cluster := f.m.Metadata()
	if f.byID() {
		for i := range f.Partitions {
			f.Partitions[i].Topic = cluster.Names[f.Partitions[i].TopicID]
		}
	}
	var code protocol.ErrorCode
	f.use, f.Partitions, code = f.m.sessions.begin(sessionRequest{id: f.SessionID, epoch: f.SessionEpoch, byID: f.byID(),
		partitions: f.Partitions, forgotten: f.forgotten, places: f.places}, f.reader(), cluster, f.m.now())
	limit := min(f.MaxBytes, f.m.opts.FetchMaxBytes)
	f.MaxBytes, f.MinBytes = limit, min(f.MinBytes, limit)
	return code
}

// reader describes the client to a fetch session. If any of this changes, the session reads all
// partitions again.
func (f *Fetch) reader() sessionReader {
	return sessionReader{version: f.Version, replica: f.ReplicaID, epoch: f.ReplicaEpoch, readCommitted: f.ReadCommitted, client: f.Client,
		redirected: f.mayBeRedirected()}
}

// mayBeRedirected reports whether a replica selector decides from which broker the client reads.
func (f *Fetch) mayBeRedirected() bool {
	return f.m.selector != nil && !f.FromFollower() && f.Version >= 11
}

// Finish decides what the response contains. It creates or updates the session and returns its id.
// A code other than None replaces the response.
func (f *Fetch) Finish() (sessionID int32, code protocol.ErrorCode) {
	sessionID, code = f.use.finish(f.Partitions, f.FromFollower(), f.m.now())
	if code == protocol.None {
		f.fitVersion()
		f.sent()
	}
	return sessionID, code
}

// Read reads the partitions that are not refused. If necessary and allowed, it waits until MinBytes
// are available, there is something else to report, MaxWait has passed, or Done is closed.
func (f *Fetch) Read() {
	if f.readOnArrival() {
		return
	}
	began := time.Now()
	w := f.park()
	f.m.meters.waits.await(f.parkedKind(), w, f.MaxWait, f.Done, f.ready)
	f.m.waiters.put(w)
	f.Waited = time.Since(began)
	f.readAgain()
}

// readAgain reads after the fetch was parked. Of a session's partitions it reads those listed at
// the start and those with events since.
func (f *Fetch) readAgain() {
	if f.use.kind == sessionIncremental {
		f.Partitions, _ = f.use.woken(f.Partitions, f.m.Metadata())
		if len(f.Partitions) > f.use.listed {
			slices.SortFunc(f.Partitions, func(a, b PartitionFetch) int { return cmp.Compare(a.order, b.order) })
		}
	}
	f.readAll(false)
}

// readOnArrival reads the partitions. It returns false if the result does not suffice for a
// response: then the fetch must park and read again.
func (f *Fetch) readOnArrival() bool {
	wanted := f.use.resting
	for i := range f.Partitions {
		if !f.Partitions[i].Refused {
			wanted++
		}
	}
	bytes, urgent := f.readAll(true)
	if f.MaxWait <= 0 || wanted == 0 || urgent || bytes >= int64(f.MinBytes) {
		return true
	}
	f.releaseData()
	return false
}

func (f *Fetch) releaseData() {
	for i := range f.Partitions {
		f.Partitions[i].Data.Release()
		f.Partitions[i].Data = storage.Data{}
	}
}

// park registers for all events that may make the fetch ready.
func (f *Fetch) park() *waiter {
	interest := highWatermarkMoved | stateChanged
	if f.FromFollower() {
		// The high watermark alone does not wake followers: that would double the number of their
		// fetches (KAFKA-9731).
		interest = logEndMoved | stateChanged
	}
	if f.use.kind == sessionIncremental {
		w := f.m.waiters.get(0)
		f.use.park(w, interest)
		return w
	}
	w := f.m.waiters.get(len(f.Partitions))
	for i := range f.Partitions {
		if p := f.Partitions[i].partition; p != nil && !f.Partitions[i].Refused {
			w.watch(&p.waits, interest)
		}
	}
	return w
}

// ready reports whether a parked fetch can be answered. Of a session's partitions it looks only at
// those with events since its last look.
func (f *Fetch) ready() bool {
	inSession := f.use.kind == sessionIncremental
	if inSession {
		var ended bool
		if f.Partitions, ended = f.use.woken(f.Partitions, f.m.Metadata()); ended {
			return true
		}
	}
	for i := range f.Partitions {
		want := &f.Partitions[i]
		if want.Refused || inSession && f.looked && !want.changed {
			continue
		}
		if want.partition == nil {
			return true // deleted in the meantime
		}
		want.changed = false
		readable, now := want.partition.peek(f, want)
		if now {
			return true
		}
		f.available += readable - want.available
		want.available = readable
	}
	f.looked = true
	return f.available >= int64(f.MinBytes)
}

// readAll reads every partition within the size limits. The first partition with records returns at
// least one batch, however large (KIP-74). urgent reports that the response must not wait. Only the
// read on arrival records a follower's position: a repeated read would claim that the follower
// fetched just now.
func (f *Fetch) readAll(onArrival bool) (bytes int64, urgent bool) {
	limit, minOne := f.MaxBytes, !f.hardLimit()
	now := f.m.now()
	if f.use.kind == sessionIncremental {
		f.use.session.rounds.reads.Add(1)
	}
	for i := range f.Partitions {
		want := &f.Partitions[i]
		if want.Refused {
			continue
		}
		f.readOne(want, min(want.MaxBytes, limit), minOne, onArrival, now)
		if want.Data.Length > 0 {
			minOne = false
			limit = max(0, limit-want.Data.Length)
			bytes += int64(want.Data.Length)
		}
		urgent = urgent || want.Code != protocol.None || want.HasDiverged || want.PreferredReadReplica >= 0
	}
	return bytes, urgent
}

func (f *Fetch) readOne(want *PartitionFetch, maxBytes int32, minOne, onArrival bool, now time.Time) {
	p, err := f.partitionOf(want)
	if err != nil {
		f.m.notHosted.fetchRequests.Add(1)
		want.fail(protocol.CodeOf(err))
		return
	}
	p.traffic.fetchRequests.Add(1)
	if replica := p.preferredReplica(f, want, now); replica >= 0 {
		p.answerPreferred(want, replica)
		return
	}
	if err := p.read(f, want, maxBytes, minOne); err != nil {
		code := protocol.CodeOf(err)
		if code == protocol.UnknownServerError {
			p.traffic.failedFetches.Add(1)
			f.m.log.Errorf("[ReplicaManager broker=%d] Error processing fetch with max size %d from replica [%d] on partition %s: %v",
				f.m.opts.BrokerID, maxBytes, f.ReplicaID, p.id, err)
		}
		want.fail(code)
		return
	}
	if f.FromFollower() && onArrival && !want.HasDiverged {
		p.followerFetched(f.ReplicaID, followerFetch{offset: want.FetchOffset, leaderEpoch: want.readEpoch, logStart: want.LogStartOffset,
			brokerEpoch: f.ReplicaEpoch, leaderEnd: want.leaderEnd, presence: want.member.presenceOf()}, now)
	}
}

// partitionOf returns the Partition to read: the one that the session observes, as long as it is
// hosted.
func (f *Fetch) partitionOf(want *PartitionFetch) (*Partition, error) {
	if want.member != nil && want.partition != nil && !want.partition.gone.Load() {
		return want.partition, nil
	}
	p, err := f.m.Partition(want.Topic, want.Partition)
	want.partition = p
	return p, err
}

var errNegativeSize = errors.New("negative number of bytes requested")

// read reads one partition while its role and epoch are fixed.
func (p *Partition) read(f *Fetch, want *PartitionFetch, maxBytes int32, minOne bool) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(want.CurrentLeaderEpoch, f.leaderOnly())
	if err != nil {
		return err
	}
	if conflictingID(log, want.TopicID) {
		return protocol.InconsistentTopicID
	}
	if f.FromFollower() && p.followers.of(f.ReplicaID) == nil {
		// The follower is not an assigned replica in this broker's state. One of the two is behind
		// and will catch up; the follower tries again.
		if want.CurrentLeaderEpoch >= 0 {
			return protocol.UnknownLeaderEpoch
		}
		return protocol.NotLeaderOrFollower
	}
	want.readEpoch = p.leaderEpoch
	want.resetAnswer(log.Offsets())
	if want.LastFetchedEpoch >= 0 {
		diverged, err := divergence(log, want)
		if err != nil || diverged {
			return err
		}
	}
	if maxBytes < 0 {
		return errNegativeSize
	}
	data, err := log.Read(storage.Read{Offset: want.FetchOffset, MaxBytes: maxBytes, MinOneMessage: minOne,
		Bound: f.bound(), AbortedWanted: f.ReadCommitted && !f.FromFollower()})
	if err != nil {
		return err
	}
	want.resetAnswer(data.Offsets)
	want.atEnd = want.FetchOffset == data.Offsets.Bound(f.bound()) && (!f.FromFollower() || p.keepsUpLocked(f.ReplicaID))
	if data.FirstBatchIncomplete && !f.hardLimit() || f.FromFollower() && p.leaderThrottlesLocked(f.ReplicaID) {
		data.Release()
		return nil
	}
	want.Data = data
	want.AbortedListed = f.ReadCommitted && !f.FromFollower()
	return nil
}

func (f *PartitionFetch) resetAnswer(at storage.Offsets) {
	f.AbortedListed, f.atEnd = false, false
	f.Code, f.HasDiverged, f.PreferredReadReplica = protocol.None, false, -1
	f.HighWatermark, f.LastStable, f.LogStart = at.HighWatermark, at.LastStable, at.LogStart
	f.leaderEnd = at.LogEnd
}

// divergence reports whether the follower's log is not a prefix of this log, according to the epoch
// of the follower's last batch. If so, it sets want.Diverged to the end of the last epoch that both
// logs have.
func divergence(log *storage.Log, want *PartitionFetch) (bool, error) {
	epoch, end := log.EndOffsetForEpoch(want.LastFetchedEpoch)
	if epoch < 0 || end < 0 || want.FetchOffset < want.LogStart {
		return false, protocol.OffsetOutOfRange
	}
	if epoch < want.LastFetchedEpoch || end < want.FetchOffset {
		want.HasDiverged = true
		want.Diverged = protocol.EpochEndOffset{Epoch: int32(epoch), EndOffset: int64(end)}
	}
	return want.HasDiverged, nil
}

// peek checks a partition for a parked fetch. It returns how many bytes the fetch could read, or
// that the fetch must be answered now.
func (p *Partition) peek(f *Fetch, want *PartitionFetch) (bytes int64, now bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(want.CurrentLeaderEpoch, f.leaderOnly())
	if err != nil {
		return 0, true
	}
	at := log.Offsets()
	end := at.Bound(f.bound())
	if want.FetchOffset > end {
		return 0, true // the log was truncated
	}
	if want.FetchOffset < end && !(f.FromFollower() && p.leaderThrottlesLocked(f.ReplicaID)) {
		available, newer, err := log.Available(want.FetchOffset, f.bound())
		if err != nil || newer {
			return 0, true
		}
		bytes = min(available, int64(want.MaxBytes))
	}
	if want.LastFetchedEpoch >= 0 {
		probe := PartitionFetch{PartitionAsk: want.PartitionAsk, LogStart: at.LogStart}
		if diverged, err := divergence(log, &probe); diverged || err != nil {
			return 0, true
		}
	}
	return bytes, false
}
