package integration

import (
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupCases returns the cases of consumer groups for one API key. They need a coordinator, which
// the cases of FindCoordinator create.
func groupCases(key int16) []differentialCase {
	all := map[int16][]differentialCase{}
	maps.Copy(all, coordinatorCases())
	maps.Copy(all, memberCases())
	maps.Copy(all, offsetCases())
	maps.Copy(all, groupAdminCases())
	return all[key]
}

// awaitCoordinator waits until the side has created its internal topic.
func awaitCoordinator(s *side, kind int8) {
	for range 500 {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKey, req.CoordinatorType = 3, "any", kind
		resp, err := s.link.Do(background(), req)
		if err == nil && resp.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// withCoordinator builds a case that needs the offsets topic.
func withCoordinator(name string, make func(s *side, version int16) kmsg.Request) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		awaitCoordinator(s, 0)
		return make(s, version)
	}}
}

func coordinatorCases() map[int16][]differentialCase {
	find := func(name, key string, kind int8) differentialCase {
		return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorType = key, kind
			req.CoordinatorKeys = []string{key, key + "2"}
			return req
		}, after: func(s *side, version int16) {
			if kind == 0 || kind == 1 {
				awaitCoordinator(s, kind)
			}
		}}
	}
	return map[int16][]differentialCase{10: {
		find("group", "g", 0), find("group again", "g", 0), find("empty group", "", 0), find("transaction", "t", 1), find("transaction again", "t", 1),
		find("share", "g:topic:0", 2), find("unknown kind", "g", 9), find("negative kind", "g", -1),
	}}
}

// joinRequest builds a JoinGroup request whose session and rebalance timeouts outlast the test. If
// either expired during the test, the answers of the two sides and the group's state would depend
// on timing.
func joinRequest(group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group, member, "consumer", 300000, 300000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0, 0, 0, 0, 1, 0, 2, 't', '1', 0, 0, 0, 0}
	req.Protocols = append(req.Protocols, p)
	return req
}

func joinCase(name string, change func(*kmsg.JoinGroupRequest)) differentialCase {
	return withCoordinator(name, func(_ *side, version int16) kmsg.Request {
		req := joinRequest("join", "")
		change(req)
		return req
	})
}

// stable creates a stable group of one member on one of the two brokers and returns the member's id
// and generation.
func stable(s *side, group string, instance *string) (member string, generation int32) {
	awaitCoordinator(s, 0)
	join := joinRequest(group, "")
	join.Version, join.InstanceID = 5, instance
	for range 3 {
		resp, err := s.link.Do(background(), join)
		if err != nil {
			return "", -1
		}
		joined := resp.(*kmsg.JoinGroupResponse)
		member, generation = joined.MemberID, joined.Generation
		if joined.ErrorCode == 0 {
			break
		}
		join.MemberID = member
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation, sync.InstanceID = 3, group, member, generation, instance
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = member, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	if _, err := s.link.Do(background(), sync); err != nil {
		return "", -1
	}
	return member, generation
}

func memberCases() map[int16][]differentialCase {
	sync := func(name string, change func(s *side, r *kmsg.SyncGroupRequest)) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Version = version
			req.Group, req.MemberID, req.Generation = "sync", "unknown", 1
			req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
			change(s, req)
			return req
		})
	}
	heartbeat := func(name string, change func(s *side, r *kmsg.HeartbeatRequest)) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Version = version
			req.Group, req.MemberID, req.Generation = "heartbeat", "unknown", 1
			change(s, req)
			return req
		})
	}
	leave := func(name string, change func(s *side, r *kmsg.LeaveGroupRequest)) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Version = version
			req.Group = "leave"
			change(s, req)
			return req
		})
	}
	leaver := func(r *kmsg.LeaveGroupRequest, id string, instance *string) {
		r.MemberID = id
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID = id, instance
		r.Members = append(r.Members, m)
	}
	absent := kmsg.StringPtr("absent")
	return map[int16][]differentialCase{
		11: {
			joinCase("unknown member", func(r *kmsg.JoinGroupRequest) { r.MemberID = "unknown" }),
			joinCase("no group id", func(r *kmsg.JoinGroupRequest) { r.Group = "" }),
			joinCase("session too short", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 }),
			joinCase("session too long", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1800001 }),
			joinCase("no protocols", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }),
			joinCase("no protocol type", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" }),
			joinCase("unknown member of no group", func(r *kmsg.JoinGroupRequest) { r.Group, r.MemberID = "missing", "m" }),
			withCoordinator("new member", func(s *side, version int16) kmsg.Request {
				return joinRequest(fmt.Sprint("new", version), "")
			}),
			withCoordinator("static member", func(s *side, version int16) kmsg.Request {
				req := joinRequest(fmt.Sprint("static", version), "")
				req.InstanceID = kmsg.StringPtr("one")
				return req
			}),
			withCoordinator("static member again", func(s *side, version int16) kmsg.Request {
				if version < 5 {
					return nil
				}
				group := fmt.Sprint("again", version)
				stable(s, group, kmsg.StringPtr("one"))
				req := joinRequest(group, "")
				req.InstanceID = kmsg.StringPtr("one")
				return req
			}),
			withCoordinator("leader again", func(s *side, version int16) kmsg.Request {
				group := fmt.Sprint("leader", version)
				id, _ := stable(s, group, nil)
				return joinRequest(group, id)
			}),
			withCoordinator("fenced instance", func(s *side, version int16) kmsg.Request {
				group := fmt.Sprint("fenced", version)
				stable(s, group, kmsg.StringPtr("one"))
				req := joinRequest(group, "other")
				req.InstanceID = kmsg.StringPtr("one")
				return req
			}),
			withCoordinator("other protocol", func(s *side, version int16) kmsg.Request {
				group := fmt.Sprint("other", version)
				stable(s, group, nil)
				req := joinRequest(group, "")
				req.Protocols[0].Name = "sticky"
				return req
			}),
			withCoordinator("other protocol type", func(s *side, version int16) kmsg.Request {
				group := fmt.Sprint("othertype", version)
				stable(s, group, nil)
				req := joinRequest(group, "")
				req.ProtocolType = "connect"
				return req
			}),
		},
		12: {
			heartbeat("no group", func(*side, *kmsg.HeartbeatRequest) {}),
			heartbeat("no group id", func(_ *side, r *kmsg.HeartbeatRequest) { r.Group = "" }),
			heartbeat("good", func(s *side, r *kmsg.HeartbeatRequest) {
				r.Group = fmt.Sprint("beat1-", r.Version)
				r.MemberID, r.Generation = stable(s, fmt.Sprint("beat1-", r.Version), nil)
			}),
			heartbeat("unknown member", func(s *side, r *kmsg.HeartbeatRequest) {
				stable(s, fmt.Sprint("beat-", r.Version), nil)
				r.Group = fmt.Sprint("beat-", r.Version)
			}),
			heartbeat("unknown instance", func(s *side, r *kmsg.HeartbeatRequest) {
				stable(s, fmt.Sprint("beatx-", r.Version), nil)
				r.Group, r.InstanceID = fmt.Sprint("beatx-", r.Version), absent
			}),
		},
		13: {
			leave("no group", func(_ *side, r *kmsg.LeaveGroupRequest) { leaver(r, "m", nil) }),
			leave("empty member id", func(_ *side, r *kmsg.LeaveGroupRequest) { leaver(r, "", nil) }),
			leave("no group id", func(_ *side, r *kmsg.LeaveGroupRequest) { r.Group = ""; leaver(r, "m", nil) }),
			leave("unknown member", func(s *side, r *kmsg.LeaveGroupRequest) {
				stable(s, fmt.Sprint("leave1-", r.Version), nil)
				r.Group = fmt.Sprint("leave1-", r.Version)
				leaver(r, "m", nil)
			}),
			leave("by instance", func(s *side, r *kmsg.LeaveGroupRequest) {
				stable(s, fmt.Sprint("leave2-", r.Version), kmsg.StringPtr("one"))
				r.Group = fmt.Sprint("leave2-", r.Version)
				leaver(r, "", kmsg.StringPtr("one"))
			}),
			leave("unknown instance", func(s *side, r *kmsg.LeaveGroupRequest) {
				stable(s, fmt.Sprint("leave3-", r.Version), kmsg.StringPtr("one"))
				r.Group = fmt.Sprint("leave3-", r.Version)
				leaver(r, "", absent)
			}),
			leave("fenced", func(s *side, r *kmsg.LeaveGroupRequest) {
				stable(s, fmt.Sprint("leave4-", r.Version), kmsg.StringPtr("one"))
				r.Group = fmt.Sprint("leave4-", r.Version)
				leaver(r, "other", kmsg.StringPtr("one"))
			}),
		},
		14: {
			sync("no group", func(*side, *kmsg.SyncGroupRequest) {}),
			sync("no group id", func(_ *side, r *kmsg.SyncGroupRequest) { r.Group = "" }),
			sync("no protocol", func(_ *side, r *kmsg.SyncGroupRequest) { r.Protocol = nil }),
			sync("unknown member", func(s *side, r *kmsg.SyncGroupRequest) {
				stable(s, fmt.Sprint("sync1-", r.Version), nil)
				r.Group = fmt.Sprint("sync1-", r.Version)
			}),
			sync("good", func(s *side, r *kmsg.SyncGroupRequest) {
				r.Group = fmt.Sprint("sync2-", r.Version)
				r.MemberID, r.Generation = stable(s, fmt.Sprint("sync2-", r.Version), nil)
			}),
			sync("old generation", func(s *side, r *kmsg.SyncGroupRequest) {
				r.Group = fmt.Sprint("sync3-", r.Version)
				r.MemberID, _ = stable(s, fmt.Sprint("sync3-", r.Version), nil)
				r.Generation = 77
			}),
			sync("other protocol", func(s *side, r *kmsg.SyncGroupRequest) {
				r.Group = fmt.Sprint("sync4-", r.Version)
				r.MemberID, r.Generation = stable(s, fmt.Sprint("sync4-", r.Version), nil)
				r.Protocol = kmsg.StringPtr("sticky")
			}),
		},
	}
}

func offsetCases() map[int16][]differentialCase {
	commit := func(name, topic string, partition int32, change func(s *side, r *kmsg.OffsetCommitRequest)) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Version = version
			req.Group = fmt.Sprint("commit", version)
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = topic
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.Metadata, p.LeaderEpoch = partition, 2, kmsg.StringPtr("note"), 3
			t.Partitions = append(t.Partitions, p)
			req.Topics = append(req.Topics, t)
			change(s, req)
			return req
		})
	}
	plain := func(*side, *kmsg.OffsetCommitRequest) {}
	fetch := func(name, group string, change func(r *kmsg.OffsetFetchRequest)) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Group = fmt.Sprint(group, version)
			t := kmsg.NewOffsetFetchRequestTopic()
			t.Topic, t.Partitions = "t1", []int32{0, 1, 9}
			req.Topics = append(req.Topics, t)
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = req.Group
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic, gt.Partitions = t.Topic, t.Partitions
			g.Topics = append(g.Topics, gt)
			req.Groups = append(req.Groups, g)
			change(req)
			return req
		})
	}
	remove := func(name, group, topic string) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = topic
			for _, n := range []int32{0, 9} {
				p := kmsg.NewOffsetDeleteRequestTopicPartition()
				p.Partition = n
				t.Partitions = append(t.Partitions, p)
			}
			req.Topics = append(req.Topics, t)
			return req
		})
	}
	return map[int16][]differentialCase{
		8: {
			commit("good", "t1", 0, plain), commit("unknown topic", "missing", 0, plain), commit("unknown partition", "t1", 9, plain),
			commit("no metadata", "t1", 1, func(_ *side, r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = nil }),
			commit("long metadata", "t1", 0, func(_ *side, r *kmsg.OffsetCommitRequest) {
				r.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(fmt.Sprintf("%5000d", 1))
			}),
			commit("metadata with two bytes per character", "t1", 0, func(_ *side, r *kmsg.OffsetCommitRequest) {
				text := ""
				for range 4096 {
					text += "é"
				}
				r.Topics[0].Partitions[0].Metadata = &text
			}),
			commit("generation of no group", "t1", 0, func(_ *side, r *kmsg.OffsetCommitRequest) {
				r.Group, r.Generation, r.MemberID = "nocommit", 3, "m"
			}),
			commit("empty group id", "t1", 0, func(_ *side, r *kmsg.OffsetCommitRequest) { r.Group = "" }),
			commit("retention", "t1", 0, func(_ *side, r *kmsg.OffsetCommitRequest) { r.RetentionTimeMillis = 1000000 }),
			commit("not a member", "t1", 0, func(s *side, r *kmsg.OffsetCommitRequest) {
				stable(s, fmt.Sprint("commit-a-", r.Version), nil)
				r.Group = fmt.Sprint("commit-a-", r.Version)
			}),
			commit("unknown member", "t1", 0, func(s *side, r *kmsg.OffsetCommitRequest) {
				stable(s, fmt.Sprint("commit-b-", r.Version), nil)
				r.Group, r.MemberID, r.Generation = fmt.Sprint("commit-b-", r.Version), "m", 1
			}),
			commit("member", "t1", 0, func(s *side, r *kmsg.OffsetCommitRequest) {
				r.Group = fmt.Sprint("commit-c-", r.Version)
				r.MemberID, r.Generation = stable(s, fmt.Sprint("commit-c-", r.Version), nil)
			}),
			commit("old generation", "t1", 0, func(s *side, r *kmsg.OffsetCommitRequest) {
				r.Group = fmt.Sprint("commit-d-", r.Version)
				r.MemberID, _ = stable(s, fmt.Sprint("commit-d-", r.Version), nil)
				r.Generation = 99
			}),
			commit("unknown instance", "t1", 0, func(s *side, r *kmsg.OffsetCommitRequest) {
				r.Group = fmt.Sprint("commit-e-", r.Version)
				r.MemberID, r.Generation = stable(s, fmt.Sprint("commit-e-", r.Version), nil)
				r.InstanceID = kmsg.StringPtr("absent")
			}),
		},
		9: {
			fetch("committed", "commit", func(*kmsg.OffsetFetchRequest) {}), fetch("nothing", "nothing", func(*kmsg.OffsetFetchRequest) {}),
			fetch("all", "commit", func(r *kmsg.OffsetFetchRequest) { r.Topics, r.Groups[0].Topics = nil, nil }),
			fetch("all of nothing", "nothing", func(r *kmsg.OffsetFetchRequest) { r.Topics, r.Groups[0].Topics = nil, nil }),
			fetch("no topics", "commit", func(r *kmsg.OffsetFetchRequest) {
				r.Topics, r.Groups[0].Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
			}),
			fetch("stable", "commit", func(r *kmsg.OffsetFetchRequest) { r.RequireStable = true }),
			fetch("unknown topic", "commit", func(r *kmsg.OffsetFetchRequest) {
				r.Topics[0].Topic, r.Groups[0].Topics[0].Topic = "missing", "missing"
			}),
			fetch("two groups", "commit", func(r *kmsg.OffsetFetchRequest) {
				g := kmsg.NewOffsetFetchRequestGroup()
				g.Group = "commit-c-9"
				r.Groups = append(r.Groups, g)
			}),
		},
		47: {
			remove("missing group", "missing", "t1"), remove("empty group id", "", "t1"), remove("good", "commit9", "t1"),
			remove("unknown topic", "commit8", "missing"), remove("subscribed", "commit-c-9", "t1"), remove("not subscribed", "commit-c-9", "compacted"),
		},
	}
}

func groupAdminCases() map[int16][]differentialCase {
	describe := func(name string, groups ...string) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups, req.IncludeAuthorizedOperations = groups, true
			stable(s, "described", kmsg.StringPtr("one"))
			return req
		})
	}
	list := func(name string, states, types []string) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter, req.TypesFilter = states, types
			return req
		})
	}
	remove := func(name string, groups ...string) differentialCase {
		return withCoordinator(name, func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = groups
			return req
		})
	}
	return map[int16][]differentialCase{
		15: {describe("missing", "missing"), describe("empty id", ""), describe("stable and offsets only", "described", "commit5")},
		16: {
			list("all", nil, nil), list("empty", []string{"Empty"}, nil), list("case", []string{"eMPTY"}, []string{"CLASSIC"}),
			list("dead", []string{"Dead"}, nil), list("consumer", nil, []string{"consumer"}), list("unknown", []string{"x"}, []string{"y"}),
		},
		42: {remove("missing", "missing"), remove("twice", "missing", "missing"), remove("with members", "described"), remove("offsets only", "commit6", "commit7")},
	}
}
