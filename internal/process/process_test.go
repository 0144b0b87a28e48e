package process

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestTheListenerOfAPortIsDescribed(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if have, want := Listener(port), fmt.Sprintf("process %d (process.test", os.Getpid()); !strings.HasPrefix(have, want) {
			t.Errorf("%s: %q, want %q", address, have, want)
		}
		_ = l.Close()
		if have := Listener(port); have != "" {
			t.Errorf("%s: after it was closed: %q", address, have)
		}
	}
}

func TestProgramsAreNamedByWhatTheyRun(t *testing.T) {
	for line, want := range map[string]string{
		"/opt/monedula|dev|--brokers|3":                      "monedula dev",
		"java|-Xmx1g|-cp|/a.jar:/b.jar|kafka.Kafka|x":        "java kafka.Kafka",
		"/usr/bin/python3|-u|server.py":                      "python3 server.py",
		"/usr/sbin/redis":                                    "redis",
		"nginx: master process /usr/sbin/nginx -g daemon on": "nginx",
		"": "",
	} {
		if have := program(strings.Split(line, "|")); have != want {
			t.Errorf("%s: %q, want %q", line, have, want)
		}
	}
	if have, want := Describe(1<<30), "process 1073741824"; have != want {
		t.Errorf("a process that does not exist: %q, want %q", have, want)
	}
}

func TestOnlyListenersOfThePortAreTaken(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0
   1: 0100007F:2385 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:2384 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 333 1 0 100 0 0 10 0
   3: short
`
	found := map[string]string{}
	addListeners(found, table, 9092)
	if len(found) != 1 || found["socket:[111]"] != "1000" {
		t.Errorf("%v", found)
	}
}
