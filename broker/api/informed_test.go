package api

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// storedTopics lists the topics in ZooKeeper. If it is nil, ZooKeeper does not answer.
type storedTopics []string

func (s storedTopics) TopicNames(ctx context.Context) ([]string, error) {
	if s == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s, nil
}

// uninformed returns a caller of the handlers of a broker with an empty metadata cache.
func uninformed(t *testing.T, stored storedTopics) (c *caller, cache *metadata.Cache, writer *fakeAdmin) {
	cache, writer = metadata.NewCache(), &fakeAdmin{}
	dynamic := dynamicOf(t, nil)
	auto := NewAutoTopics(writer, cache, dynamic, kafkalog.Discard())
	first := func(string) int32 { return 0 }
	c = newCaller(t, nil, append(Informed(cache,
		FindCoordinator(first, first, auto, cache),
		CreateTopics(&fakeController{}, writer, cache, dynamic),
		DeleteTopics(&fakeController{}, writer, cache, dynamic),
		DescribeCluster(cache, "c"),
		ElectLeaders(&fakeController{}, cache),
		DescribeConfigs(0, dynamic, writer, cache, NewLogLevels(kafkalog.Discard())),
		IncrementalAlterConfigs(NewConfigChanger(0, writer, dynamic, cache, NewLogLevels(kafkalog.Discard()))),
	), MetadataOf(cache, auto, stored, "c"))...)
	return c, cache, writer
}

// codesByName returns the codes of a Metadata answer by topic.
func codesByName(resp *kmsg.MetadataResponse) map[string]protocol.ErrorCode {
	codes := map[string]protocol.ErrorCode{}
	for _, topic := range resp.Topics {
		codes[*topic.Topic] = protocol.ErrorCode(topic.ErrorCode)
	}
	return codes
}

func TestMetadataBeforeTheFirstControllerIsRetriableAndCreatesNothing(t *testing.T) {
	for v := int16(0); v <= 12; v++ {
		synctest.Test(t, func(t *testing.T) {
			c, _, writer := uninformed(t, storedTopics{"stored"})
			began := time.Now()
			req := kmsg.NewPtrMetadataRequest()
			req.Topics, req.AllowAutoTopicCreation = names("stored", "other", "bad name"), true
			resp := call[*kmsg.MetadataResponse](c, v, req)
			codes := codesByName(resp)
			if codes["stored"] != protocol.LeaderNotAvailable || codes["other"] != protocol.LeaderNotAvailable ||
				codes["bad name"] != protocol.InvalidTopicException || len(resp.Brokers) != 0 || len(writer.created) != 0 {
				t.Errorf("v%d: %v, brokers %v, created %v", v, codes, resp.Brokers, writer.created)
			}
			if waited := time.Since(began); waited != informedWait {
				t.Errorf("v%d: answered after %v", v, waited)
			}
			all := kmsg.NewPtrMetadataRequest()
			if v == 0 {
				all.Topics = names()
			}
			if codes := codesByName(call[*kmsg.MetadataResponse](c, v, all)); len(codes) != 1 || codes["stored"] != protocol.LeaderNotAvailable {
				t.Errorf("v%d: for all topics: %v", v, codes)
			}
			if v == 12 {
				req.Topics = []kmsg.MetadataRequestTopic{{TopicID: idOf("t")}}
				if topic := call[*kmsg.MetadataResponse](c, v, req).Topics[0]; protocol.ErrorCode(topic.ErrorCode) != protocol.LeaderNotAvailable {
					t.Errorf("by id: %+v", topic)
				}
			}
		})
	}
}

// The first UpdateMetadata of a new controller has brokers but no partitions.
func TestMetadataWaitsForTheFirstPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, writer := uninformed(t, storedTopics{"t"})
		go func() {
			time.Sleep(100 * time.Millisecond)
			announce(cache, nil)
			time.Sleep(100 * time.Millisecond)
			announce(cache, map[string]int{"t": 1})
		}()
		began := time.Now()
		req := kmsg.NewPtrMetadataRequest()
		req.Topics, req.AllowAutoTopicCreation = names("none", "t"), true
		resp := call[*kmsg.MetadataResponse](c, 12, req)
		if waited := time.Since(began); waited != 200*time.Millisecond {
			t.Errorf("answered after %v", waited)
		}
		if len(resp.Brokers) != 1 || *resp.Topics[0].Topic != "t" || resp.Topics[0].ErrorCode != 0 ||
			*resp.Topics[1].Topic != "none" || !slices.Equal(writer.created, []string{"none"}) {
			t.Errorf("%+v, created %v", resp, writer.created)
		}
	})
}

func TestMetadataOfAClusterWithoutTopicsWaitsForConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, writer := uninformed(t, storedTopics{})
		announce(cache, nil)
		go func() {
			time.Sleep(10 * time.Millisecond)
			cache.Confirm()
		}()
		req := kmsg.NewPtrMetadataRequest()
		req.Topics, req.AllowAutoTopicCreation = names("new"), true
		codes := codesByName(call[*kmsg.MetadataResponse](c, 12, req))
		if codes["new"] != protocol.LeaderNotAvailable || !slices.Equal(writer.created, []string{"new"}) {
			t.Errorf("%v, created %v", codes, writer.created)
		}
	})
}

func TestAfterALostSessionKnownTopicsAreAnsweredAtOnceAndOthersAreRetriable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, writer := uninformed(t, nil)
		announce(cache, map[string]int{"t": 1})
		cache.Doubt()
		ask := func(topic string) (protocol.ErrorCode, time.Duration) {
			began := time.Now()
			req := kmsg.NewPtrMetadataRequest()
			req.Topics, req.AllowAutoTopicCreation = names(topic), true
			return codesByName(call[*kmsg.MetadataResponse](c, 12, req))[topic], time.Since(began)
		}
		if code, waited := ask("t"); code != protocol.None || waited != 0 {
			t.Errorf("a known topic: %s after %v", code.Name(), waited)
		}
		if code, waited := ask("new"); code != protocol.LeaderNotAvailable || waited != informedWait || len(writer.created) != 0 {
			t.Errorf("an unknown topic: %s after %v, created %v", code.Name(), waited, writer.created)
		}
		announce(cache, map[string]int{"t": 1})
		if code, waited := ask("new"); code != protocol.LeaderNotAvailable || waited != 0 || len(writer.created) != 1 {
			t.Errorf("after the next UpdateMetadata: %s after %v, created %v", code.Name(), waited, writer.created)
		}
	})
}

// Clients ignore an answer without brokers and ask another broker (KAFKA-7924).
func TestMetadataOfAllTopicsIsEmptyWhileNeitherControllerNorZooKeeperAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := uninformed(t, nil)
		began := time.Now()
		resp := call[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
		if waited := time.Since(began); waited != 2*informedWait {
			t.Errorf("answered after %v", waited)
		}
		if len(resp.Brokers) != 0 || len(resp.Topics) != 0 || resp.ControllerID != -1 {
			t.Errorf("%+v", resp)
		}
	})
}

func TestRequestsBeforeTheFirstControllerAreAnsweredRetriably(t *testing.T) {
	group := kmsg.NewPtrFindCoordinatorRequest()
	group.CoordinatorKey, group.CoordinatorKeys = "g", []string{"g"}
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TopicNames = []string{"t"}
	elect := kmsg.NewPtrElectLeadersRequest()
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}
	for _, test := range []struct {
		name    string
		version int16
		req     kmsg.Request
		codeOf  func(kmsg.Response) int16
		want    protocol.ErrorCode
	}{
		{"FindCoordinator", 4, group, func(r kmsg.Response) int16 { return r.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode },
			protocol.CoordinatorNotAvailable},
		{"FindCoordinator of old clients", 0, group, func(r kmsg.Response) int16 { return r.(*kmsg.FindCoordinatorResponse).ErrorCode },
			protocol.CoordinatorNotAvailable},
		{"CreateTopics", 7, createRequest(0, "t"), func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode },
			protocol.NotController},
		{"DeleteTopics", 5, remove, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode },
			protocol.NotController},
		{"DescribeCluster", 1, kmsg.NewPtrDescribeClusterRequest(), func(r kmsg.Response) int16 { return r.(*kmsg.DescribeClusterResponse).ErrorCode },
			protocol.LeaderNotAvailable},
		{"ElectLeaders of all partitions", 2, elect, func(r kmsg.Response) int16 { return r.(*kmsg.ElectLeadersResponse).ErrorCode },
			protocol.NotController},
		{"DescribeConfigs", 4, describe, func(r kmsg.Response) int16 { return r.(*kmsg.DescribeConfigsResponse).Resources[0].ErrorCode },
			protocol.LeaderNotAvailable},
		{"IncrementalAlterConfigs", 1, alter, func(r kmsg.Response) int16 { return r.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode },
			protocol.LeaderNotAvailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, writer := uninformed(t, nil)
				began := time.Now()
				resp := call[kmsg.Response](c, test.version, test.req)
				if code := protocol.ErrorCode(test.codeOf(resp)); code != test.want || len(writer.created) != 0 {
					t.Errorf("%s, want %s; created %v", code.Name(), test.want.Name(), writer.created)
				}
				if waited := time.Since(began); waited != informedWait {
					t.Errorf("answered after %v", waited)
				}
			})
		})
	}
}

func TestAWaitForTheFirstControllerEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		close(done)
		began := time.Now()
		awaitInformed(doneContext{done}, metadata.NewCache())
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}
