package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupHistory is the history of the groups as the offsets topic records it.
type groupHistory struct {
	groups  map[string]*groupState
	wrong   []string
	commits int
}

type groupState struct {
	generation int32
	owners     map[string]string // "topic-partition" -> its owner in the generation
	committed  map[string]int64  // "topic-partition" -> the last commit
	before     map[string]int64  // committed at the start of the generation
}

// floor returns the offset below which a commit of tp must not go. A kafka-go reader that lost its
// coordinator still hands out the records it has buffered, commits them in the next generation, and
// then commits what it reads again from the committed offset. Its commits may go back, but not
// below the offset at the start of the generation.
func (g *groupState) floor(group, tp string) int64 {
	if strings.HasPrefix(group, "kafka-go") {
		return g.before[tp]
	}
	return g.committed[tp]
}

func newGroupHistory() *groupHistory { return &groupHistory{groups: map[string]*groupState{}} }

func (h *groupHistory) of(group string) *groupState {
	if h.groups[group] == nil {
		h.groups[group] = &groupState{owners: map[string]string{}, committed: map[string]int64{}}
	}
	return h.groups[group]
}

// take adds one record to the history. It notes an error if a committed offset or a generation goes
// back, or if a partition has two owners in one generation.
func (h *groupHistory) take(key, value []byte) error {
	if len(key) < 2 {
		return fmt.Errorf("the key has only %d bytes", len(key))
	}
	switch key[1] {
	case 0, 1:
		k, v := kmsg.NewOffsetCommitKey(), kmsg.NewOffsetCommitValue()
		if err := k.ReadFrom(key); err != nil {
			return err
		}
		tp := fmt.Sprintf("%s-%d", k.Topic, k.Partition)
		g := h.of(k.Group)
		if value == nil {
			delete(g.committed, tp)
			return nil
		}
		if err := v.ReadFrom(value); err != nil {
			return err
		}
		h.commits++
		if last := g.floor(k.Group, tp); v.Offset < last {
			h.wrong = append(h.wrong, fmt.Sprintf("group %s committed %d of %s after %d", k.Group, v.Offset, tp, last))
		}
		g.committed[tp] = v.Offset
	case 2:
		k, v := kmsg.NewGroupMetadataKey(), kmsg.NewGroupMetadataValue()
		if err := k.ReadFrom(key); err != nil || value == nil {
			return err
		}
		if err := v.ReadFrom(value); err != nil {
			return err
		}
		return h.takeGroup(k.Group, &v)
	}
	return nil
}

func (h *groupHistory) takeGroup(group string, v *kmsg.GroupMetadataValue) error {
	g := h.of(group)
	if v.Generation < g.generation {
		h.wrong = append(h.wrong, fmt.Sprintf("generation %d of group %s follows generation %d", v.Generation, group, g.generation))
	}
	if v.Generation != g.generation {
		g.generation, g.owners, g.before = v.Generation, map[string]string{}, maps.Clone(g.committed)
	}
	for _, m := range v.Members {
		who := m.MemberID
		if m.InstanceID != nil { // a static member may return under another id
			who = "instance " + *m.InstanceID
		}
		var a kmsg.ConsumerMemberAssignment
		if len(m.Assignment) == 0 {
			continue
		}
		if err := a.ReadFrom(m.Assignment); err != nil {
			return fmt.Errorf("the assignment of %s in group %s: %w", who, group, err)
		}
		for _, t := range a.Topics {
			for _, p := range t.Partitions {
				tp := fmt.Sprintf("%s-%d", t.Topic, p)
				if other := g.owners[tp]; other != "" && other != who {
					h.wrong = append(h.wrong, fmt.Sprintf("%s belongs to %s and to %s in generation %d of group %s", tp, other, who, v.Generation, group))
				}
				g.owners[tp] = who
			}
		}
	}
	return nil
}

// checkGroups reads the offsets topic through a broker and fails the test if the groups' history is
// wrong.
func checkGroups(t testing.TB, partitions int32, groups []string, seeds ...string) *groupHistory {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	starts := map[int32]kgo.Offset{}
	for p := range partitions {
		starts[p] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(seeds...), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"__consumer_offsets": starts}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	left := partitionEnds(ctx, t, client, "__consumer_offsets", partitions)
	h := newGroupHistory()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("reading the offsets topic did not reach the ends %v within a minute", left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if err := h.take(r.Key, r.Value); err != nil {
				t.Errorf("record %d of __consumer_offsets-%d: %v", r.Offset, r.Partition, err)
			}
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
		})
	}
	for i, wrong := range h.wrong {
		if i < 20 {
			t.Error(wrong)
		}
	}
	for _, group := range groups {
		if g := h.groups[group]; g == nil || g.generation == 0 || len(g.committed) == 0 {
			t.Errorf("the offsets topic has no complete history of group %s: %+v", group, g)
		} else {
			t.Logf("group %s: generation %d", group, g.generation)
		}
	}
	t.Logf("checked %d commits", h.commits)
	return h
}

func TestTheGroupHistoryDetectsTwoOwnersAndOffsetsThatGoBack(t *testing.T) {
	group := "g"
	commit := func(h *groupHistory, offset int64) {
		k, v := kmsg.NewOffsetCommitKey(), kmsg.NewOffsetCommitValue()
		k.Version, k.Group, k.Topic = 1, group, "t"
		v.Version, v.Offset = 3, offset
		if err := h.take(k.AppendTo(nil), v.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
	}
	generation := func(h *groupHistory, n int32, owners ...string) {
		k, v := kmsg.NewGroupMetadataKey(), kmsg.NewGroupMetadataValue()
		k.Version, k.Group, v.Version, v.ProtocolType, v.Generation = 2, group, 3, "consumer", n
		for _, owner := range owners {
			id, instance, _ := strings.Cut(owner, "/")
			var a kmsg.ConsumerMemberAssignment
			a.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: []int32{0}}}
			m := kmsg.NewGroupMetadataValueMember()
			m.MemberID, m.Assignment = id, a.AppendTo(nil)
			if instance != "" {
				m.InstanceID = &instance
			}
			v.Members = append(v.Members, m)
		}
		if err := h.take(k.AppendTo(nil), v.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		play func(h *groupHistory)
		want []string
	}{
		{func(h *groupHistory) { commit(h, 1); commit(h, 1); commit(h, 5) }, nil},
		{func(h *groupHistory) { commit(h, 5); commit(h, 4) }, []string{"committed 4 of t-0 after 5"}},
		{func(h *groupHistory) { generation(h, 1, "a"); generation(h, 2, "b") }, nil},
		{func(h *groupHistory) { generation(h, 1, "a"); generation(h, 1, "b") }, []string{"belongs to a and to b"}},
		{func(h *groupHistory) { generation(h, 1, "a", "b") }, []string{"belongs to a and to b"}},
		{func(h *groupHistory) { generation(h, 1, "a/x"); generation(h, 1, "b/x") }, nil},
		{func(h *groupHistory) { generation(h, 2, "a"); generation(h, 1, "a") }, []string{"generation 1 of group g follows generation 2"}},
		{func(h *groupHistory) {
			group = "kafka-go"
			commit(h, 3)
			generation(h, 1, "a")
			commit(h, 5)
			commit(h, 4)
		}, nil},
		{func(h *groupHistory) { commit(h, 5); generation(h, 1, "a"); commit(h, 4) }, []string{"committed 4 of t-0 after 5"}},
	} {
		h := newGroupHistory()
		c.play(h)
		if len(h.wrong) != len(c.want) || len(c.want) > 0 && !slices.ContainsFunc(h.wrong, func(w string) bool { return strings.Contains(w, c.want[0]) }) {
			t.Errorf("found %v, want %v", h.wrong, c.want)
		}
	}
}
