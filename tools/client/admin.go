// Package client connects tools to a cluster: the calls of Kafka's admin client, producers and
// consumers that are configured with Java's properties, and ZooKeeper.
package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// Admin sends the requests of the administration tools. It retries a call until it is answered or
// default.api.timeout.ms has passed, and returns errors with the messages of Kafka's admin client.
// Safe for concurrent use.
type Admin struct {
	Env     *cli.Env
	ID      string
	Servers []string
	Timeout time.Duration // time limit of a call

	mu    sync.Mutex // held while connecting
	peers *peerlink.Cluster
}

// NewAdmin reads the --command-config file and the bootstrap servers. It connects with the
// first call. timeout is the time limit of a call if the file does not set default.api.timeout.ms.
func NewAdmin(env *cli.Env, id, bootstrap, configFile string, timeout time.Duration) (*Admin, error) {
	config, err := LoadProperties(configFile)
	if err != nil {
		return nil, err
	}
	servers, err := ParseBootstrap(bootstrap)
	if err != nil {
		return nil, cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient")
	}
	if ms, err := strconv.ParseInt(config["default.api.timeout.ms"], 10, 32); err == nil {
		timeout = cli.Millis(ms)
	}
	if config["client.id"] != "" {
		id = config["client.id"]
	}
	return &Admin{Env: env, ID: id, Servers: servers, Timeout: timeout}, nil
}

// Close closes the connections.
func (c *Admin) Close() {
	if c.peers != nil {
		c.peers.Close()
	}
}

// Cluster returns the connections, or nil if no call has connected yet.
func (c *Admin) Cluster() *peerlink.Cluster { return c.peers }

// reach connects if no call has connected yet. call names the call in the text of a timeout.
func (c *Admin) reach(ctx context.Context, call string) error {
	_, err := c.connected(ctx, call)
	return err
}

// BrokerSelector selects the broker that a request is sent to.
type BrokerSelector func(ctx context.Context, c *peerlink.Cluster) (*peerlink.Link, error)

// Controller selects the controller, for requests that change the cluster.
func Controller(ctx context.Context, c *peerlink.Cluster) (*peerlink.Link, error) {
	return c.Controller(ctx)
}

// BrokerNamed selects the broker with this id.
func BrokerNamed(id metadata.BrokerID) BrokerSelector {
	return func(ctx context.Context, c *peerlink.Cluster) (*peerlink.Link, error) { return c.Broker(ctx, id) }
}

// AnyBroker selects any bootstrap server that answers.
func AnyBroker(context.Context, *peerlink.Cluster) (*peerlink.Link, error) { return nil, nil }

// Send sends the request until it is answered or the time limit has passed. It also sends it again
// while refused returns a code that Kafka's client retries; a nil refused accepts any answer. name
// is the method of Kafka's client, for the text of a timeout.
func (c *Admin) Send(name string, to BrokerSelector, req kmsg.Request, max int16, refused func(kmsg.Response) protocol.ErrorCode) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	cluster, err := c.connected(ctx, name)
	if err != nil {
		return nil, err
	}
	for tries := 1; ; tries++ {
		link, err := to(ctx, cluster)
		var resp kmsg.Response
		if err == nil {
			if link != nil {
				resp, err = link.Negotiated(ctx, req, max)
			} else {
				resp, err = cluster.Any(ctx, req, max)
			}
		}
		var unsupported *peerlink.UnsupportedError
		switch {
		case errors.As(err, &unsupported):
			return nil, cli.NewJavaError("org.apache.kafka.common.errors.UnsupportedVersionException",
				"The node does not support "+protocol.APIKey(req.Key()).ConstantName())
		case err == nil && (refused == nil || !WrongCoordinator(refused(resp))):
			return resp, nil
		}
		select {
		case <-ctx.Done():
			if link != nil && errors.Is(err, context.DeadlineExceeded) { // timed out while waiting for the answer
				return nil, callTimedOut(name, tries)
			}
			return nil, NoNodeError{name}
		case <-time.After(RetryPause):
		}
	}
}

// connected returns the cluster. It connects first if that has not been done yet.
func (c *Admin) connected(ctx context.Context, call string) (*peerlink.Cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		cluster, err := Connect(ctx, c.Env, "AdminClient clientId="+c.ID, c.Servers, call)
		if err != nil {
			return nil, noNode(err, call)
		}
		c.peers = cluster
	}
	return c.peers, nil
}

// callTimedOut returns the error of a call that was not answered in time.
func callTimedOut(name string, tries int) error {
	now := time.Now().UnixMilli()
	return cli.NewJavaError("org.apache.kafka.common.errors.TimeoutException", fmt.Sprintf(
		"Call(callName=%s, deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) timed out at %d after %d attempt(s)", name, now, tries, now, now, tries))
}

// RetryPause is the pause between two attempts (retry.backoff.ms).
const RetryPause = 100 * time.Millisecond

// WrongCoordinator reports whether Kafka's client would look up the controller again after this code.
func WrongCoordinator(code protocol.ErrorCode) bool {
	return code == protocol.NotController || code == protocol.CoordinatorNotAvailable
}

// noNode returns the error of a call that found no broker in time.
func noNode(err error, call string) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return NoNodeError{call}
	}
	return err
}

// Execution wraps an error like Java does if the caller waited for a future.
func Execution(err error) error {
	if err == nil {
		return nil
	}
	return cli.WithCause(cli.NewJavaError("java.util.concurrent.ExecutionException", cli.JavaClass(err)+": "+err.Error()), err)
}

// Nodes returns the brokers of the cluster, in the order of Kafka's client.
func (c *Admin) Nodes() ([]kmsg.MetadataResponseBroker, error) {
	meta, err := c.Metadata("listNodes", []string{})
	if err != nil {
		return nil, err
	}
	return javatext.HashMapOrder(meta.Brokers, func(b kmsg.MetadataResponseBroker) int32 { return javatext.IntHash(b.NodeID) }), nil
}

// Metadata returns the metadata of the named topics, or of all topics if topics is nil.
func (c *Admin) Metadata(call string, topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	if topics != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := c.Send(call, AnyBroker, req, 12, nil)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.MetadataResponse), nil
}

// Topics returns the partitions of the named topics. unknown is called for each topic that does not
// exist. Other errors end the call.
func (c *Admin) Topics(names []string, unknown func(name string) error) (map[string][]kmsg.MetadataResponseTopicPartition, error) {
	found := map[string][]kmsg.MetadataResponseTopicPartition{}
	if len(names) == 0 {
		return found, nil
	}
	meta, err := c.Metadata("describeTopics", names)
	if err != nil {
		return nil, err
	}
	for _, t := range meta.Topics {
		switch code := protocol.ErrorCode(t.ErrorCode); code {
		case protocol.None, protocol.LeaderNotAvailable:
			found[*t.Topic] = t.Partitions
		case protocol.UnknownTopicOrPartition:
			if err := unknown(*t.Topic); err != nil {
				return nil, err
			}
		default:
			return nil, code
		}
	}
	return found, nil
}

// Refusal returns the error of an answer. An empty message stays empty; without a message, the
// error has the text of the code.
func Refusal(code int16, message *string) error {
	if message != nil {
		return protocol.Errorf(protocol.ErrorCode(code), "%s", *message)
	}
	return protocol.ErrorCode(code)
}

// AnswerError returns the error for an answer with an error code and an optional message.
func AnswerError(code int16, message *string) error {
	if message != nil && *message != "" {
		return protocol.Errorf(protocol.ErrorCode(code), "%s", *message)
	}
	if code == 0 {
		return errors.New("the answer carries no error")
	}
	return protocol.ErrorCode(code)
}
