package testkit

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ping reports whether a Node gets an answer from another one within a second.
func ping(from, to *Node) bool {
	cmd := from.Command(exec.Command("timeout", "1", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/7 && echo hello >&3 && head -n1 <&3", to.IP)))
	out, err := cmd.Output()
	return err == nil && string(out) == "hello\n"
}

// echo answers lines at port 7 of a Node until the test ends.
func echo(t *testing.T, node *Node) {
	t.Helper()
	l, err := node.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
					_, _ = c.Write([]byte(line))
				}
			}()
		}
	}()
}

func TestACutLinkCarriesNothingUntilItIsHealed(t *testing.T) {
	if !Alone(t) {
		return
	}
	n := NewNetwork(t)
	a, b, c := n.Node("a"), n.Node("b"), n.Node("c")
	for _, node := range []*Node{a, b, c} {
		echo(t, node)
	}
	check := func(want map[string]bool) {
		t.Helper()
		for _, from := range []*Node{a, b, c} {
			for _, to := range []*Node{a, b, c} {
				if got, way := ping(from, to), from.Name+to.Name; got == want[way] {
					t.Errorf("%s to %s: answered %v", from.Name, to.Name, got)
				}
			}
		}
	}
	check(nil)
	n.Cut(a, b)
	check(map[string]bool{"ab": true, "ba": true}) // neither gets an answer: data of a does not arrive at b, nor data of b at a
	n.Heal()
	check(nil)
	n.Part([]*Node{a}, []*Node{b, c})
	check(map[string]bool{"ab": true, "ba": true, "ac": true, "ca": true})
	n.Heal()
	check(nil)
}

func TestALaneForwardsDelaysAndDropsData(t *testing.T) {
	if !Alone(t) {
		return
	}
	node := NewNetwork(t).Node("a")
	echo(t, node)
	lane := NewLane(t, node, 8, 7)
	ask := func(limit time.Duration) (string, error) {
		c, err := net.DialTimeout("tcp4", node.IP+":8", limit)
		if err != nil {
			return "", err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(limit))
		fmt.Fprintln(c, "hello")
		return bufio.NewReader(c).ReadString('\n')
	}
	if got, err := ask(20 * time.Second); got != "hello\n" {
		t.Fatalf("%q, %v", got, err)
	}
	lane.Impair(0, 1)
	if got, err := ask(time.Second); err == nil {
		t.Errorf("a lane that loses everything answered %q", got)
	}
	lane.Impair(200*time.Millisecond, 0)
	began := time.Now()
	for range 5 {
		if got, err := ask(20 * time.Second); got != "hello\n" {
			t.Errorf("slow: %q, %v", got, err)
		}
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("five round trips with up to 200 ms each way took %v", took)
	}
	lane.Impair(0, 0)
	if got, err := ask(20 * time.Second); got != "hello\n" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestAQuorumChangesItsLeader(t *testing.T) {
	if !Alone(t) {
		return
	}
	n := NewNetwork(t)
	q := NewQuorum(t, n.Node("z1"), n.Node("z2"), n.Node("z3"))
	first := q.Leader(t)
	q.Servers[first].Kill()
	if second := q.Leader(t); second == first {
		t.Errorf("server %d, which was killed, leads", first)
	}
	if err := q.Servers[first].Restart(); err != nil {
		t.Fatal(err)
	}
}

func TestFillLeavesNoSpaceInAMount(t *testing.T) {
	if !Alone(t) {
		return
	}
	dir := filepath.Join(t.TempDir(), "m")
	Mount(t, dir, "8m")
	write := func(name string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", 1<<20)), 0o644)
	}
	if err := write("a"); err != nil {
		t.Fatal(err)
	}
	Fill(t, dir)
	if err := write("b"); err == nil {
		t.Error("a full disk accepted a megabyte")
	}
	Resize(t, dir, "8m")
	if err := write("b"); err != nil {
		t.Error(err)
	}
}

func TestATestWithoutNamespacesFailsWithInstructions(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all", self, "-test.run=^TestFillLeavesNoSpaceInAMount$"}
	if os.Getuid() != 0 {
		args = append([]string{"unshare", "--user", "--map-root-user"}, args...)
	}
	out, _, code := Run(t, time.Minute, "", exec.Command(args[0], args[1:]...))
	if code != 1 || !strings.Contains(out, "cannot create network and mount namespaces") || !strings.Contains(out, "run it as root") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
