package groups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// missing is shown in a column without a value.
const missing = "-"

func (o *groupsOptions) describeGroups(admin *groupAdmin) error {
	names, err := o.selected(admin)
	if err != nil {
		return err
	}
	groups, err := admin.describe(names)
	if err != nil {
		return client.Execution(err)
	}
	switch {
	case o.WantsDocument():
		return o.printDescribed(admin, groups)
	case o.members.Given():
		return o.printMembers(groups)
	case o.state.Given():
		return o.printStates(groups)
	default:
		return o.printOffsets(admin, groups)
	}
}

// remark prints a note to stderr if the state of the group requires one, and reports whether to
// print a table with this many rows.
func (o *groupsOptions) remark(g *describedGroup, rows int) (bool, error) {
	switch g.state {
	case "Dead":
		o.printError("Consumer group '" + g.id + "' does not exist.")
		return false, nil
	case "Empty":
		o.Env.Complainf("\nConsumer group '%s' has no active members.", g.id)
	case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
		o.Env.Complainf("\nWarning: Consumer group '%s' is rebalancing.", g.id)
	case "Stable":
	default:
		return false, cli.NewJavaError("org.apache.kafka.common.KafkaException", "Expected a valid consumer group state, but found 'Unknown'.")
	}
	return rows > 0, nil
}

// lagRow is a partition's row in a group's table of offsets. Offsets below zero are unknown.
type lagRow struct {
	partition client.TopicPartition
	committed record.Offset
	end       record.Offset
	member    *groupMember // nil: no member owns the partition
}

func (o *groupsOptions) printOffsets(admin *groupAdmin, groups []describedGroup) error {
	rows, err := lags(admin, groups)
	if err != nil {
		return err
	}
	for i := range groups {
		show, err := o.remark(&groups[i], len(rows[i]))
		if err != nil {
			return err
		}
		if show {
			o.printLags(groups[i].id, rows[i])
		}
	}
	return nil
}

// lags returns the rows of each group: first those of members, in descending order of the number of
// partitions that they own, then those of committed partitions without an owner. The rows of a
// member are sorted by topic and partition, and so are those without an owner.
func lags(admin *groupAdmin, groups []describedGroup) ([][]lagRow, error) {
	rows := make([][]lagRow, len(groups))
	ends := map[client.TopicPartition]record.Offset{}
	for i := range groups {
		g := &groups[i]
		committed, err := admin.committed(g.id)
		if err != nil {
			return nil, cli.RuntimeError(client.Execution(err))
		}
		members := slices.Clone(g.members)
		slices.SortStableFunc(members, func(a, b groupMember) int { return len(b.owned) - len(a.owned) })
		owned := map[client.TopicPartition]bool{}
		for m := range members {
			for _, tp := range members[m].owned {
				owned[tp] = true
				offset, known := committed[tp]
				if !known {
					offset = -1
				}
				rows[i] = append(rows[i], lagRow{partition: tp, committed: offset, member: &members[m]})
			}
		}
		for _, tp := range client.SortedPartitions(committed) {
			if !owned[tp] {
				rows[i] = append(rows[i], lagRow{partition: tp, committed: committed[tp]})
			}
		}
		for _, r := range rows[i] {
			ends[r.partition] = -1
		}
	}
	ends, err := admin.Offsets(client.SortedPartitions(ends), client.LatestOffset)
	if err != nil {
		return nil, cli.RuntimeError(client.Execution(err))
	}
	for i := range rows {
		for j := range rows[i] {
			rows[i][j].end = ends[rows[i][j].partition]
		}
	}
	return rows, nil
}

func (o *groupsOptions) printLags(group string, rows []lagRow) {
	table := [][]string{{"GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"}}
	for _, r := range rows {
		committed, lag := missing, missing
		if r.committed >= 0 {
			committed, lag = fmt.Sprint(r.committed), fmt.Sprint(r.end-r.committed)
		}
		consumer, host, client := missing, missing, missing
		if m := r.member; m != nil {
			consumer, host, client = m.id, m.host, m.client
		}
		table = append(table, []string{group, r.partition.Topic, strconv.Itoa(int(r.partition.Partition)), committed,
			fmt.Sprint(r.end), lag, consumer, host, client})
	}
	o.printTable(table, []int{15, 15, 10, 15, 15, 15, 15, 15, 0}, 0, 1, 6, 7)
}

// printTable prints rows below a blank line. Columns in grow are as wide as their longest text; the
// others have the given widths.
func (o *groupsOptions) printTable(rows [][]string, widths []int, grow ...int) {
	for _, column := range grow {
		for _, row := range rows {
			widths[column] = max(widths[column], len([]rune(row[column])))
		}
	}
	o.Env.Println()
	for _, row := range rows {
		for i, text := range row {
			if i > 0 {
				o.Env.Printf(" ")
			}
			o.Env.Printf("%-*s", widths[i], text)
		}
		o.Env.Println()
	}
}

func (o *groupsOptions) printMembers(groups []describedGroup) error {
	for i := range groups {
		g := &groups[i]
		// Kafka's tool prints a header even for a group that does not exist.
		if _, err := o.remark(g, 0); err != nil {
			return err
		}
		static := slices.ContainsFunc(g.members, func(m groupMember) bool { return m.instance != "" })
		row := func(group, consumer, instance, host, client, count, assignment string) []string {
			r := []string{group, consumer}
			if static {
				r = append(r, instance)
			}
			return append(r, host, client, count, assignment)
		}
		last := ""
		if o.verbose.Given() {
			last = "ASSIGNMENT"
		}
		table := [][]string{row("GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", last)}
		for _, m := range g.members {
			if o.verbose.Given() {
				last = assignmentText(m.owned)
			}
			table = append(table, row(g.id, m.id, m.instance, m.host, m.client, strconv.Itoa(len(m.owned)), last))
		}
		if static {
			o.printTable(table, []int{15, 15, 17, 15, 15, 15, 0}, 0, 1, 2, 3, 4)
		} else {
			o.printTable(table, []int{15, 15, 15, 15, 15, 0}, 0, 1, 2, 3)
		}
	}
	return nil
}

// assignmentText formats partitions as topic(0,1,2) for each topic.
func assignmentText(owned []client.TopicPartition) string {
	if len(owned) == 0 {
		return missing
	}
	var topics []string
	for rest := owned; len(rest) > 0; {
		topic, ids := rest[0].Topic, []int32(nil)
		for len(rest) > 0 && rest[0].Topic == topic {
			ids, rest = append(ids, rest[0].Partition), rest[1:]
		}
		topics = append(topics, fmt.Sprintf("%s(%s)", topic, javatext.Join(ids, ",")))
	}
	return strings.Join(topics, ", ")
}

func (o *groupsOptions) printStates(groups []describedGroup) error {
	for i := range groups {
		g := &groups[i]
		show, err := o.remark(g, 1)
		if err != nil {
			return err
		}
		if !show {
			continue
		}
		from := g.coordinator.String()
		width := max(25, len(from))
		format := fmt.Sprintf("%%-%ds %%-25s %%-20s %%-15s %%s\n", width)
		o.Env.Printf("\n"+format, "GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")
		o.Env.Printf(format, g.id, from, g.assignor, g.state, strconv.Itoa(len(g.members)))
	}
	return nil
}
