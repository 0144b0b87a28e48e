package tools

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
)

// adminClient sends the requests of the administration tools. It retries a call until it is
// answered or default.api.timeout.ms is over, and returns errors with the texts of Kafka's admin
// client. Safe for concurrent use.
type adminClient struct {
	env     *Env
	id      string
	servers []string
	timeout time.Duration // time limit of a call

	mu    sync.Mutex // held while connecting
	peers *peerlink.Cluster
}

// newAdminClient reads the --command-config file and the bootstrap servers. It connects with the
// first call. timeout is the time limit of a call if the file does not set default.api.timeout.ms.
func newAdminClient(env *Env, id, bootstrap, configFile string, timeout time.Duration) (*adminClient, error) {
	config, err := loadProperties(configFile)
	if err != nil {
		return nil, err
	}
	servers, err := parseBootstrap(bootstrap)
	if err != nil {
		return nil, javaError{"org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient"}
	}
	if ms, err := strconv.ParseInt(config["default.api.timeout.ms"], 10, 32); err == nil {
		timeout = millis(ms)
	}
	if config["client.id"] != "" {
		id = config["client.id"]
	}
	return &adminClient{env: env, id: id, servers: servers, timeout: timeout}, nil
}

// Close closes the connections.
func (c *adminClient) Close() {
	if c.peers != nil {
		c.peers.Close()
	}
}

// cluster returns the connections, or nil if no call has connected yet.
func (c *adminClient) cluster() *peerlink.Cluster { return c.peers }

// reach connects if no call has connected yet. call names the call in the text of a timeout.
func (c *adminClient) reach(ctx context.Context, call string) error {
	_, err := c.connected(ctx, call)
	return err
}

// brokerSelector selects the broker that a request is sent to.
type brokerSelector func(ctx context.Context, c *peerlink.Cluster) (*peerlink.Link, error)

// controller selects the controller, for requests that change the cluster.
func controller(ctx context.Context, c *peerlink.Cluster) (*peerlink.Link, error) {
	return c.Controller(ctx)
}

// brokerNamed selects the broker with this id.
func brokerNamed(id int32) brokerSelector {
	return func(ctx context.Context, c *peerlink.Cluster) (*peerlink.Link, error) { return c.Broker(ctx, id) }
}

// anyBroker selects any bootstrap server that answers.
func anyBroker(context.Context, *peerlink.Cluster) (*peerlink.Link, error) { return nil, nil }

// call sends the request until it is answered or the time limit is over. It also sends it again
// while refused returns a code that Kafka's client retries; a nil refused accepts any answer. name
// is the method of Kafka's client, for the text of a timeout.
func (c *adminClient) call(name string, to brokerSelector, req kmsg.Request, max int16, refused func(kmsg.Response) protocol.ErrorCode) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
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
			return nil, javaError{"org.apache.kafka.common.errors.UnsupportedVersionException",
				"The node does not support " + protocol.APIKey(req.Key()).ConstantName()}
		case err == nil && (refused == nil || !again(refused(resp))):
			return resp, nil
		}
		select {
		case <-ctx.Done():
			if link != nil && errors.Is(err, context.DeadlineExceeded) { // timed out while waiting for the answer
				return nil, callTimedOut(name, tries)
			}
			return nil, errNoNode{name}
		case <-time.After(retryPause):
		}
	}
}

// connected returns the cluster. It connects first if that has not been done yet.
func (c *adminClient) connected(ctx context.Context, call string) (*peerlink.Cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		cluster, err := connect(ctx, c.env.logger("org.apache.kafka.clients.NetworkClient"), "AdminClient clientId="+c.id, c.servers, call)
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
	return javaError{"org.apache.kafka.common.errors.TimeoutException", fmt.Sprintf(
		"Call(callName=%s, deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) timed out at %d after %d attempt(s)", name, now, tries, now, now, tries)}
}

const retryPause = 100 * time.Millisecond

// again reports whether Kafka's client would look up the controller again after this code.
func again(code protocol.ErrorCode) bool {
	return code == protocol.NotController || code == protocol.CoordinatorNotAvailable
}

// noNode returns the error of a call that found no broker in time.
func noNode(err error, call string) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errNoNode{call}
	}
	return err
}

// execution wraps an error like Java does if the caller waited for a future.
func execution(err error) error {
	if err == nil {
		return nil
	}
	return caused{javaError{"java.util.concurrent.ExecutionException", javaClass(err) + ": " + err.Error()}, err}
}

// nodes returns the brokers of the cluster, in the order of Kafka's client.
func (c *adminClient) nodes() ([]kmsg.MetadataResponseBroker, error) {
	meta, err := c.metadata("listNodes", []string{})
	if err != nil {
		return nil, err
	}
	return hashOrder(meta.Brokers, func(b kmsg.MetadataResponseBroker) uint32 { return intHash(b.NodeID) }), nil
}

// metadata returns the metadata of the named topics, or of all topics if topics is nil.
func (c *adminClient) metadata(call string, topics []string) (*kmsg.MetadataResponse, error) {
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
	resp, err := c.call(call, anyBroker, req, 12, nil)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.MetadataResponse), nil
}

// topics returns the partitions of the named topics. unknown is called for each topic that does not
// exist. Other errors end the call.
func (c *adminClient) topics(names []string, unknown func(name string) error) (map[string][]kmsg.MetadataResponseTopicPartition, error) {
	found := map[string][]kmsg.MetadataResponseTopicPartition{}
	if len(names) == 0 {
		return found, nil
	}
	meta, err := c.metadata("describeTopics", names)
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

// refusal returns the error of an answer. An empty message stays empty; without a message, the
// error has the text of the code.
func refusal(code int16, message *string) error {
	if message != nil {
		return protocol.Errorf(protocol.ErrorCode(code), "%s", *message)
	}
	return protocol.ErrorCode(code)
}

// answered returns the error for an answer with an error code and an optional message.
func answered(code int16, message *string) error {
	if message != nil && *message != "" {
		return protocol.Errorf(protocol.ErrorCode(code), "%s", *message)
	}
	if code == 0 {
		return errors.New("the answer carries no error")
	}
	return protocol.ErrorCode(code)
}
