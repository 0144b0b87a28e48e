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

	mu      sync.Mutex // held while connecting
	cluster *peerlink.Cluster
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
	if c.cluster != nil {
		c.cluster.Close()
	}
}

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
	if c.cluster == nil {
		cluster, err := connect(ctx, c.env.logger("org.apache.kafka.clients.NetworkClient"), "AdminClient clientId="+c.id, c.servers, call)
		if err != nil {
			return nil, noNode(err, call)
		}
		c.cluster = cluster
	}
	return c.cluster, nil
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

// reassignments returns the running reassignments of the given partitions, or of all partitions.
func (c *adminClient) reassignments(of []topicPartition) (map[topicPartition]reassignment, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = 30000
	if of == nil {
		req.Topics = nil
	} else {
		req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
		for topic, partitions := range byTopic(of) {
			t := kmsg.NewListPartitionReassignmentsRequestTopic()
			t.Topic, t.Partitions = topic, partitions
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := c.call("listPartitionReassignments", controller, req, 0, func(r kmsg.Response) protocol.ErrorCode {
		return protocol.ErrorCode(r.(*kmsg.ListPartitionReassignmentsResponse).ErrorCode)
	})
	if err != nil {
		return nil, err
	}
	list := resp.(*kmsg.ListPartitionReassignmentsResponse)
	if list.ErrorCode != 0 {
		return nil, answered(list.ErrorCode, list.ErrorMessage)
	}
	running := map[topicPartition]reassignment{}
	for _, t := range list.Topics {
		for _, p := range t.Partitions {
			running[topicPartition{t.Topic, p.Partition}] = reassignment{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
		}
	}
	return running, nil
}

func byTopic(partitions []topicPartition) map[string][]int32 {
	topics := map[string][]int32{}
	for _, tp := range partitions {
		topics[tp.topic] = append(topics[tp.topic], tp.partition)
	}
	return topics
}

// resource is an entity that has configurations.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// broker returns the broker that a resource belongs to. own is false if it does not belong to one.
func (r resource) broker() (id int32, own bool) {
	if r.kind != kmsg.ConfigResourceTypeBroker && r.kind != kmsg.ConfigResourceTypeBrokerLogger {
		return 0, false
	}
	n, err := strconv.ParseInt(r.name, 10, 32)
	return int32(n), err == nil
}

// place selects the broker that a resource's requests are sent to.
func (r resource) place() brokerSelector {
	if id, own := r.broker(); own {
		return brokerNamed(id)
	}
	return anyBroker
}

// describeConfig returns the configuration entries of a resource.
func (c *adminClient) describeConfig(r resource, synonyms bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	one := kmsg.NewDescribeConfigsRequestResource()
	one.ResourceType, one.ResourceName = r.kind, r.name
	req.Resources = append(req.Resources, one)
	resp, err := c.call("describeConfigs", r.place(), req, 4, nil)
	if err != nil {
		return nil, err
	}
	for _, answer := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if answer.ErrorCode != 0 {
			return nil, refusal(answer.ErrorCode, answer.ErrorMessage)
		}
		return answer.Configs, nil
	}
	return nil, nil
}

// configChange sets or deletes a key of a resource.
type configChange struct {
	name   string
	value  *string
	delete bool
}

func setting(name, value string) configChange { return configChange{name: name, value: &value} }

// changeConfigs alters resources. Each broker gets the request for its own resources and any broker
// that for all others, concurrently. It returns the first error after all have answered.
func (c *adminClient) changeConfigs(resources []resource, changes func(resource) []configChange) error {
	var requests []*kmsg.IncrementalAlterConfigsRequest
	var places []brokerSelector
	var others *kmsg.IncrementalAlterConfigsRequest
	for _, r := range resources {
		one := kmsg.NewIncrementalAlterConfigsRequestResource()
		one.ResourceType, one.ResourceName = r.kind, r.name
		for _, change := range changes(r) {
			entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			entry.Name, entry.Value = change.name, change.value
			if change.delete {
				entry.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			one.Configs = append(one.Configs, entry)
		}
		if _, own := r.broker(); !own && others != nil {
			others.Resources = append(others.Resources, one)
			continue
		}
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = append(req.Resources, one)
		requests, places = append(requests, req), append(places, r.place())
		if _, own := r.broker(); !own {
			others = req
		}
	}
	failures := make([]error, len(requests))
	var all sync.WaitGroup
	for i, req := range requests {
		all.Add(1)
		go func() {
			defer all.Done()
			failures[i] = c.changeAt(places[i], req)
		}()
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *adminClient) changeAt(to brokerSelector, req *kmsg.IncrementalAlterConfigsRequest) error {
	resp, err := c.call("incrementalAlterConfigs", to, req, 1, nil)
	if err != nil {
		return err
	}
	for _, answer := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if answer.ErrorCode != 0 {
			return refusal(answer.ErrorCode, answer.ErrorMessage)
		}
	}
	return nil
}

// refusal returns the error of an answer. An empty message stays empty; without a message, the
// error has the text of the code.
func refusal(code int16, message *string) error {
	if message != nil {
		return protocol.Errorf(protocol.ErrorCode(code), "%s", *message)
	}
	return protocol.ErrorCode(code)
}
