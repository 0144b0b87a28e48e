package controller

import (
	"errors"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
)

// If a session is lost before the first event is processed, this event is dropped. The broker must
// still notice other controllers.
func TestAControllerWhoseFirstEventWasDroppedNoticesOthers(t *testing.T) {
	h := newHarness(t, nil)
	h.store.register(0, "")
	h.put(Expire{}) // BeforeNewSession clears the queue, including Startup, and puts this event
	h.put(RegisterBrokerAndReelect{})
	if !h.m.Active() {
		t.Fatal("not elected")
	}
	h.store.stealController(1)
	h.run()
	if h.m.Active() {
		t.Error("still active although another broker is the controller")
	}
}

// A check of leaders that was due when its term ended belongs to that term. The next term has a
// single chain of checks.
func TestATermHasOneChainOfLeaderChecks(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.AutoRebalance = true })
	h.store.register(0, "")
	h.put(Startup{})
	h.answer()
	if len(h.timers) != 1 {
		t.Fatal(h.timers)
	}
	due := h.timers[0].event
	h.store.stealController(1)
	h.run()
	h.store.dropController()
	h.run()
	if !h.m.Active() {
		t.Fatal("not elected again")
	}
	h.put(due)
	checks := func() (n int) {
		for _, timer := range h.timers {
			if _, ok := timer.event.(autoRebalance); ok {
				n++
			}
		}
		return n
	}
	if n := checks(); n != 1 {
		t.Errorf("%d checks are scheduled, want 1", n)
	}
	h.fire()
	if n := checks(); n != 1 {
		t.Errorf("%d checks are scheduled after the first one, want 1", n)
	}
}

// A broker that fails to become the controller deletes /controller. If it cannot delete or read the
// node, it tries again. Otherwise the cluster would have a controller that does not act.
func TestGivingUpATermIsRetriedUntilItsNodeIsDeleted(t *testing.T) {
	lost := errors.New("connection lost")
	for _, operation := range []string{"Controller", "DeleteController"} {
		t.Run(operation, func(t *testing.T) {
			h := newHarness(t, nil)
			h.store.register(0, "")
			h.store.fail["Topics"] = lost // makes the failover fail
			note := h.store.journal
			h.store.journal = func(format string, args ...any) {
				note(format, args...)
				if strings.HasPrefix(format, "zk create /controller") {
					h.store.fail[operation] = lost // the next call, which is that of giveUp, fails
					h.store.journal = note
				}
			}
			h.put(Startup{})
			if h.m.Active() || h.store.controller == nil {
				t.Fatalf("active %v, /controller %v; want the node of a broker that does not act", h.m.Active(), h.store.controller)
			}
			h.store.fail["DeleteController"] = lost // fails again
			h.fire()
			if h.m.Active() || h.store.controller == nil || len(h.timers) != 1 {
				t.Fatalf("active %v, /controller %v, timers %v", h.m.Active(), h.store.controller, h.timers)
			}
			h.fire()
			if !h.m.Active() || h.store.epoch != 2 {
				t.Errorf("active %v in epoch %d, want a second term after the node was deleted", h.m.Active(), h.store.epoch)
			}
		})
	}
}

// A broker must not delete /controller for a term of an earlier session.
func TestAnAbandonedTermEndsWithItsSession(t *testing.T) {
	h := newHarness(t, nil)
	h.store.register(0, "")
	h.store.fail["Topics"], h.store.fail["DeleteController"] = errors.New("lost"), errors.New("lost")
	h.put(Startup{})
	h.store.controller = nil // the end of the session deletes the node
	h.put(Expire{})
	h.store.stealController(1)
	h.put(RegisterBrokerAndReelect{})
	h.fire()
	if h.m.Active() || h.store.controller == nil || h.store.controller.ID != 1 {
		t.Errorf("active %v, /controller %+v, want that of broker 1", h.m.Active(), h.store.controller)
	}
}

// If the id of only the first of several topics without ids can be written, all of them are created
// at the next change. A tool of 2.8 creates topics without ids.
func TestTopicsWithoutIDsAreCreatedAfterAFailedWrite(t *testing.T) {
	h := newHarness(t, nil)
	h.store.register(0, "")
	h.put(Startup{})
	h.answer()
	note := h.store.journal
	h.store.journal = func(format string, args ...any) {
		note(format, args...)
		if strings.HasPrefix(format, "zk set %s%s") {
			h.store.fail["SetTopic"] = errors.New("lost") // for the second topic
			h.store.journal = note
		}
	}
	for _, name := range []string{"a", "b"} {
		topic := topicNode(name, replicas(0))
		topic.ID = TopicID{}
		h.store.topics[name] = topic
	}
	h.put(topicChange{})
	h.answer()
	h.put(topicChange{})
	h.answer()
	for _, name := range []string{"a", "b"} {
		tp := TopicPartition{Topic: name}
		if s := h.store.states[tp]; s.Leader != 0 || len(s.ISR) != 1 || h.store.topics[name].ID == (TopicID{}) || h.m.c.partition(tp) == nil || h.m.c.partition(tp).state != onlinePartition {
			t.Errorf("%s: state %+v, id %v", name, s, h.store.topics[name].ID)
		}
	}
}

// If the configuration of one topic is unreadable, only that topic gets no unclean leader.
func TestAnUnreadableConfigurationAffectsOnlyItsTopic(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.UncleanElection = true })
	h.store.register(0, "")
	h.store.register(1, "")
	h.put(Startup{})
	h.answer()
	for _, name := range []string{"a", "b", "c"} {
		h.store.putTopic(topicNode(name, replicas(1, 0)))
	}
	h.run()
	h.answer()
	for _, name := range []string{"a", "b", "c"} {
		tp := TopicPartition{Topic: name}
		s := h.store.states[tp]
		s.ISR = []metadata.BrokerID{1}
		h.store.putState(tp, s)
		h.m.c.setLeadership(tp, h.store.states[tp])
	}
	h.store.invalidConfigs = map[string]bool{"b": true}
	h.store.configs["c"] = map[string]string{uncleanElectionKey: "false"}
	h.store.unregister(1)
	h.run()
	h.answer()
	for name, want := range map[string]metadata.BrokerID{"a": 0, "b": metadata.NoBroker, "c": metadata.NoBroker} {
		if s := h.store.states[TopicPartition{Topic: name}]; s.Leader != want {
			t.Errorf("the leader of %s is %d, want %d", name, s.Leader, want)
		}
	}
}
