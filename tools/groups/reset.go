package groups

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// newOffsets are the offsets that a reset sets for a group.
type newOffsets map[client.TopicPartition]record.Offset

func (o *groupsOptions) resetOffsets(admin *groupAdmin) error {
	names, err := o.selected(admin)
	if err != nil {
		return err
	}
	groups, err := admin.describe(names)
	if err != nil {
		return cli.RuntimeError(client.Execution(err))
	}
	plan := map[string]newOffsets{}
	for _, g := range groups {
		if g.state != "Empty" && g.state != "Dead" {
			o.printError(fmt.Sprintf("Assignments can only be reset if the group '%s' is inactive, but the current state is %s.", g.id, g.state))
			plan[g.id] = nil
			continue
		}
		partitions, err := o.scope(admin, g.id)
		if err != nil {
			return err
		}
		if plan[g.id], err = o.targets(admin, g.id, partitions); err != nil {
			return err
		}
		if o.execute.Given() && len(plan[g.id]) > 0 {
			if err := admin.commit(g.id, plan[g.id]); err != nil {
				return cli.RuntimeError(client.Execution(err))
			}
		}
	}
	if o.export.Given() {
		return o.exportPlan(plan)
	}
	o.printPlan(plan)
	return nil
}

func (o *groupsOptions) printPlan(plan map[string]newOffsets) {
	const format = "%-30s %-30s %-10s %-15s\n"
	if len(plan) > 0 {
		o.Env.Printf("\n"+format, "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")
	}
	for _, group := range slices.Sorted(maps.Keys(plan)) {
		for _, tp := range client.SortedPartitions(plan[group]) {
			o.Env.Printf(format, group, tp.Topic, strconv.Itoa(int(tp.Partition)), fmt.Sprint(plan[group][tp]))
		}
	}
}

// exportPlan prints the plan as CSV, followed by a blank line. Lines start with the group if there
// are several.
func (o *groupsOptions) exportPlan(plan map[string]newOffsets) error {
	w := csv.NewWriter(o.Env.Stdout)
	for _, group := range slices.Sorted(maps.Keys(plan)) {
		for _, tp := range client.SortedPartitions(plan[group]) {
			row := []string{tp.Topic, strconv.Itoa(int(tp.Partition)), fmt.Sprint(plan[group][tp])}
			if !o.oneGroup() {
				row = append([]string{group}, row...)
			}
			if err := w.Write(row); err != nil {
				return err
			}
		}
	}
	w.Flush()
	o.Env.Println()
	return w.Error()
}

// oneGroup reports whether the CSV files have no group column.
func (o *groupsOptions) oneGroup() bool { return len(o.group.Values()) == 1 }

// scope returns the partitions to reset.
func (o *groupsOptions) scope(admin *groupAdmin, group string) ([]client.TopicPartition, error) {
	switch {
	case o.allTopics.Given():
		committed, err := admin.committed(group)
		if err != nil {
			return nil, cli.RuntimeError(client.Execution(err))
		}
		return client.SortedPartitions(committed), nil
	case o.topic.Given():
		partitions, whole, err := topicArguments(o.topic.Values())
		if err != nil {
			return nil, err
		}
		found, failed := admin.PartitionsOf(whole)
		for _, topic := range whole {
			if err := failed[topic]; err != nil {
				return nil, cli.RuntimeError(client.Execution(err))
			}
			partitions = append(partitions, found[topic]...)
		}
		unique := map[client.TopicPartition]bool{}
		for _, tp := range partitions {
			unique[tp] = true
		}
		return client.SortedPartitions(unique), nil
	case o.fromFile.Given():
		return nil, nil
	}
	return nil, cli.UsageError{Text: "One of the reset scopes should be defined: --all-topics, --topic."}
}

// topicArguments parses --topic arguments: partitions given as topic:0,1,2, and whole topics.
func topicArguments(args []string) (partitions []client.TopicPartition, whole []string, err error) {
	for _, arg := range args {
		if !strings.Contains(arg, ":") {
			whole = append(whole, arg)
			continue
		}
		parts := strings.Split(strings.TrimRight(arg, ":"), ":")
		if len(parts) != 2 {
			return nil, nil, cli.UsageError{Text: fmt.Sprintf("Invalid topic arg '%s', expected topic name and partitions", arg)}
		}
		for _, text := range strings.Split(parts[1], ",") {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, nil, cli.UsageError{Text: fmt.Sprintf("Invalid partition '%s' specified in topic arg '%s''", text, arg)}
			}
			partitions = append(partitions, client.TopicPartition{Topic: parts[0], Partition: int32(n)})
		}
	}
	return partitions, whole, nil
}

// targets returns the offsets that the options select.
func (o *groupsOptions) targets(admin *groupAdmin, group string, partitions []client.TopicPartition) (newOffsets, error) {
	switch {
	case o.toOffset.Given():
		offset, err := o.Number(o.toOffset, 0)
		if err != nil {
			return nil, err
		}
		wanted := newOffsets{}
		for _, tp := range partitions {
			wanted[tp] = record.Offset(offset)
		}
		return o.inRange(admin, wanted)
	case o.toEarliest.Given():
		return logOffsets(admin, partitions, client.EarliestOffset)
	case o.toLatest.Given():
		return logOffsets(admin, partitions, client.LatestOffset)
	case o.shiftBy.Given():
		return o.shifted(admin, group, partitions)
	case o.toDatetime.Given():
		when, err := cli.ParseDateTime(o.toDatetime.Or(""))
		if err != nil {
			return nil, cli.RuntimeError(err)
		}
		return o.atTime(admin, partitions, when)
	case o.byDuration.Given():
		back, err := cli.ParseDuration(o.byDuration.Or(""))
		if err != nil {
			return nil, err
		}
		return o.atTime(admin, partitions, time.Now().Add(-back).UnixMilli())
	case o.fromFile.Given():
		return o.planned(admin, group)
	case o.toCurrent.Given():
		return currentOffsets(admin, group, partitions)
	}
	return nil, cli.UsageError{Text: "Option '[reset-offsets]' requires one of the following scenarios: " +
		"[[to-offset], [to-current], [to-datetime], [from-file], [by-duration], [to-earliest], [to-latest], [shift-by]]"}
}

func logOffsets(admin *groupAdmin, partitions []client.TopicPartition, when int64) (newOffsets, error) {
	found, err := admin.Offsets(partitions, when)
	if err != nil {
		return nil, cli.RuntimeError(client.Execution(err))
	}
	return found, nil
}

// inRange limits offsets to the range of the logs and warns about each that is outside.
func (o *groupsOptions) inRange(admin *groupAdmin, wanted newOffsets) (newOffsets, error) {
	partitions := client.SortedPartitions(wanted)
	first, err := logOffsets(admin, partitions, client.EarliestOffset)
	if err != nil {
		return nil, err
	}
	end, err := logOffsets(admin, partitions, client.LatestOffset)
	if err != nil {
		return nil, err
	}
	log := o.Env.Logger(consumerGroupClass)
	for _, tp := range partitions {
		switch offset := wanted[tp]; {
		case offset > end[tp]:
			log.Warnf("New offset (%d) is higher than latest offset for topic partition %s. Value will be set to %d", offset, tp, end[tp])
			wanted[tp] = end[tp]
		case offset < first[tp]:
			log.Warnf("New offset (%d) is lower than earliest offset for topic partition %s. Value will be set to %d", offset, tp, first[tp])
			wanted[tp] = first[tp]
		}
	}
	return wanted, nil
}

func (o *groupsOptions) shifted(admin *groupAdmin, group string, partitions []client.TopicPartition) (newOffsets, error) {
	committed, err := admin.committed(group)
	if err != nil {
		return nil, cli.RuntimeError(client.Execution(err))
	}
	by, err := o.Number(o.shiftBy, 0)
	if err != nil {
		return nil, err
	}
	wanted := newOffsets{}
	for _, tp := range partitions {
		offset, known := committed[tp]
		if !known {
			return nil, cli.UsageError{Text: fmt.Sprintf("Cannot shift offset for partition %s since there is no current committed offset", tp)}
		}
		wanted[tp] = offset + record.Offset(by)
	}
	return o.inRange(admin, wanted)
}

// atTime returns the first offset at or after a time, or the latest if there is none.
func (o *groupsOptions) atTime(admin *groupAdmin, partitions []client.TopicPartition, when int64) (newOffsets, error) {
	found, err := logOffsets(admin, partitions, when)
	if err != nil {
		return nil, err
	}
	var none []client.TopicPartition
	for _, tp := range partitions {
		if found[tp] < 0 {
			o.Env.Printf("\nWarn: Partition %d from topic %s is empty. Falling back to latest known offset.\n", tp.Partition, tp.Topic)
			none = append(none, tp)
		}
	}
	latest, err := logOffsets(admin, none, client.LatestOffset)
	if err != nil {
		return nil, err
	}
	for tp, offset := range latest {
		found[tp] = offset
	}
	return found, nil
}

// currentOffsets returns the committed offsets, or the latest offset for partitions without one.
func currentOffsets(admin *groupAdmin, group string, partitions []client.TopicPartition) (newOffsets, error) {
	committed, err := admin.committed(group)
	if err != nil {
		return nil, cli.RuntimeError(client.Execution(err))
	}
	wanted := newOffsets{}
	var none []client.TopicPartition
	for _, tp := range partitions {
		if offset, known := committed[tp]; known {
			wanted[tp] = record.Offset(offset)
		} else {
			none = append(none, tp)
		}
	}
	latest, err := logOffsets(admin, none, client.LatestOffset)
	if err != nil {
		return nil, err
	}
	for tp, offset := range latest {
		wanted[tp] = offset
	}
	return wanted, nil
}

// planned returns the offsets from a file.
func (o *groupsOptions) planned(admin *groupAdmin, group string) (newOffsets, error) {
	path := o.fromFile.Or("")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, cli.RuntimeError(cli.NewJavaError("java.io.IOException", "Unable to read file "+path))
	}
	plan, err := o.parsePlan(string(text))
	if err != nil {
		return nil, cli.RuntimeError(err)
	}
	wanted, found := plan[group]
	if !found {
		o.printError("No reset plan for group " + group + " found")
		return nil, nil
	}
	return o.inRange(admin, wanted)
}

// parsePlan reads lines topic,partition,offset for one group, or group,topic,partition,offset. Any
// other line is an error.
func (o *groupsOptions) parsePlan(text string) (map[string]newOffsets, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		return nil, planError(err.Error())
	}
	plan := map[string]newOffsets{}
	for i, row := range rows {
		if len(row) == 3 && o.oneGroup() {
			row = append([]string{o.group.Or("")}, row...)
		}
		if len(row) != 4 {
			return nil, planError(fmt.Sprintf("line %d has %d fields; want topic,partition,offset for one group or group,topic,partition,offset", i+1, len(row)))
		}
		partition, err := strconv.ParseInt(strings.TrimSpace(row[2]), 10, 32)
		if err != nil {
			return nil, planError(fmt.Sprintf("line %d: %q is not a partition", i+1, row[2]))
		}
		offset, err := strconv.ParseInt(strings.TrimSpace(row[3]), 10, 64)
		if err != nil {
			return nil, planError(fmt.Sprintf("line %d: %q is not an offset", i+1, row[3]))
		}
		if plan[row[0]] == nil {
			plan[row[0]] = newOffsets{}
		}
		plan[row[0]][client.TopicPartition{Topic: row[1], Partition: int32(partition)}] = record.Offset(offset)
	}
	return plan, nil
}

func planError(text string) error {
	return cli.NewJavaError("java.io.IOException", "The reset plan: "+text)
}
