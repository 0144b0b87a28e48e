package lag

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// listOffsetsMax is the highest version of ListOffsets that is sent. Later ones only add timestamps.
const listOffsetsMax = 7

// Special values of ListOffsets.
const (
	consumerReplica int32 = -1
	latestOffset    int64 = -1
)

// partitionsPerRequest limits a request, because brokers refuse those with too many entries.
const partitionsPerRequest = 5000

// EndsConfig holds what Ends needs.
type EndsConfig struct {
	BrokerID metadata.BrokerID
	Listener string // inter-broker listener
	Metadata *metadata.Cache
	// Local returns the high watermark of a partition that this broker leads.
	Local   func(TopicPartition) (record.Offset, bool)
	Timeout time.Duration   // of a request to a leader
	Dial    peerlink.Dialer // nil: TCP
}

// Ends is the EndSource that asks the leaders of partitions. It keeps a connection to each leader
// that the last call asked.
type Ends struct {
	cfg EndsConfig

	mu     sync.Mutex                // guards the fields below
	links  map[string]*peerlink.Link // by address
	closed bool
}

var _ EndSource = (*Ends)(nil)

// NewEnds returns an Ends without connections.
func NewEnds(cfg EndsConfig) *Ends { return &Ends{cfg: cfg, links: map[string]*peerlink.Link{}} }

// Close closes the connections. Later calls of Ends return only the ends of partitions that this
// broker leads.
func (e *Ends) Close() {
	e.mu.Lock()
	links := e.links
	e.links, e.closed = map[string]*peerlink.Link{}, true
	e.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
}

// Ends implements EndSource. Partitions without a leader, and those whose leader does not answer
// before ctx ends, are missing in the result.
func (e *Ends) Ends(ctx context.Context, partitions []TopicPartition) map[TopicPartition]record.Offset {
	ends := make(map[TopicPartition]record.Offset, len(partitions))
	remote := map[string][]TopicPartition{}
	cluster := e.cfg.Metadata.Snapshot()
	for _, tp := range partitions {
		if end, ok := e.cfg.Local(tp); ok {
			ends[tp] = end
		} else if address, ok := e.leaderOf(cluster, tp); ok {
			remote[address] = append(remote[address], tp)
		}
	}
	var mu sync.Mutex // guards ends
	var asking sync.WaitGroup
	for address, link := range e.use(remote) {
		asking.Go(func() {
			for left := remote[address]; len(left) > 0; {
				n := min(len(left), partitionsPerRequest)
				resp, err := link.Negotiated(ctx, endsRequest(left[:n]), listOffsetsMax)
				if err != nil {
					return
				}
				mu.Lock()
				addEnds(ends, resp.(*kmsg.ListOffsetsResponse))
				mu.Unlock()
				left = left[n:]
			}
		})
	}
	asking.Wait()
	return ends
}

// leaderOf returns the address of a partition's leader, unless that is this broker.
func (e *Ends) leaderOf(cluster *metadata.Snapshot, tp TopicPartition) (address string, ok bool) {
	p := cluster.Partition(tp.Topic, tp.Partition)
	if p == nil || p.Leader == e.cfg.BrokerID || cluster.Brokers[p.Leader] == nil {
		return "", false
	}
	endpoint, ok := cluster.Brokers[p.Leader].Endpoints[e.cfg.Listener]
	return endpoint.Address(), ok
}

// use returns the links to the leaders to ask, and closes the others.
func (e *Ends) use(leaders map[string][]TopicPartition) map[string]*peerlink.Link {
	e.mu.Lock()
	links := make(map[string]*peerlink.Link, len(leaders))
	if !e.closed {
		for address := range leaders {
			links[address] = e.links[address]
			if links[address] == nil {
				links[address] = peerlink.New(peerlink.Config{Address: address, ClientID: "broker-" + strconv.Itoa(int(e.cfg.BrokerID)) + "-consumer-lag",
					Dial: e.cfg.Dial, ConnectTimeout: e.cfg.Timeout, RequestTimeout: e.cfg.Timeout})
			}
		}
	}
	unused := e.links
	if !e.closed {
		e.links = links
	}
	e.mu.Unlock()
	for address, link := range unused {
		if links[address] == nil {
			link.Close()
		}
	}
	return links
}

// endsRequest asks for the high watermarks, as consumers do. The partitions of a topic need not be
// adjacent.
func endsRequest(partitions []TopicPartition) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = consumerReplica
	at := map[string]int{}
	for _, tp := range partitions {
		i, known := at[tp.Topic]
		if !known {
			i = len(req.Topics)
			at[tp.Topic] = i
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = tp.Topic
			req.Topics = append(req.Topics, topic)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.Partition, latestOffset
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

func addEnds(ends map[TopicPartition]record.Offset, resp *kmsg.ListOffsetsResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for _, p := range t.Partitions {
			if protocol.ErrorCode(p.ErrorCode) == protocol.None && p.Offset >= 0 {
				ends[TopicPartition{Topic: t.Topic, Partition: p.Partition}] = record.Offset(p.Offset)
			}
		}
	}
}
