package doctor

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

func TestAHealthyClusterHasNoFindings(t *testing.T) {
	const want = `Cluster scripted, 3 broker(s), controller 2, seen through kafka1:9092
  broker 1  kafka1:9092 (10.0.0.1)  answered in 0s, Kafka 3.9 or newer
            /var/lib/kafka: 0 bytes of logs, 50.0 GiB of 100.0 GiB free
  broker 2  kafka2:9092 (10.0.0.2)  answered in 0s, Kafka 3.9 or newer
            /var/lib/kafka: 0 bytes of logs, 50.0 GiB of 100.0 GiB free
  broker 3  kafka3:9092 (10.0.0.3)  answered in 0s, Kafka 3.9 or newer
            /var/lib/kafka: 0 bytes of logs, 50.0 GiB of 100.0 GiB free
  2 topics with 3 partitions, 0 consumer groups, 0 unfinished transactions
ZooKeeper, clocks: not examined; name the servers with --zookeeper

no errors, no warnings, no remarks
`
	if code, out := three().examine(t); code != 0 || out != want {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, out := one().examine(t); code != 0 || !strings.HasSuffix(out, "\n\nno errors, no warnings, no remarks\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// faults are clusters with one fault each, and the headlines of the findings.
var faults = []struct {
	name string
	make func() *scripted
	args string
	want []string
}{
	{"an unknown name", func() *scripted {
		s := three()
		delete(s.hosts, "kafka1")
		return s
	}, "", []string{"bootstrap server kafka1:9092: error: the name kafka1 cannot be resolved here [unknown-host]"}},
	{"no process", func() *scripted { return three() }, "--bootstrap-server kafka1:9999",
		[]string{"bootstrap server kafka1:9999: error: the connection is refused [connection-refused]"}},
	{"one of several bootstrap servers", func() *scripted { return three() }, "--bootstrap-server kafka1:9999,kafka2:9092",
		[]string{"bootstrap server kafka1:9999: warning: the connection is refused [connection-refused]"}},
	{"a firewall", func() *scripted { return failing(os.ErrDeadlineExceeded) }, "",
		[]string{"bootstrap server kafka1:9092: error: the machine (10.0.0.1) does not answer within 5s [no-answer]"}},
	{"no route", func() *scripted { return failing(syscall.EHOSTUNREACH) }, "",
		[]string{"bootstrap server kafka1:9092: error: there is no route to the machine (10.0.0.1) [no-route]"}},
	{"TLS that sends an alert", func() *scripted { return listening(saying("\x15\x03\x03\x00\x02\x02\x46")) }, "",
		[]string{"bootstrap server kafka1:9092: error: the listener expects TLS, but the client speaks plaintext [tls-listener]"}},
	{"SASL", func() *scripted {
		s := three()
		s.brokers[0].sasl = true
		return s
	}, "", []string{"bootstrap server kafka1:9092: error: the listener expects SASL authentication [sasl-listener]"}},
	{"a web server", func() *scripted { return listening(saying("HTTP/1.1 400 Bad Request\r\n\r\n")) }, "",
		[]string{"bootstrap server kafka1:9092: error: the port is that of an HTTP server, not of a broker [http-port]"}},
	{"ZooKeeper", func() *scripted { return listening(zooKeeper) }, "",
		[]string{"bootstrap server kafka1:9092: error: the port is that of ZooKeeper, not of a broker [zookeeper-port]"}},
	{"another program", func() *scripted { return listening(saying("SSH-2.0-OpenSSH_9.6\r\n")) }, "",
		[]string{"bootstrap server kafka1:9092: error: the answer is not that of a broker [not-a-broker]"}},
	{"a program that hangs up", func() *scripted { return listening(saying("")) }, "",
		[]string{"bootstrap server kafka1:9092: error: the connection is closed without an answer [connection-closed]"}},
	{"a program that is silent", func() *scripted { return listening(func(net.Conn) {}) }, "",
		[]string{"bootstrap server kafka1:9092: error: the connection is accepted, but there is no answer within 5s [silent-broker]"}},
	{"an advertised name that is unknown here", func() *scripted {
		s := three()
		s.brokers[1].address = "9f8e7d:9092"
		return s
	}, "", []string{"broker 2: error: clients cannot connect to the address that it advertises, 9f8e7d:9092: the name 9f8e7d cannot be resolved here [advertised-unreachable]"}},
	{"an advertised port without a process", func() *scripted {
		s := three()
		s.brokers[2].address = "kafka3:19092"
		s.failures["kafka3:19092"] = syscall.ECONNREFUSED
		return s
	}, "", []string{"broker 3: error: clients cannot connect to the address that it advertises, kafka3:19092: the connection is refused [advertised-unreachable]"}},
	{"a broker that hangs", func() *scripted {
		s := three()
		s.servers["kafka3:9092"] = func(net.Conn) {}
		return s
	}, "", []string{"broker 3: error: at the address that it advertises, kafka3:9092, the connection is accepted, but there is no answer within 5s [silent-broker]"}},
	{"a broker that has just stopped", func() *scripted {
		s := three()
		s.brokers[2].address = "kafka1:9093"
		s.failures["kafka1:9093"] = syscall.ECONNREFUSED
		return s
	}, "", []string{"broker 3: error: the connection to the address that it advertises, kafka1:9093, is refused [broker-down]"}},
	{"loopback addresses only", func() *scripted {
		s := three()
		for i, b := range s.brokers {
			b.address = "127.0.0.1:909" + string(rune('2'+i))
		}
		return s
	}, "--bootstrap-server 127.0.0.1:9092", []string{"cluster: remark: all brokers advertise loopback addresses, so only clients on this machine can use them [advertised-loopback]"}},
	{"an advertised address of another broker", func() *scripted {
		s := three()
		s.brokers[2].wrong = true
		return s
	}, "", []string{"broker 3: error: another broker answers at the address that it advertises (kafka3:9092 (10.0.0.3)) [wrong-broker]"}},
	{"localhost advertised", func() *scripted {
		s := one()
		s.hosts["localhost"] = []string{"127.0.0.1"}
		inner := s.brokers[0]
		inner.address = "localhost:9092"
		s.servers["kafka1:9092"] = func(conn net.Conn) { relay(conn, s, inner) }
		return s
	}, "", []string{"broker 1: error: it advertises localhost:9092, which on every client means the client's own machine [advertised-loopback]"}},
	{"a name that is loopback", func() *scripted {
		s := three()
		s.hosts["kafka2"] = []string{"127.0.1.1"}
		return s
	}, "", []string{"broker 2: warning: the name kafka2 resolves to 127.0.1.1 here, which only this machine reaches [name-is-loopback]"}},
	{"no controller", func() *scripted {
		s := three()
		s.controller = -1
		return s
	}, "", []string{"cluster: error: there is no controller [no-controller]"}},
	{"a controller that is gone", func() *scripted {
		s := three()
		s.controller = 9
		return s
	}, "", []string{"cluster: error: the controller 9 is not among the brokers [no-controller]"}},
	{"versions", func() *scripted {
		s := three()
		s.brokers[0].fetch = 12
		s.brokers[1].configs["inter.broker.protocol.version"] = "2.8-IV1"
		return s
	}, "", []string{
		"cluster: warning: the brokers have different versions: 2.7 or newer on 1; 3.9 or newer on 2, 3 [mixed-versions]",
		"cluster: warning: the brokers have different values of inter.broker.protocol.version [mixed-protocols]"}},
	{"disks", func() *scripted {
		s := three()
		s.brokers[0].dirs = []kmsg.DescribeLogDirsResponseDir{dir("/a", protocol.KafkaStorageError, 50), dir("/b", 0, 5)}
		s.brokers[1].dirs = []kmsg.DescribeLogDirsResponseDir{dir("/c", 0, 0)}
		return s
	}, "", []string{
		"broker 1: error: the log directory /a is offline [offline-directory]",
		"broker 2: error: the disk of /c has 0 bytes left of 100.0 GiB (0 %) [disk-full]",
		"broker 1: warning: the disk of /b has 5.0 GiB left of 100.0 GiB (5 %) [disk-full]"}},
	{"partitions", func() *scripted {
		s := three()
		s.minISR["payments"] = "2"
		s.topics["payments"] = []kmsg.MetadataResponseTopicPartition{partition(0, -1, "4", "4"), partition(1, 1, "1 4", "1"), partition(2, 1, "1 2 4", "1 2")}
		return s
	}, "", []string{
		"cluster: error: 1 partition(s) without a leader, which cannot be read or written: payments-0 [offline-partitions]",
		"cluster: error: 1 partition(s) with fewer in-sync replicas than min.insync.replicas, which refuse records with acks=all: payments-1 [under-min-isr]",
		"cluster: warning: 1 partition(s) with replicas that are not in sync: payments-2 [under-replicated]"}},
	{"leaders", func() *scripted {
		s := three()
		s.topics["orders"][0].Leader = 2
		return s
	}, "", []string{"broker 1: remark: it leads 0 of the 1 partitions of which it is the preferred leader [leader-imbalance]"}},
	{"leaders that nothing moves back", func() *scripted {
		s := three()
		s.topics["orders"][0].Leader = 2
		s.brokers[0].configs["auto.leader.rebalance.enable"] = "false"
		return s
	}, "", []string{"broker 1: warning: it leads 0 of the 1 partitions of which it is the preferred leader [leader-imbalance]"}},
	{"internal topics with one replica", func() *scripted {
		s := three()
		s.topics["__consumer_offsets"] = []kmsg.MetadataResponseTopicPartition{partition(0, 1, "1", "1")}
		return s
	}, "", []string{"topic __consumer_offsets: warning: it has partitions with 1 replica(s) in a cluster of 3 brokers [internal-replication]"}},
	{"internal topics that cannot be created", func() *scripted {
		s := one()
		delete(s.topics, "__consumer_offsets")
		s.brokers[0].configs["offsets.topic.replication.factor"] = "3"
		return s
	}, "", []string{"topic __consumer_offsets: error: it does not exist and cannot be created: offsets.topic.replication.factor=3, but the cluster has 1 broker(s); consumers with a group wait without an end [internal-topic]"}},
	{"reassignments", func() *scripted {
		s := three()
		s.moving = 2
		return s
	}, "", []string{"cluster: remark: 2 partition(s) are being reassigned [reassignments]"}},
	{"a throttle", func() *scripted {
		s := three()
		s.brokers[0].configs["leader.replication.throttled.rate"] = "1000000"
		return s
	}, "", []string{"broker 1: warning: leader.replication.throttled.rate=1000000 is set, but no partition is being reassigned [throttle-left]"}},
	{"a group that rebalances", func() *scripted {
		return grouped(scriptedGroup{states: []string{statePreparing, stateCompleting}, members: []string{"a b"}})
	}, "",
		[]string{"group g: warning: it rebalances: PreparingRebalance with 2 member(s), then CompletingRebalance with 2 [group-rebalancing]"}},
	{"a group whose members change", func() *scripted {
		return grouped(scriptedGroup{states: []string{stateStable}, members: []string{"a", "b"}})
	}, "",
		[]string{"group g: warning: it rebalances: Stable with 1 member(s), then Stable with 1 [group-rebalancing]"}},
	{"a group that is stopped", func() *scripted {
		return grouped(scriptedGroup{states: []string{stateEmpty}, committed: map[string]int64{"orders": 60}})
	}, "",
		[]string{"group g: warning: it has no members and is 40 record(s) behind [group-stopped]"}},
	{"a group that hangs", func() *scripted {
		return grouped(scriptedGroup{states: []string{stateStable}, members: []string{"a"}, committed: map[string]int64{"orders": 60}})
	}, "", []string{"group g: warning: it is 40 record(s) behind and commits nothing: 40 in orders-0 [group-stuck]"}},
	{"a group without commits", func() *scripted { return grouped(scriptedGroup{states: []string{stateStable}, members: []string{"a"}}) }, "",
		[]string{"group g: remark: it has members but has committed no offsets [group-no-commits]"}},
	{"a group that lost records", func() *scripted {
		s := grouped(scriptedGroup{states: []string{stateEmpty}, committed: map[string]int64{"orders": 10}})
		s.offsets["orders"] = [3]int64{50, 100, 100}
		return s
	}, "", []string{
		"group g: warning: its committed offsets are below the start of the log: orders-0 [offset-lost]",
		"group g: warning: it has no members and is 90 record(s) behind [group-stopped]"}},
	{"a group that has read all", func() *scripted {
		return grouped(scriptedGroup{states: []string{stateStable}, members: []string{"a"}, committed: map[string]int64{"orders": 100}})
	}, "", nil},
	{"a hanging transaction", func() *scripted { return transactional(false) }, "",
		[]string{"partition orders-0: error: a transaction of producer 7, begun at offset 80, is never ended, so consumers with read_committed stop there [hanging-transaction]"}},
	{"a long transaction", func() *scripted { return transactional(true) }, "",
		[]string{
			"transactional id t: warning: its transaction is Ongoing although its timeout ended 59m3s ago [overdue-transaction]",
			"partition orders-0: remark: consumers with read_committed wait for the transaction of t [open-transaction]"}},
}

// failing returns a cluster whose first broker cannot be dialled.
func failing(err error) *scripted {
	s := three()
	s.failures["kafka1:9092"] = err
	return s
}

// listening returns a cluster in which something else listens at the address of the first broker.
func listening(serve func(net.Conn)) *scripted {
	s := three()
	s.servers["kafka1:9092"] = serve
	return s
}

// zooKeeper answers like a ZooKeeper server: it hangs up at what it does not understand.
func zooKeeper(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1<<16)
	n, err := conn.Read(buf)
	if err == nil && string(buf[:n]) == "srvr" {
		_, _ = conn.Write([]byte("Zookeeper version: 3.8.4-9316c2a7\nMode: standalone\n"))
	}
}

// relay serves a connection like the broker.
func relay(conn net.Conn, s *scripted, b *scriptedBroker) {
	defer conn.Close()
	inner, err := s.network().dial(nil, b.address) //nolint:staticcheck // the context is not used
	if err != nil {
		return
	}
	defer inner.Close()
	go func() {
		defer conn.Close()
		copyAll(conn, inner)
	}()
	copyAll(inner, conn)
}

func copyAll(to, from net.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func grouped(g scriptedGroup) *scripted {
	s := one()
	s.groups["g"] = &g
	s.offsets["orders"] = [3]int64{0, 100, 100}
	return s
}

// transactional returns a cluster with a transaction that began an hour ago. known: its coordinator
// knows it.
func transactional(known bool) *scripted {
	s := one()
	s.offsets["orders"] = [3]int64{0, 80, 100}
	began := time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC) // an hour before the virtual time begins
	producer := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
	producer.ProducerID, producer.CurrentTxnStartOffset, producer.LastTimestamp = 7, 80, began.UnixMilli()
	s.open = map[string]kmsg.DescribeProducersResponseTopicPartitionActiveProducer{"orders": producer}
	if known {
		t := kmsg.NewDescribeTransactionsResponseTransactionState()
		t.TransactionalID, t.State, t.ProducerID, t.StartTimestamp, t.TimeoutMillis = "t", "Ongoing", 7, began.UnixMilli(), 60000
		s.ongoing = append(s.ongoing, t)
	}
	return s
}

func TestEachFaultIsFoundAndNoOther(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			code, out := fault.make().examine(t, strings.Fields(fault.args)...)
			var got []string
			wantCode := 0
			_, list, _ := strings.Cut(out, "\n\n")
			for _, line := range strings.Split(list, "\n") {
				if strings.HasSuffix(line, "]") && !strings.HasPrefix(line, " ") {
					got = append(got, line)
				}
			}
			for _, line := range fault.want {
				if strings.Contains(line, ": error: ") {
					wantCode = 1
				}
			}
			if strings.Join(got, "\n") != strings.Join(fault.want, "\n") || code != wantCode {
				t.Errorf("exit code %d, findings\n%s\nwant\n%s\nin\n%s", code, strings.Join(got, "\n"), strings.Join(fault.want, "\n"), out)
			}
		})
	}
}

func TestTheExaminationIsPrintedAsJSONOnRequest(t *testing.T) {
	s := three()
	s.brokers[2].dirs[0].ErrorCode = int16(protocol.KafkaStorageError)
	s.controller = -1
	code, out := s.examine(t, "--output", "json")
	var r struct {
		Cluster    string
		Controller *int
		Errors     int
		Brokers    []struct {
			ID      int
			Address string
			Reached bool
			Kafka   string
		}
		Findings []struct{ Severity, Code, Subject string }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	if r.Cluster != "scripted" || r.Controller != nil || r.Errors != 2 || len(r.Brokers) != 3 || r.Brokers[2].ID != 3 || !r.Brokers[2].Reached || r.Brokers[2].Kafka != "3.9" ||
		len(r.Findings) != 2 || r.Findings[1].Subject != "broker 3" || r.Findings[1].Severity != "error" {
		t.Errorf("output\n%s", out)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", `Missing required argument "[bootstrap-server]"`},
		{"--bootstrap-server a:1 extra", `"extra" is not an option.`},
		{"--bootstrap-server a:1 --output yaml", `"yaml" is not a format of --output; write text or json.`},
		{"--bootstrap-server a:1 --watch x", "Cannot parse argument 'x' of option watch"},
		{"--bootstrap-server a", "Invalid url in bootstrap.servers: a"},
	} {
		var out, errs bytes.Buffer
		code := run(&cli.Env{Stdout: &out, Stderr: &errs}, strings.Fields(test.args), three().network())
		if code != 1 || out.Len() > 0 || !strings.HasPrefix(errs.String(), test.want+"\n") {
			t.Errorf("%s: exit code %d\n%s%s", test.args, code, out.String(), errs.String())
		}
	}
}
