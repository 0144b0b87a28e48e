package zkshell

import (
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

func TestTheSessionContinuesOnANewConnection(t *testing.T) {
	server := startServer(t)
	proxy := testkit.NewZooKeeperProxy(t, server)
	s := openOne(t, ourShell{}, proxy.Addr().String())
	check := func(line, want string) {
		t.Helper()
		if have := s.until(t, line); !strings.Contains(have, want) {
			t.Errorf("%s: printed\n%s, want %q", line, have, want)
		}
	}
	check("addauth digest user:secret", "")
	check("create /mine x auth::cdrwa", "Created /mine")
	check("create -e /ephemeral x", "Created /ephemeral")
	check("create /below", "Created /below")
	check("ls -w /", "[below, ephemeral, mine, zookeeper]")
	check("stat -w /later", "Node does not exist: /later")
	check("addWatch /below", "")
	proxy.SetCut(true)
	s.out.await(t, "state:Disconnected type:None path:null")
	check("get /mine", "KeeperErrorCode = ConnectionLoss for /mine")
	if out, code := (ourShell{}).run(t, "zkCli", []string{"-server", server, "create", "/later"}, ""); code != 0 {
		t.Fatal(out)
	}
	proxy.SetCut(false)
	for _, event := range []string{"state:SyncConnected type:None path:null", "type:NodeCreated path:/later", "type:NodeChildrenChanged path:/"} {
		s.out.await(t, event)
	}
	check("get /mine", "x\n")
	check("getEphemerals", "[/ephemeral]")
	check("create /below/1", "type:NodeCreated path:/below/1")
	proxy.SetCut(true)
	s.out.await(t, "state:Disconnected type:None path:null")
	proxy.ExpireSession(t)
	proxy.SetCut(false)
	s.out.await(t, "state:Expired type:None path:null")
	check("get /mine", "Not connected")
	check("connect", "")
	check("addauth nosuch x", "state:AuthFailed type:None path:null")
	check("ls /", "Not connected")
}

func TestAConnectStringNamesServersAndAChroot(t *testing.T) {
	for text, want := range map[string]target{
		"a":                {servers: []string{"a:2181"}},
		"a:1, b:2,c":       {servers: []string{"a:1", "b:2", "c:2181"}},
		"a:1,b:2/x/y":      {servers: []string{"a:1", "b:2"}, chroot: "/x/y"},
		"a:1/":             {servers: []string{"a:1"}},
		"[::1]:2182,[::2]": {servers: []string{"[::1]:2182", "[::2]:2181"}},
	} {
		have, err := parseTarget(text)
		if err != nil || strings.Join(have.servers, " ") != strings.Join(want.servers, " ") || have.chroot != want.chroot {
			t.Errorf("%s: %v %v, want %v", text, have, err, want)
		}
	}
	for _, text := range []string{"", ",", "/x", "a:1/x/", "a:1//x"} {
		if have, err := parseTarget(text); err == nil {
			t.Errorf("%q: %v, want an error", text, have)
		}
	}
}

func TestTimesHaveAZone(t *testing.T) {
	for zone, want := range map[string]string{
		"UTC": "Thu Jan 01 00:00:00 UTC 1970", "Europe/Berlin": "Thu Jan 01 01:00:00 CET 1970", "Asia/Dubai": "Thu Jan 01 04:00:00 GMT+04:00 1970",
	} {
		if have := javaTime(0, zoneNamed(t, zone)); have != want {
			t.Errorf("%s: %s, want %s", zone, have, want)
		}
	}
}

func zoneNamed(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}
