package groups

import (
	"net"
	"strconv"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// The documents of --output json. docs/json.md describes their fields.
type (
	groupsDocument[T listedEntry | describedEntry] struct {
		Groups []T `json:"groups"`
	}
	listedEntry struct {
		GroupID string `json:"groupId"`
		Type    string `json:"type"`
		State   string `json:"state"`
	}
	describedEntry struct {
		GroupID            string            `json:"groupId"`
		State              string            `json:"state"`
		Coordinator        *coordinatorEntry `json:"coordinator"`
		AssignmentStrategy string            `json:"assignmentStrategy"`
		MemberCount        int               `json:"memberCount"`
		Offsets            []offsetEntry     `json:"offsets,omitzero"`
		Members            []memberEntry     `json:"members,omitzero"`
	}
	coordinatorEntry struct {
		ID   metadata.BrokerID `json:"id"`
		Host string            `json:"host"`
		Port int               `json:"port"`
	}
	offsetEntry struct {
		Topic         string         `json:"topic"`
		Partition     int32          `json:"partition"`
		CurrentOffset *record.Offset `json:"currentOffset"`
		LogEndOffset  *record.Offset `json:"logEndOffset"`
		Lag           *record.Offset `json:"lag"`
		ConsumerID    *string        `json:"consumerId"`
		Host          *string        `json:"host"`
		ClientID      *string        `json:"clientId"`
	}
	memberEntry struct {
		ConsumerID      string            `json:"consumerId"`
		GroupInstanceID *string           `json:"groupInstanceId"`
		Host            string            `json:"host"`
		ClientID        string            `json:"clientId"`
		PartitionCount  int               `json:"partitionCount"`
		Assignment      []assignmentEntry `json:"assignment"`
	}
	assignmentEntry struct {
		Topic      string  `json:"topic"`
		Partitions []int32 `json:"partitions"`
	}
)

func listDocument(groups []listedGroup) groupsDocument[listedEntry] {
	entries := []listedEntry{}
	for _, g := range groups {
		entries = append(entries, listedEntry{g.id, g.kind, g.state})
	}
	return groupsDocument[listedEntry]{entries}
}

// printDescribed prints the document of --describe.
func (o *groupsOptions) printDescribed(admin *groupAdmin, groups []describedGroup) error {
	var rows [][]lagRow
	if !o.members.Given() && !o.state.Given() {
		var err error
		if rows, err = lags(admin, groups); err != nil {
			return err
		}
	}
	entries := []describedEntry{}
	for i := range groups {
		g := &groups[i]
		if _, err := o.remark(g, 0); err != nil {
			return err
		}
		entry := describedEntry{GroupID: g.id, State: g.state, Coordinator: g.coordinator.entry(), AssignmentStrategy: g.assignor, MemberCount: len(g.members)}
		switch {
		case o.members.Given():
			entry.Members = memberEntries(g.members)
		case !o.state.Given():
			entry.Offsets = offsetEntries(rows[i])
		}
		entries = append(entries, entry)
	}
	o.PrintDocument(groupsDocument[describedEntry]{entries})
	return nil
}

func (c coordinator) entry() *coordinatorEntry {
	host, portText, err := net.SplitHostPort(c.address)
	if err != nil {
		return nil
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil
	}
	return &coordinatorEntry{c.id, host, port}
}

func offsetEntries(rows []lagRow) []offsetEntry {
	known := func(offset record.Offset) *record.Offset {
		if offset < 0 {
			return nil
		}
		return &offset
	}
	entries := []offsetEntry{}
	for _, r := range rows {
		e := offsetEntry{Topic: r.partition.Topic, Partition: r.partition.Partition, CurrentOffset: known(r.committed), LogEndOffset: known(r.end)}
		if r.committed >= 0 && r.end >= 0 {
			lag := r.end - r.committed
			e.Lag = &lag
		}
		if m := r.member; m != nil {
			e.ConsumerID, e.Host, e.ClientID = &m.id, &m.host, &m.client
		}
		entries = append(entries, e)
	}
	return entries
}

func memberEntries(members []groupMember) []memberEntry {
	entries := []memberEntry{}
	for _, m := range members {
		e := memberEntry{ConsumerID: m.id, Host: m.host, ClientID: m.client, PartitionCount: len(m.owned), Assignment: []assignmentEntry{}}
		if m.instance != "" {
			e.GroupInstanceID = &m.instance
		}
		for _, tp := range m.owned { // sorted
			if n := len(e.Assignment); n == 0 || e.Assignment[n-1].Topic != tp.Topic {
				e.Assignment = append(e.Assignment, assignmentEntry{Topic: tp.Topic})
			}
			last := &e.Assignment[len(e.Assignment)-1]
			last.Partitions = append(last.Partitions, tp.Partition)
		}
		entries = append(entries, e)
	}
	return entries
}
