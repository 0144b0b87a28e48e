package controller

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// harness runs a Machine in one goroutine, with a store in memory, brokers that answer when the
// test calls answer, and a queue that run empties.
type harness struct {
	t       testing.TB
	cfg     Config
	m       *Machine
	store   *fakeStore
	lines   []string // the writes to ZooKeeper and the requests to brokers since the last take
	log     bytes.Buffer
	events  []Event
	timers  []timer
	queues  map[metadata.BrokerID][]pending
	storage map[metadata.BrokerID]map[TopicPartition]bool // partitions in failed log directories
	topicID byte
	stepped func(Event) // called after each event, unless nil
}

type timer struct {
	after time.Duration
	event Event
}

type pending struct {
	req      kmsg.Request
	answered func(kmsg.Response)
}

func newHarness(t testing.TB, change func(*Config)) *harness {
	h := &harness{t: t, queues: map[metadata.BrokerID][]pending{}, storage: map[metadata.BrokerID]map[TopicPartition]bool{}}
	logger := kafkalog.New(&h.log)
	kafkalog.LevelsOf(logger).Set(kafkalog.Root, logrus.TraceLevel)
	h.cfg = Config{
		BrokerID: 0, InterBrokerListener: "PLAINTEXT", IBP: "3.9-IV0", DeleteTopics: true,
		ImbalancePercentage: 10, ImbalanceInterval: 300 * time.Second, Logger: logger,
		NewTopicID: func() (TopicID, error) { h.topicID++; return TopicID{15: h.topicID}, nil },
	}
	if change != nil {
		change(&h.cfg)
	}
	h.store = newFakeStore(h.note)
	h.boot()
	return h
}

// boot replaces the machine, like a restart of the broker.
func (h *harness) boot() {
	m, err := NewMachine(h.cfg, h.store, h, h)
	if err != nil {
		h.t.Fatal(err)
	}
	h.m = m
}

func (h *harness) note(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}

// take returns the lines since the last take.
func (h *harness) take() string {
	text := strings.Join(h.lines, "\n")
	h.lines = nil
	return text
}

// ---- Agenda

func (h *harness) Put(e Event)                       { h.events = append(h.events, e) }
func (h *harness) PutAfter(d time.Duration, e Event) { h.timers = append(h.timers, timer{d, e}) }
func (h *harness) CancelTimers()                     { h.timers = nil }
func (h *harness) put(e Event)                       { h.Put(e); h.run() }
func (h *harness) Add(b zkstore.BrokerInfo) {
	h.note("peer %d added", b.ID)
	h.queues[b.ID] = []pending{}
}
func (h *harness) Remove(id metadata.BrokerID) { h.note("peer %d removed", id); delete(h.queues, id) }
func (h *harness) RemoveAll()                  { clear(h.queues) }
func (h *harness) contains(lines string) bool {
	return strings.Contains(strings.Join(h.lines, "\n"), lines)
}
func (h *harness) leadership(tp TopicPartition) string { return stateLine(tp, h.store.states[tp]) }

func (h *harness) step(e Event) {
	h.m.Step(e)
	if h.stepped != nil {
		h.stepped(e)
	}
}

// run processes events until the queue is empty.
func (h *harness) run() {
	for range 10000 {
		if len(h.events) == 0 {
			return
		}
		e := h.events[0]
		h.events = h.events[1:]
		h.step(e)
	}
	h.t.Fatal("the queue is not empty after 10,000 events")
}

// fire delivers all timers.
func (h *harness) fire() {
	due := h.timers
	h.timers = nil
	for _, timer := range due {
		h.Put(timer.event)
	}
	h.run()
}

// ---- Peers

func (h *harness) Send(id metadata.BrokerID, req kmsg.Request, answered func(kmsg.Response)) {
	if _, ok := h.queues[id]; !ok {
		h.note("dropped: %s -> %d", protocol.APIKey(req.Key()), id)
		return
	}
	h.queues[id] = append(h.queues[id], pending{req, answered})
	for _, line := range requestLines(req) {
		h.note("%s", strings.ReplaceAll(line, "->", fmt.Sprintf("-> %d", id)))
	}
}

// answer makes brokers, or only those with the given ids, answer their requests until the
// controller sends no further ones.
func (h *harness) answer(ids ...metadata.BrokerID) {
	for again := true; again; {
		again = false
		for _, id := range sortedKeys(h.queues) {
			if len(ids) > 0 && !slices.Contains(ids, id) {
				continue
			}
			waiting := h.queues[id]
			h.queues[id] = nil
			for _, p := range waiting {
				again = true
				if p.answered != nil {
					p.answered(h.respond(id, p.req))
				}
			}
		}
		h.run()
	}
}

// respond returns the answer of a broker without errors, except for partitions in failed log
// directories.
func (h *harness) respond(id metadata.BrokerID, req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		resp := req.ResponseKind().(*kmsg.LeaderAndISRResponse)
		add := func(topic string, partition int32) kmsg.LeaderAndISRResponseTopicPartition {
			p := kmsg.NewLeaderAndISRResponseTopicPartition()
			p.Topic, p.Partition = topic, partition
			if h.storage[id][TopicPartition{Topic: topic, Partition: partition}] {
				p.ErrorCode = int16(protocol.KafkaStorageError)
			}
			return p
		}
		for _, t := range req.TopicStates {
			topic := kmsg.NewLeaderAndISRResponseTopic()
			topic.TopicID = t.TopicID
			for _, s := range t.PartitionStates {
				p := add(t.Topic, s.Partition)
				if req.Version >= 5 {
					topic.Partitions = append(topic.Partitions, p)
				} else {
					resp.Partitions = append(resp.Partitions, p)
				}
			}
			if req.Version >= 5 {
				resp.Topics = append(resp.Topics, topic)
			}
		}
		return resp
	case *kmsg.StopReplicaRequest:
		resp := req.ResponseKind().(*kmsg.StopReplicaResponse)
		for _, t := range req.Topics {
			partitions := t.Partitions
			if req.Version >= 3 {
				partitions = nil
				for _, s := range t.PartitionStates {
					partitions = append(partitions, s.Partition)
				}
			}
			for _, partition := range partitions {
				p := kmsg.NewStopReplicaResponsePartition()
				p.Topic, p.Partition = t.Topic, partition
				if h.storage[id][TopicPartition{Topic: t.Topic, Partition: partition}] {
					p.ErrorCode = int16(protocol.KafkaStorageError)
				}
				resp.Partitions = append(resp.Partitions, p)
			}
		}
		return resp
	default:
		return req.ResponseKind()
	}
}

// requestLines returns a request as text, with one line per partition.
func requestLines(req kmsg.Request) []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		say("LeaderAndIsr v%d -> be=%d ce=%d leaders=%s", req.Version, req.BrokerEpoch, req.ControllerEpoch, liveLeaders(req))
		each := func(topic string, p kmsg.LeaderAndISRRequestTopicPartition) {
			text := fmt.Sprintf("  %s-%d leader=%d epoch=%d isr=%s v%d replicas=%s", topic, p.Partition, p.Leader, p.LeaderEpoch, javatext.Join(p.ISR, ","), p.ZKVersion, javatext.Join(p.Replicas, ","))
			if len(p.AddingReplicas)+len(p.RemovingReplicas) > 0 {
				text += fmt.Sprintf("(+%s -%s)", javatext.Join(p.AddingReplicas, ","), javatext.Join(p.RemovingReplicas, ","))
			}
			if p.IsNew {
				text += " new"
			}
			if p.LeaderRecoveryState == 1 {
				text += " recovering"
			}
			say("%s", text)
		}
		for _, p := range req.PartitionStates {
			each(p.Topic, p)
		}
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				each(t.Topic, p)
			}
		}
	case *kmsg.UpdateMetadataRequest:
		var brokers []int32
		for _, b := range req.LiveBrokers {
			brokers = append(brokers, b.ID)
		}
		say("UpdateMetadata v%d -> be=%d ce=%d brokers=%s", req.Version, req.BrokerEpoch, req.ControllerEpoch, javatext.Join(brokers, ","))
		each := func(topic string, p kmsg.UpdateMetadataRequestTopicPartition) {
			text := fmt.Sprintf("  %s-%d leader=%d epoch=%d isr=%s v%d replicas=%s", topic, p.Partition, p.Leader, p.LeaderEpoch, javatext.Join(p.ISR, ","), p.ZKVersion, javatext.Join(p.Replicas, ","))
			if len(p.OfflineReplicas) > 0 {
				text += " offline=" + javatext.Join(p.OfflineReplicas, ",")
			}
			say("%s", text)
		}
		for _, p := range req.PartitionStates {
			each(p.Topic, p)
		}
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				each(t.Topic, p)
			}
		}
	case *kmsg.StopReplicaRequest:
		say("StopReplica v%d -> be=%d ce=%d%s", req.Version, req.BrokerEpoch, req.ControllerEpoch, map[bool]string{true: " delete"}[req.DeletePartitions])
		for _, t := range req.Topics {
			for _, p := range t.PartitionStates {
				say("  %s-%d epoch=%d%s", t.Topic, p.Partition, p.LeaderEpoch, map[bool]string{true: " delete"}[p.Delete])
			}
		}
	}
	return lines
}

func liveLeaders(req *kmsg.LeaderAndISRRequest) string {
	var ids []int32
	for _, l := range req.LiveLeaders {
		ids = append(ids, l.BrokerID)
	}
	return javatext.Join(ids, ",")
}

func tp(topic string, partition int32) TopicPartition {
	return TopicPartition{Topic: topic, Partition: partition}
}

func replicas(ids ...metadata.BrokerID) zkstore.Assignment { return zkstore.Assignment{Replicas: ids} }

// topicNode returns a topic with an id and the assignments of partitions 0, 1, ...
func topicNode(name string, assignments ...zkstore.Assignment) zkstore.TopicNode {
	t := zkstore.TopicNode{Name: name, Partitions: map[int32]zkstore.Assignment{}}
	copy(t.ID[:], name)
	for i, a := range assignments {
		t.Partitions[int32(i)] = a
	}
	return t
}

// started returns a harness whose broker 0 is the controller of a cluster of the given brokers.
func started(t testing.TB, change func(*Config), brokers ...metadata.BrokerID) *harness {
	h := newHarness(t, change)
	for _, id := range brokers {
		h.store.register(id, "")
	}
	h.put(Startup{})
	h.answer()
	h.take()
	return h
}

func codeName(code int16) string { return protocol.ErrorCode(code).Name() }

func errorText(err error) string {
	if err == nil {
		return "NONE"
	}
	text := protocol.CodeOf(err).Name()
	var e *protocol.Error
	if errors.As(err, &e) {
		text += ": " + e.Message
	}
	return text
}
