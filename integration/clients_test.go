package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// cached returns a path below the folder into which scripts/prerequisites.sh installs.
func cached(t testing.TB, path string) string {
	t.Helper()
	home := os.Getenv("MONEDULA_CACHE")
	if home == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		home = filepath.Join(cache, "monedula")
	}
	full := filepath.Join(home, path)
	if _, err := os.Stat(full); err != nil {
		t.Fatalf("%s is missing; run scripts/prerequisites.sh test", full)
	}
	return full
}

func TestKafkaPythonProducesAndReads(t *testing.T) {
	b := startBroker(t, options{})
	for _, client := range []struct {
		venv, version string
		codecs        []string
	}{
		{"python-kafka-2.0.2", "", []string{"none", "gzip"}},
		{"python-kafka-2.0.2", "0.8.2", []string{"none", "gzip"}},
		{"python-kafka-2.0.2", "0.9", []string{"none"}},
		{"python-kafka-2.0.2", "0.10", []string{"none", "gzip"}},
		{"python-kafka-2.0.2", "0.11", []string{"none"}},
		{"python-kafka-3.0.12", "", []string{"none", "gzip"}},
	} {
		for _, codec := range client.codecs {
			name := strings.ReplaceAll(fmt.Sprintf("%s-%s-%s", client.venv, client.version, codec), "_", "-")
			t.Run(name, func(t *testing.T) {
				topic := strings.ReplaceAll(name, ".", "-")
				b.createTopic(topic, 1)
				args := []string{filepath.Join(testkit.Root(), "integration/testdata/produce_and_read.py"), b.address(), topic, codec, "10"}
				if client.version != "" {
					args = append(args, client.version)
				}
				out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command(filepath.Join(cached(t, client.venv), "bin/python"), args...))
				if code != 0 || !strings.Contains(out, "ok 10") {
					t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
				}
			})
		}
	}
}

func TestKcatProducesAndReadsWithEveryCodec(t *testing.T) {
	b := startBroker(t, options{})
	for _, codec := range codecs {
		t.Run(codec, func(t *testing.T) {
			topic := "kcat-" + codec
			b.createTopic(topic, 1)
			var lines, want strings.Builder
			for i := range 100 {
				fmt.Fprintf(&lines, "k%d:value %d\n", i, i)
				fmt.Fprintf(&want, "%d k%d value %d\n", i, i, i)
			}
			_, errs, code := testkit.Run(t, 60*time.Second, lines.String(), exec.Command("kcat", "-P", "-b", b.address(), "-t", topic, "-p", "0", "-K:", "-z", codec, "-X", "acks=all"))
			if code != 0 {
				t.Fatalf("kcat -P: exit code %d\n%s", code, errs)
			}
			out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command("kcat", "-C", "-b", b.address(), "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%o %k %s\n"))
			if code != 0 || out != want.String() {
				t.Fatalf("kcat -C: exit code %d\n%s\n%s", code, out, errs)
			}
		})
	}
	out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command("kcat", "-L", "-b", b.address(), "-t", "kcat-none"))
	if code != 0 || !strings.Contains(out, `topic "kcat-none" with 1 partitions`) || !strings.Contains(out, "(controller)") {
		t.Errorf("kcat -L: exit code %d\n%s\n%s", code, out, errs)
	}
}

func TestAnIdempotentKcatProducerSucceeds(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("idempotent", 1)
	_, errs, code := testkit.Run(t, 60*time.Second, "a\nb\nc\n", exec.Command("kcat", "-P", "-b", b.address(), "-t", "idempotent", "-X", "enable.idempotence=true"))
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	if got := strings.Join(b.consume("idempotent", 3), ""); got != "abc" {
		t.Errorf("read %q", got)
	}
}

func TestKafkaGoProducesAndReads(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("kafka-go", 1)
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		w := &kafka.Writer{Addr: kafka.TCP(b.address()), Topic: "kafka-go", RequiredAcks: kafka.RequireAll, Compression: codec, BatchTimeout: time.Millisecond}
		if err := w.WriteMessages(ctx, kafka.Message{Key: []byte("k"), Value: []byte(codec.String()), Headers: []kafka.Header{{Key: "h", Value: []byte("v")}}}); err != nil {
			t.Fatalf("%v: %v", codec, err)
		}
		w.Close()
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{b.address()}, Topic: "kafka-go", Partition: 0, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	for i, want := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Offset != int64(i) || string(m.Value) != want || len(m.Headers) != 1 {
			t.Errorf("message %d: offset %d, value %q, headers %v", i, m.Offset, m.Value, m.Headers)
		}
	}
}

func TestFranzGoProducesIdempotentlyAndReads(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("franz", 3)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address()), kgo.DefaultProduceTopic("franz"), kgo.ConsumeTopics("franz"), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	const records = 1000
	for i := range records {
		client.Produce(ctx, &kgo.Record{Key: []byte(fmt.Sprint(i % 7)), Value: []byte(fmt.Sprint(i))}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < records {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if seen[string(r.Value)] {
				t.Errorf("record %s was read twice", r.Value)
			}
			seen[string(r.Value)] = true
		})
	}
}

// Kafka's own Java console tools work against our broker.
func TestTheRealConsoleToolsProduceAndRead(t *testing.T) {
	b := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1")
	out, errs, code := real.Run(t, "org.apache.kafka.tools.TopicCommand", append(b.bootstrap(), "--create", "--topic", "java", "--partitions", "2")...)
	if code != 0 || out != "Created topic java.\n" {
		t.Fatalf("create: exit code %d\n%s\n%s", code, out, errs)
	}
	for _, codec := range codecs {
		_, errs, code = real.RunWithInput(t, codec+"\n", "kafka.tools.ConsoleProducer", append(b.bootstrap(), "--topic", "java", "--compression-codec", codec)...)
		if code != 0 || strings.Contains(errs, "ERROR") {
			t.Fatalf("produce with %s: exit code %d\n%s", codec, code, errs)
		}
	}
	read := 0
	for partition := range 2 {
		out, errs, code = real.Run(t, "org.apache.kafka.tools.consumer.ConsoleConsumer", append(b.bootstrap(), "--topic", "java", "--partition", fmt.Sprint(partition), "--offset", "earliest", "--timeout-ms", "3000")...)
		if code != 0 {
			t.Fatalf("consume: exit code %d\n%s\n%s", code, out, errs)
		}
		read += strings.Count(out, "\n")
	}
	if read != len(codecs) {
		t.Errorf("read %d records of %d", read, len(codecs))
	}
	out, errs, code = real.Run(t, "org.apache.kafka.tools.TopicCommand", append(b.bootstrap(), "--describe", "--topic", "java")...)
	if code != 0 || out != must(t, "kafka-topics", append(b.bootstrap(), "--describe", "--topic", "java")...) {
		t.Errorf("the real tool describes: exit code %d\n%s\n%s", code, out, errs)
	}
}

// The topic tool of 2.8 writes the znodes itself.
func TestTheRealTopicToolOf28WorksOverZooKeeper(t *testing.T) {
	b := startBroker(t, options{})
	real := testkit.RealKafka(t, "2.8.2")
	tool := func(args ...string) string {
		t.Helper()
		out, errs, code := real.Run(t, "kafka.admin.TopicCommand", append([]string{"--zookeeper", b.zookeeper}, args...)...)
		if code != 0 {
			t.Fatalf("%v: exit code %d\n%s\n%s", args, code, out, errs)
		}
		return out
	}
	tool("--create", "--topic", "viazk", "--partitions", "2", "--replication-factor", "1")
	b.produce("viazk", "a", "b")
	b.consume("viazk", 2)
	if out, ours := tool("--describe", "--topic", "viazk"), must(t, "kafka-topics", "--zookeeper", b.zookeeper, "--describe", "--topic", "viazk"); out != ours {
		t.Errorf("the real tool describes\n%s\nours\n%s", out, ours)
	}
	tool("--alter", "--topic", "viazk", "--partitions", "4")
	testkit.Eventually(t, 10*time.Second, "four partitions with a leader", func() bool {
		return strings.Count(must(t, "kafka-topics", append(b.bootstrap(), "--describe", "--topic", "viazk")...), "Leader: 0") == 4
	})
	tool("--delete", "--topic", "viazk")
	testkit.Eventually(t, 10*time.Second, "the topic to be gone", func() bool {
		return !strings.Contains(must(t, "kafka-topics", append(b.bootstrap(), "--list")...), "viazk")
	})
}
