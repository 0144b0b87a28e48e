package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// The real tool moves partitions between our brokers and a real one with a throttle. A move takes
// at least about as long as the rate implies, whichever broker leads or follows. Producers are not
// held back by it. The tool removes the throttle at the end.
func TestAReassignmentIsThrottledByTheRealTool(t *testing.T) {
	c := newCluster(t, append(slices.Clone(quick), "inter.broker.protocol.version=3.9"), "ours", "3.9.1", "ours")
	kafka := testkit.RealKafka(t, "3.9.1")
	const rate, size = 400_000, 2_400_000
	type throttledMove struct {
		name     string
		from, to int32
	}
	moves := []throttledMove{{"from ours to the real one", 1, 2}, {"from the real one to ours", 2, 3}}
	if testkit.FullMatrices() {
		moves = append(moves, throttledMove{"from ours to ours", 1, 3})
	}
	for i, move := range moves {
		topic := fmt.Sprint("throttled-", i)
		c.createTopic(topic, [][]int32{{move.from}})
		c.fillTopic(topic, size)
		plan := testkit.WriteFile(t, "plan.json", fmt.Sprintf(
			`{"version":1,"partitions":[{"topic":%q,"partition":0,"replicas":[%d]}]}`, topic, move.to))
		tool := func(args ...string) string {
			stdout, stderr, code := kafka.Run(t, reassignTool, append([]string{"--bootstrap-server", strings.Join(c.addresses(), ","), "--reassignment-json-file", plan}, args...)...)
			if code != 0 {
				t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
			}
			return stdout
		}
		began := time.Now()
		tool("--execute", "--throttle", fmt.Sprint(rate))
		l := c.startLoad(t, topic, 1, 20)
		l.awaitProgress(5 * time.Second)
		c.awaitState(topic, 0, fmt.Sprintf("the end of the move %s", move.name), func(s partitionState) bool {
			return s.Leader == move.to && slices.Equal(s.ISR, []int32{move.to})
		})
		took := time.Since(began)
		l.stop()
		t.Logf("%s: %d bytes at %d bytes/s took %.1f s", move.name, size, rate, took.Seconds())
		if took < size*time.Second/rate/2 {
			t.Errorf("the move %s of %d bytes took only %v at %d bytes per second", move.name, size, took, rate)
		}
		testkit.Eventually(t, 60*time.Second, "the tool to notice the end", func() bool {
			return strings.Contains(tool("--verify"), "Clearing topic-level throttles")
		})
		for _, path := range []string{"/config/topics/" + topic, "/config/brokers/1", "/config/brokers/2", "/config/brokers/3"} {
			if data, _ := c.tree.get(path); strings.Contains(data, "throttled") {
				t.Errorf("%s still has %s", path, data)
			}
		}
	}
}

// fillTopic writes about size bytes to partition 0 of a topic.
func (c *cluster) fillTopic(topic string, size int) {
	c.t.Helper()
	c.admin(func(ctx context.Context, _ *kgo.Client) error {
		client, err := kgo.NewClient(c.patient(kgo.DefaultProduceTopic(topic),
			kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(60000))...)
		if err != nil {
			return err
		}
		defer client.Close()
		var records []*kgo.Record
		for range size / 5000 {
			records = append(records, &kgo.Record{Value: make([]byte, 5000)})
		}
		return client.ProduceSync(ctx, records...).FirstErr()
	})
}
