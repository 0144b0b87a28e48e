package controller

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/zkstore"
)

// A new controller that writes /feature waits, for a bounded time, until its broker has read it. It
// does not wait if it leaves the node as it is, and gives up its term if the wait fails.
func TestANewControllerAwaitsTheFeaturesThatItWrote(t *testing.T) {
	var awaited []zkstore.Version
	var failure error
	h := newHarness(t, func(c *Config) {
		c.FeatureUpdateTimeout = time.Minute
		c.AwaitFeatureEpoch = func(ctx context.Context, version zkstore.Version) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the wait is not bounded")
			}
			awaited = append(awaited, version)
			return failure
		}
	})
	h.store.register(0, "")
	s := &scenario{t: t, h: h}
	expect := func(when string, want ...zkstore.Version) {
		t.Helper()
		if !slices.Equal(awaited, want) || h.m.Active() != (failure == nil) {
			t.Errorf("%s: awaited versions %v, want %v; active %t", when, awaited, want, h.m.Active())
		}
	}
	s.play("start")
	expect("the node is created", 0)
	s.play("restart")
	expect("the node stays as it is", 0)
	h.store.feature.Enabled = false
	s.play("restart")
	expect("the node is changed", 0, 1)
	failure = errors.New("not read in time")
	h.store.feature = nil
	s.play("restart")
	expect("the node is created, but not read", 0, 1, 0)
}
