package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// TopicProducer sends records to one topic, which may be deleted and created again in the meantime.
// Like the Java producer, it makes a send wait for the topic, and sends the records in flight to
// the new topic. Safe for concurrent use.
type TopicProducer struct {
	Client   *kgo.Client
	Await    func(ctx context.Context) error // returns once the topic has leaders
	Reporter Reporter                        // of the errors

	sending sync.Mutex // held while waiting for the topic and handing records to the client

	mu       sync.Mutex      // guards returned
	returned []pendingRecord // in the order in which they were sent
}

// pendingRecord is a record that the client returned because its topic was gone.
type pendingRecord struct {
	record *kgo.Record
	done   func(*kgo.Record, error)
}

// OpenTopicProducer opens a producer with the given properties. The client connects to the brokers
// with the first record.
func OpenTopicProducer(env *cli.Env, bootstrap, topic string, props map[string]string, more ...kgo.Opt) (*TopicProducer, error) {
	servers, err := ParseBootstrap(bootstrap)
	if err != nil {
		return nil, cli.WithCause(cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to construct kafka producer"), ConfigError(err.Error()))
	}
	if props["client.id"] == "" {
		props["client.id"] = "producer-1"
	}
	config, err := ProducerConfig(props)
	if err != nil {
		return nil, err
	}
	client, err := config.Open(env, servers, more...)
	if err != nil {
		return nil, err
	}
	waiter := config.Waiter(env, servers, topic)
	return &TopicProducer{Client: client, Await: waiter.Wait, Reporter: waiter.Reporter}, nil
}

// Produce hands a record to the client. done is called exactly once, with the result, whose error is
// that of Kafka's client.
func (p *TopicProducer) Produce(ctx context.Context, r *kgo.Record, done func(*kgo.Record, error)) {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.resend(ctx)
	p.hand(ctx, pendingRecord{r, done})
}

// Flush waits until all records have been acknowledged or have failed.
func (p *TopicProducer) Flush(ctx context.Context) error {
	for {
		if err := p.Client.Flush(ctx); err != nil {
			return err
		}
		p.sending.Lock()
		// Returned records may have been handed to the client again in the meantime.
		settled := p.Client.BufferedProduceRecords() == 0
		again := p.resend(ctx)
		p.sending.Unlock()
		if settled && !again {
			return nil
		}
	}
}

// hand gives a record to the client. The caller must hold sending.
func (p *TopicProducer) hand(ctx context.Context, pending pendingRecord) {
	p.Client.Produce(ctx, pending.record, func(r *kgo.Record, err error) {
		if !topicIsGone(err) {
			if err != nil {
				err = p.Reporter.Convert(p.Client, r.Topic, err)
			}
			pending.done(r, err)
			return
		}
		p.mu.Lock()
		first := len(p.returned) == 0
		p.returned = append(p.returned, pending)
		p.mu.Unlock()
		if first {
			go func() {
				p.sending.Lock()
				defer p.sending.Unlock()
				p.resend(ctx)
			}()
		}
	})
}

// resend sends the returned records again once the topic exists and reports whether there were any.
// The caller must hold sending.
func (p *TopicProducer) resend(ctx context.Context) bool {
	p.mu.Lock()
	waiting := len(p.returned) > 0
	p.mu.Unlock()
	if !waiting {
		return false
	}
	err := p.Await(ctx)
	p.mu.Lock()
	records := p.returned
	p.returned = nil
	p.mu.Unlock()
	for _, pending := range records {
		if err != nil {
			pending.done(pending.record, err)
		} else {
			p.hand(ctx, pending)
		}
	}
	return true
}

// topicIsGone reports whether a record failed because its topic or partition does not exist. Such a
// record was not written.
func topicIsGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

// TopicWaiter waits for a topic like a Kafka client that sends to it.
type TopicWaiter struct {
	servers   []string
	Topic     string
	Reporter  Reporter
	MayCreate bool
	Limit     time.Duration // max.block.ms; negative: no limit
}

// Wait requests the metadata of the topic until its partitions have leaders. This creates the topic
// if the brokers and the client allow it. It logs the warnings of Kafka's client.
func (w *TopicWaiter) Wait(ctx context.Context) error {
	cluster, err := Connect(ctx, w.Reporter.Env, w.Reporter.Name, w.servers, "metadata")
	if err != nil {
		return err
	}
	defer cluster.Close()
	err = w.WaitAt(ctx, cluster)
	if errors.Is(err, ErrTopicMissing) {
		return cli.NewJavaError("org.apache.kafka.common.errors.TimeoutException", fmt.Sprintf("Topic %s not present in metadata after %d ms.", w.Topic, w.Limit.Milliseconds()))
	}
	return err
}

func (w *TopicWaiter) log() *logrus.Entry {
	return w.Reporter.Env.Logger(networkClient)
}

// ErrTopicMissing is returned if the topic still does not exist at the time limit.
var ErrTopicMissing = errors.New("the topic does not exist")

// WaitAt is like Wait, with a connected cluster. It returns ErrTopicMissing at the time limit, and
// the error of a topic whose name is invalid or that the client is not allowed to see.
func (w *TopicWaiter) WaitAt(ctx context.Context, cluster *peerlink.Cluster) error {
	began := time.Now()
	pause := RetryPause
	for id := 1; ; id++ {
		code, err := w.look(ctx, cluster)
		switch {
		case err != nil:
			return err
		case code == protocol.None:
			return nil
		case code == protocol.InvalidTopicException || code == protocol.TopicAuthorizationFailed:
			w.Reporter.logMetadata(code, w.Topic)
			return OfTopic(code, w.Topic)
		}
		w.log().Warnf("[%s] The metadata response from the cluster reported a recoverable issue with correlation id %d : {%s=%s}", w.Reporter.Name, id, w.Topic, code.Name())
		if w.Limit >= 0 && time.Since(began) > w.Limit {
			return ErrTopicMissing
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, retryPauseMost)
	}
}

// retryPauseMost is the longest pause of a client between attempts (retry.backoff.max.ms).
const retryPauseMost = time.Second

func (w *TopicWaiter) look(ctx context.Context, cluster *peerlink.Cluster) (protocol.ErrorCode, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = w.MayCreate
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &w.Topic
	req.Topics = append(req.Topics, t)
	resp, err := cluster.Any(ctx, req, 12)
	if err != nil {
		return 0, err
	}
	code := protocol.None
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		code = protocol.ErrorCode(t.ErrorCode)
	}
	return code, nil
}
