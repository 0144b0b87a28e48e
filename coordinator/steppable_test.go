package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/protocol"
)

// stepper takes background work and has a clock.
type stepper struct {
	now   time.Time
	works []func() bool
}

func (s *stepper) config(c *coordinator.Config[item]) {
	c.Now, c.Drive = func() time.Time { return s.now }, func(step func() bool) { s.works = append(s.works, step) }
}

// step makes one step of all work.
func (s *stepper) step() {
	due := s.works
	s.works = nil
	for _, step := range due {
		if step() {
			s.works = append(s.works, step)
		}
	}
}

func TestBackgroundWorkIsDrivenInSteps(t *testing.T) {
	topic, s := topictest.New(), &stepper{now: time.Unix(1000, 0)}
	rt, r := newRuntime(topic, s.config)
	write(t, topic, 0, "a", "1")
	rt.Elect(0, 1)
	expectCalls := func(what, want string) {
		t.Helper()
		if got := r.take(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	expectCalls("before a step", "scheduled 0 in epoch 1")
	s.step()
	expectCalls("after a step", "publishing 1; published 1 in epoch 1")
	if len(s.works) != 0 {
		t.Errorf("%d works are left after the load", len(s.works))
	}

	hold := make(chan struct{})
	topic.Hold = hold
	written, err := topic.Append(0, batchOf(t, "b", "2"), nil, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, timeout := range []time.Duration{time.Second, time.Minute} {
		rt.AfterReplicated(0, written, timeout, func(err error) { r.note("%v: %v", timeout, err) })
	}
	s.step()
	expectCalls("not replicated", "")
	s.now = s.now.Add(time.Second)
	s.step()
	expectCalls("after a timeout", "1s: The request timed out.")
	close(hold)
	s.step()
	expectCalls("replicated", "1m0s: <nil>")
	s.step()
	if len(s.works) != 0 {
		t.Errorf("%d works are left after the appends", len(s.works))
	}

	rt.Every(time.Second, func() { r.note("periodic") })
	s.step()
	expectCalls("before the interval", "")
	s.now = s.now.Add(time.Second)
	s.step()
	s.step()
	expectCalls("after the interval", "periodic")
}

// A record that the leader has, but not all in-sync replicas, may be lost with the leader. Nothing is
// made of it before.
func TestEntriesArePublishedWhenTheirRecordsAreReplicated(t *testing.T) {
	for _, err := range []error{nil, protocol.NotEnoughReplicasAfterAppend, protocol.NotLeaderOrFollower} {
		topic, s := topictest.New(), &stepper{now: time.Unix(1000, 0)}
		rt, r := newRuntime(topic, s.config, func(c *coordinator.Config[item]) { c.Replicated = true })
		write(t, topic, 0, "a", "1")
		topic.Behind, topic.EndErr = make(chan struct{}), err
		rt.Elect(0, 1)
		s.step()
		if _, code := rt.Lookup("a"); code != protocol.CoordinatorLoadInProgress || r.take() != "scheduled 0 in epoch 1" {
			t.Errorf("not replicated: %s", code.Name())
		}
		close(topic.Behind)
		s.step()
		calls := r.take()
		_, code := rt.Lookup("a")
		if lost := errors.Is(err, protocol.NotLeaderOrFollower); lost && (calls != "" || code != protocol.NotCoordinator) ||
			!lost && (calls != "publishing 1; published 1 in epoch 1" || code != protocol.None) {
			t.Errorf("%v: %s, then %s", err, calls, code.Name())
		}
		if len(s.works) != 0 || !rt.AwaitLoaded(0) {
			t.Error("the load has not ended")
		}
	}
}

func TestALoadThatWaitsForReplicasEndsWithTheLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []func(*coordinator.Runtime[item]){
			func(rt *coordinator.Runtime[item]) { rt.Resign(0, 2) },
			func(rt *coordinator.Runtime[item]) { go rt.Stop() },
		} {
			topic := topictest.New()
			topic.Behind = make(chan struct{})
			rt, r := newRuntime(topic, func(c *coordinator.Config[item]) { c.Replicated = true })
			rt.Elect(0, 1)
			synctest.Wait()
			end(rt)
			time.Sleep(time.Second)
			rt.Stop()
			if got := r.take(); got != "scheduled 0 in epoch 1" {
				t.Errorf("calls: %s", got)
			}
		}
	})
}
