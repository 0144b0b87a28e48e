package topics

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// topicsAdmin is the tool's connection to the cluster: kafka-go for the requests that change topics,
// the admin client for the rest.
type topicsAdmin struct {
	*options
	*client.Admin
	kafka *kafka.Client
}

var callNames = map[string]string{"create": "createTopics", "delete": "listTopics", "alter": "listTopics", "describe": "listTopics", "list": "listTopics"}

// noClient is the error of a client that could not be created.
type noClient struct{ error }

func (o *options) runOverBootstrap() error {
	admin, err := client.NewAdmin(o.Env, "adminclient-1", o.bootstrap.Or(""), o.commandConfig.Or(""), client.AdminTimeout)
	if err != nil {
		return noClient{err}
	}
	defer admin.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Check what does not need a broker first, like Kafka's tool.
	if o.create.Given() {
		if err := o.checkCreate(); err != nil {
			return err
		}
	}
	action := map[*cli.Option]func(*topicsAdmin, context.Context) error{
		o.create: (*topicsAdmin).createTopic, o.delete: (*topicsAdmin).deleteTopics, o.alter: (*topicsAdmin).alterTopics,
		o.describe: (*topicsAdmin).describeTopics, o.list: (*topicsAdmin).listTopics,
	}
	for opt, run := range action {
		if !opt.Given() {
			continue
		}
		call, err := admin.Begin(callNames[opt.Name])
		if err != nil {
			return err
		}
		call.End()
		if err := awaitController(ctx, admin.Cluster()); err != nil {
			return err
		}
		transport := &kafka.Transport{ClientID: admin.ID}
		defer transport.CloseIdleConnections()
		a := &topicsAdmin{options: o, Admin: admin, kafka: &kafka.Client{Addr: kafka.TCP(admin.Servers...), Timeout: 30 * time.Second, Transport: transport}}
		return run(a, ctx)
	}
	return nil
}

// awaitController waits until the brokers know a controller, which may take a moment after a
// cluster has started.
func awaitController(ctx context.Context, cluster *peerlink.Cluster) error {
	deadline := time.Now().Add(client.AdminTimeout)
	for {
		meta, err := cluster.Metadata(ctx, []string{})
		if err != nil || meta.ControllerID >= 0 && len(meta.Brokers) > 0 {
			return err
		}
		if time.Now().After(deadline) {
			return client.NoNodeError{Call: "listTopics"}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// retry repeats a call while it returns NotController, for at most AdminTimeout.
func retry(ctx context.Context, call func() error) error {
	deadline := time.Now().Add(client.AdminTimeout)
	for {
		err := call()
		if !errors.Is(err, kafka.NotController) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// fromKafkaGo converts an error of kafka-go to one with Kafka's code and text.
func fromKafkaGo(err error) error {
	var code kafka.Error
	if !errors.As(err, &code) {
		return err
	}
	ours := protocol.ErrorCode(code)
	if text, found := strings.CutPrefix(err.Error(), code.Error()+": "); found {
		return protocol.Errorf(ours, "%s", text)
	}
	return ours
}

func (o *options) checkCreate() error {
	if _, err := o.topicConfigs(); err != nil {
		return err
	}
	if strings.ContainsAny(o.topic.Or(""), "._") {
		o.Env.Println("WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.")
	}
	factor, err := o.Number(o.replicationFactor, 1)
	if err != nil {
		return cli.NewJavaError("joptsimple.OptionArgumentConversionException", err.Error())
	}
	if factor < 1 || factor > 32767 {
		return cli.NewJavaError("java.lang.IllegalArgumentException", "The replication factor must be between 1 and 32767 inclusive")
	}
	partitions, err := o.Number(o.partitions, 1)
	if err != nil {
		return cli.NewJavaError("joptsimple.OptionArgumentConversionException", err.Error())
	}
	if partitions < 1 {
		return cli.NewJavaError("java.lang.IllegalArgumentException", "The partitions must be greater than 0")
	}
	return nil
}

func (a *topicsAdmin) createTopic(ctx context.Context) error {
	configs, err := a.topicConfigs()
	if err != nil {
		return err
	}
	partitions, _ := a.Number(a.partitions, -1)
	factor, _ := a.Number(a.replicationFactor, -1)
	topic := kafka.TopicConfig{Topic: a.topic.Or(""), NumPartitions: int(partitions), ReplicationFactor: int(factor)}
	if a.replicaAssignment.Or("") != "" {
		assignment, err := parseAssignment(a.replicaAssignment.Or(""))
		if err != nil {
			return err
		}
		for i, replicas := range assignment {
			topic.ReplicaAssignments = append(topic.ReplicaAssignments, kafka.ReplicaAssignment{Partition: i, Replicas: ints(replicas)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: configs[name]})
	}
	err = retry(ctx, func() error {
		resp, err := a.kafka.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
		if err != nil {
			return err
		}
		return resp.Errors[topic.Topic]
	})
	if errors.Is(err, kafka.TopicAlreadyExists) && a.ifNotExists.Given() {
		return nil
	}
	if err != nil {
		return fromKafkaGo(err)
	}
	a.Env.Printf("Created topic %s.\n", topic.Topic)
	return nil
}

// all returns the metadata of every topic that the options select, keyed by name.
func (a *topicsAdmin) all(ctx context.Context) (map[string]*kmsg.MetadataResponseTopic, *kmsg.MetadataResponse, []string, error) {
	meta, err := a.Cluster().Metadata(ctx, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	byName := map[string]*kmsg.MetadataResponseTopic{}
	var names []string
	for i := range meta.Topics {
		t := &meta.Topics[i]
		if t.Topic != nil && t.ErrorCode != int16(protocol.UnknownTopicOrPartition) {
			byName[*t.Topic] = t
			names = append(names, *t.Topic)
		}
	}
	selected, err := a.selectTopics(names)
	return byName, meta, selected, err
}

func (a *topicsAdmin) listTopics(ctx context.Context) error {
	_, _, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if a.WantsDocument() {
		a.PrintDocument(listDocument(names))
	} else {
		a.Env.Println(strings.Join(names, "\n"))
	}
	return nil
}

const notFound = "Topic 'Optional[%s]' does not exist as expected"

func (a *topicsAdmin) deleteTopics(ctx context.Context) error {
	_, _, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if err := a.mustFind(names, notFound); err != nil || len(names) == 0 {
		return err
	}
	return retry(ctx, func() error {
		resp, err := a.kafka.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := resp.Errors[name]; err != nil {
				if errors.Is(err, kafka.NotController) {
					return err
				}
				return fromKafkaGo(err)
			}
		}
		return nil
	})
}

func (a *topicsAdmin) alterTopics(ctx context.Context) error {
	byName, _, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if err := a.mustFind(names, notFound); err != nil || len(names) == 0 {
		return err
	}
	count, err := a.Number(a.partitions, 0)
	if err != nil {
		return err
	}
	var configs []kafka.TopicPartitionsConfig
	for _, name := range names {
		config := kafka.TopicPartitionsConfig{Name: name, Count: int32(count)}
		if a.replicaAssignment.Or("") != "" {
			assignment, err := parseAssignment(a.replicaAssignment.Or(""))
			if err != nil {
				return err
			}
			for _, replicas := range assignment[min(len(byName[name].Partitions), len(assignment)):] {
				config.TopicPartitionAssignments = append(config.TopicPartitionAssignments, kafka.TopicPartitionAssignment{BrokerIDs: metadata.Int32s(replicas)})
			}
		}
		configs = append(configs, config)
	}
	return retry(ctx, func() error {
		resp, err := a.kafka.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: configs})
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := resp.Errors[name]; err != nil {
				if errors.Is(err, kafka.NotController) {
					return err
				}
				return fromKafkaGo(err)
			}
		}
		return nil
	})
}

func ints(ids []metadata.BrokerID) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = int(id)
	}
	return out
}
