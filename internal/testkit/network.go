package testkit

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Network connects Nodes, each a network namespace, by a bridge in the namespace of this process,
// which Alone created. It exists until the process ends.
type Network struct {
	t     testing.TB
	nodes []*Node

	mu   sync.Mutex // guards cuts
	cuts int
}

// Node is a network namespace with one address. This process can reach it, and so can every other
// Node unless the link is cut.
type Node struct {
	Name    string
	IP      string
	network *Network
	holder  *Process // keeps the namespace alive
}

// NewNetwork creates the bridge. The test fails if that is not possible.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	if !InNamespaces() {
		t.Fatal("NewNetwork works only in a test that Alone runs")
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // the programs may be installed but not in the user's PATH
	for _, program := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; scripts/prerequisites.sh test installs it", err)
		}
	}
	n := &Network{t: t}
	n.must("ip", "link", "set", "lo", "up")
	n.must("ip", "link", "add", "hub", "type", "bridge")
	n.must("ip", "address", "add", "10.99.0.254/24", "dev", "hub")
	n.must("ip", "link", "set", "hub", "up")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", "hub").Run() })
	return n
}

// Node adds a namespace.
func (n *Network) Node(name string) *Node {
	n.t.Helper()
	node := &Node{Name: name, IP: fmt.Sprintf("10.99.0.%d", len(n.nodes)+1), network: n}
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	holder, err := Start("the holder of the namespace of "+name, cmd)
	if err != nil {
		n.t.Fatalf("create a network namespace: %v", err)
	}
	n.t.Cleanup(holder.Kill)
	node.holder = holder
	n.must("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(holder.Cmd.Process.Pid))
	n.must("ip", "link", "set", "dev", name, "master", "hub", "up")
	node.must("ip", "link", "set", "lo", "up")
	node.must("ip", "address", "add", node.IP+"/24", "dev", "eth0")
	node.must("ip", "link", "set", "eth0", "up")
	node.must("nft", "add table ip faults; add chain ip faults cut { type filter hook input priority 0; }")
	n.nodes = append(n.nodes, node)
	return node
}

// Cut drops what one Node sends to another from now on. The other direction stays open.
func (n *Network) Cut(from, to *Node) {
	n.t.Helper()
	to.must("nft", fmt.Sprintf("add rule ip faults cut ip saddr %s drop", from.IP))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts++
}

// Part cuts both directions between each Node of one side and each of the other.
func (n *Network) Part(one, other []*Node) {
	n.t.Helper()
	for _, a := range one {
		for _, b := range other {
			n.Cut(a, b)
			n.Cut(b, a)
		}
	}
}

// Heal undoes every Cut.
func (n *Network) Heal() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cuts == 0 {
		return
	}
	for _, node := range n.nodes {
		node.must("nft", "flush chain ip faults cut")
	}
	n.cuts = 0
}

func (n *Network) must(args ...string) {
	n.t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		n.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
}

func (node *Node) must(args ...string) {
	node.network.t.Helper()
	node.network.must(node.Command(exec.Command(args[0], args[1:]...)).Args...)
}

// Command makes a command run in the namespace and returns it. The process started is the command's
// own. A nil Node leaves the command unchanged.
func (node *Node) Command(cmd *exec.Cmd) *exec.Cmd {
	if node == nil {
		return cmd
	}
	inside := exec.Command("nsenter", append([]string{"--target", fmt.Sprint(node.holder.Cmd.Process.Pid), "--net"}, cmd.Args...)...)
	inside.Env, inside.Dir = cmd.Env, cmd.Dir
	return inside
}

// Listen opens a socket of this process in the namespace.
func (node *Node) Listen(port int) (net.Listener, error) {
	type opened struct {
		listener net.Listener
		err      error
	}
	result := make(chan opened, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is in the other namespace and ends with the goroutine
		space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", node.holder.Cmd.Process.Pid))
		if err != nil {
			result <- opened{nil, err}
			return
		}
		defer space.Close()
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- opened{nil, fmt.Errorf("enter the namespace of %s: %w", node.Name, err)}
			return
		}
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", fmt.Sprintf("%s:%d", node.IP, port))
		result <- opened{listener, err}
	}()
	o := <-result
	return o.listener, o.err
}
