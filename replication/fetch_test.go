package replication

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

func TestConsumerReadsToTheHighWatermarkAndAFollowerToTheEnd(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(2)
	b.mustProduce(2)
	b.fetch(2, asFollower(2))
	f := b.fetch(0)
	if p := &f.Partitions[0]; !slices.Equal(offsets(t, p), []record.Offset{0, 1}) || p.HighWatermark != 2 || p.LastStable != 2 || p.LogStart != 0 {
		t.Errorf("consumer: %v, %+v", offsets(t, p), p)
	}
	f = b.fetch(0, asFollower(2))
	if got := offsets(t, &f.Partitions[0]); !slices.Equal(got, []record.Offset{0, 1, 2, 3}) {
		t.Errorf("follower: %v", got)
	}
	for _, offset := range []record.Offset{2, 3, 4} { // the bound, above it, the log end
		f = b.fetch(offset)
		if p := &f.Partitions[0]; p.Code != protocol.None || p.Data.Length != 0 {
			t.Errorf("consumer at %d: %s, %d bytes", offset, p.Code, p.Data.Length)
		}
	}
	for _, offset := range []record.Offset{5, -1} {
		f = b.fetch(offset)
		if p := &f.Partitions[0]; p.Code != protocol.OffsetOutOfRange || p.HighWatermark != -1 || p.LogStart != -1 || p.LastStable != -1 {
			t.Errorf("consumer at %d: %+v", offset, p)
		}
	}
}

func TestPitfallReplication11_FetchAtTheLogEndDuringAppendsIsNeverOutOfRange(t *testing.T) {
	b := alone(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			b.produce(1, 1)
		}
	}()
	for {
		f := b.fetch(b.partition().Log().Offsets().LogEnd)
		if code := f.Partitions[0].Code; code != protocol.None {
			t.Fatalf("fetch at the log end: %s", code)
		}
		f.Release()
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestSizeLimits(t *testing.T) {
	b := alone(t)
	for range 4 {
		b.mustProduce(1)
	}
	one := int32(len(batch(t, 1)))
	for _, c := range []struct {
		name               string
		version            int16
		request, partition int32
		want               int32
	}{
		{"both ample", 17, 1 << 20, 1 << 20, 4 * one},
		{"at least one batch", 17, 1, 1, one},
		{"at least one batch, zero limits", 17, 0, 0, one},
		{"partition limit cuts the last batch", 17, 1 << 20, 2*one + 5, 2*one + 5},
		{"request limit cuts the last batch", 17, one + 5, 1 << 20, one + 5},
		{"old versions cut even the first", 2, 1 << 20, 10, 10},
	} {
		f := b.fetch(0, func(f *Fetch) { f.Version = c.version; f.MaxBytes = c.request; f.Partitions[0].MaxBytes = c.partition })
		if got := f.Partitions[0].Data.Length; got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}

func TestOnlyTheFirstPartitionWithRecordsMayExceedTheLimits(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	for i := range int32(3) {
		if code := b.control(roleOf(i, ourID, 1, []int32{ourID}, ourID)); code != protocol.None {
			t.Fatal(code)
		}
	}
	for _, partition := range []int32{1, 2} {
		p := b.NewProduce()
		p.Version, p.Acks = 9, 1
		p.Add(testTopic, partition, batch(t, 1))
		p.Append()
	}
	f := b.fetch(0, func(f *Fetch) {
		f.MaxBytes = 1
		for i := range int32(2) {
			ask := f.Partitions[0].PartitionAsk
			ask.Partition = i + 1
			f.Ask(ask)
		}
	})
	got := []int32{f.Partitions[0].Data.Length, f.Partitions[1].Data.Length, f.Partitions[2].Data.Length}
	if got[0] != 0 || got[1] == 0 || got[2] != 0 {
		t.Errorf("bytes by partition: %v, want only the first non-empty one's", got)
	}
}

// wait starts a fetch that may wait; the channel receives it when it has been answered.
func (b *testBroker) wait(offset record.Offset, change ...func(*Fetch)) chan *Fetch {
	f := b.newFetch(offset, append(change, func(f *Fetch) { f.MaxWait = waitTime })...)
	answered := make(chan *Fetch, 1)
	go func() { f.Read(); answered <- f }()
	b.parked(1)
	return answered
}

func stillWaits(t *testing.T, b *testBroker, answered chan *Fetch) {
	t.Helper()
	select {
	case f := <-answered:
		t.Fatalf("the fetch was answered: %+v", f.Partitions[0])
	default:
	}
	if b.partition().waits.requests() == 0 {
		t.Fatal("no request waits")
	}
}

func TestConsumerIsWokenByTheHighWatermark(t *testing.T) {
	b := withFollower(t)
	answered := b.wait(0)
	b.mustProduce(1)
	stillWaits(t, b, answered)
	b.fetch(1, asFollower(2))
	if f := within(t, "the fetch's answer", answered); !slices.Equal(offsets(t, &f.Partitions[0]), []record.Offset{0}) {
		t.Errorf("%+v", f.Partitions[0])
	}
}

func TestPitfallReplication32_FollowerIsNotWokenByTheHighWatermark(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(1)
	answered := b.wait(1, asFollower(3))
	b.fetch(1, asFollower(2)) // moves the high watermark to 1
	if b.highWatermark() != 1 {
		t.Fatal("the high watermark did not move")
	}
	stillWaits(t, b, answered)
	b.mustProduce(1)
	if f := within(t, "the fetch's answer", answered); f.Partitions[0].HighWatermark != 1 || f.Partitions[0].Data.Length == 0 {
		t.Errorf("%+v", f.Partitions[0])
	}
}

func TestRepeatedReadDoesNotClaimThatTheFollowerFetchedNow(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(1)
	answered := b.wait(1, asFollower(2))
	p := b.partition()
	p.progressMu.Lock()
	before := *p.followers.of(2)
	p.progressMu.Unlock()
	b.mustProduce(1)
	within(t, "the fetch's answer", answered)
	p.progressMu.Lock()
	defer p.progressMu.Unlock()
	if *p.followers.of(2) != before {
		t.Errorf("the response to the parked fetch changed the follower's progress from %+v to %+v", before, *p.followers.of(2))
	}
}

func TestWaitingFetchEndsOnMinBytesErrorsAndDeletion(t *testing.T) {
	t.Run("enough bytes", func(t *testing.T) {
		b := alone(t)
		one := int32(len(batch(t, 1)))
		answered := b.wait(0, func(f *Fetch) { f.MinBytes = 2 * one })
		b.mustProduce(1)
		stillWaits(t, b, answered)
		b.mustProduce(1)
		if f := within(t, "the fetch's answer", answered); f.Partitions[0].Data.Length != 2*one {
			t.Errorf("%d bytes", f.Partitions[0].Data.Length)
		}
	})
	t.Run("leadership moved", func(t *testing.T) {
		b := withFollower(t)
		answered := b.wait(0, asFollower(2))
		b.control(roleOf(0, 2, 2, []int32{ourID, 2}, 2))
		if f := within(t, "the fetch's answer", answered); f.Partitions[0].Code != protocol.NotLeaderOrFollower {
			t.Errorf("%s", f.Partitions[0].Code)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		b := alone(t)
		answered := b.wait(0)
		b.stopReplica(0, int32(metadata.EpochDuringDelete), true)
		if f := within(t, "the fetch's answer", answered); f.Partitions[0].Code != protocol.NotLeaderOrFollower {
			t.Errorf("%s", f.Partitions[0].Code)
		}
	})
	t.Run("directory failed", func(t *testing.T) {
		b := alone(t)
		answered := b.wait(0)
		b.dirFailed(testDir)
		if f := within(t, "the fetch's answer", answered); f.Partitions[0].Code != protocol.KafkaStorageError {
			t.Errorf("%s", f.Partitions[0].Code)
		}
	})
	t.Run("a refused partition does not end the wait", func(t *testing.T) {
		b := alone(t)
		f := b.newFetch(0, func(f *Fetch) {
			f.MaxWait = waitTime
			f.Ask(PartitionAsk{Topic: "nowhere", TopicID: TopicID{9}, MaxBytes: 1, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
		})
		f.Partitions[1].Refuse(protocol.UnknownTopicID)
		answered := make(chan *Fetch, 1)
		go func() { f.Read(); answered <- f }()
		b.parked(1)
		b.mustProduce(1)
		within(t, "the fetch's answer", answered)
		if f.Partitions[0].Data.Length == 0 || f.Partitions[1].Code != protocol.UnknownTopicID {
			t.Errorf("%+v", f.Partitions)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		b := alone(t)
		f := b.fetch(0, func(f *Fetch) { f.MaxWait = time.Millisecond })
		if p := &f.Partitions[0]; p.Code != protocol.None || p.Data.Length != 0 {
			t.Errorf("%+v", p)
		}
	})
}

func TestFetchThatMayNotWaitReturnsAtOnce(t *testing.T) {
	b := alone(t)
	other := func(f *Fetch) {
		f.MaxWait = time.Hour
		f.Partitions[0].Partition = 2 // known to the cluster, not led here
	}
	if f := b.fetch(0, other); f.Partitions[0].Code != protocol.NotLeaderOrFollower {
		t.Errorf("%s", f.Partitions[0].Code)
	}
	f := b.newFetch(0, func(f *Fetch) { f.MaxWait = time.Hour })
	f.Partitions[0].Refuse(protocol.TopicAuthorizationFailed)
	f.Read() // no partition requested: returns at once
	f = b.newFetch(0, func(f *Fetch) { f.MaxWait = time.Hour; f.MinBytes = 0 })
	f.Read()
}

func TestFetchWithAnotherTopicIDIsRefused(t *testing.T) {
	b := alone(t)
	f := b.newFetch(0)
	f.Partitions[0].TopicID = TopicID{0xcc}
	f.Read()
	if code := f.Partitions[0].Code; code != protocol.InconsistentTopicID {
		t.Errorf("%s", code)
	}
}

func TestNegativeSizeIsAnUnexpectedError(t *testing.T) {
	b := alone(t)
	f := b.fetch(0, func(f *Fetch) { f.Partitions[0].MaxBytes = -1 })
	if code := f.Partitions[0].Code; code != protocol.UnknownServerError {
		t.Errorf("%s", code)
	}
}

func TestConsumersReadFromFollowersFromVersionElevenOn(t *testing.T) {
	b := newTestBroker(t)
	b.know(2, ourID)
	b.control(roleOf(0, 2, 1, []int32{2, ourID}, 2, ourID))
	for version, want := range map[int16]protocol.ErrorCode{10: protocol.NotLeaderOrFollower, 11: protocol.None} {
		if code := b.fetch(0, func(f *Fetch) { f.Version = version }).Partitions[0].Code; code != want {
			t.Errorf("v%d: %s, want %s", version, code, want)
		}
	}
	_, err := b.ListOffset(OffsetAsk{Version: 9, ReplicaID: consumerReplica, Topic: testTopic, CurrentLeaderEpoch: -1, Timestamp: LatestOffset})
	wantCode(t, "ListOffsets at a follower", err, protocol.NotLeaderOrFollower)
	at, err := b.ListOffset(OffsetAsk{Version: 9, ReplicaID: debuggingReplica, Topic: testTopic, CurrentLeaderEpoch: -1, Timestamp: EarliestOffset})
	if err != nil || at.Offset != 0 {
		t.Errorf("debugging consumer at a follower: %+v, %v", at, err)
	}
}

func TestPitfallReplication20_ReplicatedDataWakesAConsumerAtAFollower(t *testing.T) {
	l := playLeader(t)
	answered := l.wait(0)
	l.nextFetch().send(batch(t, 2, at(0, 3)), 2)
	f := within(t, "the fetch's answer", answered)
	if got := offsets(t, &f.Partitions[0]); !slices.Equal(got, []record.Offset{0, 1}) {
		t.Errorf("read %v", got)
	}
}

func TestConsumersAreSentToTheReplicaInTheirRack(t *testing.T) {
	b := newTestBroker(t, func(o *Options) { o.SelectorClass = RackAwareSelector; rack := "east"; o.Rack = &rack })
	update := func(rack2 string) {
		req := kmsg.NewPtrUpdateMetadataRequest()
		req.Version, req.ControllerEpoch, req.BrokerEpoch = 8, 1, -1
		for id, rack := range map[int32]string{ourID: "east", 2: rack2} {
			live := kmsg.NewUpdateMetadataRequestLiveBroker()
			live.ID, live.Rack = id, &rack
			e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
			e.ListenerName = "PLAINTEXT"
			live.Endpoints = append(live.Endpoints, e)
			req.LiveBrokers = append(req.LiveBrokers, live)
		}
		b.UpdateMetadata(req, 1)
	}
	b.know(ourID, 2)
	update("west")
	b.lead(1, []int32{ourID, 2}, ourID, 2)
	b.mustProduce(2)
	b.fetch(1, asFollower(2))
	from := func(rack string) func(*Fetch) {
		return func(f *Fetch) { f.Client.Rack = rack; f.MaxWait = time.Hour }
	}
	f := b.fetch(1, from("west"))
	if p := &f.Partitions[0]; p.PreferredReadReplica != 2 || p.Code != protocol.None || p.Data.Length != 0 || p.HighWatermark != 1 {
		t.Errorf("%+v", p)
	}
	for name, change := range map[string]func(*Fetch){
		"leader's rack":  func(f *Fetch) { f.Client.Rack = "east" },
		"no rack":        func(f *Fetch) {},
		"old version":    func(f *Fetch) { f.Client.Rack = "west"; f.Version = 10 },
		"follower":       func(f *Fetch) { asFollower(2)(f); f.Client.Rack = "west" },
		"its listener":   func(f *Fetch) { f.Client = ClientInfo{Rack: "west", Listener: "OTHER"} },
		"beyond its end": func(f *Fetch) { f.Client.Rack = "west"; f.Partitions[0].FetchOffset = 2 },
	} {
		if p := &b.fetch(1, change).Partitions[0]; p.PreferredReadReplica != -1 {
			t.Errorf("%s: sent to %d", name, p.PreferredReadReplica)
		}
	}
	// A replica that is out of sync may have records that no reader may see.
	b.lead(2, []int32{ourID, 2}, ourID)
	b.fetch(1, asFollower(2))
	if p := &b.fetch(1, from("west")).Partitions[0]; p.PreferredReadReplica != -1 {
		t.Errorf("sent to %d, which is out of sync", p.PreferredReadReplica)
	}
}

func TestOldConsumersGetOldFormats(t *testing.T) {
	b := alone(t)
	b.mustProduce(2)
	for version, magic := range map[int16]int8{0: 0, 1: 0, 2: 1, 3: 1, 4: 2} {
		f := b.fetch(0, func(f *Fetch) { f.Version = version })
		if _, code := f.Finish(); code != protocol.None {
			t.Fatal(code)
		}
		p := &f.Partitions[0]
		set := p.Converted
		if set == nil {
			set = make([]byte, p.Data.Length)
			if _, err := p.Data.File.ReadAt(set, p.Data.Position); err != nil {
				t.Fatal(err)
			}
		}
		if got := set[record.MagicPosition]; int8(got) != magic {
			t.Errorf("v%d: magic %d, want %d", version, got, magic)
		}
		if got := offsets(t, p); !slices.Equal(got, []record.Offset{0, 1}) {
			t.Errorf("v%d: offsets %v", version, got)
		}
	}
}

func (b *testBroker) configure(change func(*settings.Topic)) {
	c := *b.topicDefaults()
	change(&c)
	b.topics[testTopic] = &c
	b.logs.SetTopicConfig(testTopic, &c)
}

func TestRefusedDownConversions(t *testing.T) {
	b := alone(t)
	b.mustProduce(2)
	code := func(version int16) protocol.ErrorCode {
		f := b.fetch(0, func(f *Fetch) { f.Version = version })
		f.Finish()
		return f.Partitions[0].Code
	}
	b.configure(func(c *settings.Topic) { c.DownConversionEnable = false })
	if got := code(3); got != protocol.UnsupportedVersion {
		t.Errorf("message.downconversion.enable=false: %s", got)
	}
	if got := code(4); got != protocol.None {
		t.Errorf("v4 needs no conversion: %s", got)
	}
	b.configure(func(c *settings.Topic) { c.CompressionType = "zstd" })
	for version, want := range map[int16]protocol.ErrorCode{3: protocol.UnsupportedCompressionType, 9: protocol.UnsupportedCompressionType, 10: protocol.None} {
		if got := code(version); got != want {
			t.Errorf("compression.type=zstd, v%d: %s, want %s", version, got, want)
		}
	}
}

func TestZstdBatchIsSentUnchangedButNotConverted(t *testing.T) {
	b := alone(t)
	p := b.NewProduce()
	p.Version, p.Acks = 9, 1
	p.Add(testTopic, 0, batch(t, 2, func(o *record.Options) { o.Codec = record.Zstd }))
	p.Append()
	wantCode(t, "produce", p.Partitions[0].Err, protocol.None)
	for version, want := range map[int16]protocol.ErrorCode{3: protocol.UnsupportedCompressionType, 4: protocol.None, 9: protocol.None} {
		f := b.fetch(0, func(f *Fetch) { f.Version = version })
		f.Finish()
		if got := f.Partitions[0].Code; got != want {
			t.Errorf("v%d: %s, want %s", version, got, want)
		}
	}
}

func TestStorageErrorIsAnotherCodeForOldClients(t *testing.T) {
	b := alone(t)
	b.dirFailed(testDir)
	for version, want := range map[int16]protocol.ErrorCode{5: protocol.NotLeaderOrFollower, 6: protocol.KafkaStorageError} {
		f := b.fetch(0, func(f *Fetch) { f.Version = version })
		f.Finish()
		if got := f.Partitions[0].Code; got != want {
			t.Errorf("v%d: %s, want %s", version, got, want)
		}
	}
}

func TestReadCommittedListsAbortedTransactions(t *testing.T) {
	b := alone(t)
	b.mustProduce(1)
	f := b.fetch(0, func(f *Fetch) { f.ReadCommitted = true })
	if p := &f.Partitions[0]; !p.AbortedListed || len(p.Data.Aborted) != 0 {
		t.Errorf("%+v", p)
	}
	if p := &b.fetch(0).Partitions[0]; p.AbortedListed {
		t.Error("read_uncommitted lists aborted transactions")
	}
}

func TestIncrementalReadsReturnOnlyChanges(t *testing.T) {
	b := alone(t)
	f := b.newFetch(0, func(f *Fetch) { f.SessionEpoch = 0 })
	f.Read()
	id, code := f.Finish()
	if code != protocol.None || id == 0 {
		t.Fatalf("session %d, %s", id, code)
	}
	next := func(epoch int32) *Fetch {
		f := b.NewFetch()
		f.Version, f.ReplicaID, f.MinBytes, f.MaxBytes = 17, consumerReplica, 1, 1<<20
		f.SessionID, f.SessionEpoch = id, epoch
		if code := f.Begin(); code != protocol.None {
			t.Fatal(code)
		}
		f.Read()
		if _, code := f.Finish(); code != protocol.None {
			t.Fatal(code)
		}
		t.Cleanup(f.releaseData)
		return f
	}
	if f := next(1); len(f.Partitions) != 1 || !f.Partitions[0].Omitted {
		t.Errorf("nothing new: %+v", f.Partitions)
	}
	b.mustProduce(1)
	if f := next(2); f.Partitions[0].Omitted || f.Partitions[0].Data.Length == 0 {
		t.Errorf("new records: %+v", f.Partitions)
	}
}

// A fetch waits for a session that a full fetch closes, or that a later request takes over, for
// example after a lost connection. The wait must end.
func TestAParkedFetchEndsWithItsSession(t *testing.T) {
	for what, c := range map[string]struct {
		epoch int32 // epoch of the request that ends the wait
		want  protocol.ErrorCode
	}{
		"closed":     {finalSessionEpoch, protocol.None},
		"taken over": {2, protocol.InvalidFetchSessionEpoch},
	} {
		t.Run(what, func(t *testing.T) {
			b := alone(t)
			f := b.newFetch(0, func(f *Fetch) { f.SessionEpoch = initialSessionEpoch })
			f.Read()
			id, _ := f.Finish()
			session := b.sessions.shardOf(id).sessions[id]
			fetch := func(epoch int32) (*Fetch, <-chan struct{}) {
				f := b.NewFetch()
				f.Version, f.ReplicaID, f.MinBytes, f.MaxBytes, f.MaxWait = 17, consumerReplica, 1, 1<<20, waitTime
				done := make(chan struct{})
				f.Done = done
				t.Cleanup(func() { close(done) })
				f.SessionID, f.SessionEpoch = id, epoch
				if code := f.Begin(); code != protocol.None {
					t.Fatal(code)
				}
				answered := make(chan struct{})
				go func() { f.Read(); close(answered) }()
				return f, answered
			}
			first, answered := fetch(1)
			eventually(t, "the wait for the session", func() bool {
				session.changes.mu.Lock()
				defer session.changes.mu.Unlock()
				return session.changes.waiter != nil
			})
			fetch(c.epoch)
			within(t, "the first fetch's answer", answered)
			if _, code := first.Finish(); code != c.want {
				t.Errorf("%s, want %s", code, c.want)
			}
		})
	}
}

// A read_committed consumer reads only up to the first open transaction.
func TestReadCommittedEndsBeforeAnOpenTransaction(t *testing.T) {
	b := withOpenTransaction(t)
	committed := func(f *Fetch) { f.ReadCommitted = true }
	if got := offsets(t, &b.fetch(0, committed).Partitions[0]); !slices.Equal(got, []record.Offset{0}) {
		t.Errorf("read_committed while the transaction is open: %v", got)
	}
	if got := offsets(t, &b.fetch(0).Partitions[0]); !slices.Equal(got, []record.Offset{0, 1, 2}) {
		t.Errorf("read_uncommitted while the transaction is open: %v", got)
	}
	answered := b.wait(1, committed)
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = 7, 0
	marker, err := record.EndTxnMarker(o, record.Commit, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.partition().AppendAsLeader(marker, nil, -1); err != nil {
		t.Fatal(err)
	}
	f := within(t, "the fetch's answer", answered)
	if got := f.Partitions[0]; got.Data.Length == 0 || got.LastStable != 4 {
		t.Errorf("after the marker: %d bytes, last stable offset %d", got.Data.Length, got.LastStable)
	}
}

func TestAParkedFetchIsFencedByANewEpoch(t *testing.T) {
	b := withFollower(t)
	answered := b.wait(0, asFollower(2), inEpoch(1))
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2)
	if f := within(t, "the fetch's answer", answered); f.Partitions[0].Code != protocol.FencedLeaderEpoch {
		t.Errorf("%s", f.Partitions[0].Code)
	}
}

func TestLeaderAndIsrThatMovesTheHighWatermarkWakesAWaitingProduce(t *testing.T) {
	b := withFollower(t)
	p := b.produce(-1, 2)
	if !p.Waits() {
		t.Fatal("does not wait")
	}
	answered := b.waitFor(p)
	b.lead(2, []int32{ourID, 2, 3}, ourID) // broker 2 is dead
	within(t, "the produce response", answered)
	wantCode(t, "produce", p.Partitions[0].Err, protocol.None)
}

// A consumer at a follower waits at the end of the log while the log is truncated.
func TestATruncationWakesAParkedFetch(t *testing.T) {
	for what, c := range map[string]struct {
		lastEpoch int32 // of the consumer
		refill    int
		want      func(*PartitionFetch) bool
	}{
		"shorter": {int32(metadata.NoLeaderEpoch), 1, func(p *PartitionFetch) bool { return p.Code == protocol.OffsetOutOfRange }},
		"same length": {3, 2, func(p *PartitionFetch) bool {
			return p.HasDiverged && p.Diverged.Epoch == 3 && p.Diverged.EndOffset == 2
		}},
		"longer, no epoch": {int32(metadata.NoLeaderEpoch), 3, func(p *PartitionFetch) bool { return p.Code == protocol.None && p.Data.Length > 0 }},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := playLeader(t)
			l.nextFetch().send(append(batch(t, 2, at(0, 3)), batch(t, 2, at(2, 3))...), 4)
			answered := l.wait(4, func(f *Fetch) { f.Partitions[0].LastFetchedEpoch = metadata.LeaderEpoch(c.lastEpoch) })
			l.announce(4)
			synctest.Wait() // the consumer has looked and found nothing
			l.nextFetch().answer(func(p *kmsg.FetchResponseTopicPartition) {
				p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 3, 2
			})
			if l.logEnd() != 2 {
				t.Fatalf("log end %d after the truncation", l.logEnd())
			}
			l.nextFetch().send(batch(t, c.refill, at(2, 4)), record.Offset(2+c.refill))
			if f := within(t, "the fetch's answer", answered); !c.want(&f.Partitions[0]) {
				t.Errorf("%s: %+v", what, f.Partitions[0])
			}
		})
	}
}

// A truncation above the high watermark may remove the marker of a transaction, which moves the last
// stable offset.
func TestATruncationAboveTheHighWatermarkWakesConsumers(t *testing.T) {
	for what, truncate := range map[string]func(*Partition) error{
		"to an offset": func(p *Partition) error { return p.truncate(2, 3) },
		"fully":        func(p *Partition) error { return p.restartAt(0, 3) },
	} {
		b, p := followerOf2(t)
		if _, err := p.appendFetched(batch(t, 4, at(0, 3)), 0, 3, 2, 0); err != nil {
			t.Fatal(err)
		}
		parked := b.newFetch(2, func(f *Fetch) { f.ReadCommitted, f.MaxWait = true, waitTime }).Park()
		if parked == nil || parked.Woken() {
			t.Fatal("the fetch does not wait")
		}
		if err := truncate(p); err != nil {
			t.Fatal(err)
		}
		if len(parked.w.slot) == 0 {
			t.Errorf("%s: the truncation does not wake the fetch", what)
		}
	}
}

func TestADivergingFetchGetsTheOffsetsOfTheLog(t *testing.T) {
	b, _ := followerOf2(t)
	if _, err := b.partition().appendFetched(batch(t, 4, at(0, 3)), 0, 3, 4, 0); err != nil {
		t.Fatal(err)
	}
	b.lead(5, []int32{2, ourID}, ourID)
	f := b.fetch(6, asFollower(2), inEpoch(5), func(f *Fetch) { f.Partitions[0].LastFetchedEpoch = 3 })
	p := &f.Partitions[0]
	if !p.HasDiverged || p.Diverged != (protocol.EpochEndOffset{Epoch: 3, EndOffset: 4}) || p.HighWatermark != 4 || p.LastStable != 4 || p.LogStart != 0 {
		t.Errorf("%+v", p)
	}
}

func TestDownConversionKeepsNoLargeBuffer(t *testing.T) {
	b := alone(t)
	for range 3 {
		p := b.NewProduce()
		p.Version, p.Acks = 9, 1
		p.Add(testTopic, 0, batch(t, 30_000))
		p.Append()
		wantCode(t, "produce", p.Partitions[0].Err, protocol.None)
	}
	f := b.fetch(0, func(f *Fetch) { f.Version = 3; f.Partitions[0].MaxBytes = 1 << 30 })
	if f.Partitions[0].Data.Length <= scratchMax {
		t.Fatalf("%d bytes, want more than scratchMax", f.Partitions[0].Data.Length)
	}
	f.Finish()
	if cap(f.scratch) > scratchMax {
		t.Errorf("%d bytes are kept for the next fetch", cap(f.scratch))
	}
}
