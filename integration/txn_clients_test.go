package integration

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// Transactional producers of Java, librdkafka and franz-go run on a broker of ours that coordinates
// their transactions. read_committed consumers read what was committed and nothing else.
func TestTransactionalClientsRunOnOurCoordinator(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("txn", 2)
	var want []string

	lines := make([]string, 50)
	for i := range lines {
		lines[i] = fmt.Sprint("kcat-", i)
	}
	cmd := exec.Command("kcat", "-P", "-b", b.address(), "-t", "txn", "-X", "transactional.id=kcat", "-q")
	if _, errs, code := testkit.Run(t, 2*time.Minute, strings.Join(lines, "\n")+"\n", cmd); code != 0 {
		t.Fatalf("kcat: exit code %d\n%s", code, errs)
	}
	want = append(want, lines...)

	want = append(want, transactOn(t, b, "go")...)
	perf := []string{"org.apache.kafka.tools.ProducerPerformance", "--topic", "txn", "--num-records", "300", "--throughput", "1000", "--payload-monotonic",
		"--transactional-id", "java", "--transaction-duration-ms", "50", "--producer-props", "bootstrap.servers=" + b.address()}
	if out, errs, code := testkit.RealKafka(t, "3.9.1").Run(t, perf[0], perf[1:]...); code != 0 {
		t.Fatalf("ProducerPerformance: exit code %d\n%s%s", code, out, errs)
	}
	for i := range 300 {
		want = append(want, fmt.Sprint(i))
	}
	if got := committedIn(t, b, "txn", len(want)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%d records are read, want %d: %s", len(got), len(want), firstDifference(got, slices.Sorted(slices.Values(want))))
	}
	listed := must(t, "kafka-transactions", append(b.bootstrap(), "list")...)
	for _, id := range []string{"kcat", "go", "java"} {
		if !strings.Contains(listed, id+" ") && !strings.Contains(listed, id+"\t") {
			t.Errorf("kafka-transactions.sh list does not name %s:\n%s", id, listed)
		}
	}
	if testkit.FullMatrices() {
		copyOnOurCoordinator(t, b)
	}
}

// transactOn commits and aborts transactions with franz-go and returns the committed values.
func transactOn(t *testing.T, b *broker, id string) (committed []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(b.address()), kgo.TransactionalID(id), kgo.DefaultProduceTopic("txn"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range 10 {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		commit := i%3 != 0
		for j := range 5 {
			value := fmt.Sprintf("%s-%d-%d", id, i, j)
			if err := client.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if commit {
				committed = append(committed, value)
			}
		}
		if err := client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
			t.Fatal(err)
		}
	}
	return committed
}

// committedIn reads n committed records of a topic and what follows at once.
func committedIn(t *testing.T, b *broker, topic string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(b.address()), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var got []string
	for len(got) < n && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	slices.Sort(got)
	return got
}

// copyOnOurCoordinator copies a topic with Kafka's own Java copier, which commits its offsets in its
// transactions and aborts some of them.
func copyOnOurCoordinator(t *testing.T, b *broker) {
	t.Helper()
	const copied = 300
	for _, topic := range []string{"in", "java"} {
		b.createTopic(topic, 2)
	}
	fillAt(t, []string{b.address()}, "in", 0, copied)
	out, errs, code := testkit.RealKafka(t, "3.9.1").Run(t, "org.apache.kafka.tools.TransactionalMessageCopier",
		"--input-topic", "in", "--input-partition", "-1", "--output-topic", "java", "--broker-list", b.address(), "--consumer-group", "copier",
		"--transaction-size", "20", "--transactional-id", "copier", "--enable-random-aborts", "--group-mode", "--use-group-metadata")
	if code != 0 {
		t.Fatalf("the copier: exit code %d\n%s%s", code, ending(out), ending(errs))
	}
	if got := committedIn(t, b, "java", copied); len(got) != copied || len(slices.Compact(got)) != copied {
		t.Errorf("%d records were copied, want %d, each once", len(got), copied)
	}
	if sum := committedOffsets(t, b.address(), "copier", "in"); sum != copied {
		t.Errorf("the copier has committed %d offsets, want %d", sum, copied)
	}
}
