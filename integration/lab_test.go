package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// lab is a cluster of three brokers and three ZooKeepers whose links and disks can be made to fail.
// Each runs in its own network namespace. Requests to a broker, and requests of brokers to a
// ZooKeeper, pass through a testkit.Lane. The test itself connects to ZooKeeper directly, so no cut
// affects it. Every broker has two log directories, each on its own file system.
type lab struct {
	*cluster
	net         *testkit.Network
	quorum      *testkit.Quorum
	keeperLanes []*testkit.Lane
	brokerLanes []*testkit.Lane
	disks       map[*member][]*disk
}

const (
	labBrokerPort, labBrokerLane = 9092, 9093
	labKeeperLane                = 2182
	labDiskSize                  = "1g"
)

// newLab starts the brokers, with ids from 1. The test must run alone.
func newLab(t testing.TB, extra ...string) *lab {
	t.Helper()
	n := testkit.NewNetwork(t)
	quorum := testkit.NewQuorum(t, n.Node("keeper1"), n.Node("keeper2"), n.Node("keeper3"))
	l := &lab{cluster: &cluster{t: t}, net: n, quorum: quorum, disks: map[*member][]*disk{}}
	l.tree = openTree(t, quorum.Connect(quorum.ClientPort())+"/lab")
	l.zookeeper = quorum.Connect(labKeeperLane) + "/lab"
	for _, node := range quorum.Nodes {
		l.keeperLanes = append(l.keeperLanes, testkit.NewLane(t, node, labKeeperLane, quorum.ClientPort()))
	}
	for id := 1; id <= 3; id++ {
		node := n.Node(fmt.Sprintf("broker%d", id))
		l.brokerLanes = append(l.brokerLanes, testkit.NewLane(t, node, labBrokerLane, labBrokerPort))
		b := &broker{t: t, id: id, port: labBrokerPort, outside: labBrokerLane, node: node, zookeeper: l.zookeeper, logs: t.TempDir()}
		m := &member{t: t, id: int32(id), kind: "ours", ours: b}
		for range 2 {
			l.disks[m] = append(l.disks[m], newDisk(t))
		}
		b.dir = l.disks[m][0].dir + "," + l.disks[m][1].dir
		m.dir = b.dir
		b.document(append([]string{"advertised.listeners=PLAINTEXT://" + b.address()}, extra...))
		b.start()
		l.members = append(l.members, m)
	}
	l.checkAtEnd()
	return l
}

// node returns the network namespace in which a member runs.
func (m *member) node() *testkit.Node { return m.ours.node }

// othersNodes returns the nodes of all members but one.
func (l *lab) othersNodes(than *member) []*testkit.Node {
	var nodes []*testkit.Node
	for _, m := range l.others(than) {
		nodes = append(nodes, m.node())
	}
	return nodes
}

// only returns a slice that contains one node, for use as one side of a cut.
func only(n *testkit.Node) []*testkit.Node { return []*testkit.Node{n} }

// cutOneWay drops everything that the nodes of one side send to those of the other.
func (l *lab) cutOneWay(from, to []*testkit.Node) {
	l.t.Helper()
	for _, a := range from {
		for _, b := range to {
			l.net.Cut(a, b)
		}
	}
}

// impair makes lanes slow and lossy; two zeros restore them.
func impair(lanes []*testkit.Lane, delayMax time.Duration, loss float64) {
	for _, lane := range lanes {
		lane.Impair(delayMax, loss)
	}
}

// healLinks repairs every link.
func (l *lab) healLinks() {
	l.t.Helper()
	l.net.Heal()
	impair(l.brokerLanes, 0, 0)
	impair(l.keeperLanes, 0, 0)
}

// disk is a file system of fixed size that holds a log directory.
type disk struct {
	t      testing.TB
	mount  string
	dir    string // the log directory
	full   bool
	broken bool
}

func newDisk(t testing.TB) *disk {
	t.Helper()
	d := &disk{t: t, mount: t.TempDir()}
	d.dir = filepath.Join(d.mount, "kafka-logs")
	testkit.Mount(t, d.mount, labDiskSize)
	return d
}

// fill fills the disk completely.
func (d *disk) fill() {
	d.t.Helper()
	testkit.Fill(d.t, d.mount)
	d.full = true
}

func (d *disk) failed() bool { return d.full || d.broken }

// breakDir makes the log directory fail by replacing it with a file. Files that are already open
// stay open.
func (d *disk) breakDir() {
	d.t.Helper()
	breakDir(d.t, d.dir)
	d.broken = true
}

// repair undoes fill and breakDir.
func (d *disk) repair() {
	d.t.Helper()
	if d.full {
		testkit.Resize(d.t, d.mount, labDiskSize)
	}
	if d.broken {
		repairDir(d.t, d.dir)
	}
	d.full, d.broken = false, false
}

// breakDir replaces a log directory with a file, and keeps the directory under another name.
func breakDir(t testing.TB, dir string) {
	t.Helper()
	if err := os.Rename(dir, dir+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// repairDir undoes breakDir.
func repairDir(t testing.TB, dir string) {
	t.Helper()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+".aside", dir); err != nil {
		t.Fatal(err)
	}
}

// partitionsIn returns the partitions of a topic that a log directory holds.
func partitionsIn(t testing.TB, dir, topic string, partitions int32) []int32 {
	t.Helper()
	var in []int32
	for p := range partitions {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%s-%d", topic, p))); err == nil {
			in = append(in, p)
		}
	}
	return in
}

// awaitFailedOver waits until a broker neither leads any of these partitions nor is in sync for any
// of them.
func (c *cluster) awaitFailedOver(m *member, topic string, partitions ...int32) {
	c.t.Helper()
	for _, p := range partitions {
		c.awaitState(topic, p, fmt.Sprintf("a leader and in-sync replicas without %s", m), func(s partitionState) bool {
			return s.Leader >= 0 && s.Leader != m.id && !slices.Contains(s.ISR, m.id)
		})
	}
}

// awaitLogged waits until one of our brokers has printed text, to stdout or to one of its log
// files.
func (m *member) awaitLogged(text string) {
	m.t.Helper()
	testkit.Eventually(m.t, 30*time.Second, fmt.Sprintf("%s to print %q", m, text), func() bool {
		said := m.earlierOutput + m.process().Output()
		for _, name := range []string{"controller.log", "state-change.log"} {
			file, _ := os.ReadFile(filepath.Join(m.ours.logs, name))
			said += string(file)
		}
		return strings.Contains(said, text)
	})
}
