package zkclient

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPathsAreBelowTheChroot(t *testing.T) {
	for _, c := range []struct{ chroot, path, want string }{
		{"", "/", "/"}, {"", "/brokers", "/brokers"}, {"/kafka", "/", "/kafka"}, {"/kafka", "/brokers", "/kafka/brokers"},
	} {
		if got := (&Client{chroot: c.chroot}).full(c.path); got != c.want {
			t.Errorf("%s below %q is %q, want %q", c.path, c.chroot, got, c.want)
		}
	}
}

// The first error in time is returned, whatever the order of the calls is, and no call begins after
// it.
func TestTheFirstErrorOfParallelCallsIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := errors.New("first")
		var calls atomic.Int32
		ns := NewNodes(&Client{cfg: Config{MaxInFlight: 2}})
		err := ns.Each(10, func(i int) error {
			calls.Add(1)
			if i == 0 {
				time.Sleep(time.Second) // virtual time
				return errors.New("second")
			}
			return first
		})
		if err != first || calls.Load() != 2 {
			t.Errorf("%v after %d calls, want the first error after 2", err, calls.Load())
		}
	})
}
