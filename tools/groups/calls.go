package groups

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// listedGroup is a group in a ListGroups response.
type listedGroup struct{ id, state, kind string }

// list returns the consumer groups of all brokers, sorted. If states or kinds is not empty, only
// matching groups are returned.
func (a *groupAdmin) list(states, kinds []string) ([]listedGroup, error) {
	c, err := a.begin("findAllBrokers")
	if err != nil {
		return nil, cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to find brokers to send ListGroups")
	}
	defer c.End()
	for {
		meta, err := a.Cluster().Metadata(c.Ctx, []string{})
		if err == nil && len(meta.Brokers) > 0 {
			c.Name = "listConsumerGroups"
			return c.listOn(meta.Brokers, states, kinds)
		}
		if c.Again() != nil {
			return nil, cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to find brokers to send ListGroups")
		}
	}
}

// listingFailed returns the error of a list. A broker's error code gets a message that names the
// broker.
func listingFailed(err error, b kmsg.MetadataResponseBroker) error {
	if errors.As(err, new(*protocol.Error)) {
		return err
	}
	rack := "null"
	if b.Rack != nil {
		rack = *b.Rack
	}
	return protocol.Errorf(protocol.CodeOf(err), "Error listing groups on %s:%d (id: %d rack: %s)", b.Host, b.Port, b.NodeID, rack)
}

func (c groupCall) listOn(brokers []kmsg.MetadataResponseBroker, states, kinds []string) ([]listedGroup, error) {
	var groups []listedGroup
	for _, b := range brokers {
		for {
			resp, err := c.listOne(metadata.BrokerID(b.NodeID), states, kinds)
			if err == nil {
				groups = append(groups, resp...)
				break
			}
			if code := protocol.CodeOf(err); code != protocol.UnknownServerError && !code.Retriable() {
				return nil, listingFailed(err, b)
			}
			if err := c.Again(); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(groups, func(a, b listedGroup) int { return strings.Compare(a.id, b.id) })
	return groups, nil
}

func (c groupCall) listOne(node metadata.BrokerID, states, kinds []string) ([]listedGroup, error) {
	link, err := c.Admin.Cluster().Broker(c.Ctx, node)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, kinds
	answer, err := link.Negotiated(c.Ctx, req, 5)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.ListGroupsResponse)
	switch {
	case resp.Version < 4 && len(states) > 0:
		return nil, protocol.Errorf(protocol.UnsupportedVersion, "The broker only supports ListGroups v%d, but we need v4 or newer to request groups by states.", resp.Version)
	case resp.Version < 5 && len(kinds) > 0:
		return nil, protocol.Errorf(protocol.UnsupportedVersion, "The broker only supports ListGroups v%d, but we need v5 or newer to request groups by type.", resp.Version)
	case resp.ErrorCode != 0:
		return nil, protocol.ErrorCode(resp.ErrorCode)
	}
	var groups []listedGroup
	for _, g := range resp.Groups {
		if g.ProtocolType == "consumer" || g.ProtocolType == "" {
			groups = append(groups, listedGroup{id: g.Group, state: known(g.GroupState), kind: known(titled(g.GroupType))})
		}
	}
	return groups, nil
}

// known returns text, or what is assumed if the broker is too old to report it.
func known(text string) string {
	if text == "" {
		return "Unknown"
	}
	return text
}

func titled(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// coordinator is the broker that coordinates a group.
type coordinator struct {
	id      metadata.BrokerID
	address string // host:port
}

// String returns what --state shows.
func (c coordinator) String() string { return fmt.Sprintf("%s  (%d)", c.address, c.id) }

// describedGroup is a group as described by its coordinator.
type describedGroup struct {
	id, state, assignor string
	coordinator         coordinator
	members             []groupMember
}

// groupMember is a member and the partitions that it owns, sorted.
type groupMember struct {
	id, instance, client, host string
	owned                      []client.TopicPartition
}

// describe returns the groups, sorted by name. It returns the error of the first group that could
// not be described.
func (a *groupAdmin) describe(groups []string) ([]describedGroup, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	found, failed := map[string]describedGroup{}, map[string]error{}
	lost := a.perGroup(groups, groupRequest{
		call: "describeConsumerGroups", max: 5, batch: true,
		build: func(groups []string) kmsg.Request {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups = groups
			return req
		},
		read: func(resp kmsg.Response, from coordinator) map[string]protocol.ErrorCode {
			codes := map[string]protocol.ErrorCode{}
			for _, g := range resp.(*kmsg.DescribeGroupsResponse).Groups {
				codes[g.Group] = protocol.ErrorCode(g.ErrorCode)
				if g.ErrorCode != 0 {
					continue
				}
				if g.ProtocolType != "consumer" && g.ProtocolType != "" {
					failed[g.Group] = cli.NewJavaError("java.lang.IllegalArgumentException", fmt.Sprintf("GroupId %s is not a consumer group (%s).", g.Group, g.ProtocolType))
					continue
				}
				d, err := describedGroupOf(&g)
				if err != nil {
					failed[g.Group] = err
					continue
				}
				d.coordinator = from
				found[g.Group] = d
			}
			return codes
		},
	})
	for g, err := range lost {
		failed[g] = err
	}
	names := slices.Compact(slices.Sorted(slices.Values(groups)))
	if err := firstFailure(names, failed); err != nil {
		return nil, err
	}
	list := make([]describedGroup, len(names))
	for i, name := range names {
		list[i] = found[name]
	}
	return list, nil
}

func describedGroupOf(g *kmsg.DescribeGroupsResponseGroup) (describedGroup, error) {
	d := describedGroup{id: g.Group, state: g.State, assignor: g.Protocol}
	for _, m := range g.Members {
		member := groupMember{id: m.MemberID, client: m.ClientID, host: m.ClientHost}
		if m.InstanceID != nil {
			member.instance = *m.InstanceID
		}
		if len(m.MemberAssignment) > 0 {
			a := kmsg.NewConsumerMemberAssignment()
			if err := a.ReadFrom(m.MemberAssignment); err != nil {
				return d, cli.NewJavaError("org.apache.kafka.common.protocol.types.SchemaException", fmt.Sprintf("The assignment of member %s cannot be read: %v", m.MemberID, err))
			}
			for _, t := range a.Topics {
				for _, p := range t.Partitions {
					member.owned = append(member.owned, client.TopicPartition{Topic: t.Topic, Partition: p})
				}
			}
		}
		slices.SortFunc(member.owned, client.ComparePartitions)
		d.members = append(d.members, member)
	}
	slices.SortFunc(d.members, func(a, b groupMember) int { return strings.Compare(a.id, b.id) })
	return d, nil
}

// committed returns the committed offsets of the group.
func (a *groupAdmin) committed(group string) (map[client.TopicPartition]record.Offset, error) {
	offsets := map[client.TopicPartition]record.Offset{}
	log := a.Env.Logger("org.apache.kafka.clients.admin.internals.ListConsumerGroupOffsetsHandler")
	failed := a.perGroup([]string{group}, groupRequest{
		call: "listConsumerGroupOffsets", max: 9,
		build: func([]string) kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Group = group
			of := kmsg.NewOffsetFetchRequestGroup()
			of.Group = group
			req.Groups = append(req.Groups, of)
			return req
		},
		read: func(answer kmsg.Response, _ coordinator) map[string]protocol.ErrorCode {
			resp := answer.(*kmsg.OffsetFetchResponse)
			take := func(topic string, partition int32, offset record.Offset, code int16) {
				tp := client.TopicPartition{Topic: topic, Partition: partition}
				switch {
				case code != 0:
					log.Warnf("[AdminClient clientId=%s] Skipping return offset for %s due to error %s.", a.ID, tp, protocol.ErrorCode(code).Name())
				case offset >= 0:
					offsets[tp] = offset
				}
			}
			code := resp.ErrorCode
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					take(t.Topic, p.Partition, record.Offset(p.Offset), p.ErrorCode)
				}
			}
			for _, g := range resp.Groups {
				code = g.ErrorCode
				for _, t := range g.Topics {
					for _, p := range t.Partitions {
						take(t.Topic, p.Partition, record.Offset(p.Offset), p.ErrorCode)
					}
				}
			}
			return map[string]protocol.ErrorCode{group: protocol.ErrorCode(code)}
		},
	})
	return offsets, failed[group]
}

// commit sets offsets of a group without members.
func (a *groupAdmin) commit(group string, offsets map[client.TopicPartition]record.Offset) error {
	var refused []string
	var reason protocol.ErrorCode
	failed := a.perGroup([]string{group}, groupRequest{
		call: "alterConsumerGroupOffsets", max: 9,
		build: func([]string) kmsg.Request {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group, req.Generation = group, -1
			for _, tp := range client.SortedPartitions(offsets) {
				p := kmsg.NewOffsetCommitRequestTopicPartition()
				p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = tp.Partition, int64(offsets[tp]), -1, kmsg.StringPtr("")
				if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
					t := kmsg.NewOffsetCommitRequestTopic()
					t.Topic = tp.Topic
					req.Topics = append(req.Topics, t)
				}
				t := &req.Topics[len(req.Topics)-1]
				t.Partitions = append(t.Partitions, p)
			}
			return req
		},
		read: func(resp kmsg.Response, _ coordinator) map[string]protocol.ErrorCode {
			refused = nil
			for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
				for _, p := range t.Partitions {
					switch code := protocol.ErrorCode(p.ErrorCode); code {
					case protocol.None:
					case protocol.CoordinatorNotAvailable, protocol.NotCoordinator, protocol.CoordinatorLoadInProgress, protocol.RebalanceInProgress:
						return map[string]protocol.ErrorCode{group: code}
					default:
						refused, reason = append(refused, client.TopicPartition{Topic: t.Topic, Partition: p.Partition}.String()), code
					}
				}
			}
			return nil
		},
	})
	if failed[group] == nil && refused != nil {
		return protocol.Errorf(reason, "Failed altering consumer group offsets for the following partitions: [%s]", strings.Join(refused, ", "))
	}
	return failed[group]
}

// delete deletes groups and returns the errors of those that could not be deleted.
func (a *groupAdmin) delete(groups []string) map[string]error {
	if len(groups) == 0 {
		return nil
	}
	return a.perGroup(groups, groupRequest{
		call: "deleteConsumerGroups", max: 2, batch: true,
		build: func(groups []string) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = groups
			return req
		},
		read: func(resp kmsg.Response, _ coordinator) map[string]protocol.ErrorCode {
			codes := map[string]protocol.ErrorCode{}
			for _, g := range resp.(*kmsg.DeleteGroupsResponse).Groups {
				codes[g.Group] = protocol.ErrorCode(g.ErrorCode)
			}
			return codes
		},
	})
}

// deleteOffsets deletes committed offsets of a group. It returns the errors of partitions, or an
// error for the whole group.
func (a *groupAdmin) deleteOffsets(group string, partitions []client.TopicPartition) (map[client.TopicPartition]error, error) {
	results := map[client.TopicPartition]error{}
	failed := a.perGroup([]string{group}, groupRequest{
		call: "deleteConsumerGroupOffsets", max: 0,
		build: func([]string) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			for _, tp := range partitions {
				if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
					t := kmsg.NewOffsetDeleteRequestTopic()
					t.Topic = tp.Topic
					req.Topics = append(req.Topics, t)
				}
				p := kmsg.NewOffsetDeleteRequestTopicPartition()
				p.Partition = tp.Partition
				t := &req.Topics[len(req.Topics)-1]
				t.Partitions = append(t.Partitions, p)
			}
			return req
		},
		read: func(answer kmsg.Response, _ coordinator) map[string]protocol.ErrorCode {
			resp := answer.(*kmsg.OffsetDeleteResponse)
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					if p.ErrorCode != 0 {
						results[client.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = protocol.ErrorCode(p.ErrorCode)
					}
				}
			}
			return map[string]protocol.ErrorCode{group: protocol.ErrorCode(resp.ErrorCode)}
		},
	})
	return results, failed[group]
}
