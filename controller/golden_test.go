package controller

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// goldenSections returns the lines of the state change log of a real Kafka 3.9.1 controller, by
// scenario.
func goldenSections(t *testing.T) map[string][]string {
	text := golden.Read(t, "controller-statechange-3.9.1.txt")
	sections := map[string][]string{}
	var title string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			title = name
			continue
		}
		_, line, _ = strings.Cut(line, " ") // the time
		sections[title] = append(sections[title], line)
	}
	return sections
}

var stateChangeLine = regexp.MustCompile(`(?m)^\[[^]]*\] [A-Z]+ \[Controller id=0 epoch=1\] (.*) \(state\.change\.logger\)$`)

// stateChanges returns the lines of this controller's state change log since the last call.
func (h *harness) stateChanges() []string {
	var lines []string
	for _, match := range stateChangeLine.FindAllStringSubmatch(h.log.String(), -1) {
		if !strings.HasPrefix(match[1], "Mark replicas") { // not recorded
			lines = append(lines, match[1])
		}
	}
	h.log.Reset()
	return lines
}

// TestStateChangesAreThoseOfARealController replays the events of the recorded cluster and expects
// the same transitions and the same requests. It compares the order of kinds of lines, but not the
// order within a kind, which in the real controller is the iteration order of hash sets.
func TestStateChangesAreThoseOfARealController(t *testing.T) {
	sections := goldenSections(t)
	h := newHarness(t, nil)
	s := &scenario{t: t, h: h}
	play := func(commands ...string) {
		for _, command := range commands {
			s.run(strings.Fields(command))
		}
	}
	compare := func(title string, commands ...string) {
		t.Helper()
		h.stateChanges()
		play(commands...)
		got, want := h.stateChanges(), sections[title]
		if want == nil {
			t.Fatalf("no recorded scenario %q", title)
		}
		delete(sections, title)
		if kinds(got) != kinds(want) {
			t.Errorf("%s: order of steps:\ngot\n%s\nwant\n%s", title, kinds(got), kinds(want))
		}
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			t.Errorf("%s:\nonly logged here:\n%s\nonly logged by Kafka:\n%s", title, strings.Join(missing(got, want), "\n"), strings.Join(missing(want, got), "\n"))
		}
	}
	play("broker 0", "broker 1", "broker 1001", "start", "answer")
	compare("topic 'orders' created by the API (manual assignment)", "topic orders 0=0,1 1=1,1001 2=1001,0")
	play("topic events.v1 0=0,1 1=1,1001 2=1001,1 3=0,1 4=1,1001 5=1001,1", "topic doomed 0=1,1001,0 1=1001,1,0",
		"topic viazk noid 0=1001,1 1=0,1", "topic __consumer_offsets 0=0 1=1", "answer")
	compare("reassignment of orders-0 and orders-1 submitted (phase A)", "reassign orders-0=1001,1 orders-1=0,1001")
	play("answer", "topic unclean 0=1,1001", "answer")
	compare("reassignment through the legacy znode (viazk-1, same set, new order: phase B at once)", "zkreassign viazk-1=1,0")
	play("answer")
	compare("legacy preferred replica election znode", "zkelect viazk-1")
	play("answer", "baddir 1001 events.v1-5 orders-1 events.v1-1 doomed-0")
	compare("log dir failure on 1001", "logdir 1001", "answer")
	compare("controlled shutdown of 1001", "shutdown 1001", "answer", "kill 1001", "answer")
	compare("topic 'doomed' deleted while 1001 is down", "delete doomed", "answer 1", "answer 0")
	compare("broker 1 lost (session expired)", "kill 1", "answer")
	play("baddir 1001")
	compare("broker 1001 back", "broker 1001", "alter 0 orders-2 epoch=1 version=1 isr=0,1001", "answer")
	compare("unclean election of unclean-0", "elect unclean unclean-0")
	for title := range sections {
		t.Errorf("recorded scenario %q was not replayed", title)
	}
}

var (
	numbers   = regexp.MustCompile(`\d+`)
	partition = regexp.MustCompile(`(orders|events\.v1|doomed|viazk|unclean|__consumer_offsets)-`)
)

// kinds returns the sequence of kinds of lines, without repetitions.
func kinds(lines []string) string {
	var kinds []string
	for _, line := range lines {
		kind := kindOf(line)
		if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, "\n")
}

func kindOf(line string) string {
	switch {
	case strings.HasPrefix(line, "Sending become"), strings.HasPrefix(line, "Sending LeaderAndIsr"):
		return "LeaderAndIsr"
	case strings.HasPrefix(line, "Sending StopReplica"):
		return "StopReplica"
	case strings.HasPrefix(line, "Partition "), strings.HasPrefix(line, "Changed state of replica"):
		return "replicas"
	case strings.HasPrefix(line, "Changed partition") && strings.Contains(line, "with state"):
		return "elected or failed"
	case strings.HasPrefix(line, "Controller") && strings.Contains(line, "failed to change state for partition"):
		return "elected or failed"
	}
	return numbers.ReplaceAllString(partition.ReplaceAllString(line, "T-"), "N")
}

// missing returns the lines of a that are missing in b, counting duplicates.
func missing(a, b []string) []string {
	count := map[string]int{}
	for _, line := range b {
		count[line]++
	}
	var rest []string
	for _, line := range a {
		if count[line]--; count[line] < 0 {
			rest = append(rest, line)
		}
	}
	return rest
}

// TestStatesInZooKeeperAreThoseOfARealController replays the same events and compares all partition
// states with the recorded nodes at several points.
func TestStatesInZooKeeperAreThoseOfARealController(t *testing.T) {
	s := &scenario{t: t, h: newHarness(t, nil)}
	for _, command := range []string{
		"broker 0", "broker 1", "broker 1001", "start", "answer",
		"topic orders 0=0,1 1=1,1001 2=1001,0", "topic events.v1 0=0,1 1=1,1001 2=1001,1 3=0,1 4=1,1001 5=1001,1",
		"topic doomed 0=1,1001,0 1=1001,1,0", "topic viazk noid 0=1001,1 1=0,1", "topic __consumer_offsets 0=0 1=1", "topic unclean 0=1,1001", "answer",
		"reassign orders-0=1001,1 orders-1=0,1001", "answer",
	} {
		s.run(strings.Fields(command))
	}
	compareTree(t, s.h, "znodes-3.9.1.txt", "unclean")
	for _, command := range []string{
		"zkreassign viazk-1=1,0", "answer", "zkelect viazk-1", "answer",
		"baddir 1001 events.v1-5 orders-1 events.v1-1 doomed-0", "logdir 1001", "answer",
		"shutdown 1001", "answer", "kill 1001", "answer",
	} {
		s.run(strings.Fields(command))
	}
	compareTree(t, s.h, "znodes-3.9.1-shutdown.txt", "")
	for _, command := range []string{"delete doomed", "answer", "kill 1", "answer"} {
		s.run(strings.Fields(command))
	}
	compareTree(t, s.h, "znodes-3.9.1-down.txt", "")
	for _, command := range []string{"baddir 1001", "broker 1001", "alter 0 orders-2 epoch=1 version=1 isr=0,1001", "answer", "elect unclean unclean-0", "answer"} {
		s.run(strings.Fields(command))
	}
	compareTree(t, s.h, "znodes-3.9.1-degraded.txt", "")
}

var stateNode = regexp.MustCompile(`(?m)^/brokers/topics/([^/]+)/partitions/(\d+)/state\t0\t\{"controller_epoch":(\d+),"leader":(-?\d+),"version":1,(?:"leader_recovery_state":(\d),)?"leader_epoch":(\d+),"isr":\[([\d,]*)\]\}$`)

// compareTree compares all partition states with those in a recorded dump. It ignores additional
// states of the topic except.
func compareTree(t *testing.T, h *harness, file, except string) {
	t.Helper()
	text := golden.Read(t, file)
	want := map[TopicPartition]zkstore.PartitionState{}
	for _, m := range stateNode.FindAllStringSubmatch(string(text), -1) {
		want[tp(m[1], number(t, m[2]))] = zkstore.PartitionState{ControllerEpoch: metadata.ControllerEpoch(number(t, m[3])), Leader: id(t, m[4]),
			Recovering: m[5] == "1", LeaderEpoch: metadata.LeaderEpoch(number(t, m[6])), ISR: idList(t, m[7])}
	}
	if len(want) < 10 {
		t.Fatalf("%s has %d states", file, len(want))
	}
	for tp, w := range want {
		got, exists := h.store.states[tp]
		got.Version = 0
		if !exists || stateText(got) != stateText(w) || got.ControllerEpoch != w.ControllerEpoch {
			t.Errorf("%s: %s is %s, want %s", file, tp, leadershipText(got), leadershipText(w))
		}
	}
	for tp := range h.store.states {
		if _, exists := want[tp]; !exists && tp.Topic != except {
			t.Errorf("%s: %s is not in the file", file, tp)
		}
	}
}

var (
	fencedWrite = regexp.MustCompile(`zxid=(\d+) S2 multi\[ check /controller_epoch \(dataVersion 1\) ; (create|set|delete) (\S+)(?: \(-> dataVersion (\d+)\))?(?: (\{.*\}))? \]`)
	stateJSON   = regexp.MustCompile(`^\{"controller_epoch":\d+,"leader":(-?\d+),"version":1,(?:"leader_recovery_state":(\d),)?"leader_epoch":(\d+),"isr":\[([\d,]*)\]\}$`)
	statePath   = regexp.MustCompile(`^/brokers/topics/([^/]+)/partitions/(\d+)/state$`)
)

// recordedWrites returns the fenced writes of states and topic nodes by the real controller, up to
// the transaction until, in the format of the harness.
func recordedWrites(t *testing.T, until int32) []string {
	text := golden.Read(t, "txnlog-3.9.1.txt")
	var writes []string
	for _, m := range fencedWrite.FindAllStringSubmatch(string(text), -1) {
		if number(t, m[1]) > until || m[2] == "delete" {
			continue
		}
		if p := statePath.FindStringSubmatch(m[3]); p != nil {
			s := stateJSON.FindStringSubmatch(m[5])
			state := zkstore.PartitionState{Leader: id(t, s[1]), Recovering: s[2] == "1", LeaderEpoch: metadata.LeaderEpoch(number(t, s[3])), ISR: idList(t, s[4])}
			if m[4] != "" {
				state.Version = zkstore.Version(number(t, m[4]))
			}
			writes = append(writes, "zk "+m[2]+" "+stateLine(tp(p[1], number(t, p[2])), state))
		} else if m[2] == "set" {
			writes = append(writes, "zk set topic "+strings.TrimPrefix(m[3], "/brokers/topics/"))
		}
	}
	return writes
}

// TestWritesAreThoseOfARealController compares, node by node, each version of each state with the
// recorded transactions. For reassigned topics it also compares the order of writes of the states
// and the topic's node.
func TestWritesAreThoseOfARealController(t *testing.T) {
	s := &scenario{t: t, h: newHarness(t, nil)}
	for _, command := range []string{
		"broker 0", "broker 1", "broker 1001", "start", "answer",
		"topic orders 0=0,1 1=1,1001 2=1001,0", "topic events.v1 0=0,1 1=1,1001 2=1001,1 3=0,1", "topic doomed 0=1,1001,0 1=1001,1,0",
		"topic viazk noid 0=1001,1 1=0,1", "topic events.v1 4=1,1001 5=1001,1", "topic __consumer_offsets 0=0 1=1", "answer",
		"reassign orders-0=1001,1 orders-1=0,1001", "answer", "topic unclean 0=1,1001", "answer",
		"zkreassign viazk-1=1,0", "answer", "zkelect viazk-1", "answer",
		"baddir 1001 events.v1-5 orders-1 events.v1-1 doomed-0", "logdir 1001", "answer",
		"shutdown 1001", "answer", "kill 1001", "answer", "delete doomed", "answer", "kill 1", "answer",
		"baddir 1001", "broker 1001", "alter 0 orders-2 epoch=1 version=1 isr=0,1001", "answer", "elect unclean unclean-0",
	} {
		s.run(strings.Fields(command))
	}
	var writes []string
	for _, line := range s.h.lines {
		switch {
		case strings.HasPrefix(line, "zk set topic "):
			writes = append(writes, strings.Join(strings.Fields(line)[:4], " "))
		case strings.HasPrefix(line, "zk create ") && strings.Contains(line, "leader="), strings.HasPrefix(line, "zk set ") && strings.Contains(line, "leader="):
			writes = append(writes, line)
		}
	}
	recorded := recordedWrites(t, 397)
	if len(recorded) < 50 {
		t.Fatalf("%d recorded writes", len(recorded))
	}
	for _, key := range []string{"orders-0", "orders-1", "orders-2", "events.v1-0", "events.v1-1", "events.v1-2", "events.v1-3", "events.v1-4", "events.v1-5",
		"doomed-0", "doomed-1", "viazk-0", "viazk-1", "unclean-0", "__consumer_offsets-0", "__consumer_offsets-1", "topic orders|orders-0", "topic orders|orders-1", "topic viazk|viazk-1"} {
		if got, want := about(writes, key), about(recorded, key); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s:\ngot\n%s\nrecorded\n%s", key, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// about returns the writes to one of the nodes in keys, which are separated by |.
func about(writes []string, keys string) []string {
	var found []string
	for _, w := range writes {
		for _, key := range strings.Split(keys, "|") {
			if strings.Contains(w+" ", " "+key+" ") {
				found = append(found, w)
			}
		}
	}
	return found
}
