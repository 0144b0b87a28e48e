package replication

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

type fixedConfig struct{ c *settings.Topic }

func (f fixedConfig) TopicConfig(string) (*settings.Topic, error) { return f.c, nil }

// BenchmarkLeaderAndIsr applies one LeaderAndIsr request for many topics of one partition each, as
// a broker gets at its start. The time per topic does not depend on the number of topics.
func BenchmarkLeaderAndIsr(b *testing.B) {
	for _, topics := range []int{1000, 2000, 4000, 8000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				m, logs := benchManager(b)
				b.StartTimer()
				takeRoles(b, m, leaderAndISROfTopics(topics))
				b.StopTimer()
				m.Close()
				if err := logs.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*topics), "ns/topic")
		})
	}
}

func benchManager(b *testing.B) (*Manager, *storage.Manager) {
	config, err := testSettings(b).Topic(nil)
	if err != nil {
		b.Fatal(err)
	}
	logs, err := storage.NewManager(storage.ManagerConfig{FS: vfs.NewMem(), Dirs: []string{testDir, testDir + "-2"}, Options: storage.DefaultOptions(),
		Log: kafkalog.Discard(), BrokerID: ourID, ClusterID: "cluster", Defaults: config})
	if err != nil {
		b.Fatal(err)
	}
	if err := logs.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	return NewManager(Config{Options: DefaultOptions(ourID), Logs: logs, Metadata: metadata.NewCache(), Topics: fixedConfig{config}, ISR: &isrRecorder{},
		BrokerEpoch: func() int64 { return 100 }, Logger: kafkalog.Discard()}), logs
}

func leaderAndISROfTopics(n int) *kmsg.LeaderAndISRRequest {
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 7, 1, 1, -1
	for i := range n {
		topic := kmsg.NewLeaderAndISRRequestTopicState()
		topic.Topic, topic.TopicID = fmt.Sprintf("topic-%05d", i), TopicID{1, byte(i), byte(i >> 8)}
		p := kmsg.NewLeaderAndISRRequestTopicPartition()
		p.ControllerEpoch, p.Leader, p.LeaderEpoch, p.ZKVersion = 1, ourID, 1, 1
		p.Replicas, p.ISR, p.IsNew = []int32{ourID}, []int32{ourID}, true
		topic.PartitionStates = append(topic.PartitionStates, p)
		req.TopicStates = append(req.TopicStates, topic)
	}
	return req
}

// BenchmarkWakeWithIdleSessions measures one wake-up of a partition that is in 1000 idle sessions.
func BenchmarkWakeWithIdleSessions(b *testing.B) {
	var list waitList
	for range 1000 {
		s := newFetchSession(true, false, 1, nil)
		s.add(&PartitionFetch{}).change.watch(&list)
	}
	list.wake(allEvents)
	for b.Loop() {
		list.wake(offsetsMoved)
	}
}
