package testkit

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// classes returns JVM flags that halve the start time of a release's programs, most of which goes
// into loading classes: they map the classes of a broker and its tools from an archive next to the
// jars. The first test that needs the archive creates it by starting and stopping a broker. A JVM
// that the archive does not fit ignores it.
func (k *Kafka) classes(t testing.TB) []string {
	t.Helper()
	archive := k.jars + ".jsa"
	if strings.HasPrefix(k.Version, "1.") { // only its consumer is run
		return nil
	}
	lock, err := os.OpenFile(archive+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(archive); err != nil {
		made := fmt.Sprintf("%s.%d", archive, os.Getpid())
		archived := &Kafka{Version: k.Version, jars: k.jars, flags: []string{"-XX:ArchiveClassesAtExit=" + made, "-Xlog:disable"}}
		b := archived.Broker(t, 0, ZooKeeper(t), "")
		if !b.Stop(2 * time.Minute) {
			t.Fatalf("Kafka %s did not stop cleanly; its output:\n%s", k.Version, tail(b.Output()))
		}
		if err := os.Rename(made, archive); err != nil {
			t.Fatalf("rename the archive of Kafka's classes: %v", err)
		}
	}
	return []string{"-XX:SharedArchiveFile=" + archive, "-Xlog:disable"}
}
