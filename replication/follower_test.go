package replication

import (
	"errors"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// followerOf2 returns a broker that follows broker 2 in epoch 3. The test plays the leader.
func followerOf2(t *testing.T) (*testBroker, *Partition) {
	b := newTestBroker(t)
	b.know(2, ourID)
	b.fetchers.close()
	if code := b.control(roleOf(0, 2, 3, []int32{2, ourID}, 2, ourID)); code != protocol.None {
		t.Fatal(code)
	}
	return b, b.partition()
}

func at(base record.Offset, epoch int32) func(*record.Options) {
	return func(o *record.Options) { o.BaseOffset, o.LeaderEpoch = base, metadata.LeaderEpoch(epoch) }
}

func TestFollowerAdoptsRecordsAndHighWatermark(t *testing.T) {
	_, p := followerOf2(t)
	done, err := p.appendFetched(batch(t, 3, at(0, 3)), 0, 3, 99, 0)
	if err != nil || done.nextOffset != 3 || done.lastEpoch != 3 || done.events != logEndMoved|highWatermarkMoved {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := p.Log().Offsets(); got.LogEnd != 3 || got.HighWatermark != 3 {
		t.Errorf("%+v, want the high watermark at the log end", got)
	}
	done, err = p.appendFetched(nil, 3, 3, 3, 2)
	if err != nil || done.nextOffset != 3 || done.events != 0 {
		t.Errorf("empty response: %+v, %v", done, err)
	}
	if got := p.Log().Offsets().LogStart; got != 2 {
		t.Errorf("log start %d, want the leader's 2", got)
	}
}

func TestFollowerStopsIfOffsetsDoNotFit(t *testing.T) {
	_, p := followerOf2(t)
	if _, err := p.appendFetched(batch(t, 1, at(0, 3)), 4, 3, 0, 0); err == nil {
		t.Error("a response for another offset was appended")
	}
	if _, err := p.appendFetched(batch(t, 2, at(0, 3)), 0, 3, 2, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.appendFetched(batch(t, 2, at(1, 3)), 2, 3, 2, 0); err == nil {
		t.Error("a batch that begins before the log end was appended")
	}
	if _, err := p.appendFetched(nil, 2, 3, 2, 7); protocol.CodeOf(err) != protocol.OffsetOutOfRange {
		t.Errorf("a leader's log start above the high watermark: %v", err)
	}
}

func TestFollowerDropsResponsesAfterARoleChange(t *testing.T) {
	b, p := followerOf2(t)
	if _, err := p.appendFetched(nil, 0, 2, 0, 0); !errors.Is(err, errNotFollowing) {
		t.Errorf("a response in an older epoch: %v", err)
	}
	b.lead(4, []int32{2, ourID}, ourID)
	if _, err := p.appendFetched(batch(t, 1, at(0, 3)), 0, 3, 1, 0); !errors.Is(err, errNotFollowing) {
		t.Errorf("after becoming leader: %v", err)
	}
	if err := p.truncate(0, 3); !errors.Is(err, errNotFollowing) {
		t.Errorf("truncation after becoming leader: %v", err)
	}
	if err := p.restartAt(7, 3); !errors.Is(err, errNotFollowing) {
		t.Errorf("a restart of the log after becoming leader: %v", err)
	}
}

func TestPitfallReplication18_BatchesOfALaterEpochAreDropped(t *testing.T) {
	_, p := followerOf2(t)
	set := append(batch(t, 1, at(0, 3)), batch(t, 1, at(1, 4))...)
	set = append(set, batch(t, 1, at(2, 3))...)
	done, err := p.appendFetched(set, 0, 3, 0, 0)
	if err != nil || done.nextOffset != 1 {
		t.Errorf("%+v, %v; want only the first batch", done, err)
	}
}

func TestPitfallReplication09_FirstBatchMayBeginBeforeTheLogStart(t *testing.T) {
	_, p := followerOf2(t)
	if err := p.restartAt(2, 3); err != nil {
		t.Fatal(err)
	}
	done, err := p.appendFetched(batch(t, 5, at(0, 3)), 2, 3, 5, 2)
	if err != nil || done.nextOffset != 5 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := p.Log().Offsets(); got.LogStart != 2 || got.LogEnd != 5 || got.HighWatermark != 5 {
		t.Errorf("%+v", got)
	}
}

func TestFollowerStartsAtItsLogEndOnlyIfTheLeaderReportsDivergence(t *testing.T) {
	_, p := followerOf2(t)
	if f, ok := p.startFollowing(testTopicID, true); !ok || !f.truncating || f.offset != 0 {
		t.Errorf("a log without epochs: %+v", f)
	}
	if _, err := p.appendFetched(batch(t, 3, at(0, 3)), 0, 3, 1, 0); err != nil {
		t.Fatal(err)
	}
	if f, _ := p.startFollowing(testTopicID, true); f.truncating || f.offset != 3 || f.lastEpoch != 3 || f.epoch != 3 {
		t.Errorf("with epochs: %+v", f)
	}
	if f, _ := p.startFollowing(testTopicID, false); !f.truncating || f.offset != 1 {
		t.Errorf("old inter.broker.protocol.version: %+v, want truncation first, from the high watermark", f)
	}
}

func TestPitfallReplication16_EpochWithoutRecordsIsRemovedWhenAFollowerTruncatesToItsEnd(t *testing.T) {
	b := newTestBroker(t)
	b.know(2, ourID)
	b.fetchers.close()
	p := b.lead(3, []int32{2, ourID}, ourID) // no records in epoch 3
	if got := p.Log().LeaderEpoch(); got != 3 {
		t.Fatalf("latest epoch %d", got)
	}
	if code := b.control(roleOf(0, 2, 4, []int32{2, ourID}, 2)); code != protocol.None {
		t.Fatal(code)
	}
	if err := p.truncate(0, 4); err != nil {
		t.Fatal(err)
	}
	if got := p.Log().LeaderEpoch(); got != -1 {
		t.Errorf("latest epoch %d: the empty epoch of this broker's leadership is left", got)
	}
}

func TestFetchNamesTheFollowerInTheFieldOfItsVersion(t *testing.T) {
	b := newTestBroker(t)
	for version, inTag := range map[int16]bool{11: false, 12: false, 14: false, 15: true, 17: true} {
		b.opts.PeerVersions.Fetch = version
		f := newFetcher(b.fetchers, fetcherKey{leader: 2})
		req := f.request()
		named, tagged := req.ReplicaID == ourID, req.ReplicaState.ID == ourID
		if req.Version != version || named == inTag || tagged != inTag {
			t.Errorf("version %d, configured %d: ReplicaID %d, ReplicaState %+v", req.Version, version, req.ReplicaID, req.ReplicaState)
		}
	}
}
