package groups

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/client"
)

// groupAdmin sends requests about consumer groups like Kafka's admin client. It looks up
// coordinators again after they have moved, and retries what a broker cannot answer yet, until the
// time limit of the call.
type groupAdmin struct{ *client.Admin }

// groupCall is one call about groups.
type groupCall struct{ *client.Call }

// begin starts a call. The first call connects.
func (a *groupAdmin) begin(name string) (groupCall, error) {
	c, err := a.Admin.Begin(name)
	return groupCall{c}, err
}

// coordinators returns the coordinators of groups. Groups without a coordinator yet are missing
// from the result; permanent errors are added to failed.
func (c groupCall) coordinators(groups []string, failed map[string]error) (map[string]metadata.BrokerID, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorKeys = groups[0], groups
	resp, err := c.Admin.Cluster().Any(c.Ctx, req, 4)
	if err != nil {
		return nil, err
	}
	found := resp.(*kmsg.FindCoordinatorResponse)
	answers := found.Coordinators
	if found.Version < 4 { // version 3 and below: one group per request
		one := kmsg.NewFindCoordinatorResponseCoordinator()
		one.Key, one.NodeID, one.ErrorCode = groups[0], found.NodeID, found.ErrorCode
		answers = []kmsg.FindCoordinatorResponseCoordinator{one}
	}
	nodes := map[string]metadata.BrokerID{}
	for _, a := range answers {
		switch code := protocol.ErrorCode(a.ErrorCode); code {
		case protocol.None:
			nodes[a.Key] = metadata.BrokerID(a.NodeID)
		case protocol.CoordinatorNotAvailable, protocol.CoordinatorLoadInProgress:
		case protocol.GroupAuthorizationFailed:
			failed[a.Key] = protocol.Errorf(code, "FindCoordinator request for groupId `CoordinatorKey(idValue='%s', type=GROUP)` failed due to authorization failure", a.Key)
		default:
			failed[a.Key] = protocol.Errorf(code, "FindCoordinator request for key `CoordinatorKey(idValue='%s', type=GROUP)` failed due to an unexpected error", a.Key)
		}
	}
	return nodes, nil
}

// groupRequest is a request to the coordinators of groups.
type groupRequest struct {
	call  string // the name of the call in the admin client
	max   int16  // the highest version to use
	batch bool   // a request may contain several groups
	build func(groups []string) kmsg.Request
	// read processes a coordinator's answer and returns the error code of each group.
	read func(resp kmsg.Response, from coordinator) map[string]protocol.ErrorCode
}

// perGroup sends r until every group has been answered. It returns the errors of the groups that
// failed.
func (a *groupAdmin) perGroup(groups []string, r groupRequest) map[string]error {
	failed := map[string]error{}
	fail := func(groups []string, err error) {
		for _, g := range groups {
			failed[g] = err
		}
	}
	left := slices.Clone(groups)
	c, err := a.begin(r.call + "(api=FIND_COORDINATOR)")
	if err != nil {
		fail(left, err)
		return failed
	}
	defer c.End()
	for len(left) > 0 {
		before := len(left)
		nodes, err := c.coordinators(left, failed)
		byNode := map[metadata.BrokerID][]string{}
		for g, node := range nodes {
			byNode[node] = append(byNode[node], g)
		}
		for node, names := range byNode {
			slices.Sort(names)
			for _, part := range parts(names, r.batch) {
				for _, g := range c.ask(node, part, r, failed) {
					delete(nodes, g)
				}
			}
		}
		left = slices.DeleteFunc(left, func(g string) bool {
			_, answered := nodes[g]
			return answered || failed[g] != nil
		})
		if errors.Is(err, protocol.UnsupportedVersion) {
			fail(left, err)
			return failed
		}
		if len(left) == before { // no progress in this round
			if err := c.Again(); err != nil {
				fail(left, err)
				return failed
			}
		}
	}
	return failed
}

func parts(names []string, together bool) [][]string {
	if together {
		return [][]string{names}
	}
	return slices.Collect(slices.Chunk(names, 1))
}

// ask sends r for some groups to their coordinator and returns the groups to retry.
func (c groupCall) ask(node metadata.BrokerID, groups []string, r groupRequest, failed map[string]error) (retry []string) {
	link, err := c.Admin.Cluster().Broker(c.Ctx, node)
	if err != nil {
		return groups
	}
	resp, err := link.Negotiated(c.Ctx, r.build(groups), r.max)
	switch {
	case errors.Is(err, protocol.UnsupportedVersion):
		for _, g := range groups {
			failed[g] = err
		}
		return nil
	case err != nil:
		return groups
	}
	codes := r.read(resp, coordinator{node, link.Address()})
	for _, g := range groups {
		switch code := codes[g]; code {
		case protocol.None:
		case protocol.CoordinatorNotAvailable, protocol.NotCoordinator, protocol.CoordinatorLoadInProgress, protocol.RebalanceInProgress:
			retry = append(retry, g)
		default:
			failed[g] = code
		}
	}
	return retry
}

// firstFailure returns the error of the first group that failed.
func firstFailure(groups []string, failed map[string]error) error {
	for _, g := range groups {
		if failed[g] != nil {
			return failed[g]
		}
	}
	return nil
}
