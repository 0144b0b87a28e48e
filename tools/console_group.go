package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/protocol"
)

// groupConfig is how the console consumer takes part in a consumer group.
type groupConfig struct {
	id         string
	autoCommit bool // enable.auto.commit
	options    []kgo.Opt
}

// groupOf reads what the properties say of the group, as the Java consumer
// names it; nil: there is no group.
func groupOf(props map[string]string) (*groupConfig, error) {
	id := props["group.id"]
	if id == "" {
		return nil, nil
	}
	r := &propertyReader{props: props}
	g := &groupConfig{id: id, autoCommit: !strings.EqualFold(props["enable.auto.commit"], "false")}
	g.options = []kgo.Opt{
		kgo.ConsumerGroup(id),
		// What Java consumers offer, in their order: mixed groups find the same.
		kgo.Balancers(kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(millis(r.number("session.timeout.ms", 45000, 0))),
		kgo.HeartbeatInterval(millis(r.number("heartbeat.interval.ms", 3000, 0))),
		kgo.RebalanceTimeout(millis(r.number("max.poll.interval.ms", 300000, 1))),
		kgo.AllowAutoTopicCreation(),
	}
	interval := millis(r.number("auto.commit.interval.ms", 5000, 0))
	if g.autoCommit {
		g.options = append(g.options, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(max(interval, 100*time.Millisecond)))
	} else {
		g.options = append(g.options, kgo.DisableAutoCommit())
	}
	if instance := props["group.instance.id"]; instance != "" {
		g.options = append(g.options, kgo.InstanceID(instance))
	}
	switch text := props["partition.assignment.strategy"]; text {
	case "":
	case "org.apache.kafka.clients.consumer.RangeAssignor":
		g.options = append(g.options, kgo.Balancers(kgo.RangeBalancer()))
	case "org.apache.kafka.clients.consumer.RoundRobinAssignor":
		g.options = append(g.options, kgo.Balancers(kgo.RoundRobinBalancer()))
	case "org.apache.kafka.clients.consumer.StickyAssignor":
		g.options = append(g.options, kgo.Balancers(kgo.StickyBalancer()))
	case "org.apache.kafka.clients.consumer.CooperativeStickyAssignor":
		g.options = append(g.options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	default:
		r.fail(fmt.Sprintf("partition.assignment.strategy=%s is not supported by this tool; RangeAssignor, RoundRobinAssignor, StickyAssignor and CooperativeStickyAssignor are, one of them", text))
	}
	return g, r.err
}

// subscription is what a member of a group reads.
func (c *consoleConsumer) subscription() []kgo.Opt {
	options := append(c.group.options, kgo.ConsumeResetOffset(c.start))
	if c.o.topic.given() {
		return append(options, kgo.ConsumeTopics(c.o.topic.or("")))
	}
	return append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+c.o.includes().or("")+")$"))
}

// runInGroup reads as a member of the group.
func (c *consoleConsumer) runInGroup(ctx context.Context) error {
	client, err := kgo.NewClient(append(append(c.config.options, kgo.SeedBrokers(c.servers...)), c.subscription()...)...)
	if err != nil {
		return err
	}
	err = c.consume(ctx, client)
	if c.group.autoCommit {
		// What was printed and nothing more: the next one goes on from there.
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if e := client.CommitMarkedOffsets(last); e != nil && err == nil {
			c.log.Warnf("[%s, groupId=%s] The offsets could not be committed: %v", c.client, c.group.id, e)
		}
		cancel()
	}
	client.CloseAllowingRebalance()
	return err
}

// passes says whether a poll's error is one after which a member goes on.
func (c *consoleConsumer) passes(err error) bool {
	if c.group != nil {
		return groupGoesOn(err)
	}
	return protocol.CodeOf(fromKgo(err)).Retriable()
}

// groupGoesOn is passes for a member of a group.
func groupGoesOn(err error) bool {
	if session := (*kgo.ErrGroupSession)(nil); errors.As(err, &session) {
		code := protocol.CodeOf(fromKgo(session.Err))
		return code == protocol.UnknownServerError || code.Retriable() ||
			code == protocol.UnknownMemberID || code == protocol.IllegalGeneration || code == protocol.RebalanceInProgress
	}
	return protocol.CodeOf(fromKgo(err)).Retriable()
}
