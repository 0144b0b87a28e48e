package tools

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// newOffsets are the offsets that a reset sets for a group.
type newOffsets map[topicPartition]int64

func (o *groupsOptions) resetOffsets(admin *groupAdmin) error {
	names, err := o.selected(admin)
	if err != nil {
		return err
	}
	groups, err := admin.describe(names)
	if err != nil {
		return runtimeError(execution(err))
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
		if o.execute.given() && len(plan[g.id]) > 0 {
			if err := admin.commit(g.id, plan[g.id]); err != nil {
				return runtimeError(execution(err))
			}
		}
	}
	if o.export.given() {
		return o.exportPlan(plan)
	}
	o.printPlan(plan)
	return nil
}

func (o *groupsOptions) printPlan(plan map[string]newOffsets) {
	const format = "%-30s %-30s %-10s %-15s\n"
	if len(plan) > 0 {
		o.env.printf("\n"+format, "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")
	}
	for _, group := range slices.Sorted(maps.Keys(plan)) {
		for _, tp := range sortedPartitions(plan[group]) {
			o.env.printf(format, group, tp.topic, strconv.Itoa(int(tp.partition)), strconv.FormatInt(plan[group][tp], 10))
		}
	}
}

// exportPlan prints the plan as CSV, followed by a blank line. Lines start with the group if there
// are several.
func (o *groupsOptions) exportPlan(plan map[string]newOffsets) error {
	w := csv.NewWriter(o.env.Stdout)
	for _, group := range slices.Sorted(maps.Keys(plan)) {
		for _, tp := range sortedPartitions(plan[group]) {
			row := []string{tp.topic, strconv.Itoa(int(tp.partition)), strconv.FormatInt(plan[group][tp], 10)}
			if !o.oneGroup() {
				row = append([]string{group}, row...)
			}
			if err := w.Write(row); err != nil {
				return err
			}
		}
	}
	w.Flush()
	o.env.println()
	return w.Error()
}

// oneGroup reports whether the CSV files have no group column.
func (o *groupsOptions) oneGroup() bool { return len(o.group.values()) == 1 }

// scope returns the partitions to reset.
func (o *groupsOptions) scope(admin *groupAdmin, group string) ([]topicPartition, error) {
	switch {
	case o.allTopics.given():
		committed, err := admin.committed(group)
		if err != nil {
			return nil, runtimeError(execution(err))
		}
		return sortedPartitions(committed), nil
	case o.topic.given():
		partitions, whole, err := topicArguments(o.topic.values())
		if err != nil {
			return nil, err
		}
		found, failed := admin.partitionsOf(whole)
		for _, topic := range whole {
			if err := failed[topic]; err != nil {
				return nil, runtimeError(execution(err))
			}
			partitions = append(partitions, found[topic]...)
		}
		unique := map[topicPartition]bool{}
		for _, tp := range partitions {
			unique[tp] = true
		}
		return sortedPartitions(unique), nil
	case o.fromFile.given():
		return nil, nil
	}
	return nil, usageError{"One of the reset scopes should be defined: --all-topics, --topic."}
}

// topicArguments parses --topic arguments: partitions given as topic:0,1,2, and whole topics.
func topicArguments(args []string) (partitions []topicPartition, whole []string, err error) {
	for _, arg := range args {
		if !strings.Contains(arg, ":") {
			whole = append(whole, arg)
			continue
		}
		parts := strings.Split(strings.TrimRight(arg, ":"), ":")
		if len(parts) != 2 {
			return nil, nil, usageError{fmt.Sprintf("Invalid topic arg '%s', expected topic name and partitions", arg)}
		}
		for _, text := range strings.Split(parts[1], ",") {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, nil, usageError{fmt.Sprintf("Invalid partition '%s' specified in topic arg '%s''", text, arg)}
			}
			partitions = append(partitions, topicPartition{parts[0], int32(n)})
		}
	}
	return partitions, whole, nil
}

// targets returns the offsets that the options select.
func (o *groupsOptions) targets(admin *groupAdmin, group string, partitions []topicPartition) (newOffsets, error) {
	switch {
	case o.toOffset.given():
		offset, err := o.number(o.toOffset, 0)
		if err != nil {
			return nil, err
		}
		wanted := newOffsets{}
		for _, tp := range partitions {
			wanted[tp] = offset
		}
		return o.inRange(admin, wanted)
	case o.toEarliest.given():
		return logOffsets(admin, partitions, earliestOffset)
	case o.toLatest.given():
		return logOffsets(admin, partitions, latestOffset)
	case o.shiftBy.given():
		return o.shifted(admin, group, partitions)
	case o.toDatetime.given():
		when, err := parseDateTime(o.toDatetime.or(""))
		if err != nil {
			return nil, runtimeError(err)
		}
		return o.atTime(admin, partitions, when)
	case o.byDuration.given():
		back, err := parseDuration(o.byDuration.or(""))
		if err != nil {
			return nil, err
		}
		return o.atTime(admin, partitions, time.Now().Add(-back).UnixMilli())
	case o.fromFile.given():
		return o.planned(admin, group)
	case o.toCurrent.given():
		return currentOffsets(admin, group, partitions)
	}
	return nil, usageError{"Option '[reset-offsets]' requires one of the following scenarios: " +
		"[[to-offset], [to-current], [to-datetime], [from-file], [by-duration], [to-earliest], [to-latest], [shift-by]]"}
}

func logOffsets(admin *groupAdmin, partitions []topicPartition, when int64) (newOffsets, error) {
	found, err := admin.offsets(partitions, when)
	if err != nil {
		return nil, runtimeError(execution(err))
	}
	return found, nil
}

// inRange limits offsets to the range of the logs and warns about each that is outside.
func (o *groupsOptions) inRange(admin *groupAdmin, wanted newOffsets) (newOffsets, error) {
	partitions := sortedPartitions(wanted)
	first, err := logOffsets(admin, partitions, earliestOffset)
	if err != nil {
		return nil, err
	}
	end, err := logOffsets(admin, partitions, latestOffset)
	if err != nil {
		return nil, err
	}
	log := o.env.logger(consumerGroupClass)
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

func (o *groupsOptions) shifted(admin *groupAdmin, group string, partitions []topicPartition) (newOffsets, error) {
	committed, err := admin.committed(group)
	if err != nil {
		return nil, runtimeError(execution(err))
	}
	by, err := o.number(o.shiftBy, 0)
	if err != nil {
		return nil, err
	}
	wanted := newOffsets{}
	for _, tp := range partitions {
		offset, known := committed[tp]
		if !known {
			return nil, usageError{fmt.Sprintf("Cannot shift offset for partition %s since there is no current committed offset", tp)}
		}
		wanted[tp] = offset + by
	}
	return o.inRange(admin, wanted)
}

// atTime returns the first offset at or after a time, or the latest if there is none.
func (o *groupsOptions) atTime(admin *groupAdmin, partitions []topicPartition, when int64) (newOffsets, error) {
	found, err := logOffsets(admin, partitions, when)
	if err != nil {
		return nil, err
	}
	var none []topicPartition
	for _, tp := range partitions {
		if found[tp] < 0 {
			o.env.printf("\nWarn: Partition %d from topic %s is empty. Falling back to latest known offset.\n", tp.partition, tp.topic)
			none = append(none, tp)
		}
	}
	latest, err := logOffsets(admin, none, latestOffset)
	if err != nil {
		return nil, err
	}
	for tp, offset := range latest {
		found[tp] = offset
	}
	return found, nil
}

// currentOffsets returns the committed offsets, or the latest offset for partitions without one.
func currentOffsets(admin *groupAdmin, group string, partitions []topicPartition) (newOffsets, error) {
	committed, err := admin.committed(group)
	if err != nil {
		return nil, runtimeError(execution(err))
	}
	wanted := newOffsets{}
	var none []topicPartition
	for _, tp := range partitions {
		if offset, known := committed[tp]; known {
			wanted[tp] = offset
		} else {
			none = append(none, tp)
		}
	}
	latest, err := logOffsets(admin, none, latestOffset)
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
	path := o.fromFile.or("")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, runtimeError(javaError{"java.io.IOException", "Unable to read file " + path})
	}
	plan, err := o.parsePlan(string(text))
	if err != nil {
		return nil, runtimeError(err)
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
			row = append([]string{o.group.or("")}, row...)
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
		plan[row[0]][topicPartition{row[1], int32(partition)}] = offset
	}
	return plan, nil
}

func planError(text string) error { return javaError{"java.io.IOException", "The reset plan: " + text} }
