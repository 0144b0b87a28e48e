package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkserver"
	"github.com/monedula/monedula/zkstore"
)

// startZooKeeper starts a server in memory and returns its address.
func startZooKeeper(t *testing.T) string {
	t.Helper()
	c := zkserver.DefaultConfig()
	c.FS, c.DataDir, c.Host, c.Port = vfs.NewMem(), "/data", "127.0.0.1", 0
	s, err := zkserver.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s.Address()
}

// register registers a broker whose clock is wrong by skew.
func register(t *testing.T, connect string, id metadata.BrokerID, skew time.Duration) {
	t.Helper()
	ctx := context.Background()
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: connect, CreateChroot: true, Now: func() time.Time { return time.Now().Add(skew) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if err := store.CreateStartupPaths(ctx); err != nil {
		t.Fatal(err)
	}
	info := zkstore.BrokerInfo{ID: id, JMXPort: -1, Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: 1}}}
	if _, err := store.RegisterBroker(ctx, info); err != nil {
		t.Fatal(err)
	}
}

func headlines(list []findings.Finding) string {
	var lines []string
	for _, f := range list {
		lines = append(lines, f.Headline())
	}
	return strings.Join(lines, "\n")
}

func TestZooKeeperAndTheClocksOfBrokersAreExamined(t *testing.T) {
	address := startZooKeeper(t)
	register(t, address+"/kafka", 1, 0)
	register(t, address+"/kafka", 2, -time.Hour)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	closed.Close()
	for _, test := range []struct {
		connect string
		want    []string
	}{
		{address + "/kafka", []string{
			"cluster: error: ZooKeeper has no node /controller [no-controller]",
			"cluster: warning: the clock of broker 1 was 1h0m0s ahead of that of broker 2 when they registered [clock-skew]"}},
		{address + "/wrong", []string{fmt.Sprintf("ZooKeeper %s/wrong: error: no broker is registered here [zookeeper-chroot]", address)}},
		{gone, []string{
			fmt.Sprintf("ZooKeeper %s: error: the server is not reached: connection refused [zookeeper-unreachable]", gone),
			fmt.Sprintf("ZooKeeper %s: error: no session is opened within 200ms [zookeeper-session]", gone)}},
		{gone + "," + address + "/kafka", []string{
			"cluster: error: ZooKeeper has no node /controller [no-controller]",
			fmt.Sprintf("ZooKeeper %s: warning: the server is not reached: connection refused [zookeeper-unreachable]", gone),
			"cluster: warning: the clock of broker 1 was 1h0m0s ahead of that of broker 2 when they registered [clock-skew]"}},
	} {
		e := &examination{network: realNetwork, timeout: 5 * time.Second}
		if test.connect == gone {
			e.timeout = 200 * time.Millisecond
		}
		e.examineZooKeeper(context.Background(), test.connect)
		e.diagnoseZooKeeper()
		findings.BySeverity(e.found)
		got := headlines(e.found)
		got = strings.ReplaceAll(got, " by "+gone, "")
		if !sameButMillis(got, strings.Join(test.want, "\n")) {
			t.Errorf("%s: found\n%s\nwant\n%s", test.connect, got, strings.Join(test.want, "\n"))
		}
	}
}

// sameButMillis compares texts, in which a difference between clocks may be some ms less or more.
func sameButMillis(got, want string) bool {
	for _, line := range strings.Split(got, "\n") {
		if before, rest, found := strings.Cut(line, " was "); found {
			text, after, _ := strings.Cut(rest, " ahead")
			if d, err := time.ParseDuration(text); err == nil && (d-time.Hour).Abs() < 30*time.Second {
				got = strings.Replace(got, line, before+" was 1h0m0s ahead"+after, 1)
			}
		}
	}
	return got == want
}

func TestAnswersOfZooKeeperServersAreUnderstood(t *testing.T) {
	for _, test := range []struct {
		text string
		err  error
		want []string
	}{
		{"Zookeeper version: 3.8.4-9316, built on 2024\nLatency min/avg/max: 0/0.5/12\nMode: follower\n", nil, nil},
		{"Zookeeper version: 3.8.4\nLatency min/avg/max: 0/120.0/900\nMode: leader\n", nil, []string{"ZooKeeper a:2181: warning: its average latency is 120 ms [zookeeper-slow]"}},
		{"This ZooKeeper instance is not currently serving requests\n", nil, []string{"ZooKeeper a:2181: error: the server runs but serves no requests [zookeeper-no-quorum]"}},
		{"srvr is not executed because it is not in the whitelist.\n", nil, []string{"ZooKeeper a:2181: remark: the server does not answer srvr, so its mode and latency are not known [zookeeper-four-letters]"}},
	} {
		e := &examination{}
		e.zk.connect, e.zk.controller, e.zk.registered = "a:2181", 1, threeRegistered
		e.zk.servers = []zooKeeperServer{parseSrvr("a:2181", test.text, test.err)}
		e.diagnoseZooKeeper()
		if got := headlines(e.found); got != strings.Join(test.want, "\n") {
			t.Errorf("%q: %s", test.text, got)
		}
	}
	s := parseSrvr("a:2181", "Zookeeper version: 3.8.4-9316, built on 2024\nLatency min/avg/max: 0/0.5/12\nMode: follower\n", nil)
	if s.mode != "follower" || s.version != "3.8.4" || s.latency != 0.5 {
		t.Errorf("%+v", s)
	}
}

func TestRegisteredBrokersAreComparedWithThoseThatClientsSee(t *testing.T) {
	s := three()
	e := &examination{network: s.network(), timeout: time.Second, bootstrap: []string{"kafka1:9092"}}
	defer e.close()
	e.connect(context.Background())
	e.examineBrokers(context.Background())
	e.zk.connect, e.zk.controller = "zoo:2181", 2
	endpoint := func(listener, host string, port int32) metadata.Endpoint {
		return metadata.Endpoint{Listener: listener, Host: host, Port: port}
	}
	e.zk.registered = map[metadata.BrokerID]zkstore.BrokerInfo{
		1: {Endpoints: []metadata.Endpoint{endpoint("PLAINTEXT", "kafka1", 9092), endpoint("INTERNAL", "inner1", 9093)}},
		2: {Endpoints: []metadata.Endpoint{endpoint("PLAINTEXT", "kafka2", 9092)}},
		7: {},
	}
	e.diagnoseZooKeeper()
	const want = `broker 1: remark: its listener INTERNAL at inner1:9093 is not reached from here: the name inner1 cannot be resolved here [listener-unreachable]
broker 3: error: clients see it, but it is not registered in ZooKeeper zoo:2181 [not-registered]
cluster: warning: brokers are registered in ZooKeeper, but clients do not see them: 7 [not-in-metadata]`
	if got := headlines(e.found); got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
}

func TestTheBrokerOnThisMachineIsExamined(t *testing.T) {
	folder := t.TempDir()
	config, data := filepath.Join(folder, "server.properties"), filepath.Join(folder, "data")
	text := "zookeeper.connect=zoo1:2181/kafka\nbroker.id=1\nlisteners=PLAINTEXT://kafka1:9092\nnum.partition=1\nlog.dirs=" + data + "," + filepath.Join(folder, "missing") + "," + config + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	e := &examination{}
	e.examineLocal(config)
	got := headlines(e.local.found)
	for _, want := range []string{
		config + ":4: warning: The configuration num.partition is not known and has no effect; did you mean num.partitions? [unknown-key]",
		"directory " + filepath.Join(folder, "missing") + ": remark: it does not exist [no-directory]",
		"directory " + config + ": error: it is not a directory [directory-access]",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("found\n%s\nwant among them\n%s", got, want)
		}
	}
	if e.local.zooKeeper != "zoo1:2181/kafka" {
		t.Errorf("ZooKeeper %q", e.local.zooKeeper)
	}
	e = &examination{}
	if e.examineLocal(filepath.Join(folder, "none")); !strings.Contains(headlines(e.local.found), "[unreadable]") {
		t.Errorf("found %s", headlines(e.local.found))
	}
}

func TestTheProcessOfABrokerIsRecognized(t *testing.T) {
	for line, want := range map[string]bool{
		"/opt/monedula kafka-server-start /etc/server.properties":                   true,
		"java -Xmx1G -cp libs/* kafka.Kafka /etc/server.properties":                 true,
		"java -cp libs/* kafka.Kafka /etc/server.properties --override broker.id=1": true,
		"/opt/monedula kafka-server-start /etc/other.properties":                    false,
		"vi /etc/server.properties":                                                 false,
	} {
		if got := isBrokerOf(strings.Fields(line), "/etc/server.properties", "/proc/none"); got != want {
			t.Errorf("%s: %t", line, got)
		}
	}
	if n := openFilesLimit("Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n"); n != 1024 {
		t.Errorf("limit %d", n)
	}
}
