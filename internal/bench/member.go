package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeatPause is the pause between two heartbeats of a member. It is far shorter than that of
// clients, so the broker's share of a rebalance is visible.
const heartbeatPause = time.Millisecond

// Error codes on which a member acts.
const (
	codeNone           = 0
	codeRebalance      = 27
	codeLoadInProgress = 14
	codeNotAvailable   = 15
	codeNotCoordinator = 16
)

// coordinatorPatience is how long a coordinator may take to serve.
const coordinatorPatience = 2 * time.Minute

// passing reports whether an error will go away once the coordinator's topic is created and loaded,
// and the last transaction is complete, and has not lasted too long.
func passing(code int16, since time.Time) bool {
	return time.Since(since) < coordinatorPatience &&
		(code == codeLoadInProgress || code == codeNotAvailable || code == codeNotCoordinator || code == codeConcurrent)
}

// Kinds of coordinators.
const (
	ofGroups       = 0
	ofTransactions = 1
)

// awaitCoordinator asks for the coordinator of a group or of a transactional id, which creates its
// topic if necessary, and waits a little.
func awaitCoordinator(conn net.Conn, kind int8, key string) error {
	request := kmsg.NewPtrFindCoordinatorRequest()
	request.Version, request.CoordinatorType, request.CoordinatorKey = 2, kind, key
	err := exchange(conn, request, request.ResponseKind())
	time.Sleep(clusterInterval)
	return err
}

// member is a member of a consumer group that uses no client library: it joins, syncs and sends
// heartbeats, and joins again when the coordinator says so.
type member struct {
	conn       net.Conn
	group      string
	session    time.Duration
	id         string
	generation int32
	beat       time.Time // when the last answered heartbeat was sent
	stable     chan<- stableAt
}

// stableAt is the time at which a member had its assignment in a generation.
type stableAt struct {
	generation int32
	members    int // number of members of the generation; set only by its leader
	at         time.Time
	err        error
}

func newMember(ctx context.Context, br *broker, group string, session time.Duration, stable chan<- stableAt) (*member, error) {
	conn, err := br.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &member{conn: conn, group: group, session: session, stable: stable}, nil
}

// run runs the member until ctx ends. Then it becomes silent without leaving the group.
func (m *member) run(ctx context.Context) {
	defer m.conn.Close()
	for joined := false; ctx.Err() == nil; {
		if !joined {
			members, err := m.join()
			if err != nil {
				m.stable <- stableAt{err: err}
				return
			}
			if joined = members >= 0; joined {
				m.stable <- stableAt{generation: m.generation, members: members, at: time.Now()}
			}
			continue
		}
		begin := time.Now()
		code, err := m.heartbeat()
		switch {
		case err != nil || code != codeNone && code != codeRebalance:
			m.stable <- stableAt{err: fmt.Errorf("a heartbeat in group %s answers error %d: %w", m.group, code, err)}
			return
		case code == codeRebalance:
			joined = false
		default:
			m.beat = begin
			_ = pause(ctx, heartbeatPause)
		}
	}
}

// join joins and syncs. It returns the number of members of the generation if this member leads it,
// 0 if not, and -1 if the next rebalance has already begun.
func (m *member) join() (members int, err error) {
	request := kmsg.NewPtrJoinGroupRequest()
	request.Version = 3 // the last version that joins at once, without getting an id first
	request.Group, request.MemberID = m.group, m.id
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = int32(m.session.Milliseconds()), 60_000
	request.ProtocolType = "consumer"
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "range"
	subscription := kmsg.NewConsumerMemberMetadata()
	subscription.Topics = []string{"load"}
	protocol.Metadata = subscription.AppendTo(nil)
	request.Protocols = append(request.Protocols, protocol)
	response := request.ResponseKind().(*kmsg.JoinGroupResponse)
	for begin := time.Now(); ; {
		if err := exchange(m.conn, request, response); err != nil {
			return 0, err
		}
		if response.ErrorCode == codeNone {
			break
		}
		if !passing(response.ErrorCode, begin) {
			return 0, fmt.Errorf("joining group %s answers error %d", m.group, response.ErrorCode)
		}
		if err := awaitCoordinator(m.conn, ofGroups, m.group); err != nil {
			return 0, err
		}
	}
	m.id, m.generation = response.MemberID, response.Generation
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version = 2
	sync.Group, sync.MemberID, sync.Generation = m.group, m.id, m.generation
	assigned := kmsg.NewConsumerMemberAssignment()
	for _, other := range response.Members {
		one := kmsg.NewSyncGroupRequestGroupAssignment()
		one.MemberID, one.MemberAssignment = other.MemberID, assigned.AppendTo(nil)
		sync.GroupAssignment = append(sync.GroupAssignment, one)
	}
	synced := sync.ResponseKind().(*kmsg.SyncGroupResponse)
	if err := exchange(m.conn, sync, synced); err != nil {
		return 0, err
	}
	switch synced.ErrorCode {
	case codeNone:
		return len(response.Members), nil
	case codeRebalance:
		return -1, nil
	}
	return 0, fmt.Errorf("syncing group %s answers error %d", m.group, synced.ErrorCode)
}

func (m *member) heartbeat() (int16, error) {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Version = 2
	request.Group, request.MemberID, request.Generation = m.group, m.id, m.generation
	response := request.ResponseKind().(*kmsg.HeartbeatResponse)
	err := exchange(m.conn, request, response)
	return response.ErrorCode, err
}

// awaitStable waits until the given number of members have their assignment in the same generation,
// and returns when the last of them got it.
func awaitStable(ctx context.Context, members int, stable <-chan stableAt) (time.Time, error) {
	have := map[int32]int{}
	sizes := map[int32]int{}
	for {
		select {
		case s := <-stable:
			if s.err != nil {
				return time.Time{}, s.err
			}
			have[s.generation]++
			sizes[s.generation] += s.members
			if have[s.generation] == members && sizes[s.generation] == members {
				return s.at, nil
			}
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the group is not stable with %d members: %w", members, context.Cause(ctx))
		}
	}
}
