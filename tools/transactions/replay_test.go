package transactions

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/record"
)

func TestTransactionsPrintsWhatTheRealToolPrints(t *testing.T) {
	const server = "--bootstrap-server {B} "
	cases := toolreplay.Of(Tool,
		toolreplay.Case{Name: "list", Args: server + "list"},
		toolreplay.Case{Name: "list-long", Args: server + "list --duration-filter 86400000000000"},
		toolreplay.Case{Name: "list-all-durations", Args: server + "--command-config {F}/admin.properties list --duration-filter -1"},
		toolreplay.Case{Name: "describe-ongoing", Args: server + "describe --transactional-id open"},
		toolreplay.Case{Name: "describe-empty", Args: server + "describe --transactional-id fresh"},
		toolreplay.Case{Name: "describe-committed", Args: server + "describe --transactional-id done"},
		toolreplay.Case{Name: "describe-unknown", Args: server + "describe --transactional-id nosuch"},
		toolreplay.Case{Name: "describe-no-id", Args: server + "describe --transactional-id="},
		toolreplay.Case{Name: "producers", Args: server + "describe-producers --topic t --partition 0"},
		toolreplay.Case{Name: "producers-hanging", Args: server + "describe-producers --topic t --partition 1"},
		toolreplay.Case{Name: "producers-none", Args: server + "describe-producers --topic quiet --partition 0"},
		toolreplay.Case{Name: "producers-of-broker", Args: server + "describe-producers --topic t --partition 0 --broker-id 0"},
		toolreplay.Case{Name: "producers-invalid-topic", Args: server + "describe-producers --topic bad%topic --partition 0"},
		toolreplay.Case{Name: "producers-invalid-topic-of-broker", Args: server + "describe-producers --topic bad%topic --partition 0 --broker-id 0"},
		toolreplay.Case{Name: "hanging-in-topic", Args: server + "find-hanging --topic t"},
		toolreplay.Case{Name: "hanging-in-partition", Args: server + "find-hanging --topic t --partition 1"},
		toolreplay.Case{Name: "hanging-on-broker", Args: server + "find-hanging --broker-id 0"},
		toolreplay.Case{Name: "hanging-for-long", Args: server + "find-hanging --topic t --max-transaction-timeout 100000000"},
		toolreplay.Case{Name: "hanging-nowhere", Args: server + "find-hanging --topic quiet"},
		toolreplay.Case{Name: "hanging-in-unknown-topic", Args: server + "find-hanging --topic nosuch"},
		toolreplay.Case{Name: "hanging-without-scope", Args: server + "find-hanging"},
		toolreplay.Case{Name: "hanging-without-topic", Args: server + "find-hanging --partition 1 --broker-id 0"},
		toolreplay.Case{Name: "abort-nothing", Args: server + "abort --topic t --partition 1 --start-offset 7"},
		toolreplay.Case{Name: "abort-without-transaction", Args: server + "abort --topic t --partition 0"},
		toolreplay.Case{Name: "abort-without-epoch", Args: server + "abort --topic t --partition 0 --producer-id 1"},
		toolreplay.Case{Name: "abort-without-coordinator", Args: server + "abort --topic t --partition 0 --producer-id 1 --producer-epoch 1"},

		toolreplay.Case{Name: "producers-not-allowed", Args: server + "describe-producers --topic t --partition 0", Before: []toolreplay.Command{
			toolreplay.ACL("--topic t --operation Read --deny-principal User:ANONYMOUS"),
		}},
		toolreplay.Case{Name: "hanging-not-allowed", Args: server + "find-hanging --topic t"},
		toolreplay.Case{Name: "describe-not-allowed", Args: server + "describe --transactional-id open", Before: []toolreplay.Command{
			toolreplay.ACL("--transactional-id open --operation Describe --deny-principal User:ANONYMOUS"),
		}},
		toolreplay.Case{Name: "list-allowed", Args: server + "list"},
	)
	for i := range cases {
		cases[i].Tidy, cases[i].Alone = tidy, true
	}
	replayTransactions(t, cases)
}

// Aborts are recorded alone, since those of another suite would change what it finds.
func TestAbortPrintsWhatTheRealToolPrints(t *testing.T) {
	const server = "--bootstrap-server {B} "
	cases := toolreplay.Of(Tool,
		toolreplay.Case{Name: "abort-older-epoch", Args: server + "abort --topic t --partition 1 --producer-id 7000 --producer-epoch 2 --coordinator-epoch -1"},
		toolreplay.Case{Name: "abort", Args: server + "abort --topic t --partition 1 --start-offset 0"},
		toolreplay.Case{Name: "hanging-no-more", Args: server + "find-hanging --topic t --partition 1"},
		toolreplay.Case{Name: "abort-as-older-coordinator", Args: server + "abort --topic u --partition 0 --producer-id 7001 --producer-epoch 1 --coordinator-epoch 2"},
		toolreplay.Case{Name: "abort-by-producer", Args: server + "abort --topic u --partition 0 --producer-id 7001 --producer-epoch 1 --coordinator-epoch 5"},
		toolreplay.Case{Name: "abort-not-allowed", Args: server + "abort --topic u --partition 0 --producer-id 7001 --producer-epoch 1 --coordinator-epoch 5", Before: []toolreplay.Command{
			// With one ACL on the cluster, all else is denied too.
			toolreplay.ACL("--cluster --operation ClusterAction --deny-principal User:ANONYMOUS"),
		}},
	)
	for i := range cases {
		cases[i].Tidy, cases[i].Alone = tidy, true
	}
	replayTransactions(t, cases)
}

func replayTransactions(t *testing.T, cases []toolreplay.Case) {
	toolreplay.Run(t, toolreplay.Suite{
		Files:      map[string]string{"admin.properties": "client.id=me\n"},
		Properties: []string{"transaction.partition.verification.enable=false", "transaction.state.log.num.partitions=1", "log.retention.ms=-1"},
		Cases:      cases,
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic t --partitions 2", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic u --partitions 1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic quiet --partitions 1", ""),
		},
		Fill: fillTransactions,
	})
}

var (
	longNumber  = regexp.MustCompile(`\b\d{13}\b`)
	callNumbers = regexp.MustCompile(`(deadlineMs=|tries=|nextAllowedTryMs=|timed out at |after )\d+`)
)

// tidy replaces times, and durations: in the columns TransactionDurationMs and Duration(min), which
// are the eighth of their tables.
func tidy(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if cells := strings.Split(line, "\t"); len(cells) >= 9 && strings.Trim(cells[7], "0123456789 ") == "" {
			cells[7] = strings.Repeat("*", len(cells[7]))
			lines[i] = strings.Join(cells, "\t")
		}
	}
	text = strings.Join(lines, "\n")
	return callNumbers.ReplaceAllString(longNumber.ReplaceAllString(text, "1700000000000"), "$1*")
}

// fillTransactions leaves a committed transaction (done), an open one (open), an id without a
// transaction (fresh), and open transactions that no coordinator knows of producers 7000 and 7001.
func fillTransactions(t testing.TB, broker string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	long := time.UnixMilli(1700000000000)
	open := func(id string) *kgo.Client {
		c, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.TransactionalID(id), kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	produce := func(c *kgo.Client) {
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: long}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := open("done")
	produce(done)
	if err := done.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	produce(open("open"))
	if _, _, err := open("fresh").ProducerID(ctx); err != nil {
		t.Fatal(err)
	}
	link := peerlink.New(peerlink.Config{Address: broker, ClientID: "fill"})
	defer link.Close()
	for _, p := range []struct {
		topic     string
		partition int32
		id        int64
		epoch     int16
	}{{"t", 1, 7000, 3}, {"u", 0, 7001, 1}} {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis, req.TransactionID = 9, -1, 10000, kmsg.StringPtr("lost")
		o := record.Defaults()
		o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = p.id, p.epoch, 0, true
		b := record.NewBuilder(o)
		if err := b.Append(long.UnixMilli(), nil, []byte("v")); err != nil {
			t.Fatal(err)
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: p.topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: p.partition, Records: set}}}}
		resp, err := link.Do(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if code := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("a record of producer %d: error %d", p.id, code)
		}
	}
}
