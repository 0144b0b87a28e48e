package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Quorum is an ensemble of ZooKeeper servers, each in a Node of its own.
type Quorum struct {
	Servers []*Ensemble
	Nodes   []*Node // Servers[i] runs in Nodes[i]
}

const quorumClientPort = 2181

// NewQuorum starts a server in each of the Nodes and waits until all serve. They are killed when
// the test ends.
func NewQuorum(t testing.TB, nodes ...*Node) *Quorum {
	t.Helper()
	lines := "initLimit=20\nsyncLimit=5\n"
	for i, node := range nodes {
		lines += fmt.Sprintf("server.%d=%s:2888:3888\n", i+1, node.IP)
	}
	q := &Quorum{Nodes: nodes}
	for i, node := range nodes {
		z := &Ensemble{Port: quorumClientPort, dir: t.TempDir(), node: node, lines: lines}
		if err := os.MkdirAll(z.DataDir(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(z.DataDir(), "myid"), []byte(fmt.Sprintln(i+1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := z.launch(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { z.proc.Kill() })
		q.Servers = append(q.Servers, z)
	}
	for _, z := range q.Servers {
		if err := z.awaitServing(); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

// Restart starts killed servers again with their data, all at the same time, and waits until they
// serve.
func (q *Quorum) Restart(which ...int) error {
	for _, i := range which {
		if err := q.Servers[i].launch(); err != nil {
			return err
		}
	}
	for _, i := range which {
		if err := q.Servers[i].awaitServing(); err != nil {
			return err
		}
	}
	return nil
}

// Connect returns the connect string of all servers, without a chroot, for clients that use the
// given port.
func (q *Quorum) Connect(port int) string {
	var all []string
	for _, node := range q.Nodes {
		all = append(all, fmt.Sprintf("%s:%d", node.IP, port))
	}
	return strings.Join(all, ",")
}

// ClientPort returns the port on which the servers themselves listen.
func (q *Quorum) ClientPort() int { return quorumClientPort }

// Leader waits until one of the servers reports that it leads, and returns its index in Servers.
func (q *Quorum) Leader(t testing.TB) int {
	t.Helper()
	leader := -1
	Eventually(t, time.Minute, "a leader among the ZooKeeper servers", func() bool {
		for i, z := range q.Servers {
			if answer, err := z.FourLetterWord("srvr"); err == nil && strings.Contains(answer, "Mode: leader") {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}
