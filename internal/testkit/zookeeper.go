package testkit

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// kindVariable is the environment variable that chooses the server of tests which run on either: the
// embedded one of ./monedula if it is "embedded", otherwise Apache ZooKeeper. Tests that name one of
// the two in their code get that one.
const kindVariable = "MONEDULA_ZOOKEEPER"

func chosenEmbedded() bool { return os.Getenv(kindVariable) == "embedded" }

// Ensemble is one running ZooKeeper server of a test.
type Ensemble struct {
	Port     int
	dir      string
	sync     bool // sync the transaction log to disk, which is ZooKeeper's default
	node     *Node
	lines    string // further properties
	proc     *Process
	embedded bool // the embedded server, not Apache ZooKeeper
	release  ZooKeeperRelease
}

// ZooKeeperRelease is a release of Apache ZooKeeper. The zero value is the one that is installed.
type ZooKeeperRelease struct {
	home string // ZOOKEEPER_HOME; "": as in the environment
}

// ZooKeeperReleases returns the releases of Apache ZooKeeper that the embedded server is compared
// with, by name: the installed one and, if FullMatrices, the newest.
func ZooKeeperReleases(t testing.TB) map[string]ZooKeeperRelease {
	t.Helper()
	releases := map[string]ZooKeeperRelease{"installed": {}}
	if FullMatrices() {
		const newest = "3.9.4"
		jars, err := Script("scripts/kafka-jars.sh", newest, "zookeeper")
		if err != nil {
			t.Fatal(err)
		}
		home := t.TempDir()
		if err := os.Symlink(jars, filepath.Join(home, "lib")); err != nil {
			t.Fatal(err)
		}
		releases[newest] = ZooKeeperRelease{home}
	}
	return releases
}

// New starts a server of the release for the test alone, which is killed when the test ends. lines
// are added to its properties.
func (r ZooKeeperRelease) New(t testing.TB, lines ...string) *Ensemble {
	t.Helper()
	return newZooKeeper(t, &Ensemble{release: r}, lines)
}

// Start starts a server with its data in dir and waits until it serves. It syncs its transaction log.
// Kill ends it.
func (r ZooKeeperRelease) Start(dir string) (*Ensemble, error) {
	port, err := UnusedPort()
	if err != nil {
		return nil, err
	}
	z := &Ensemble{Port: port, dir: dir, sync: true, release: r}
	if err := z.start(); err != nil {
		return nil, err
	}
	return z, nil
}

// Address returns host:port, without a chroot.
func (z *Ensemble) Address() string { return fmt.Sprintf("%s:%d", z.host(), z.Port) }

func (z *Ensemble) host() string {
	if z.node != nil {
		return z.node.IP
	}
	return "127.0.0.1"
}

// Properties returns the file with the server's properties.
func (z *Ensemble) Properties() string { return filepath.Join(z.dir, "zookeeper.properties") }

// AwaitOutput waits until the server has printed the text.
func (z *Ensemble) AwaitOutput(text string, limit time.Duration) error {
	return z.proc.AwaitOutput(text, limit)
}

// DataDir returns the directory with snapshots and transaction logs.
func (z *Ensemble) DataDir() string { return filepath.Join(z.dir, "data") }

// Kill ends the server at once. Restart starts it again with its data.
func (z *Ensemble) Kill() { z.proc.Kill() }

// Pause stops the server from running until Resume is called.
func (z *Ensemble) Pause() { z.proc.Signal(syscall.SIGSTOP) }

// Resume lets a paused server run again.
func (z *Ensemble) Resume() { z.proc.Signal(syscall.SIGCONT) }

// Restart starts a killed server again with its data and waits until it serves.
func (z *Ensemble) Restart() error { return z.start() }

// NewZooKeeper starts a ZooKeeper server for the test alone, which is killed when the test ends:
// Apache ZooKeeper, or the embedded server if the environment chooses it. lines are added to its
// properties. Tests that need no server of their own use ZooKeeper.
func NewZooKeeper(t testing.TB, lines ...string) *Ensemble {
	t.Helper()
	return newZooKeeper(t, &Ensemble{embedded: chosenEmbedded()}, lines)
}

// NewEmbeddedZooKeeper is like NewZooKeeper, but always starts the embedded server of ./monedula.
func NewEmbeddedZooKeeper(t testing.TB, lines ...string) *Ensemble {
	t.Helper()
	return newZooKeeper(t, &Ensemble{embedded: true}, lines)
}

func newZooKeeper(t testing.TB, z *Ensemble, lines []string) *Ensemble {
	t.Helper()
	z.Port, z.dir, z.lines = FreePort(t), t.TempDir(), strings.Join(lines, "\n")+"\n"
	if err := z.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.proc.Kill() })
	return z
}

var shared struct {
	once   sync.Once
	z      *Ensemble
	err    error
	chroot atomic.Int64
}

// ZooKeeper returns a connect string with an unused chroot of a server that the tests of a process
// share, of the kind that NewZooKeeper starts. The chroot does not exist yet.
func ZooKeeper(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "monedula-zookeeper-")
		if err != nil {
			shared.err = err
			return
		}
		shared.z = &Ensemble{Port: FreePort(t), dir: dir, embedded: chosenEmbedded()}
		shared.err = shared.z.start()
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return fmt.Sprintf("%s/t%d", shared.z.Address(), shared.chroot.Add(1))
}

func (z *Ensemble) start() error {
	if err := z.launch(); err != nil {
		return err
	}
	return z.awaitServing()
}

// launch starts the process and returns without waiting.
func (z *Ensemble) launch() error {
	forceSync := "no"
	if z.sync {
		forceSync = "yes"
	}
	text := fmt.Sprintf("tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=60000\ndataDir=%s\nclientPort=%d\nclientPortAddress=%s\nadmin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=*\nforceSync=%s\n",
		z.DataDir(), z.Port, z.host(), forceSync) + z.lines
	if err := os.WriteFile(z.Properties(), []byte(text), 0o644); err != nil {
		return err
	}
	args := []string{z.Properties()}
	if z.embedded {
		args = []string{"--embedded", z.Properties()}
	}
	cmd := exec.Command(filepath.Join(Root(), "bin/zookeeper-server-start.sh"), args...)
	cmd.Env = append(os.Environ(), "KAFKA_HEAP_OPTS=-Xms64m -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
	if z.release.home != "" {
		cmd.Env = append(cmd.Env, "ZOOKEEPER_HOME="+z.release.home)
	}
	proc, err := Start("ZooKeeper", z.node.Command(cmd))
	if err != nil {
		return err
	}
	z.proc = proc
	return nil
}

// awaitServing waits until the server answers clients.
func (z *Ensemble) awaitServing() error {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if answer, err := z.FourLetterWord("srvr"); err == nil && strings.Contains(answer, "Mode:") {
			return nil
		}
		select {
		case <-z.proc.Ended():
			return fmt.Errorf("ZooKeeper ended while starting:\n%s", tail(z.proc.Output()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ZooKeeper did not start within a minute:\n%s", tail(z.proc.Output()))
		}
	}
}

// FourLetterWord sends the server one of its administrative commands and returns the answer.
func (z *Ensemble) FourLetterWord(word string) (string, error) {
	c, err := net.DialTimeout("tcp", z.Address(), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte(word)); err != nil {
		return "", err
	}
	var answer strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		answer.Write(buf[:n])
		if err != nil {
			return answer.String(), nil
		}
	}
}

// Cleanup stops what the tests of this process shared. Call it at the end of TestMain.
func Cleanup() {
	if shared.z != nil {
		if shared.z.proc != nil {
			shared.z.proc.Kill()
		}
		os.RemoveAll(shared.z.dir)
	}
}

// Main runs the tests of a package and calls Cleanup:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	Cleanup()
	os.Exit(code)
}
