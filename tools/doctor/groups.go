package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/tools/client"
)

// States of groups.
const (
	stateEmpty      = "Empty"
	stateStable     = "Stable"
	statePreparing  = "PreparingRebalance"
	stateCompleting = "CompletingRebalance"
)

func isRebalancing(state string) bool { return state == statePreparing || state == stateCompleting }

// diagnoseGroups finds groups that do not get to work, do not advance, or have lost records.
func (e *examination) diagnoseGroups() {
	for _, g := range e.cluster.groups {
		e.diagnoseGroup(g)
	}
}

func (e *examination) diagnoseGroup(g *groupFacts) {
	subject := "group " + g.id
	first, second := g.looks[0], g.looks[1]
	describe := fmt.Sprintf("bin/kafka-consumer-groups.sh %s --describe --group %s", e.bootstrapOption(), g.id)
	if g.lost != nil {
		e.warn(conclusion{"offset-lost", subject, "its committed offsets are below the start of the log: " + names(g.lost),
			"Records were deleted by retention before the group read them. Consumers continue at auto.offset.reset, and those with none fail.",
			"Raise retention.ms of the topics, or find out why the group was behind. Choose where to continue: bin/kafka-consumer-groups.sh " + e.bootstrapOption() +
				" --group " + g.id + " --reset-offsets --to-earliest --all-topics --execute"})
	}
	switch {
	case e.watch > 0 && isRebalancing(first.state) && isRebalancing(second.state),
		e.watch > 0 && first.members != nil && second.members != nil && !slices.Equal(first.members, second.members):
		e.warn(conclusion{"group-rebalancing", subject, fmt.Sprintf("it rebalances: %s with %d member(s), then %s with %d", first.state, len(first.members), second.state, len(second.members)),
			"Members join and leave again and again: they take longer than max.poll.interval.ms for the records of a poll, they crash and restart, or heartbeats do not arrive within session.timeout.ms.",
			"Look at the logs of the consumers; lower max.poll.records or raise max.poll.interval.ms; give members a group.instance.id. " + describe + " --members"})
	case second.state == stateEmpty && g.lag[1] > 0:
		e.warn(conclusion{"group-stopped", subject, fmt.Sprintf("it has no members and is %d record(s) behind", g.lag[1]),
			"Its consumers are stopped, or use another group.id now.",
			"Start the consumers. If the group is no longer used, delete it: bin/kafka-consumer-groups.sh " + e.bootstrapOption() + " --delete --group " + g.id})
	case second.state == stateStable && len(second.committed) == 0 && len(second.members) > 0:
		e.remark(conclusion{"group-no-commits", subject, "it has members but has committed no offsets",
			"The consumers have read nothing yet, or enable.auto.commit is false and they do not commit: after a restart they begin again at auto.offset.reset.", describe})
	case e.watch > 0 && g.lag[0] > 0 && g.lag[1] >= g.lag[0] && second.state == stateStable && !advanced(first, second):
		e.warn(conclusion{"group-stuck", subject, fmt.Sprintf("it is %d record(s) behind and commits nothing: %s", g.lag[1], g.worst()),
			"A consumer hangs in the processing of a record, waits for something, or does not commit.",
			"Look at the consumers that own these partitions: " + describe})
	case e.watch > 0 && g.lag[1] > g.lag[0] && g.lag[0] > 0 && second.state == stateStable:
		e.remark(conclusion{"group-lag-grows", subject, fmt.Sprintf("it is %d record(s) behind, %d more than %s before", g.lag[1], g.lag[1]-g.lag[0], e.watch),
			"Producers write faster than the group reads.", "Add consumers, up to the number of partitions, or make the processing faster. " + describe})
	}
}

// advanced reports whether a group committed a higher offset between two looks.
func advanced(first, second groupLook) bool {
	for tp, offset := range second.committed {
		if before, ok := first.committed[tp]; !ok || offset > before {
			return true
		}
	}
	return false
}

// worst returns the partition with the largest lag.
func (g *groupFacts) worst() string {
	var worst client.TopicPartition
	for tp, lag := range g.behind {
		if most := g.behind[worst]; lag > most || lag == most && client.ComparePartitions(tp, worst) < 0 {
			worst = tp
		}
	}
	return fmt.Sprintf("%d in %s", g.behind[worst], worst)
}

func names(partitions []client.TopicPartition) string {
	var g partitionGroup
	for _, tp := range partitions {
		g.add(tp.Topic, tp.Partition)
	}
	return g.some()
}

// longestTransaction is the default of transaction.max.timeout.ms.
const longestTransaction = 15 * time.Minute

// diagnoseTransactions finds partitions whose readers with read_committed wait for a transaction,
// and transactions that their coordinator does not end.
func (e *examination) diagnoseTransactions() {
	known := map[int64]transactionFacts{}
	for _, t := range e.cluster.transactions {
		known[t.producer] = t
	}
	for _, open := range e.cluster.open {
		subject := "partition " + open.partition.String()
		t, has := known[open.producer]
		if has {
			e.remark(conclusion{"open-transaction", subject, fmt.Sprintf("consumers with read_committed wait for the transaction of %s", t.id),
				fmt.Sprintf("The transaction is %s since %s.", t.state, t.began.UTC().Format(time.RFC3339)), "The producer must commit or abort it; after its transaction.timeout.ms it is aborted."})
			continue
		}
		if open.start < 0 || time.Since(open.last) < longestTransaction {
			continue
		}
		e.error(conclusion{"hanging-transaction", subject, fmt.Sprintf("a transaction of producer %d, begun at offset %d, is never ended, so consumers with read_committed stop there", open.producer, open.start),
			"No coordinator knows the transaction. Brokers before 3.6 could accept a record after the end of its transaction (KIP-890).",
			fmt.Sprintf("bin/kafka-transactions.sh %s abort --topic %s --partition %d --start-offset %d", e.bootstrapOption(), open.partition.Topic, open.partition.Partition, open.start)})
	}
	for _, t := range e.cluster.transactions {
		if overdue := time.Since(t.began) - t.timeout; !t.began.IsZero() && t.began.UnixMilli() > 0 && overdue > time.Minute {
			e.warn(conclusion{"overdue-transaction", "transactional id " + t.id, fmt.Sprintf("its transaction is %s although its timeout ended %s ago", t.state, overdue.Round(time.Second)),
				"The coordinator cannot write the end of the transaction: a partition of it has no leader, or too few in-sync replicas.",
				strings.TrimSpace("Look for offline partitions above, and at the log of the coordinator: bin/kafka-transactions.sh " + e.bootstrapOption() + " describe --transactional-id " + t.id)})
		}
	}
}
