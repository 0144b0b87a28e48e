package console

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// groupSubscription returns the client options for reading as a member of a group. consumer blocks
// until the client exists and returns it. fail makes the member exit with an error.
func (c *consoleConsumer) groupSubscription(consumer func() *kgo.Client, fail func(error)) []kgo.Opt {
	options := append(c.group.Options, kgo.ConsumeResetOffset(c.reset))
	if c.reset != kgo.NoResetOffset() {
		options = append(options, c.group.CommitStarts(consumer, c.reset))
	} else {
		options = append(options, client.RefuseUnset(fail))
	}
	if c.o.topic.Given() {
		return append(options, kgo.ConsumeTopics(c.o.topic.Or("")))
	}
	return append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics(c.o.pattern()))
}

// runInGroup reads as a member of the group.
func (c *consoleConsumer) runInGroup(ctx context.Context) error {
	opened := make(chan *kgo.Client, 1)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	subscription := c.groupSubscription(sync.OnceValue(func() *kgo.Client { return <-opened }), fail)
	consumer, err := c.config.Open(c.o.Env, c.servers, subscription...)
	if err != nil {
		return err
	}
	opened <- consumer
	err = c.consume(ctx, consumer)
	if cause := context.Cause(ctx); errors.As(cause, new(cli.JavaError)) {
		c.endBy(cause)
	}
	if c.group.AutoCommit {
		// Commit only what was printed. The next consumer continues from there.
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if e := consumer.CommitMarkedOffsets(last); e != nil && err == nil {
			c.log.Warnf("[%s] The offsets could not be committed: %v", c.reporter.Name, e)
		}
		cancel()
	}
	consumer.CloseAllowingRebalance()
	return err
}

// warnGone logs Kafka's warning for a partition whose topic was deleted.
func (c *consoleConsumer) warnGone(topic string, partition int32) {
	client.WarnGone(c.o.Env, c.reporter.Name, topic, partition)
}

// passes reports whether the consumer continues after a poll returned err.
func (c *consoleConsumer) passes(err error) bool {
	if c.group != nil {
		return client.GroupContinues(err)
	}
	return client.FetchContinues(err)
}
