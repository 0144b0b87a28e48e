package tools

import (
	"context"
	"fmt"
	"time"
)

// adminCall is one call with its deadline. Its name appears in the texts of its errors.
type adminCall struct {
	ctx   context.Context
	end   context.CancelFunc
	admin *adminClient
	name  string
	tries int
}

// begin starts a call. The first call connects.
func (a *adminClient) begin(name string) (*adminCall, error) {
	ctx, end := context.WithTimeout(context.Background(), a.timeout)
	c := &adminCall{ctx: ctx, end: end, admin: a, name: name}
	if err := a.reach(ctx, name); err != nil {
		end()
		return nil, err
	}
	return c, nil
}

// again waits before the next attempt. It returns an error if the time is over.
func (c *adminCall) again() error {
	c.tries++
	select {
	case <-c.ctx.Done():
		return c.timedOut()
	case <-time.After(retryPause):
		return nil
	}
}

// timedOut returns the admin client's error for a call that has run out of time.
func (c *adminCall) timedOut() error {
	now, deadline := time.Now().UnixMilli(), time.Now().UnixMilli()
	if d, ok := c.ctx.Deadline(); ok {
		deadline = d.UnixMilli()
	}
	return javaError{"org.apache.kafka.common.errors.TimeoutException",
		fmt.Sprintf("Call(callName=%s, deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) timed out at %d after %d attempt(s)",
			c.name, deadline, c.tries, now+retryPause.Milliseconds(), now, c.tries)}
}
