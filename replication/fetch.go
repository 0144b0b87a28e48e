package replication

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/storage"
)

// PartitionAsk is what a fetch asks of one partition.
type PartitionAsk struct {
	Topic              string // empty while the id of TopicID is unknown
	TopicID            TopicID
	FetchOffset        int64
	LogStartOffset     int64 // a follower's; -1 from consumers
	Partition          int32
	MaxBytes           int32
	CurrentLeaderEpoch int32 // -1: not checked
	LastFetchedEpoch   int32 // -1: divergence is not looked for
}

// PartitionFetch is one partition of a Fetch: what is asked, then the answer.
type PartitionFetch struct {
	PartitionAsk

	Code protocol.ErrorCode
	// Refused: Code was known before reading (unknown, not authorized). A refused
	// partition does not end the wait of the others.
	Refused bool
	// Bare: nothing of a read is in the answer. Kafka sends null records then, but
	// empty ones where a read failed.
	Bare bool
	// HasDiverged: the follower's log ends otherwise than ours; Diverged is where
	// the last epoch that both know ends.
	HasDiverged bool
	// AbortedListed: Data.Aborted is complete, which only a read_committed
	// consumer asks for.
	AbortedListed bool
	// Omitted: the session's client knows all this; leave it out of the answer.
	Omitted bool
	// PreferredReadReplica is a broker the consumer should rather read from (no
	// data comes then); -1: none.
	PreferredReadReplica int32
	// HighWatermark, LastStable, LogStart are the leader's, sampled before the
	// read; -1 on error.
	HighWatermark int64
	LastStable    int64
	LogStart      int64
	Diverged      protocol.EpochEndOffset
	// Data is the records; released by Fetch.Release.
	Data storage.Data
	// Converted replaces Data where an old consumer gets records in an older
	// format.
	Converted []byte

	partition *Partition
	member    *sessionPartition // of an incremental session; else nil
	order     uint64            // member's when it was listed
	leaderEnd int64             // our log end before the read
	readEpoch int32             // our leader epoch at the read
	atEnd     bool              // the reader has all that it may read, and is in sync if it is a follower
	changed   bool              // something happened since ready looked at the partition
	available int64             // bytes, as ready found
}

// RecordBytes is the size of the records to send.
func (f *PartitionFetch) RecordBytes() int {
	if f.Converted != nil {
		return len(f.Converted)
	}
	return int(f.Data.Length)
}

// fail makes the answer an error without data.
func (f *PartitionFetch) fail(code protocol.ErrorCode) {
	f.Data.Release()
	*f = PartitionFetch{PartitionAsk: f.PartitionAsk, Code: code, Refused: f.Refused, partition: f.partition, member: f.member, order: f.order,
		HighWatermark: -1, LastStable: -1, LogStart: -1, PreferredReadReplica: -1}
}

// exhausted reports whether there is nothing to tell the reader before something
// happens to the partition.
func (f *PartitionFetch) exhausted() bool {
	return f.atEnd && f.Code == protocol.None && !f.HasDiverged && f.PreferredReadReplica < 0 && f.RecordBytes() == 0
}

// Refuse answers a partition before anything is read.
func (f *PartitionFetch) Refuse(code protocol.ErrorCode) {
	f.Refused = true
	f.bare(code)
}

// bare answers as if nothing had been read.
func (f *PartitionFetch) bare(code protocol.ErrorCode) {
	f.fail(code)
	f.Bare = true
}

// Fetch is one fetch while it is served. Take it from Manager.NewFetch, fill in
// the request, call Begin, refuse what the client may not read, Read, then
// Finish; Release it when the answer is written.
type Fetch struct {
	Version      int16
	ReplicaID    int32 // the follower's broker id, below 0 for consumers
	ReplicaEpoch int64 // the follower's broker epoch as it says, -1
	MaxWait      time.Duration
	MinBytes     int32
	MaxBytes     int32
	Committed    bool // read_committed
	SessionID    int32
	SessionEpoch int32
	Client       ClientInfo
	Done         <-chan struct{} // closed when nobody waits for the answer any more

	// Partitions is what the request names before Begin, and all that is to be
	// read, in order, after.
	Partitions []PartitionFetch
	// Waited is how long Read waited for more to come.
	Waited time.Duration

	m         *Manager
	use       sessionUse
	forgotten []sessionKey
	places    map[sessionKey]int
	scratch   []byte // down-converted records are read into it
	available int64  // bytes of all partitions, as ready found
	looked    bool   // ready has looked at all partitions
}

// ClientInfo is what a replica selector may look at.
type ClientInfo struct {
	Rack     string // rack_id of Fetch v11+
	Listener string // on which the client came
}

// NewFetch returns an empty fetch.
func (m *Manager) NewFetch() *Fetch {
	f, _ := m.fetches.Get().(*Fetch)
	if f == nil {
		f = &Fetch{m: m, places: map[sessionKey]int{}}
	}
	return f
}

// Release unpins the data and takes the fetch back.
func (f *Fetch) Release() {
	for i := range f.Partitions {
		f.Partitions[i].Data.Release()
	}
	if max(cap(f.Partitions), cap(f.forgotten), len(f.places)) > pooledPartitions {
		return
	}
	clear(f.Partitions)
	clear(f.forgotten)
	if len(f.places) > 0 { // to clear a map costs what it once held
		clear(f.places)
	}
	*f = Fetch{m: f.m, Partitions: f.Partitions[:0], forgotten: f.forgotten[:0], places: f.places, scratch: f.scratch}
	f.m.fetches.Put(f)
}

// Ask adds a partition of the request.
func (f *Fetch) Ask(ask PartitionAsk) {
	f.Partitions = append(f.Partitions, PartitionFetch{PartitionAsk: ask})
}

// Forget takes a partition out of the session.
func (f *Fetch) Forget(topic string, id TopicID, partition int32) {
	k := sessionKey{topic: topic, partition: partition}
	if f.byID() {
		k = sessionKey{id: id, partition: partition}
	}
	f.forgotten = append(f.forgotten, k)
}

func (f *Fetch) byID() bool { return f.Version >= 13 }

// FromFollower says whether another broker asks.
func (f *Fetch) FromFollower() bool { return f.ReplicaID >= 0 }

// leaderOnly: followers and old consumers may only read from the leader.
func (f *Fetch) leaderOnly() bool { return f.FromFollower() || f.Version < 11 }

// hardLimit: before v3 the size limits cut even the first batch.
func (f *Fetch) hardLimit() bool { return f.Version < 3 }

func (f *Fetch) bound() storage.Bound {
	switch {
	case f.FromFollower():
		return storage.UpToLogEnd
	case f.Committed:
		return storage.UpToLastStable
	}
	return storage.UpToHighWatermark
}

// endOf is the offset up to which the fetch may read.
func (f *Fetch) endOf(at storage.Offsets) int64 {
	switch f.bound() {
	case storage.UpToLogEnd:
		return at.LogEnd
	case storage.UpToLastStable:
		return at.LastStable
	}
	return at.HighWatermark
}

// Begin resolves the fetch session and the names of topic ids. A code other than
// None answers the whole request.
func (f *Fetch) Begin() protocol.ErrorCode {
	cluster := f.m.Metadata()
	if f.byID() {
		for i := range f.Partitions {
			f.Partitions[i].Topic = cluster.Names[f.Partitions[i].TopicID]
		}
	}
	var code protocol.ErrorCode
	f.use, f.Partitions, code = f.m.sessions.begin(f.SessionID, f.SessionEpoch, f.byID(), f.Partitions, f.forgotten, f.places, f.reader(), cluster, f.m.now())
	limit := min(f.MaxBytes, f.m.opts.FetchMaxBytes)
	f.MaxBytes, f.MinBytes = limit, min(f.MinBytes, limit)
	return code
}

// reader is on whose behalf a session reads.
func (f *Fetch) reader() sessionReader {
	return sessionReader{version: f.Version, replica: f.ReplicaID, epoch: f.ReplicaEpoch, committed: f.Committed, client: f.Client,
		redirected: f.mayBeRedirected()}
}

// mayBeRedirected reports whether a replica selector decides where the client
// reads.
func (f *Fetch) mayBeRedirected() bool {
	return f.m.selector != nil && !f.FromFollower() && f.Version >= 11
}

// Finish decides what the answer carries: it makes or updates the session and
// returns its id. A code other than None replaces the answer.
func (f *Fetch) Finish() (sessionID int32, code protocol.ErrorCode) {
	sessionID, code = f.use.finish(f.Partitions, f.FromFollower(), f.m.now())
	if code == protocol.None {
		f.fitVersion()
		f.sent()
	}
	return sessionID, code
}

// Read reads the partitions that are not refused, and waits for more where that
// is wanted and allowed: until MinBytes are there, something else is to be
// told, MaxWait is over or Done is closed.
func (f *Fetch) Read() {
	if f.readOnArrival() {
		return
	}
	began := time.Now()
	w := f.park()
	w.await(f.MaxWait, f.Done, f.ready)
	f.m.waiters.put(w)
	f.Waited = time.Since(began)
	f.readAgain()
}

// readAgain reads after the fetch was parked: of a session's partitions those of
// its beginning, and those that something happened to since.
func (f *Fetch) readAgain() {
	if f.use.kind == sessionIncremental {
		f.Partitions, _ = f.use.woken(f.Partitions, f.m.Metadata())
		if len(f.Partitions) > f.use.listed {
			slices.SortFunc(f.Partitions, func(a, b PartitionFetch) int { return cmp.Compare(a.order, b.order) })
		}
	}
	f.readAll(false)
}

// readOnArrival reads and reports whether that is the answer; else the fetch parks
// and reads again after.
func (f *Fetch) readOnArrival() bool {
	wanted := f.use.resting
	for i := range f.Partitions {
		if !f.Partitions[i].Refused {
			wanted++
		}
	}
	bytes, tell := f.readAll(true)
	if f.MaxWait <= 0 || wanted == 0 || tell || bytes >= int64(f.MinBytes) {
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

// park registers for all that may make the fetch ready.
func (f *Fetch) park() *waiter {
	interest := highWatermarkMoved | stateChanged
	if f.FromFollower() {
		// The high watermark alone does not wake followers: it would double the
		// number of their fetches (KAFKA-9731).
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

// ready reports whether a parked fetch has something to answer. Of a session's
// partitions it looks only at those that something happened to since it looked.
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
			return true // it was deleted
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

// readAll reads every partition within the size limits. The first that has
// records gives at least one batch, however large (KIP-74). tell says that an
// answer must not wait. Only a read on arrival tells leaders where a follower
// is: a repeated one would claim that it fetched just now.
func (f *Fetch) readAll(onArrival bool) (bytes int64, tell bool) {
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
		tell = tell || want.Code != protocol.None || want.HasDiverged || want.PreferredReadReplica >= 0
	}
	return bytes, tell
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
				f.m.opts.BrokerID, maxBytes, f.ReplicaID, name(p.id), err)
		}
		want.fail(code)
		return
	}
	if f.FromFollower() && onArrival && !want.HasDiverged {
		p.followerFetched(f.ReplicaID, followerFetch{offset: want.FetchOffset, leaderEpoch: want.readEpoch, logStart: want.LogStartOffset,
			brokerEpoch: f.ReplicaEpoch, leaderEnd: want.leaderEnd, presence: want.member.presenceOf()}, now)
	}
}

// partitionOf returns the Partition to read: that which the session observes,
// while it is hosted.
func (f *Fetch) partitionOf(want *PartitionFetch) (*Partition, error) {
	if want.member != nil && want.partition != nil && !want.partition.gone.Load() {
		return want.partition, nil
	}
	p, err := f.m.Partition(want.Topic, want.Partition)
	want.partition = p
	return p, err
}

var errNegativeSize = errors.New("a negative number of bytes was asked for")

// read reads one partition under one look at its role and epoch.
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
		// Not one of the assigned replicas as we know them: whoever is behind will
		// learn of it, the follower tries again.
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
		Bound: f.bound(), AbortedWanted: f.Committed && !f.FromFollower()})
	if err != nil {
		return err
	}
	want.resetAnswer(data.Offsets)
	want.atEnd = want.FetchOffset == f.endOf(data.Offsets) && (!f.FromFollower() || p.keepsUpLocked(f.ReplicaID))
	if data.FirstBatchIncomplete && !f.hardLimit() || f.FromFollower() && p.leaderThrottlesLocked(f.ReplicaID) {
		data.Release()
		return nil
	}
	want.Data = data
	want.AbortedListed = f.Committed && !f.FromFollower()
	return nil
}

func (f *PartitionFetch) resetAnswer(at storage.Offsets) {
	f.AbortedListed, f.atEnd = false, false
	f.Code, f.HasDiverged, f.PreferredReadReplica = protocol.None, false, -1
	f.HighWatermark, f.LastStable, f.LogStart = at.HighWatermark, at.LastStable, at.LogStart
	f.leaderEnd = at.LogEnd
}

// divergence looks whether the follower's log is a prefix of ours, judged by
// the epoch of its last batch; if not, the answer says where they part.
func divergence(log *storage.Log, want *PartitionFetch) (bool, error) {
	epoch, end := log.EndOffsetForEpoch(want.LastFetchedEpoch)
	if epoch < 0 || end < 0 || want.FetchOffset < want.LogStart {
		return false, protocol.OffsetOutOfRange
	}
	if epoch < want.LastFetchedEpoch || end < want.FetchOffset {
		want.HasDiverged = true
		want.Diverged = protocol.EpochEndOffset{Epoch: epoch, EndOffset: end}
	}
	return want.HasDiverged, nil
}

// peek looks at a partition for a parked fetch: how many bytes it could have,
// or that it has to answer now.
func (p *Partition) peek(f *Fetch, want *PartitionFetch) (bytes int64, now bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.readableLocked(want.CurrentLeaderEpoch, f.leaderOnly())
	if err != nil {
		return 0, true
	}
	at := log.Offsets()
	end := f.endOf(at)
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
