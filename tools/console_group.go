package tools

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// groupSubscription returns what a member of a group reads.
func (c *consoleConsumer) groupSubscription(client func() *kgo.Client, fail func(error)) []kgo.Opt {
	options := append(c.group.options, kgo.ConsumeResetOffset(c.reset))
	if c.reset != kgo.NoResetOffset() {
		options = append(options, c.group.commitStarts(client, c.reset))
	} else {
		options = append(options, refuseUnset(fail))
	}
	if c.o.topic.given() {
		return append(options, kgo.ConsumeTopics(c.o.topic.or("")))
	}
	return append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics(c.o.pattern()))
}

// runInGroup reads as a member of the group.
func (c *consoleConsumer) runInGroup(ctx context.Context) error {
	opened := make(chan *kgo.Client, 1)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	subscription := c.groupSubscription(sync.OnceValue(func() *kgo.Client { return <-opened }), fail)
	client, err := kgo.NewClient(append(append(c.config.options, kgo.SeedBrokers(c.servers...)), subscription...)...)
	if err != nil {
		return err
	}
	opened <- client
	err = c.consume(ctx, client)
	if cause := context.Cause(ctx); errors.As(cause, new(javaError)) {
		err = cause
	}
	if c.group.autoCommit {
		// Commit only what was printed. The next consumer continues from there.
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if e := client.CommitMarkedOffsets(last); e != nil && err == nil {
			c.log.Warnf("[%s, groupId=%s] The offsets could not be committed: %v", c.client, c.group.id, e)
		}
		cancel()
	}
	client.CloseAllowingRebalance()
	return err
}

// warnGone logs Kafka's warning for a partition whose topic was deleted.
func (c *consoleConsumer) warnGone(topic string, partition int32) {
	name := c.client
	if c.group != nil {
		name += ", groupId=" + c.group.id
	}
	warnGone(c.o.env, name, topic, partition)
}

// passes reports whether the consumer continues after an error of a poll.
func (c *consoleConsumer) passes(err error) bool {
	if c.group != nil {
		return groupContinues(err)
	}
	return fetchContinues(err)
}
