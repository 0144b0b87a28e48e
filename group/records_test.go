package group

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// A record's version decides which of its fields are read.
func TestFieldsOfAnOffsetAreReadFromTheirVersionOn(t *testing.T) {
	for version, want := range map[int16]CommittedOffset{
		1: {Offset: 5, LeaderEpoch: -1, Metadata: "m", CommittedMs: 7, ExpiresMs: 9},
		2: {Offset: 5, LeaderEpoch: -1, Metadata: "m", CommittedMs: 7, ExpiresMs: noExpiry},
		3: {Offset: 5, LeaderEpoch: 4, Metadata: "m", CommittedMs: 7, ExpiresMs: noExpiry},
	} {
		v := CommittedOffset{Offset: 5, LeaderEpoch: 4, Metadata: "m", CommittedMs: 7, ExpiresMs: noExpiry}
		if version == 1 {
			v.ExpiresMs = 9
		}
		got, err := parseOffset(formats{offset: version}.appendOffset(nil, &v))
		if err != nil || got != want {
			t.Errorf("v%d: %+v, %v; want %+v", version, got, err, want)
		}
	}
}

func TestATruncatedSubscriptionIsRefused(t *testing.T) {
	whole := []byte{0, 0, 0, 0, 0, 2, 0, 1, 'a', 0, 0}
	for n := range len(whole) + 1 {
		topics := map[string]bool{}
		err := readSubscription(whole[:n], topics)
		if complete := n == len(whole); (err == nil) != complete {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		} else if complete && (len(topics) != 2 || !topics["a"] || !topics[""]) {
			t.Errorf("topics %v", topics)
		}
	}
	if err := readSubscription([]byte{0, 0, 0, 0, 0, 0}, map[string]bool{}); err != nil {
		t.Errorf("no topics: %v", err)
	}
	for what, b := range map[string][]byte{
		"a negative version":        {0xff, 0xff, 0, 0, 0, 0},
		"a negative number":         {0, 0, 0xff, 0xff, 0xff, 0xff},
		"a name of negative length": {0, 0, 0, 0, 0, 1, 0xff, 0xff},
	} {
		if err := readSubscription(b, map[string]bool{}); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

// A partition is read in pieces of offsets.load.buffer.size, whose last batch may be incomplete. A
// larger batch is read as a whole and causes a warning.
func TestAPartitionIsLoadedInSmallPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions()
		o.LoadBuffer = 250
		c, lines := leading(t, topictest.New(), o)
		defer c.Stop()
		var want []string
		for i := range int32(9) {
			commit := commitOf("t", i, record.Offset(i)+10)
			if large := map[int32]int{4: 1000, 5: 1100, 6: 900}[i]; large > 0 {
				commit.Offset.Metadata = strings.Repeat("m", large)
			}
			if codes := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commit}}); codes[0] != protocol.None {
				t.Fatal(codes)
			}
			want = append(want, fmt.Sprintf("t-%d=%d", i, i+10))
		}
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		c.Resigned(partition, 1)
		c.BecameLeader(partition, 2)
		awaitLoaded(c)
		if got := fetched(t, c, "g"); got != strings.Join(want, " ") {
			t.Errorf("loaded %s, want %s", got, want)
		}
		synctest.Wait()
		if n := strings.Count(lines.String(), "with buffer larger"); n != 2 {
			t.Errorf("%d warnings about a larger buffer, want one each time it grows:\n%s", n, lines)
		}
	})
}

// The records of groups in a partition that a real broker wrote are written again with the same
// bytes. Among them is that of a group without members, whose leader and protocol are null.
func TestGroupsAreWrittenAsARealBrokerWritesThem(t *testing.T) {
	members, empty := 0, 0
	for rest := golden.Read(t, "logdir-3.9.1/clean/__consumer_offsets-0/00000000000000000000.log"); len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil || b == nil {
			t.Fatal(err)
		}
		if rest = next; b.IsControl() {
			continue
		}
		err = b.Each(func(r *record.Record) error {
			key, err := parseKey(r.Key)
			if err != nil || !key.isGroup || r.Value == nil {
				return err
			}
			g, err := parseGroup(key.group, Rules{MaxSize: 10}, r.Value)
			if err != nil {
				return err
			}
			version, err := valueVersion(r.Value)
			if err != nil {
				return err
			}
			if g.members.size == 0 {
				empty++
			} else {
				members++
			}
			if got := (formats{group: version}).appendGroup(nil, g, g.store(assignment)); !bytes.Equal(got, r.Value) {
				t.Errorf("group %s, generation %d:\n%q, want\n%q", key.group, g.generation, got, r.Value)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if members == 0 || empty == 0 {
		t.Errorf("%d records of groups with members and %d without", members, empty)
	}
}
