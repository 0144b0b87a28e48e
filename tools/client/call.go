package client

import (
	"context"
	"fmt"
	"time"

	"github.com/monedula/monedula/tools/cli"
)

// Call is one call with its deadline. Its name appears in its error messages.
type Call struct {
	Ctx   context.Context
	End   context.CancelFunc
	Admin *Admin
	Name  string
	tries int
}

// Begin starts a call. The first call connects.
func (a *Admin) Begin(name string) (*Call, error) {
	ctx, end := context.WithTimeout(context.Background(), a.Timeout)
	c := &Call{Ctx: ctx, End: end, Admin: a, Name: name}
	if err := a.reach(ctx, name); err != nil {
		end()
		return nil, err
	}
	return c, nil
}

// Again waits before the next attempt. It returns an error if the time limit has passed.
func (c *Call) Again() error {
	c.tries++
	select {
	case <-c.Ctx.Done():
		return c.timedOut()
	case <-time.After(RetryPause):
		return nil
	}
}

// timedOut returns the admin client's error for a call that has run out of time.
func (c *Call) timedOut() error {
	now, deadline := time.Now().UnixMilli(), time.Now().UnixMilli()
	if d, ok := c.Ctx.Deadline(); ok {
		deadline = d.UnixMilli()
	}
	return cli.NewJavaError("org.apache.kafka.common.errors.TimeoutException",
		fmt.Sprintf("Call(callName=%s, deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) timed out at %d after %d attempt(s)",
			c.Name, deadline, c.tries, now+RetryPause.Milliseconds(), now, c.tries))
}
