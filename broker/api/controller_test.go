package api

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

func TestControlledShutdownInEveryVersion(t *testing.T) {
	fake := &fakeController{}
	c := newCaller(t, nil, ControlledShutdown(fake))
	for v := int16(0); v <= 3; v++ {
		req := kmsg.NewPtrControlledShutdownRequest()
		req.BrokerID, req.BrokerEpoch = 4, 88
		resp := call[*kmsg.ControlledShutdownResponse](c, v, req)
		epoch := int64(88)
		if v < 2 {
			epoch = -1
		}
		if resp.ErrorCode != 0 || len(resp.PartitionsRemaining) != 1 || resp.PartitionsRemaining[0].Partition != 2 || fake.asked != [2]int64{4, epoch} {
			t.Errorf("v%d: %+v, asked %v", v, resp, fake.asked)
		}
	}
	fake.err = protocol.StaleControllerEpoch
	if resp := call[*kmsg.ControlledShutdownResponse](c, 3, kmsg.NewPtrControlledShutdownRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.StaleControllerEpoch {
		t.Errorf("%+v", resp)
	}
	c = newCaller(t, deny{kmsg.ACLOperationClusterAction}, ControlledShutdown(fake))
	if resp := call[*kmsg.ControlledShutdownResponse](c, 3, kmsg.NewPtrControlledShutdownRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.ClusterAuthorizationFailed {
		t.Errorf("%+v", resp)
	}
}

func TestAlterPartitionInEveryVersion(t *testing.T) {
	for v := int16(0); v <= 3; v++ {
		for status, code := range map[*fakeController]protocol.ErrorCode{{}: protocol.StaleBrokerEpoch, {inactive: true}: protocol.NotController} {
			c := newCaller(t, nil, AlterPartition(status))
			if resp := call[*kmsg.AlterPartitionResponse](c, v, kmsg.NewPtrAlterPartitionRequest()); protocol.ErrorCode(resp.ErrorCode) != code {
				t.Errorf("v%d: %+v, want %s", v, resp, code)
			}
		}
	}
}

func TestAllocateProducerIds(t *testing.T) {
	c := newCaller(t, nil, AllocateProducerIds(&fakeController{}))
	if resp := call[*kmsg.AllocateProducerIDsResponse](c, 0, kmsg.NewPtrAllocateProducerIDsRequest()); resp.ProducerIDStart != 4000 || resp.ProducerIDLen != 1000 {
		t.Errorf("%+v", resp)
	}
	for status, code := range map[*fakeController]protocol.ErrorCode{
		{inactive: true}: protocol.NotController, {err: protocol.StaleBrokerEpoch}: protocol.StaleBrokerEpoch, {err: errors.New("x")}: protocol.UnknownServerError} {
		c := newCaller(t, nil, AllocateProducerIds(status))
		if resp := call[*kmsg.AllocateProducerIDsResponse](c, 0, kmsg.NewPtrAllocateProducerIDsRequest()); protocol.ErrorCode(resp.ErrorCode) != code {
			t.Errorf("%+v, want %s", resp, code)
		}
	}
}

func TestElectLeadersWaitsForTheMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := metadata.NewCache()
		announce(cache, map[string]int{"t": 2, "u": 1})
		fake := &fakeController{elected: map[controller.TopicPartition]controller.ElectionResult{
			{Topic: "t", Partition: 0}: {Leader: 0}, // as in the metadata
			{Topic: "t", Partition: 1}: {Leader: 5}, // not in the metadata yet
			{Topic: "u", Partition: 0}: {Err: protocol.Errorf(protocol.ElectionNotNeeded, "it leads")},
		}}
		c := newCaller(t, nil, ElectLeaders(fake, cache))
		for v := int16(0); v <= 2; v++ {
			req := kmsg.NewPtrElectLeadersRequest()
			req.TimeoutMillis = 200
			start := time.Now()
			resp := call[*kmsg.ElectLeadersResponse](c, v, req)
			if asked := fake.asked.([]controller.TopicPartition); len(asked) != 3 {
				t.Errorf("v%d: asked for %v", v, asked)
			}
			if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 2 || time.Since(start) != 200*time.Millisecond {
				t.Errorf("v%d for all partitions: %+v after %v", v, resp, time.Since(start))
			}
			for _, p := range resp.Topics[0].Partitions {
				if want := []protocol.ErrorCode{0, protocol.RequestTimedOut}[p.Partition]; protocol.ErrorCode(p.ErrorCode) != want || p.ErrorMessage != nil {
					t.Errorf("v%d: %+v, want %s", v, p, want)
				}
			}
			req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "u", Partitions: []int32{0, 0}}}
			resp = call[*kmsg.ElectLeadersResponse](c, v, req)
			if asked := fake.asked.([]controller.TopicPartition); len(asked) != 1 || len(resp.Topics) != 2 {
				t.Errorf("v%d for one partition: asked for %v, %+v", v, asked, resp)
			}
		}
		req := kmsg.NewPtrElectLeadersRequest()
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
		call[*kmsg.ElectLeadersResponse](c, 2, req)
		if asked := fake.asked.([]controller.TopicPartition); asked == nil || len(asked) != 0 {
			t.Errorf("for no partitions: asked for %v", asked)
		}
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "u", Partitions: []int32{0}}}
		fake.err = protocol.NotController
		if p := call[*kmsg.ElectLeadersResponse](c, 2, req).Topics[0].Partitions[0]; protocol.ErrorCode(p.ErrorCode) != protocol.NotController || p.ErrorMessage != nil {
			t.Errorf("%+v", p)
		}
		c = newCaller(t, deny{kmsg.ACLOperationAlter}, ElectLeaders(fake, cache))
		if resp := call[*kmsg.ElectLeadersResponse](c, 2, req); protocol.ErrorCode(resp.ErrorCode) != protocol.ClusterAuthorizationFailed ||
			protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode) != protocol.ClusterAuthorizationFailed {
			t.Errorf("%+v", resp)
		}
	})
}

func TestReassignments(t *testing.T) {
	one, two := controller.TopicPartition{Topic: "t"}, controller.TopicPartition{Topic: "t", Partition: 1}
	fake := &fakeController{reassigned: map[controller.TopicPartition]error{one: nil, two: protocol.NoReassignmentInProgress}}
	c := newCaller(t, nil, AlterPartitionReassignments(fake), ListPartitionReassignments(fake))
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{
		{Partition: 0, Replicas: []int32{1, 2}}, {Partition: 1}}}}
	resp := call[*kmsg.AlterPartitionAssignmentsResponse](c, 0, req)
	if want := map[controller.TopicPartition][]metadata.BrokerID{one: {1, 2}, two: nil}; !reflect.DeepEqual(fake.asked, want) {
		t.Errorf("asked %v, want %v", fake.asked, want)
	}
	for _, p := range resp.Topics[0].Partitions {
		if want := []protocol.ErrorCode{0, protocol.NoReassignmentInProgress}[p.Partition]; protocol.ErrorCode(p.ErrorCode) != want {
			t.Errorf("%+v, want %s", p, want)
		}
	}
	list := call[*kmsg.ListPartitionReassignmentsResponse](c, 0, kmsg.NewPtrListPartitionReassignmentsRequest())
	if p := list.Topics[0].Partitions[0]; len(p.Replicas) != 2 || p.AddingReplicas[0] != 1 || p.RemovingReplicas[0] != 0 {
		t.Errorf("%+v", list)
	}
	if asked := fake.asked.([]controller.TopicPartition); asked != nil {
		t.Errorf("for all partitions: asked for %v, want nil", asked)
	}
	none := kmsg.NewPtrListPartitionReassignmentsRequest()
	none.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
	call[*kmsg.ListPartitionReassignmentsResponse](c, 0, none)
	if asked := fake.asked.([]controller.TopicPartition); asked == nil {
		t.Error("for an empty list: asked for nil, which means all partitions")
	}
	fake.err = protocol.NotController
	if resp := call[*kmsg.AlterPartitionAssignmentsResponse](c, 0, req); protocol.ErrorCode(resp.ErrorCode) != protocol.NotController || *resp.ErrorMessage != protocol.NotController.Message() {
		t.Errorf("%+v", resp)
	}
	if resp := call[*kmsg.ListPartitionReassignmentsResponse](c, 0, none); protocol.ErrorCode(resp.ErrorCode) != protocol.NotController {
		t.Errorf("%+v", resp)
	}
}

func TestUpdateFeaturesInEveryVersion(t *testing.T) {
	fake := &fakeController{}
	c := newCaller(t, nil, UpdateFeatures(fake, dynamicOf(t, nil)))
	for v, upgrade := range map[int16]controller.UpgradeType{0: controller.SafeDowngrade, 1: controller.UnsafeDowngrade} {
		if resp := call[*kmsg.UpdateFeaturesResponse](c, v, kmsg.NewPtrUpdateFeaturesRequest()); resp.ErrorCode != 0 || resp.ErrorMessage != nil || len(resp.Results) != 0 {
			t.Errorf("v%d without updates: %+v", v, resp)
		}
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: "f", MaxVersionLevel: 2, AllowDowngrade: true, UpgradeType: 3}}
		resp := call[*kmsg.UpdateFeaturesResponse](c, v, req)
		if want := []controller.FeatureUpdate{{Feature: "f", MaxLevel: 2, Upgrade: upgrade}}; !reflect.DeepEqual(fake.asked, want) ||
			protocol.ErrorCode(resp.Results[0].ErrorCode) != protocol.InvalidRequest {
			t.Errorf("v%d: asked %v, %+v", v, fake.asked, resp)
		}
	}
	for name, tc := range map[string]struct {
		c    *caller
		code protocol.ErrorCode
	}{
		"not the controller": {newCaller(t, nil, UpdateFeatures(&fakeController{inactive: true}, dynamicOf(t, nil))), protocol.NotController},
		"forbidden":          {newCaller(t, deny{kmsg.ACLOperationAlter}, UpdateFeatures(fake, dynamicOf(t, nil))), protocol.ClusterAuthorizationFailed},
		"old IBP": {newCaller(t, nil, UpdateFeatures(fake, dynamicOf(t, map[string]string{"inter.broker.protocol.version": "2.6",
			"log.message.format.version": "2.6"}))), protocol.InvalidRequest},
	} {
		if resp := call[*kmsg.UpdateFeaturesResponse](tc.c, 1, kmsg.NewPtrUpdateFeaturesRequest()); protocol.ErrorCode(resp.ErrorCode) != tc.code || resp.ErrorMessage == nil {
			t.Errorf("%s: %+v", name, resp)
		}
	}
}

func TestDescribeClusterInEveryVersion(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, nil)
	c := newCaller(t, nil, DescribeCluster(cache, "cluster"))
	for v := int16(0); v <= 1; v++ {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.IncludeClusterAuthorizedOperations = true
		resp := call[*kmsg.DescribeClusterResponse](c, v, req)
		if resp.ClusterID != "cluster" || resp.ControllerID != 0 || len(resp.Brokers) != 1 || *resp.Brokers[0].Rack != "r0" || resp.ClusterAuthorizedOperations != 0b1111110100000 {
			t.Errorf("v%d: %+v %b", v, resp, resp.ClusterAuthorizedOperations)
		}
	}
	for kind, code := range map[int8]protocol.ErrorCode{2: protocol.MismatchedEndpointType, 9: protocol.UnsupportedEndpointType} {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.EndpointType = kind
		if resp := call[*kmsg.DescribeClusterResponse](c, 1, req); protocol.ErrorCode(resp.ErrorCode) != code {
			t.Errorf("%d: %+v", kind, resp)
		}
	}
}

// The order is that of a real Kafka 3.9.1, which answers INVALID_TOPIC_EXCEPTION for the others.
func TestKafkasFirstOfCollidingNamesIsCreated(t *testing.T) {
	for _, names := range [][]string{{"c.d", "c_d"}, {"x_y_z", "x.y.z", "x.y_z"}, {"orders_eu", "orders.eu"}, {"q.r", "q_r", "other", "more"}, {"a.b", "a_b"}} {
		first := names[0]
		for range names {
			names = append(names[1:], names[0])
			cache := metadata.NewCache()
			announce(cache, nil)
			writer := &fakeAdmin{}
			c := newCaller(t, nil, CreateTopics(&fakeController{}, writer, cache, dynamicOf(t, nil)))
			resp := call[*kmsg.CreateTopicsResponse](c, 7, createRequest(0, names...))
			colliding := slices.DeleteFunc(slices.Clone(writer.created), func(name string) bool { return name == "other" || name == "more" })
			if colliding[0] != first {
				t.Errorf("%s was the first of %q to be created, want %s", colliding[0], names, first)
			}
			for i := range names {
				if resp.Topics[i].Topic != names[i] {
					t.Errorf("result %d for %q is %s", i, names, resp.Topics[i].Topic)
				}
			}
		}
	}
}
