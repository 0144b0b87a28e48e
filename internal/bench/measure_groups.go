package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupGoal is the goal for our figures as a share of the original's.
var groupGoal = goal{ratio: 1. / 3}

// groupProperties make groups start at once and notice dead members soon.
var groupProperties = []string{"group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=500"}

// groupMembers is the number of members of the group that is rebalanced, without the one that
// arrives and dies.
const groupMembers = 5

// groupSession is the members' session timeout.
const groupSession = time.Second

// groupRepeats is how many times per round a member arrives and dies.
const groupRepeats = 5

// measureRebalance lets a member join a stable group and die again, and measures how long it takes
// until all others have their new assignment.
func measureRebalance(ctx context.Context, b *bench) error {
	arrival := b.report.metric(fmt.Sprintf("groups: from a member's arrival to a stable group of %d", groupMembers+1), "ms", groupGoal)
	death := b.report.metric("groups: from a member's death, beyond its session timeout, to a stable group", "ms", groupGoal)
	b.report.note("Groups: members send a heartbeat %v after the response to the previous one, so the time that the broker adds is visible; medians of %d per round.", heartbeatPause, groupRepeats)
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		arrivals, deaths, err := rebalances(ctx, br, b.newTopic("group"))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		arrival.add(s, median(arrivals))
		death.add(s, median(deaths))
		b.progress("  %s: arrival %s ms, death %s ms", s.name, summary(arrivals), summary(deaths))
		return nil
	})
}

func rebalances(ctx context.Context, br *broker, group string) (arrivals, deaths []float64, err error) {
	stable := make(chan stableAt, 100)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	start := func(ctx context.Context) (*member, <-chan struct{}, error) {
		m, err := newMember(ctx, br, group, groupSession, stable)
		if err != nil {
			return nil, nil, err
		}
		ended := make(chan struct{})
		wg.Go(func() {
			defer close(ended)
			m.run(ctx)
		})
		return m, ended, nil
	}
	for range groupMembers {
		if _, _, err := start(ctx); err != nil {
			return nil, nil, err
		}
	}
	if _, err := awaitStable(ctx, groupMembers, stable); err != nil {
		return nil, nil, err
	}
	for range groupRepeats {
		life, die := context.WithCancel(ctx)
		begin := time.Now()
		m, ended, err := start(life)
		if err != nil {
			die()
			return nil, nil, err
		}
		at, err := awaitStable(ctx, groupMembers+1, stable)
		if err != nil {
			die()
			return nil, nil, err
		}
		arrivals = append(arrivals, milliseconds(at.Sub(begin)))
		_ = pause(ctx, 10*heartbeatPause) // time for a heartbeat or two
		die()
		<-ended
		if at, err = awaitStable(ctx, groupMembers, stable); err != nil {
			return nil, nil, err
		}
		deaths = append(deaths, milliseconds(at.Sub(m.beat)-groupSession))
	}
	return arrivals, deaths, nil
}

// commitClients is the number of concurrent clients, each in a group of its own.
const commitClients = 16

// measureCommits makes clients commit one offset after the other.
func measureCommits(ctx context.Context, b *bench) error {
	rate := b.report.metric(fmt.Sprintf("groups: offset commits by %d clients", commitClients), "1/s", goal{})
	cpu := b.report.metric("groups: broker CPU per offset commit", "us", groupGoal)
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		prefix := b.newTopic("committer")
		if _, err := commits(ctx, br, prefix, time.Second); err != nil { // the first commits of the groups do not count
			return err
		}
		var done int64
		spent, took, err := charge([]*broker{br}, func() (time.Duration, error) {
			begin := time.Now()
			done, err = commits(ctx, br, prefix, b.sizes.commits)
			return time.Since(begin), err
		})
		if err != nil {
			return err
		}
		rate.add(s, float64(done)/took.Seconds())
		cpu.add(s, spent*1e6/float64(done))
		b.progress("  %s: %.0f commits/s, %.0f us of CPU each", s.name, last(rate.samples[s.name]), last(cpu.samples[s.name]))
		return nil
	})
}

// commits lets clients commit offsets for the given time and returns the number of commits.
func commits(ctx context.Context, br *broker, prefix string, length time.Duration) (int64, error) {
	until := time.Now().Add(length)
	var done atomic.Int64
	err := eachClient(ctx, br, commitClients, func(conn net.Conn, client int) error {
		for at := int64(0); time.Now().Before(until); at++ {
			if err := commitOffsets(conn, fmt.Sprintf("%s-%d", prefix, client), "ready", 1, at); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return done.Load(), err
}

// eachClient runs clients with a connection each.
func eachClient(ctx context.Context, br *broker, clients int, run func(conn net.Conn, client int) error) error {
	failures := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			conn, err := br.dial(ctx)
			if err == nil {
				err = run(conn, i)
				conn.Close()
			}
			failures[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("%s: %w; its last output:\n%s", br.name, err, lastLines(br.proc.Output(), 15))
	}
	return nil
}

// commitOffsets commits the same offset for the first partitions of a topic, without being a member
// of the group.
func commitOffsets(conn net.Conn, group, topic string, partitions int, offset int64) error {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Version = 7
	request.Group, request.Generation = group, -1
	one := kmsg.NewOffsetCommitRequestTopic()
	one.Topic = topic
	for p := range partitions {
		at := kmsg.NewOffsetCommitRequestTopicPartition()
		at.Partition, at.Offset = int32(p), offset
		one.Partitions = append(one.Partitions, at)
	}
	request.Topics = append(request.Topics, one)
	for begin := time.Now(); ; {
		response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
		if err := exchange(conn, request, response); err != nil {
			return err
		}
		code := response.Topics[0].Partitions[0].ErrorCode
		if code == codeNone {
			return nil
		}
		if !passing(code, begin) {
			return fmt.Errorf("committing an offset of group %s answers error %d", group, code)
		}
		if err := awaitCoordinator(conn, ofGroups, group); err != nil {
			return err
		}
	}
}

// measureGroupMemory measures how much very many groups with one member and one offset add to the
// live heap and to the resident memory of a broker. It runs once on each side.
func measureGroupMemory(ctx context.Context, b *bench) error {
	live := b.report.metric(fmt.Sprintf("groups: live heap per group at %d groups", b.sizes.groups), "KiB", groupGoal)
	resident := b.report.metric("groups: the same, resident", "KiB", goal{})
	b.report.note("Memory of groups: the growth of the heap after a full collection; the resident memory of the original grows by the part of its heap that it had not touched before.")
	b.coolDown()
	for _, s := range b.sides() {
		br, err := b.newMeteredBroker(s, groupProperties...)
		if err != nil {
			return err
		}
		before, after, err := b.fillWithGroups(ctx, br)
		br.remove()
		if err != nil {
			return err
		}
		perGroup := 1024 / float64(b.sizes.groups)
		live.add(s, (after.live-before.live)*perGroup)
		resident.add(s, (after.resident-before.resident)*perGroup)
		b.progress("  %s: %.2f KiB alive, %.2f KiB resident", s.name, last(live.samples[s.name]), last(resident.samples[s.name]))
	}
	return nil
}

// held is the memory of a broker in MiB.
type held struct{ live, resident float64 }

func (b *bench) fillWithGroups(ctx context.Context, br *broker) (before, after held, err error) {
	if _, _, err := br.startServing(ctx, "ready", 1); err != nil {
		return before, after, err
	}
	if err := eachClient(ctx, br, 1, func(conn net.Conn, _ int) error { return commitOffsets(conn, "first", "ready", 1, 0) }); err != nil {
		return before, after, err
	}
	if before, err = b.held(ctx, br); err != nil {
		return before, after, err
	}
	err = eachClient(ctx, br, commitClients, func(conn net.Conn, client int) error {
		for i := client; i < b.sizes.groups; i += commitClients {
			m := member{conn: conn, group: fmt.Sprintf("group-%d", i), session: 25 * time.Minute}
			if _, err := m.join(); err != nil {
				return err
			}
			if err := m.commit(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return before, after, err
	}
	after, err = b.held(ctx, br)
	return before, after, err
}

// commit commits an offset as a member of the group.
func (m *member) commit() error {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Version = 7
	request.Group, request.Generation, request.MemberID = m.group, m.generation, m.id
	one := kmsg.NewOffsetCommitRequestTopic()
	one.Topic = "ready"
	one.Partitions = append(one.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	request.Topics = append(request.Topics, one)
	response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
	if err := exchange(m.conn, request, response); err != nil {
		return err
	}
	if code := response.Topics[0].Partitions[0].ErrorCode; code != codeNone {
		return fmt.Errorf("committing as a member of group %s answers error %d", m.group, code)
	}
	return nil
}

// held reads a broker's memory after a full collection; the original is asked to run one.
func (b *bench) held(ctx context.Context, br *broker) (h held, err error) {
	if h.resident, _, err = residentMiB(br.pid()); err != nil {
		return h, err
	}
	if br.side == b.ours {
		h.live, err = liveAfterCollections(ctx, br.metrics)
		return h, err
	}
	for _, command := range []string{"GC.run", "GC.heap_info"} {
		out, err := exec.Command("jcmd", strconv.Itoa(br.pid()), command).CombinedOutput()
		if err != nil {
			return h, fmt.Errorf("jcmd %s: %w: %s; jcmd comes with default-jdk-headless", command, err, bytes.TrimSpace(out))
		}
		if command == "GC.heap_info" {
			if h.live, err = usedHeapMiB(string(out)); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

// liveAfterCollections returns the live heap of a broker in MiB: the smallest value that its
// metrics show during several collections, which only the requests for the metrics cause. The value
// shown is never less than the live heap. It also includes the garbage since the last collection,
// what was allocated during it, and pooled buffers until the second collection.
func liveAfterCollections(ctx context.Context, listener string) (float64, error) {
	least, first, err := heapOf(ctx, listener)
	if err != nil {
		return 0, err
	}
	for {
		bytes, cycles, err := heapOf(ctx, listener)
		if err != nil {
			return 0, err
		}
		least = min(least, bytes)
		if cycles >= first+10 {
			return least / (1 << 20), nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// heapOf reads the size of a broker's heap and the number of its collections from its metrics.
func heapOf(ctx context.Context, listener string) (bytes, cycles float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener+"/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, 0, err
	}
	found := 0
	for line := range strings.Lines(string(page)) {
		for name, into := range map[string]*float64{"go_memstats_heap_alloc_bytes ": &bytes, "go_gc_cycles_total ": &cycles} {
			if value, ok := strings.CutPrefix(line, name); ok {
				if *into, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil {
					return 0, 0, err
				}
				found++
			}
		}
	}
	if found != 2 {
		return 0, 0, fmt.Errorf("the metrics at %s do not include the heap", listener)
	}
	return bytes, cycles, nil
}

// usedHeapMiB parses "garbage-first heap total 1048576K, used 34567K [...]".
func usedHeapMiB(info string) (float64, error) {
	_, rest, found := strings.Cut(info, ", used ")
	if !found {
		return 0, fmt.Errorf("jcmd GC.heap_info does not show the heap's use: %q", info)
	}
	kib, _, _ := strings.Cut(rest, "K")
	used, err := strconv.ParseFloat(kib, 64)
	return used / 1024, err
}
