package group

import (
	"strings"
	"time"

	"github.com/monedula/monedula/protocol"
)

// Fetch returns a group's committed offsets of the partitions, or all of them if partitions is nil.
// If stable is set, a partition whose offset is being committed is answered with
// UNSTABLE_OFFSET_COMMIT (KIP-447). A group that does not exist has no offsets.
func (c *Coordinator) Fetch(group string, partitions []TopicPartition, stable bool) ([]Fetched, protocol.ErrorCode) {
	e, code := c.lookup(group, true)
	if code != protocol.None {
		return nil, code
	}
	if e == nil {
		return fetchNothing(partitions), protocol.None
	}
	c.lock(e)
	defer c.unlock(e)
	return e.group.offsets.fetch(partitions, stable), protocol.None
}

// Description is the content of DescribeGroups for a group.
type Description struct {
	State        string
	ProtocolType string
	Protocol     string
	Members      []MemberDescription
}

// MemberDescription is the content of DescribeGroups for a member. Metadata and Assignment are nil
// unless the group is stable.
type MemberDescription struct {
	ID         string
	InstanceID *string
	ClientID   string
	ClientHost string
	Metadata   []byte
	Assignment []byte
}

// Describe describes a group. A group that does not exist is Dead.
func (c *Coordinator) Describe(group string) (Description, protocol.ErrorCode) {
	e, code := c.lookup(group, true)
	if code != protocol.None {
		return Description{}, code
	}
	if e == nil {
		return Description{State: Dead.String()}, protocol.None
	}
	c.lock(e)
	defer c.unlock(e)
	return e.group.describe(), protocol.None
}

func (g *Group) describe() Description {
	d := Description{State: g.state.String(), ProtocolType: g.protocolType, Members: make([]MemberDescription, g.members.size)}
	stable := g.state == Stable
	if stable {
		d.Protocol = *g.protocol
	}
	for i, m := range g.members.all() {
		d.Members[i] = MemberDescription{ID: m.ID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost}
		if stable {
			d.Members[i].Metadata, d.Members[i].Assignment = m.metadata(d.Protocol), m.assignment
		}
	}
	return d
}

// Overview is the content of ListGroups for a group.
type Overview struct {
	ID, ProtocolType, State, Type string
	Members, Offsets              int // numbers of members and of committed offsets; not in ListGroups
}

// groupType is the type of all groups of this coordinator in ListGroups.
const groupType = "classic"

// List returns this broker's groups that are in one of the states and of one of the types. Case
// does not matter, and an empty filter matches all. If partitions are being loaded, List returns
// COORDINATOR_LOAD_IN_PROGRESS together with the groups that are loaded.
func (c *Coordinator) List(states, types []string) ([]Overview, protocol.ErrorCode) {
	if !c.rt.Active() {
		return nil, protocol.CoordinatorNotAvailable
	}
	groups, loading := c.rt.All()
	code := protocol.None
	if loading {
		code = protocol.CoordinatorLoadInProgress
	}
	inStates, inTypes := filterOf(states), filterOf(types)
	list := []Overview{}
	for _, e := range groups {
		shown := e.shown.Load()
		o := Overview{ID: e.group.ID, ProtocolType: shown.protocolType, State: shown.state.String(), Type: groupType,
			Members: shown.members, Offsets: shown.offsets}
		if inStates(o.State) && inTypes(o.Type) {
			list = append(list, o)
		}
	}
	return list, code
}

// filterOf returns a function that reports whether a value is one of wanted, regardless of case. If
// wanted is empty every value matches.
func filterOf(wanted []string) func(value string) bool {
	set := make(map[string]bool, len(wanted))
	for _, w := range wanted {
		set[strings.ToLower(w)] = true
	}
	return func(value string) bool { return len(set) == 0 || set[strings.ToLower(value)] }
}

// Delete deletes a group that has no members, and its offsets.
func (c *Coordinator) Delete(group string) protocol.ErrorCode {
	e, code := c.lookup(group, true)
	if code != protocol.None {
		return code
	}
	if e == nil {
		return protocol.GroupIDNotFound
	}
	c.lock(e)
	defer c.unlock(e)
	switch e.group.state {
	case Dead:
		return protocol.GroupIDNotFound
	case Empty:
	default:
		return protocol.NonEmptyGroup
	}
	removed := e.group.offsets.removeAll()
	e.group.Kill(time.Now())
	c.bury(e, removed)
	c.infof("The following groups were deleted: %s. A total of %d offsets were removed.", group, len(removed))
	return protocol.None
}

// DeleteOffsets deletes committed offsets. It returns a code for each partition, or one for the
// whole request.
func (c *Coordinator) DeleteOffsets(group string, partitions []TopicPartition) (codes []protocol.ErrorCode, code protocol.ErrorCode) {
	e, code := c.lookup(group, false)
	if code != protocol.None {
		return nil, code
	}
	if e == nil {
		return nil, protocol.GroupIDNotFound
	}
	c.lock(e)
	defer c.unlock(e)
	g := e.group
	switch {
	case g.state == Dead:
		return nil, protocol.GroupIDNotFound
	case g.state != Empty && g.protocolType != consumerProtocol:
		return nil, protocol.NonEmptyGroup
	}
	codes = make([]protocol.ErrorCode, len(partitions))
	var free []TopicPartition
	for i, p := range partitions {
		if codes[i] = g.undeletable(p.Topic); codes[i] == protocol.None {
			free = append(free, p)
		}
	}
	if len(free) > 0 {
		removed := g.offsets.remove(free)
		g.DieIfIdle(time.Now())
		c.bury(e, removed)
		c.counts.deleted.Add(int64(len(removed)))
		c.infof("The following offsets of the group %s were deleted: %v. A total of %d offsets were removed.", group, free, len(removed))
	}
	return codes, protocol.None
}
