// Package lag compares the offsets that consumer groups have committed with the ends of their
// partitions: how many records, and how much time, each group is behind. It works only when it is
// asked, so its cost follows the number of scrapes.
//
// Committed offsets are read first and the ends of the partitions after that, so a lag is never
// negative. Ends of partitions that other brokers lead are requested from their leaders.
//
// Goroutines: one per leader while its ends are requested. Locks: Ends.mu, a leaf.
package lag

import (
	"context"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// Committed is the offset that a group has committed for a partition.
type Committed struct {
	Partition TopicPartition
	Offset    record.Offset
}

// Group is a consumer group with its committed offsets.
type Group struct {
	Name    string
	Storage string // where the offsets are: kafka or zookeeper
	Members int
	Offsets []Committed
}

// Source lists consumer groups with at most limit committed offsets in all, and the number of
// offsets that it left out because of the limit.
type Source func(ctx context.Context, limit int) (groups []Group, leftOut int, err error)

// EndSource returns the ends of partitions as consumers see them: the high watermarks. Partitions
// whose end is not known in time are missing.
type EndSource interface {
	Ends(ctx context.Context, partitions []TopicPartition) map[TopicPartition]record.Offset
}

// Report is the lag of all groups at one moment.
type Report struct {
	Groups []GroupLag
	// OverLimit is the number of committed offsets that were left out because of Config.Limit.
	// WithoutEnd is the number of those that were left out because the end of the partition is not
	// known, for example while its leader cannot be reached. Failed is the number of sources that
	// could not be read.
	OverLimit, WithoutEnd, Failed int
}

// GroupLag is the lag of a group.
type GroupLag struct {
	Name, Storage string
	Members       int
	Partitions    []PartitionLag
}

// PartitionLag is the lag of a group in a partition.
type PartitionLag struct {
	Partition TopicPartition
	Committed record.Offset
	Records   int64         // from the committed offset to the end of the partition
	Time      time.Duration // since the next record to consume was written, see history
}

// Config holds what a Tracker needs.
type Config struct {
	Limit   int // of committed offsets in a report
	Sources []Source
	Ends    EndSource
	// Patience is how long a report waits for sources and leaders. A report is reused for the time
	// Fresh.
	Patience, Fresh time.Duration
	Now             func() time.Time // nil: time.Now
}

// Tracker makes reports. Create it with NewTracker.
type Tracker struct {
	cfg  Config
	turn chan struct{} // holds a token while a report is made; its holder owns the fields below

	ends map[TopicPartition]*history // of the partitions in the last report
	last *Report
	made time.Time
}

// NewTracker returns a tracker that has made no report.
func NewTracker(cfg Config) *Tracker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Tracker{cfg: cfg, turn: make(chan struct{}, 1), ends: map[TopicPartition]*history{}}
}

// Report returns a report that is at most Config.Fresh old. Callers must not change it. Concurrent
// callers share reports.
func (t *Tracker) Report() *Report {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.last != nil && t.cfg.Now().Sub(t.made) < t.cfg.Fresh {
		return t.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.cfg.Patience)
	defer cancel()
	t.last = t.report(ctx)
	t.made = t.cfg.Now()
	return t.last
}

func (t *Tracker) report(ctx context.Context) *Report {
	r := &Report{}
	groups := t.groups(ctx, r)
	ends := t.cfg.Ends.Ends(ctx, partitionsOf(groups))
	now := t.cfg.Now().UnixMilli()
	known := make(map[TopicPartition]*history, len(ends))
	for tp, end := range ends {
		h := t.ends[tp]
		if h == nil {
			h = &history{}
		}
		h.note(end, now)
		known[tp] = h
	}
	t.ends = known
	for _, g := range groups {
		lag := GroupLag{Name: g.Name, Storage: g.Storage, Members: g.Members, Partitions: make([]PartitionLag, 0, len(g.Offsets))}
		for _, c := range g.Offsets {
			end, ok := ends[c.Partition]
			if !ok {
				r.WithoutEnd++
				continue
			}
			lag.Partitions = append(lag.Partitions, PartitionLag{Partition: c.Partition, Committed: c.Offset,
				Records: int64(max(0, end-c.Offset)), Time: known[c.Partition].behind(c.Offset, now)})
		}
		r.Groups = append(r.Groups, lag)
	}
	return r
}

// groups returns the groups of all sources.
func (t *Tracker) groups(ctx context.Context, r *Report) (all []Group) {
	limit := t.cfg.Limit
	for _, source := range t.cfg.Sources {
		groups, leftOut, err := source(ctx, limit)
		if err != nil {
			r.Failed++
			continue
		}
		for _, g := range groups {
			limit -= len(g.Offsets)
		}
		all = append(all, groups...)
		r.OverLimit += leftOut
	}
	return all
}

// partitionsOf returns the partitions for which any group has committed, each once.
func partitionsOf(groups []Group) []TopicPartition {
	seen := map[TopicPartition]bool{}
	var all []TopicPartition
	for _, g := range groups {
		for _, c := range g.Offsets {
			if !seen[c.Partition] {
				seen[c.Partition] = true
				all = append(all, c.Partition)
			}
		}
	}
	return all
}
