package group

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// The versions of keys in the offsets topic.
const (
	offsetKeyVersion    = 1 // version 0 is read too
	groupKeyVersion     = 2
	valueVersionCurrent = 3 // of offsets and groups
	valueVersionMax     = 4 // the highest version that is read
)

// formats are the versions of written values. They depend on inter.broker.protocol.version, so that
// older brokers can take over.
type formats struct {
	offset, group int16
}

func formatsOf(ibp settings.IBP) formats {
	f := formats{offset: valueVersionCurrent, group: valueVersionCurrent}
	switch {
	case !ibp.AtLeast("2.1-IV0"):
		f.offset = 1
	case !ibp.AtLeast("2.1-IV1"):
		f.offset = 2
	}
	switch {
	case !ibp.AtLeast("0.10.1-IV0"):
		f.group = 0
	case !ibp.AtLeast("2.1-IV0"):
		f.group = 1
	case !ibp.AtLeast("2.3-IV0"):
		f.group = 2
	}
	return f
}

func appendOffsetKey(dst []byte, group string, p TopicPartition) []byte {
	key := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: p.Topic, Partition: p.Partition}
	return key.AppendTo(dst)
}

func appendGroupKey(dst []byte, group string) []byte {
	key := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: group}
	return key.AppendTo(dst)
}

func (f formats) appendOffset(dst []byte, v *CommittedOffset) []byte {
	version := f.offset
	if v.ExpiresMs != noExpiry {
		version = 1
	}
	value := kmsg.OffsetCommitValue{Version: version, Offset: int64(v.Offset), LeaderEpoch: int32(v.LeaderEpoch), Metadata: v.Metadata,
		CommitTimestamp: v.CommittedMs, ExpireTimestamp: v.ExpiresMs}
	return value.AppendTo(dst)
}

// appendGroup appends the current group with the assignments of s.
func (f formats) appendGroup(dst []byte, g *Group, s *Store) []byte {
	value := kmsg.GroupMetadataValue{Version: f.group, ProtocolType: g.protocolType, Generation: g.generation, Protocol: g.protocol,
		CurrentStateTimestamp: g.stateSince, Members: make([]kmsg.GroupMetadataValueMember, g.members.size)}
	if g.members.leader != "" {
		value.Leader = &g.members.leader
	}
	for i, m := range g.members.all() {
		value.Members[i] = kmsg.GroupMetadataValueMember{
			MemberID: m.ID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			RebalanceTimeoutMillis: m.RebalanceTimeoutMs, SessionTimeoutMillis: m.SessionTimeoutMs,
			Subscription: m.metadata(*g.protocol), Assignment: s.assignments[i],
		}
	}
	return value.AppendTo(dst)
}

// recordKey is a parsed key of the offsets topic. It is the key of an offset, of a group (isGroup),
// or of a kind that this coordinator does not know (unknown).
type recordKey struct {
	version          int16
	group            string
	partition        TopicPartition
	isGroup, unknown bool
}

var errNoKey = errors.New("the record has no key")

// parseKey reads a key. The strings alias b.
func parseKey(b []byte) (recordKey, error) {
	if len(b) < 2 {
		return recordKey{}, errNoKey
	}
	k := recordKey{version: int16(binary.BigEndian.Uint16(b))}
	switch {
	case k.version >= 0 && k.version <= offsetKeyVersion:
		var key kmsg.OffsetCommitKey
		if err := key.UnsafeReadFrom(b); err != nil {
			return k, fmt.Errorf("the key of an offset does not parse: %w", err)
		}
		k.group, k.partition = key.Group, TopicPartition{Topic: key.Topic, Partition: key.Partition}
	case k.version == groupKeyVersion:
		var key kmsg.GroupMetadataKey
		if err := key.UnsafeReadFrom(b); err != nil {
			return k, fmt.Errorf("the key of a group does not parse: %w", err)
		}
		k.group, k.isGroup = key.Group, true
	default:
		k.unknown = true
	}
	return k, nil
}

func valueVersion(b []byte) (int16, error) {
	if len(b) < 2 {
		return 0, errors.New("the value has no version")
	}
	v := int16(binary.BigEndian.Uint16(b))
	if v < 0 || v > valueVersionMax {
		return v, fmt.Errorf("the value's version %d is unknown", v)
	}
	return v, nil
}

// parseOffset reads the value of an offset. The metadata aliases b.
func parseOffset(b []byte) (CommittedOffset, error) {
	if _, err := valueVersion(b); err != nil {
		return CommittedOffset{}, err
	}
	var v kmsg.OffsetCommitValue
	if err := v.UnsafeReadFrom(b); err != nil {
		return CommittedOffset{}, fmt.Errorf("the value of an offset does not parse: %w", err)
	}
	o := CommittedOffset{Offset: record.Offset(v.Offset), LeaderEpoch: metadata.LeaderEpoch(v.LeaderEpoch), Metadata: v.Metadata, CommittedMs: v.CommitTimestamp, ExpiresMs: v.ExpireTimestamp}
	if v.Version != 1 {
		o.ExpiresMs = noExpiry
	}
	if v.Version < 3 {
		o.LeaderEpoch = -1
	}
	return o, nil
}

// parseGroup reads the value of a group, which does not alias b. A member's subscription becomes
// its only protocol. The sessions do not run until Loaded is called.
func parseGroup(id string, rules Rules, b []byte) (*Group, error) {
	version, err := valueVersion(b)
	if err != nil {
		return nil, err
	}
	var v kmsg.GroupMetadataValue
	if err := v.ReadFrom(bytes.Clone(b)); err != nil {
		return nil, fmt.Errorf("the value of a group does not parse: %w", err)
	}
	g := &Group{ID: id, rules: rules, stateSince: v.CurrentStateTimestamp, protocolType: v.ProtocolType,
		protocol: v.Protocol, generation: v.Generation}
	if version < 2 {
		g.stateSince = noTime
	}
	if v.Leader != nil {
		g.members.leader = *v.Leader
	}
	for i := range v.Members {
		m := &v.Members[i]
		rebalance := m.RebalanceTimeoutMillis
		if version == 0 {
			rebalance = m.SessionTimeoutMillis
		}
		name := ""
		if v.Protocol != nil {
			name = *v.Protocol
		}
		if g.members.get(m.MemberID) != nil {
			return nil, fmt.Errorf("member %s appears twice", m.MemberID)
		}
		g.members.add(&Member{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			RebalanceTimeoutMs: rebalance, SessionTimeoutMs: m.SessionTimeoutMillis,
			protocols: []Protocol{{name, m.Subscription}}, assignment: m.Assignment})
	}
	if g.members.size > 0 {
		g.state = Stable
		if g.protocol == nil {
			g.protocol = new(string)
		}
	}
	g.subscribed = g.subscriptions(&Effects{})
	return g, nil
}

// subscriptions returns the topics to which the members of a consumer group are subscribed, sorted,
// or nil if they are unknown.
func (g *Group) subscriptions(e *Effects) []string {
	if g.protocolType != consumerProtocol || g.members.size > 0 && g.protocol == nil {
		return nil
	}
	topics := map[string]bool{}
	for _, m := range g.members.all() {
		if err := readSubscription(m.metadata(*g.protocol), topics); err != nil {
			e.warnf("Failed to parse Consumer Protocol consumer:%s of group %s. Consumer group coordinator is not aware of the subscribed topics. (%v)", *g.protocol, g.ID, err)
			return nil
		}
	}
	list := slices.AppendSeq(make([]string, 0, len(topics)), maps.Keys(topics))
	slices.Sort(list)
	return list
}

// readSubscription adds the topics of a consumer's metadata to topics. In every version the
// metadata starts with the version as an int16 and an array of topic names.
func readSubscription(b []byte, topics map[string]bool) error {
	short := errors.New("the subscription is truncated")
	if len(b) < 6 {
		return short
	}
	if version := int16(binary.BigEndian.Uint16(b)); version < 0 {
		return fmt.Errorf("the subscription's version is %d", version)
	}
	n := int32(binary.BigEndian.Uint32(b[2:]))
	if n < 0 {
		return fmt.Errorf("the subscription has %d topics", n)
	}
	b = b[6:]
	for ; n > 0; n-- {
		if len(b) < 2 {
			return short
		}
		size := int(int16(binary.BigEndian.Uint16(b)))
		if size < 0 || size > len(b)-2 {
			return short
		}
		topics[string(b[2:2+size])] = true
		b = b[2+size:]
	}
	return nil
}
