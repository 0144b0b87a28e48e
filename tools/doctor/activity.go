package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/client"
)

// groupFacts are what two looks at a group have shown.
type groupFacts struct {
	id          string
	coordinator metadata.BrokerID
	looks       [2]groupLook
	lag         [2]int64                        // of all partitions with a committed offset
	lost        []client.TopicPartition         // whose committed offset is below the start of the log
	behind      map[client.TopicPartition]int64 // lag at the second look, if it is not 0
}

// groupLook is the state of a group at one moment.
type groupLook struct {
	state     string
	members   []string // sorted
	committed map[client.TopicPartition]int64
}

// offsets are those of a partition at one moment; -1 if the leader did not report them.
type offsets struct{ start, stable, end int64 }

// openTransaction is a partition whose last stable offset did not move between two looks although
// there are records after it.
type openTransaction struct {
	partition client.TopicPartition
	producer  int64 // id of the producer; -1: not known
	start     int64 // first offset of the transaction; -1: not known
	last      time.Time
}

// transactionFacts are a transaction that its coordinator knows as unfinished.
type transactionFacts struct {
	id, state string
	producer  int64
	began     time.Time
	timeout   time.Duration
}

// watchActivity looks twice at groups and at the ends of partitions.
func (e *examination) watchActivity(ctx context.Context) {
	byID := map[string]*groupFacts{}
	var before map[client.TopicPartition]offsets
	for look := range 2 {
		e.lookAtGroups(ctx, look, byID)
		now := e.readOffsets(ctx)
		for _, g := range byID {
			g.measure(look, now)
		}
		if look == 1 {
			e.cluster.open = e.stuck(ctx, before, now)
			break
		}
		before = now
		select {
		case <-time.After(e.watch):
		case <-ctx.Done():
			return
		}
	}
	for _, g := range byID {
		e.cluster.groups = append(e.cluster.groups, g)
	}
	slices.SortFunc(e.cluster.groups, func(a, b *groupFacts) int { return strings.Compare(a.id, b.id) })
	e.readTransactions(ctx)
}

// lookAtGroups asks each broker for the consumer groups that it coordinates.
func (e *examination) lookAtGroups(ctx context.Context, look int, byID map[string]*groupFacts) {
	for _, b := range e.brokers {
		if !b.reach.isBroker() {
			continue
		}
		listed, err := ask[*kmsg.ListGroupsResponse](ctx, b.reach.link, kmsg.NewPtrListGroupsRequest(), 4)
		if err != nil || listed.ErrorCode != 0 {
			continue
		}
		req := kmsg.NewPtrDescribeGroupsRequest()
		for _, g := range listed.Groups {
			if g.ProtocolType == "consumer" || g.ProtocolType == "" {
				req.Groups = append(req.Groups, g.Group)
			}
		}
		if req.Groups == nil {
			continue
		}
		described, err := ask[*kmsg.DescribeGroupsResponse](ctx, b.reach.link, req, 5)
		if err != nil {
			continue
		}
		for _, d := range described.Groups {
			if d.ErrorCode != 0 {
				continue
			}
			g := byID[d.Group]
			if g == nil {
				g = &groupFacts{id: d.Group}
				byID[d.Group] = g
			}
			g.coordinator = b.id
			l := groupLook{state: d.State, committed: b.committed(ctx, d.Group)}
			for _, m := range d.Members {
				l.members = append(l.members, m.MemberID)
			}
			slices.Sort(l.members)
			g.looks[look] = l
		}
	}
}

// committed returns the committed offsets of a group that the broker coordinates.
func (b *brokerFacts) committed(ctx context.Context, group string) map[client.TopicPartition]int64 {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.Topics = group, nil
	resp, err := ask[*kmsg.OffsetFetchResponse](ctx, b.reach.link, req, 7)
	if err != nil {
		return nil
	}
	found := map[client.TopicPartition]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Offset >= 0 {
				found[client.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = p.Offset
			}
		}
	}
	return found
}

// readOffsets asks the leaders of all partitions for their offsets.
func (e *examination) readOffsets(ctx context.Context) map[client.TopicPartition]offsets {
	found := map[client.TopicPartition]offsets{}
	byLeader := map[int32][]client.TopicPartition{}
	for _, t := range e.cluster.topics {
		for _, p := range t.Partitions {
			byLeader[p.Leader] = append(byLeader[p.Leader], client.TopicPartition{Topic: *t.Topic, Partition: p.Partition})
		}
	}
	for _, b := range e.brokers {
		led := byLeader[int32(b.id)]
		if !b.reach.isBroker() || led == nil {
			continue
		}
		starts := b.listOffsets(ctx, led, client.EarliestOffset, 0)
		ends := b.listOffsets(ctx, led, client.LatestOffset, 0)
		stable := b.listOffsets(ctx, led, client.LatestOffset, 1)
		for tp, end := range ends {
			o := offsets{-1, -1, end}
			if n, ok := starts[tp]; ok {
				o.start = n
			}
			if n, ok := stable[tp]; ok {
				o.stable = n
			}
			found[tp] = o
		}
	}
	return found
}

// listOffsets asks a leader for the offsets of partitions. isolation is 1 for the last stable
// offset instead of the high watermark.
func (b *brokerFacts) listOffsets(ctx context.Context, partitions []client.TopicPartition, when int64, isolation int8) map[client.TopicPartition]int64 {
	req := client.ListOffsetsRequest(partitions, when)
	req.IsolationLevel = isolation
	resp, err := ask[*kmsg.ListOffsetsResponse](ctx, b.reach.link, req, 7)
	if err != nil {
		return nil
	}
	found := map[client.TopicPartition]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				found[client.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = p.Offset
			}
		}
	}
	return found
}

// measure computes the lag of a group at a look.
func (g *groupFacts) measure(look int, now map[client.TopicPartition]offsets) {
	g.lost, g.behind = nil, map[client.TopicPartition]int64{}
	g.lag[look] = 0
	for tp, committed := range g.looks[look].committed {
		o, known := now[tp]
		if !known {
			continue
		}
		if behind := o.end - committed; behind > 0 {
			g.lag[look] += behind
			g.behind[tp] = behind
		}
		if committed < o.start {
			g.lost = append(g.lost, tp)
		}
	}
	slices.SortFunc(g.lost, client.ComparePartitions)
}

// stuck returns the partitions whose last stable offset stayed below the end between two looks,
// with the producer whose transaction begins there.
func (e *examination) stuck(ctx context.Context, before, now map[client.TopicPartition]offsets) []openTransaction {
	var list []openTransaction
	for tp, o := range now {
		if b, seen := before[tp]; seen && o.stable >= 0 && o.stable < o.end && b.stable == o.stable {
			list = append(list, openTransaction{partition: tp, producer: -1, start: -1})
		}
	}
	slices.SortFunc(list, func(a, b openTransaction) int { return client.ComparePartitions(a.partition, b.partition) })
	for i := range list {
		e.findProducer(ctx, &list[i])
	}
	return list
}

// findProducer asks the leader of a partition for the producer of its oldest open transaction.
func (e *examination) findProducer(ctx context.Context, open *openTransaction) {
	link := e.leaderOf(open.partition)
	if link == nil {
		return
	}
	req := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = open.partition.Topic, []int32{open.partition.Partition}
	req.Topics = append(req.Topics, t)
	resp, err := ask[*kmsg.DescribeProducersResponse](ctx, link.reach.link, req, 0)
	if err != nil {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			for _, producer := range p.ActiveProducers {
				if start := producer.CurrentTxnStartOffset; start >= 0 && (open.start < 0 || start < open.start) {
					open.producer, open.start, open.last = producer.ProducerID, start, time.UnixMilli(producer.LastTimestamp)
				}
			}
		}
	}
}

// leaderOf returns the broker that leads a partition, or nil if it is not reached.
func (e *examination) leaderOf(tp client.TopicPartition) *brokerFacts {
	for _, t := range e.cluster.topics {
		if *t.Topic != tp.Topic {
			continue
		}
		for _, p := range t.Partitions {
			for _, b := range e.brokers {
				if p.Partition == tp.Partition && metadata.BrokerID(p.Leader) == b.id && b.reach.isBroker() {
					return b
				}
			}
		}
	}
	return nil
}

// readTransactions asks the coordinators for their unfinished transactions.
func (e *examination) readTransactions(ctx context.Context) {
	for _, b := range e.brokers {
		if !b.reach.isBroker() {
			continue
		}
		listed, err := ask[*kmsg.ListTransactionsResponse](ctx, b.reach.link, kmsg.NewPtrListTransactionsRequest(), 0)
		if err != nil || listed.ErrorCode != 0 {
			continue
		}
		req := kmsg.NewPtrDescribeTransactionsRequest()
		for _, t := range listed.TransactionStates {
			switch t.TransactionState {
			case "Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence":
				req.TransactionalIDs = append(req.TransactionalIDs, t.TransactionalID)
			}
		}
		if req.TransactionalIDs == nil {
			continue
		}
		described, err := ask[*kmsg.DescribeTransactionsResponse](ctx, b.reach.link, req, 0)
		if err != nil {
			continue
		}
		for _, t := range described.TransactionStates {
			if protocol.ErrorCode(t.ErrorCode) == protocol.None {
				e.cluster.transactions = append(e.cluster.transactions, transactionFacts{t.TransactionalID, t.State, t.ProducerID,
					time.UnixMilli(t.StartTimestamp), time.Duration(t.TimeoutMillis) * time.Millisecond})
			}
		}
	}
}
