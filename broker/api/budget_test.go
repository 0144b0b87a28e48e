package api

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// heavyMetadata returns the body of a request that takes more than 40 MiB of memory.
func heavyMetadata() []byte {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	name := "a-topic-with-a-name-of-" + strings.Repeat("some-", 20) + "length"
	for range 100_000 {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return protocol.AppendRequest(nil, req)
}

// clusterClosed allows CLUSTER_ACTION for the principal of brokers only.
type clusterClosed struct{ AllowAll }

func (clusterClosed) Allows(peer *network.Peer, op kmsg.ACLOperation, _ kmsg.ACLResourceType, _ string) bool {
	return op != kmsg.ACLOperationClusterAction || peer.Principal == "User:broker"
}

// Requests that take much memory wait for each other. Small requests and those of other brokers do
// not wait for them. A client is not taken for a broker because it sends a type of request that
// only brokers send.
func TestHeavyRequestsShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside, finished atomic.Int32
		gate := make(chan struct{})
		registry := NewRegistry(clusterClosed{}, kafkalog.Discard())
		registry.Register(Typed(MetadataOf(nil, nil, nil, ""), func(c *Call, req *kmsg.MetadataRequest) (kmsg.Response, error) {
			if len(req.Topics) > 0 {
				inside.Add(1)
				<-gate
			}
			return kmsg.NewPtrMetadataResponse(), nil
		}), Typed(AlterPartition(nil), func(*Call, *kmsg.AlterPartitionRequest) (kmsg.Response, error) {
			return kmsg.NewPtrAlterPartitionResponse(), nil
		}))
		done := make(chan struct{})
		client, broker := &network.Peer{ID: "test", Privileged: true}, &network.Peer{ID: "broker", Privileged: true, Principal: "User:broker"}
		otherListener := &network.Peer{ID: "other listener", Principal: "User:broker"}
		serve := func(peer *network.Peer, key protocol.APIKey, version int16, body []byte) network.Response {
			return registry.Serve(&network.Request{Peer: peer, Body: body, Done: done,
				RequestHeader: protocol.RequestHeader{Key: key, Version: version}})
		}
		body := heavyMetadata()
		for range 3 {
			go func() {
				serve(client, protocol.Metadata, 9, append([]byte(nil), body...))
				finished.Add(1)
			}()
		}
		settle := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := inside.Load(); got != want {
				t.Errorf("%s %d heavy requests have been started, want %d", what, got, want)
			}
		}
		settle("at first", 1)
		if resp := serve(client, protocol.Metadata, 9, []byte{0, 0, 0, 0, 0}); resp.Close {
			t.Errorf("a small request: %v", resp.Err)
		}
		alter := kmsg.NewPtrAlterPartitionRequest()
		alter.Version = 2
		for range 30_000 {
			alter.Topics = append(alter.Topics, kmsg.AlterPartitionRequestTopic{Partitions: []kmsg.AlterPartitionRequestTopicPartition{{NewISR: []int32{1, 2, 3}}}})
		}
		change := protocol.AppendRequest(nil, alter)
		if resp := serve(broker, protocol.AlterPartition, 2, change); resp.Close {
			t.Errorf("a request of another broker: %v", resp.Err)
		}
		var pretended atomic.Int32
		for _, peer := range []*network.Peer{client, otherListener} {
			go func() {
				serve(peer, protocol.AlterPartition, 2, append([]byte(nil), change...))
				pretended.Add(1)
			}()
		}
		synctest.Wait()
		if n := pretended.Load(); n != 0 {
			t.Errorf("%d clients were answered from the brokers' budget", n)
		}
		gate <- struct{}{}
		settle("when one has been answered", 2)
		// A request that waits in its handler, such as JoinGroup, loses its share.
		time.Sleep(shareTime + time.Second)
		settle("when one has waited longer than shareTime", 3)
		close(gate)
		synctest.Wait()
		if finished.Load() != 3 || pretended.Load() != 2 {
			t.Errorf("%d of 3 and %d of 2 were answered", finished.Load(), pretended.Load())
		}
		close(done)
	})
}

// Requests of a controller for 30,000 partitions are read.
func TestRequestsOfALargeClusterAreRead(t *testing.T) {
	leader, stop, update := kmsg.NewPtrLeaderAndISRRequest(), kmsg.NewPtrStopReplicaRequest(), kmsg.NewPtrUpdateMetadataRequest()
	ids := []int32{1, 2, 3}
	for i := range int32(30_000) {
		l := kmsg.NewLeaderAndISRRequestTopicState()
		l.Topic = "a-topic"
		p := kmsg.NewLeaderAndISRRequestTopicPartition()
		p.Partition, p.ISR, p.Replicas = i, ids, ids
		l.PartitionStates = append(l.PartitionStates, p)
		leader.TopicStates = append(leader.TopicStates, l)
		s := kmsg.NewStopReplicaRequestTopic()
		s.Topic = "a-topic"
		s.PartitionStates = []kmsg.StopReplicaRequestTopicPartitionState{{Partition: i}}
		stop.Topics = append(stop.Topics, s)
		u := kmsg.NewUpdateMetadataRequestTopicState()
		u.Topic = "a-topic"
		q := kmsg.NewUpdateMetadataRequestTopicPartition()
		q.Partition, q.ISR, q.Replicas = i, ids, ids
		u.PartitionStates = append(u.PartitionStates, q)
		update.TopicStates = append(update.TopicStates, u)
	}
	for req, h := range map[kmsg.Request]Handler{leader: LeaderAndIsr(nil), stop: StopReplica(nil), update: UpdateMetadata(nil, nil)} {
		key := h.Key
		read := false
		c := newCaller(t, nil, Typed(h, func(*Call, kmsg.Request) (kmsg.Response, error) {
			read = true
			return req.ResponseKind(), nil
		}))
		for _, version := range []int16{h.Max, 3} {
			req.SetVersion(version)
			if resp := c.send(key, version, protocol.AppendRequest(nil, req)); !read || resp.Close {
				t.Errorf("%s v%d: %v", key, version, resp.Err)
			}
			read = false
		}
	}
}

// A request that is too large, in bytes or in memory, is answered with an error that is not
// retriable if its type has a code for the whole answer. If the answer has a code for each entry
// only, the client would take one without entries for a success. Requests of brokers close the
// connection.
func TestARequestThatIsTooLargeIsAnsweredIfItsTypeHasACode(t *testing.T) {
	join, sync, commit := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrOffsetCommitRequest()
	alter := kmsg.NewPtrAlterPartitionRequest()
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, bodyBytesMax)}}
	for range 300_000 {
		sync.GroupAssignment = append(sync.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: "m"})
	}
	group := string(make([]byte, bodyBytesMax))
	commit.Group = group
	alter.Topics = make([]kmsg.AlterPartitionRequestTopic, 200_000)
	handled := false
	note := func(*Call, kmsg.Request) (kmsg.Response, error) {
		handled = true
		return nil, protocol.UnknownServerError
	}
	for _, k := range []struct {
		handler  Handler
		req      kmsg.Request
		version  int16
		answered bool
	}{
		{JoinGroup(nil, nil), join, 5, true}, {SyncGroup(nil, nil), sync, 4, true},
		{OffsetCommit(nil, nil, nil, nil), commit, 8, false}, {AlterPartition(nil), alter, 1, false},
	} {
		key := k.handler.Key
		k.req.SetVersion(k.version)
		c := newCaller(t, nil, Typed(k.handler, note))
		resp := c.send(key, k.version, protocol.AppendRequest(nil, k.req))
		if handled || resp.Close == k.answered || (resp.Err == nil) != k.answered {
			t.Errorf("%s: handled %t, closed %t, %v", key, handled, resp.Close, resp.Err)
		}
		if !k.answered {
			continue
		}
		_, body, err := protocol.ParseResponseHeader(resp.Runs[0].Bytes, key, k.version)
		if err != nil {
			t.Fatal(err)
		}
		answer := k.req.ResponseKind()
		answer.SetVersion(k.version)
		if err := answer.ReadFrom(body); err != nil {
			t.Fatal(err)
		}
		code := int16(0)
		switch answer := answer.(type) {
		case *kmsg.JoinGroupResponse:
			code = answer.ErrorCode
		case *kmsg.SyncGroupResponse:
			code = answer.ErrorCode
		}
		if protocol.ErrorCode(code) != protocol.InvalidRequest {
			t.Errorf("%s: answered %s", key, protocol.ErrorCode(code))
		}
	}
}

// A controller below 3.0 sends an entry for each replica to stop. A request for as many replicas as
// a broker can have is read, even if their topics have very short names.
func TestAStopReplicaOfManyReplicasWithShortNamesIsRead(t *testing.T) {
	stop := kmsg.NewPtrStopReplicaRequest()
	for i := range int32(120_000) {
		stop.Topics = append(stop.Topics, kmsg.StopReplicaRequestTopic{Topic: "ab", Partition: i, Partitions: []int32{i}})
	}
	read := false
	c := newCaller(t, nil, Typed(StopReplica(nil), func(_ *Call, req *kmsg.StopReplicaRequest) (kmsg.Response, error) {
		read = len(req.Topics) == len(stop.Topics)
		return req.ResponseKind(), nil
	}))
	c.peer.Privileged = true
	for version := range int16(3) {
		stop.SetVersion(version)
		if resp := c.send(protocol.StopReplica, version, protocol.AppendRequest(nil, stop)); !read || resp.Close {
			t.Errorf("v%d: %v", version, resp.Err)
		}
		read = false
	}
}

// A name of a few characters takes many times its size in memory. Requests of clients and
// controllers about thousands of topics with such names are read nevertheless.
func TestRequestsAboutManyShortNamesAreRead(t *testing.T) {
	ask, describe, stop := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrDescribeConfigsRequest(), kmsg.NewPtrStopReplicaRequest()
	for i := range 30_000 {
		name := fmt.Sprintf("t%d", i)
		ask.Topics = append(ask.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		describe.Resources = append(describe.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: 2, ResourceName: name})
		stop.Topics = append(stop.Topics, kmsg.StopReplicaRequestTopic{Topic: name, Partitions: []int32{0},
			PartitionStates: []kmsg.StopReplicaRequestTopicPartitionState{{}}})
	}
	for req, h := range map[kmsg.Request]Handler{ask: MetadataOf(nil, nil, nil, ""), describe: DescribeConfigs(0, nil, nil, nil, nil), stop: StopReplica(nil)} {
		key := h.Key
		read := false
		c := newCaller(t, nil, Typed(h, func(*Call, kmsg.Request) (kmsg.Response, error) {
			read = true
			return req.ResponseKind(), nil
		}))
		for version := range h.Max + 1 {
			req.SetVersion(version)
			if resp := c.send(key, version, protocol.AppendRequest(nil, req)); !read || resp.Close {
				t.Errorf("%s v%d: %v", key, version, resp.Err)
			}
			read = false
		}
	}
}

// A request with more entries than a cluster has topics, partitions and groups, and more than one
// for each 64 bytes, is refused: each entry may have an answer of hundreds of bytes.
func TestRequestsOfTooManyEntriesAreRefused(t *testing.T) {
	handled := false
	c := newCaller(t, nil, Typed(DeleteGroups(nil), func(*Call, *kmsg.DeleteGroupsRequest) (kmsg.Response, error) {
		handled = true
		return kmsg.NewPtrDeleteGroupsResponse(), nil
	}))
	for _, tc := range []struct {
		entries, bytes int
		want           bool
	}{{entriesAllowed, 16, true}, {entriesAllowed + 1, 16, false}, {entriesAllowed + 1, bytesPerEntry, true}} {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Version = 2
		name := strings.Repeat("g", tc.bytes-1) // its length takes another byte
		for range tc.entries {
			req.Groups = append(req.Groups, name)
		}
		handled = false
		if resp := c.send(protocol.DeleteGroups, 2, protocol.AppendRequest(nil, req)); resp.Close == tc.want || handled != tc.want {
			t.Errorf("%d entries of %d bytes: handled %v, %v", tc.entries, tc.bytes, handled, resp.Err)
		}
	}
}
