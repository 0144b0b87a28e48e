package replication

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

const lagMaxMs = 30_000

func TestFetchOffsetDecidesWhetherAFollowerIsCaughtUp(t *testing.T) {
	start := progress{logEnd: 10, leaderEndAtLastFetch: 12, lastFetchMs: 1000, lastCaughtUpMs: 500}
	for _, c := range []struct {
		name              string
		offset, leaderEnd record.Offset
		caughtUp          int64
		leaderEndAt       record.Offset
	}{
		{"at the leader's end", 20, 20, 2000, 20},
		{"at the leader's end of the last fetch", 12, 20, 1000, 20},
		{"below the leader's end of the last fetch", 11, 20, 500, 20},
		{"the leader's end never decreases", 12, 11, 2000, 12},
	} {
		got := start.fetched(c.offset, 3, c.leaderEnd, 2000, -1)
		if got.lastCaughtUpMs != c.caughtUp || got.leaderEndAtLastFetch != c.leaderEndAt || got.logEnd != c.offset || got.logStart != 3 || got.lastFetchMs != 2000 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestPitfallReplication07_IdleFollowerAtLogEndStaysInSync(t *testing.T) {
	p := progress{logEnd: 7, lastCaughtUpMs: 0}
	if !p.caughtUp(7, 9*lagMaxMs) {
		t.Error("a follower that has everything but has not fetched for long is out of sync")
	}
	if p.caughtUp(8, 9*lagMaxMs) {
		t.Error("a follower that lacks a record and has not been caught up for long is in sync")
	}
	if !p.caughtUp(8, 0) {
		t.Error("a follower that was caught up just within the allowed lag is out of sync")
	}
}

func TestProgressAtTheStartOfAnEpoch(t *testing.T) {
	known := progress{logStart: 1, logEnd: 5, leaderEndAtLastFetch: 6, lastFetchMs: 10, lastCaughtUpMs: 10, brokerEpoch: 4}
	fresh := known.newEpoch(100, 9, false, true)
	if fresh.logEnd != record.NoOffset || fresh.logStart != record.NoOffset || fresh.leaderEndAtLastFetch != record.NoOffset || fresh.lastCaughtUpMs != 100 || fresh.lastFetchMs != 0 {
		t.Errorf("new leader, member of the ISR: %+v", fresh)
	}
	again := known.newEpoch(100, 9, true, false)
	if again.logEnd != 5 || again.logStart != 1 || again.leaderEndAtLastFetch != 9 || again.lastCaughtUpMs != 0 || again.lastFetchMs != 0 {
		t.Errorf("re-elected leader, not a member: %+v", again)
	}
}

func TestPendingChangeUsesTheLargerSetForTheHighWatermark(t *testing.T) {
	base := committedISR([]metadata.BrokerID{1, 2})
	grown := base.with(3)
	if !grown.pending() || !slices.Equal(grown.committed, []metadata.BrokerID{1, 2}) || !slices.Equal(grown.proposed, []metadata.BrokerID{1, 2, 3}) || !slices.Equal(grown.maximal, []metadata.BrokerID{1, 2, 3}) {
		t.Errorf("expand: %+v", grown)
	}
	shrunk := base.without([]metadata.BrokerID{2})
	if !shrunk.pending() || !slices.Equal(shrunk.committed, []metadata.BrokerID{1, 2}) || !slices.Equal(shrunk.proposed, []metadata.BrokerID{1}) || !slices.Equal(shrunk.maximal, []metadata.BrokerID{1, 2}) {
		t.Errorf("shrink: %+v", shrunk)
	}
	if base.pending() || len(base.committed) != 2 {
		t.Errorf("the base changed: %+v", base)
	}
}

func TestPitfallReplication06_FollowerBelowTheEpochStartMayNotJoin(t *testing.T) {
	const highWatermark, epochStart = 5, 8
	for logEnd, want := range map[record.Offset]bool{4: false, 5: false, 7: false, 8: true, 9: true} {
		if got := mayJoin(logEnd, highWatermark, epochStart); got != want {
			t.Errorf("a follower at %d joins: %t, want %t", logEnd, got, want)
		}
	}
	if mayJoin(9, 10, 8) {
		t.Error("a follower below the high watermark joins")
	}
}

func TestOutOfSyncListsLaggingAndUnassignedReplicasButNeverTheLeader(t *testing.T) {
	all := followers{
		{2, progress{logEnd: 10, lastCaughtUpMs: 0}},
		{3, progress{logEnd: 4, lastCaughtUpMs: 0}},
		{4, progress{logEnd: 4, lastCaughtUpMs: 90_000}},
	}
	got := outOfSync([]metadata.BrokerID{1, 2, 3, 4, 9}, 1, all, 10, 100_000-lagMaxMs)
	if !slices.Equal(got, []metadata.BrokerID{3, 9}) {
		t.Errorf("out of sync: %v, want [3 9]", got)
	}
}

func TestHighWatermarkIsTheLowestLogEndThatCounts(t *testing.T) {
	now := int64(100_000)
	lagging := func(end record.Offset) progress { return progress{logEnd: end} }
	recent := func(end record.Offset) progress { return progress{logEnd: end, lastCaughtUpMs: now - 1} }
	allAlive := func(metadata.BrokerID) bool { return true }
	noneAlive := func(metadata.BrokerID) bool { return false }
	for _, c := range []struct {
		name      string
		maximal   []metadata.BrokerID
		followers followers
		eligible  func(metadata.BrokerID) bool
		want      record.Offset
	}{
		{"leader alone", []metadata.BrokerID{1}, nil, allAlive, 10},
		{"an in-sync follower holds it back", []metadata.BrokerID{1, 2}, followers{{2, lagging(6)}}, allAlive, 6},
		{"an in-sync follower with unknown progress holds it back entirely", []metadata.BrokerID{1, 2}, followers{{2, lagging(record.NoOffset)}}, allAlive, record.NoOffset},
		{"an out-of-sync follower does not count", []metadata.BrokerID{1}, followers{{2, lagging(6)}}, allAlive, 10},
		{"a follower about to join counts", []metadata.BrokerID{1}, followers{{2, recent(6)}}, allAlive, 6},
		{"a dead follower does not join", []metadata.BrokerID{1}, followers{{2, recent(6)}}, noneAlive, 10},
		{"the lowest of several", []metadata.BrokerID{1, 2, 3}, followers{{2, lagging(9)}, {3, lagging(7)}}, allAlive, 7},
		{"an unassigned member is ignored", []metadata.BrokerID{1, 8}, followers{}, allAlive, 10},
	} {
		if got := highWatermarkCandidate(10, c.maximal, c.followers, c.eligible, now-lagMaxMs); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLowWatermarkCountsLiveFollowersOnly(t *testing.T) {
	all := followers{{2, progress{logStart: 3}}, {3, progress{logStart: 1}}}
	alive := func(id metadata.BrokerID) bool { return id == 2 }
	if got := lowWatermark(5, all, alive); got != 3 {
		t.Errorf("low watermark %d, want 3", got)
	}
	if got := lowWatermark(2, all, alive); got != 2 {
		t.Errorf("low watermark %d, want the leader's 2", got)
	}
}

func TestVerdictOnAlterPartitionResponses(t *testing.T) {
	for _, c := range []struct {
		answer ISRAnswer
		want   isrVerdict
	}{
		{ISRAnswer{LeaderEpoch: 3, PartitionEpoch: 8}, isrCommitted},
		{ISRAnswer{LeaderEpoch: 3, PartitionEpoch: 7}, isrCommitted},
		{ISRAnswer{LeaderEpoch: 3, PartitionEpoch: 6}, isrOutdated},
		{ISRAnswer{LeaderEpoch: 4, PartitionEpoch: 8}, isrOutdated},
		{ISRAnswer{Err: protocol.IneligibleReplica}, isrRefused},
		{ISRAnswer{Err: protocol.OperationNotAttempted}, isrRefused},
		{ISRAnswer{Err: protocol.UnknownTopicOrPartition}, isrUnknown},
		{ISRAnswer{Err: protocol.UnknownTopicID}, isrUnknown},
		{ISRAnswer{Err: protocol.FencedLeaderEpoch}, isrUnknown},
		{ISRAnswer{Err: protocol.InvalidUpdateVersion}, isrUnknown},
		{ISRAnswer{Err: protocol.InvalidRequest}, isrUnknown},
		{ISRAnswer{Err: protocol.NewLeaderElected}, isrUnknown},
		{ISRAnswer{Err: protocol.UnknownServerError}, isrResend},
	} {
		if got := judgeISRAnswer(c.answer, 3, 7); got != c.want {
			t.Errorf("%+v: verdict %d, want %d", c.answer, got, c.want)
		}
	}
}

func TestEffectiveMinISRIsCappedAtTheNumberOfReplicas(t *testing.T) {
	if effectiveMinISR(3, 1) != 1 || effectiveMinISR(2, 3) != 2 {
		t.Error("min.insync.replicas is not the minimum of the setting and the number of replicas")
	}
}
