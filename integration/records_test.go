package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// The isolation levels of a consumer.
const (
	uncommitted = "read_uncommitted"
	committed   = "read_committed"
)

func isolationLevel(level string) kgo.IsolationLevel {
	if level == committed {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}

// readPartitions reads partition 0 of each topic from its start to the end that is visible at the
// isolation level. It returns one line per record, without control records.
func readPartitions(t testing.TB, address, level string, topics ...string) map[string][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	starts := map[string]map[int32]kgo.Offset{}
	for _, topic := range topics {
		starts[topic] = map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumePartitions(starts), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(isolationLevel(level)), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends := endOffsets(ctx, t, client, level, topics)
	lines := map[string][]string{}
	var unread []string
	for {
		unread = unread[:0]
		for _, topic := range topics {
			if ends[topic] > 0 {
				unread = append(unread, topic)
			}
		}
		if len(unread) == 0 {
			return lines
		}
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%s from %s: %v; unread topics: %v", level, address, err, unread)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= ends[r.Topic]-1 {
				ends[r.Topic] = 0
			}
			if !r.Attrs.IsControl() {
				lines[r.Topic] = append(lines[r.Topic], recordLine(r))
			}
		})
	}
}

// endOffsets waits until every topic has a leader and returns the end offset of each topic that is
// not empty.
func endOffsets(ctx context.Context, t testing.TB, client *kgo.Client, level string, topics []string) map[string]int64 {
	t.Helper()
	admin := kadm.NewClient(client)
	list := admin.ListEndOffsets
	if level == committed {
		list = admin.ListCommittedOffsets
	}
	var starts, ends kadm.ListedOffsets
	testkit.Eventually(t, 30*time.Second, "offsets of all topics", func() bool {
		var err error
		if starts, err = admin.ListStartOffsets(ctx, topics...); err != nil || starts.Error() != nil {
			return false
		}
		ends, err = list(ctx, topics...)
		return err == nil && ends.Error() == nil
	})
	left := map[string]int64{}
	for _, topic := range topics {
		start, _ := starts.Lookup(topic, 0)
		if end, _ := ends.Lookup(topic, 0); end.Offset > start.Offset {
			left[topic] = end.Offset
		}
	}
	return left
}

// recordLine formats a record for comparisons with dumps, whose records are converted to the same
// form.
func recordLine(r *kgo.Record) string {
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = h.Key
	}
	timestamp := r.Timestamp.UnixMilli()
	if r.Attrs.TimestampType() < 0 {
		timestamp = -1
	}
	return fmt.Sprintf("offset=%d timestamp=%d headers=[%s] key=%s value=%s",
		r.Offset, timestamp, strings.Join(headers, ","), bytesText(r.Key), bytesText(r.Value))
}

func bytesText(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%d:%s", len(b), b)
}

// firstDifference describes the first difference between two lists, "" if they are equal.
func firstDifference(have, want []string) string {
	for i := range max(len(have), len(want)) {
		h, w := "nothing", "nothing"
		if i < len(have) {
			h = have[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if h != w {
			return fmt.Sprintf("%d lines, want %d; line %d:\n have %s\n want %s", len(have), len(want), i, h, w)
		}
	}
	return ""
}
