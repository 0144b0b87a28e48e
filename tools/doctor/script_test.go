package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// scripted is a cluster in memory, and the network around it. Its zero value has no broker.
type scripted struct {
	brokers    []*scriptedBroker
	controller int32
	topics     map[string][]kmsg.MetadataResponseTopicPartition
	minISR     map[string]string
	hosts      map[string][]string       // what names resolve to; other names are unknown
	servers    map[string]func(net.Conn) // what else listens, by address
	failures   map[string]error          // the errors of dialling, by address; others are refused
	moving     int                       // partitions being reassigned
	groups     map[string]*scriptedGroup
	offsets    map[string][3]int64 // start, last stable offset and end, by topic; others are 0
	open       map[string]kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	ongoing    []kmsg.DescribeTransactionsResponseTransactionState
}

// scriptedBroker is a broker of a scripted cluster.
type scriptedBroker struct {
	id      int32
	address string // advertised
	fetch   int16  // highest version of Fetch; 0: 17
	wrong   bool   // another broker answers here
	sasl    bool   // requests need authentication
	configs map[string]string
	dirs    []kmsg.DescribeLogDirsResponseDir
}

// scriptedGroup is a group that broker 1 coordinates.
type scriptedGroup struct {
	states    []string // at each look; the last one repeats
	members   []string // each is the ids of the members at a look, separated by blanks
	committed map[string]int64
	looks     int
}

// three returns a healthy cluster of three brokers.
func three() *scripted {
	s := &scripted{controller: 2, topics: map[string][]kmsg.MetadataResponseTopicPartition{}, hosts: map[string][]string{}, servers: map[string]func(net.Conn){},
		failures: map[string]error{}, minISR: map[string]string{}, groups: map[string]*scriptedGroup{}, offsets: map[string][3]int64{}}
	for id := int32(1); id <= 3; id++ {
		host := fmt.Sprintf("kafka%d", id)
		s.hosts[host] = []string{fmt.Sprintf("10.0.0.%d", id)}
		s.brokers = append(s.brokers, &scriptedBroker{id: id, address: host + ":9092", configs: map[string]string{"inter.broker.protocol.version": "3.9-IV0"},
			dirs: []kmsg.DescribeLogDirsResponseDir{dir("/var/lib/kafka", 0, 50)}})
	}
	s.topics["orders"] = []kmsg.MetadataResponseTopicPartition{partition(0, 1, "1 2 3", "1 2 3"), partition(1, 2, "2 3 1", "2 3 1")}
	s.topics["__consumer_offsets"] = []kmsg.MetadataResponseTopicPartition{partition(0, 3, "3 1 2", "3 1 2")}
	return s
}

// one returns a healthy cluster of a single broker.
func one() *scripted {
	s := three()
	s.brokers, s.controller = s.brokers[:1], 1
	s.topics = map[string][]kmsg.MetadataResponseTopicPartition{"orders": {partition(0, 1, "1", "1")}, "__consumer_offsets": {partition(0, 1, "1", "1")},
		"__transaction_state": {partition(0, 1, "1", "1")}}
	return s
}

func partition(index, leader int32, replicas, isr string) kmsg.MetadataResponseTopicPartition {
	p := kmsg.NewMetadataResponseTopicPartition()
	p.Partition, p.Leader, p.Replicas, p.ISR = index, leader, ids(replicas), ids(isr)
	return p
}

func ids(text string) (list []int32) {
	for _, word := range strings.Fields(text) {
		n, err := strconv.Atoi(word)
		if err != nil {
			panic(err)
		}
		list = append(list, int32(n))
	}
	return list
}

// dir is a log directory on a disk of 100 GiB, of which some are free.
func dir(path string, code protocol.ErrorCode, free int64) kmsg.DescribeLogDirsResponseDir {
	d := kmsg.NewDescribeLogDirsResponseDir()
	d.Dir, d.ErrorCode, d.TotalBytes, d.UsableBytes = path, int16(code), 100<<30, free<<30
	return d
}

// network returns the network around the cluster.
func (s *scripted) network() network {
	return network{
		resolve: func(_ context.Context, host string) ([]string, error) {
			if ips, known := s.hosts[host]; known {
				return ips, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		dial: func(ctx context.Context, address string) (net.Conn, error) {
			if err := s.failures[address]; err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) { // as if the packets were dropped
					<-ctx.Done()
				}
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
			}
			if serve := s.servers[address]; serve != nil {
				client, server := net.Pipe()
				go serve(server)
				return client, nil
			}
			for _, b := range s.brokers {
				if b.address == address {
					return memnet.Answering(func(req kmsg.Request) kmsg.Response { return s.answer(b, req) }), nil
				}
			}
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		},
	}
}

// answer answers like the broker.
func (s *scripted) answer(b *scriptedBroker, req kmsg.Request) kmsg.Response {
	switch req.(type) {
	case *kmsg.ApiVersionsRequest:
		return b.versions()
	case *kmsg.SASLHandshakeRequest:
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.ErrorCode = int16(protocol.IllegalSASLState)
		if b.sasl {
			resp.ErrorCode = int16(protocol.UnsupportedSASLMechanism)
		}
		return resp
	}
	if b.sasl {
		return nil
	}
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return s.metadata()
	case *kmsg.DescribeConfigsRequest:
		return s.describeConfigs(b, req)
	case *kmsg.DescribeLogDirsRequest:
		resp := kmsg.NewPtrDescribeLogDirsResponse()
		resp.Dirs = b.dirs
		return resp
	case *kmsg.ListPartitionReassignmentsRequest:
		resp := kmsg.NewPtrListPartitionReassignmentsResponse()
		t := kmsg.NewListPartitionReassignmentsResponseTopic()
		t.Topic, t.Partitions = "orders", make([]kmsg.ListPartitionReassignmentsResponseTopicPartition, s.moving)
		resp.Topics = append(resp.Topics, t)
		return resp
	case *kmsg.ListOffsetsRequest:
		return s.listOffsets(req)
	case *kmsg.ListGroupsRequest, *kmsg.DescribeGroupsRequest, *kmsg.OffsetFetchRequest:
		return s.answerGroups(b, req)
	}
	return s.answerTransactions(b, req)
}

func (b *scriptedBroker) versions() kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	for key, most := range map[protocol.APIKey]int16{protocol.Fetch: 17, protocol.ApiVersions: 4, protocol.Metadata: 12, protocol.DescribeConfigs: 4, protocol.DescribeLogDirs: 4,
		protocol.ListPartitionReassignments: 0, protocol.ListOffsets: 9, protocol.ListGroups: 5, protocol.DescribeGroups: 5, protocol.OffsetFetch: 9,
		protocol.ListTransactions: 1, protocol.DescribeTransactions: 0, protocol.DescribeProducers: 0, protocol.SaslHandshake: 1} {
		if key == protocol.Fetch && b.fetch != 0 {
			most = b.fetch
		}
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MaxVersion = int16(key), most
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	return resp
}

func (s *scripted) metadata() kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ClusterID, resp.ControllerID = kmsg.StringPtr("scripted"), s.controller
	for _, b := range s.brokers {
		host, port, _ := net.SplitHostPort(b.address)
		n, _ := strconv.Atoi(port)
		one := kmsg.NewMetadataResponseBroker()
		one.NodeID, one.Host, one.Port = b.id, host, int32(n)
		resp.Brokers = append(resp.Brokers, one)
	}
	for name, partitions := range s.topics {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.Partitions = kmsg.StringPtr(name), partitions
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (s *scripted) describeConfigs(b *scriptedBroker, req *kmsg.DescribeConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, r := range req.Resources {
		one := kmsg.NewDescribeConfigsResponseResource()
		one.ResourceType, one.ResourceName = r.ResourceType, r.ResourceName
		values := b.configs
		if r.ResourceType == kmsg.ConfigResourceTypeTopic {
			values = map[string]string{"min.insync.replicas": "1"}
			if n := s.minISR[r.ResourceName]; n != "" {
				values["min.insync.replicas"] = n
			}
		} else if b.wrong {
			one.ErrorCode = int16(protocol.InvalidRequest)
		}
		for name, value := range values {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value = name, kmsg.StringPtr(value)
			one.Configs = append(one.Configs, c)
		}
		resp.Resources = append(resp.Resources, one)
	}
	return resp
}

func (s *scripted) listOffsets(req *kmsg.ListOffsetsRequest) kmsg.Response {
	resp := kmsg.NewPtrListOffsetsResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			one := kmsg.NewListOffsetsResponseTopicPartition()
			one.Partition = p.Partition
			of := s.offsets[t.Topic]
			switch {
			case p.Timestamp == -2:
				one.Offset = of[0]
			case req.IsolationLevel == 1:
				one.Offset = of[1]
			default:
				one.Offset = of[2]
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (s *scripted) answerGroups(b *scriptedBroker, req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ListGroupsRequest:
		resp := kmsg.NewPtrListGroupsResponse()
		for id := range s.groups {
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType = id, "consumer"
			if b.id == 1 {
				resp.Groups = append(resp.Groups, g)
			}
		}
		return resp
	case *kmsg.DescribeGroupsRequest:
		resp := kmsg.NewPtrDescribeGroupsResponse()
		for _, id := range req.Groups {
			g := s.groups[id]
			one := kmsg.NewDescribeGroupsResponseGroup()
			one.Group, one.State = id, g.states[min(g.looks, len(g.states)-1)]
			if g.members != nil {
				for _, member := range strings.Fields(g.members[min(g.looks, len(g.members)-1)]) {
					m := kmsg.NewDescribeGroupsResponseGroupMember()
					m.MemberID = member
					one.Members = append(one.Members, m)
				}
			}
			g.looks++
			resp.Groups = append(resp.Groups, one)
		}
		return resp
	}
	resp := kmsg.NewPtrOffsetFetchResponse()
	for topic, offset := range s.groups[req.(*kmsg.OffsetFetchRequest).Group].committed {
		t := kmsg.NewOffsetFetchResponseTopic()
		p := kmsg.NewOffsetFetchResponseTopicPartition()
		t.Topic, p.Offset = topic, offset
		t.Partitions = append(t.Partitions, p)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (s *scripted) answerTransactions(b *scriptedBroker, req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ListTransactionsRequest:
		resp := kmsg.NewPtrListTransactionsResponse()
		for _, t := range s.ongoing {
			if b.id == 1 {
				one := kmsg.NewListTransactionsResponseTransactionState()
				one.TransactionalID, one.ProducerID, one.TransactionState = t.TransactionalID, t.ProducerID, t.State
				resp.TransactionStates = append(resp.TransactionStates, one)
			}
		}
		return resp
	case *kmsg.DescribeTransactionsRequest:
		resp := kmsg.NewPtrDescribeTransactionsResponse()
		resp.TransactionStates = s.ongoing
		return resp
	case *kmsg.DescribeProducersRequest:
		resp := kmsg.NewPtrDescribeProducersResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewDescribeProducersResponseTopic()
			topic.Topic = t.Topic
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			if producer, has := s.open[t.Topic]; has {
				p.ActiveProducers = append(p.ActiveProducers, producer)
			}
			topic.Partitions = append(topic.Partitions, p)
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	return nil
}

// saying returns a server that reads something and then sends text.
func saying(text string) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		buf := make([]byte, 1<<16)
		if _, err := conn.Read(buf); err == nil || errors.Is(err, io.EOF) {
			_, _ = io.WriteString(conn, text)
		}
	}
}

// examine runs the program against the cluster in virtual time.
func (s *scripted) examine(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		if !slices.Contains(args, "--bootstrap-server") {
			args = append([]string{"--bootstrap-server", "kafka1:9092"}, args...)
		}
		code = run(&cli.Env{Stdout: &stdout, Stderr: &stderr}, args, s.network())
		out = stdout.String()
		if stderr.Len() > 0 {
			t.Errorf("stderr: %s", stderr.String())
		}
	})
	return code, out
}
