package zkserver

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
)

// limitAndFill sets quotas and changes nodes below them, in a session that it closes. It returns the code of each request, and the
// statistics after it.
func limitAndFill(c *rawClient) (seen []string) {
	c.t.Helper()
	stats := func(limited string) string {
		var data jute.GetDataResponse
		if a, _ := c.call(jute.OpGetData, &jute.PathWatchRequest{Path: "/zookeeper/quota" + limited + "/zookeeper_stats"}); a.header.Err != 0 {
			return "-"
		} else if _, err := jute.Decode(a.body, &data); err != nil {
			c.t.Fatal(err)
		}
		return fmt.Sprintf("%s (version %d)", data.Data, data.Stat.Version)
	}
	do := func(op jute.Op, body jute.Record) {
		c.t.Helper()
		a, _ := c.call(op, body)
		seen = append(seen, fmt.Sprintf("%d: %v %+v: %d, %s, %s", len(seen), op, body, a.header.Err, stats("/q"), stats("/q/deep")))
	}
	create := func(path, data string) {
		c.t.Helper()
		do(jute.OpCreate, &jute.CreateRequest{Path: path, Data: []byte(data), ACL: openACL})
	}
	set := func(path, data string) {
		c.t.Helper()
		do(jute.OpSetData, &jute.SetDataRequest{Path: path, Data: []byte(data), Version: -1})
	}
	remove := func(path string) {
		c.t.Helper()
		do(jute.OpDelete, &jute.PathVersionRequest{Path: path, Version: -1})
	}
	create("/q", "12345")
	create("/q/a", "")
	create("/zookeeper/quota/q", "")
	create("/zookeeper/quota/q/zookeeper_limits", "count=5,bytes=20=;countHardLimit=8;byteHardLimit=40")
	create("/q/uncounted", "1")
	create("/zookeeper/quota/q/zookeeper_stats", "count=-1,bytes=-1")
	create("/q/deep", "123")
	create("/q/deep/x", "1234")
	create("/zookeeper/quota/q/deep", "")
	create("/zookeeper/quota/q/deep/zookeeper_limits", "count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=4")
	create("/zookeeper/quota/q/deep/zookeeper_stats", "")
	create("/q/deep/y", "12")
	create("/q/deep/z", "1") // the fourth
	create("/q/deep/w", "1")
	remove("/q/deep/x")
	create("/qother", "not counted")
	set("/q/a", "1234567890")
	set("/q/a", "1234567890123456789012345678901234567890") // too long
	set("/q/deep/y", "of the deeper quota, without a limit for bytes")
	set("/q/deep/y", "")
	do(jute.OpMulti, &jute.MultiRequest{Ops: []jute.MultiOp{{Type: jute.OpCreate, Body: &jute.CreateRequest{Path: "/q/m", Data: []byte("m"), ACL: openACL}},
		{Type: jute.OpCheck, Body: &jute.PathVersionRequest{Path: "/q/m", Version: 7}}}})
	do(jute.OpMulti, &jute.MultiRequest{Ops: []jute.MultiOp{{Type: jute.OpCreate, Body: &jute.CreateRequest{Path: "/q/m", Data: []byte("m"), ACL: openACL}},
		{Type: jute.OpDelete, Body: &jute.PathVersionRequest{Path: "/q/a", Version: -1}}}})
	remove("/zookeeper/quota/q/deep/zookeeper_limits")
	create("/q/deep/v", "12") // counts above now
	set("/zookeeper/quota/q/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1")
	create("/q/full", "12345678901234567890")
	create("/q/empty", "")
	c.must(jute.OpCloseSession, nil, nil)
	return seen
}

// compareQuotas compares the answers and statistics of two servers that enforce quotas.
func compareQuotas(t *testing.T, real, ours string) {
	t.Helper()
	got, want := limitAndFill(connectRaw(t, ours)), limitAndFill(connectRaw(t, real))
	pointer := regexp.MustCompile(`0x[0-9a-f]+`)
	for i := range want {
		if a, b := pointer.ReplaceAllString(got[i], "*"), pointer.ReplaceAllString(want[i], "*"); a != b {
			t.Errorf("quotas:\n  got  %s\n  want %s", a, b)
		}
	}
}

func TestQuotasAreCountedAgainAfterARestart(t *testing.T) {
	fsys := vfs.NewMem()
	s := startMem(t, func(c *Config) { c.FS = fsys })
	before := limitAndFill(connectRaw(t, s.Address()))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	again := startMem(t, func(c *Config) { c.FS = fsys })
	c := connectRaw(t, again.Address())
	var children jute.GetChildren2Response
	for _, path := range []string{"/q", "/q/deep"} {
		c.must(jute.OpGetChildren2, &jute.PathWatchRequest{Path: path}, &children)
	}
	var data jute.GetDataResponse
	c.must(jute.OpGetData, &jute.PathWatchRequest{Path: "/zookeeper/quota/q/zookeeper_stats"}, &data)
	nodes := 1 // /q itself
	for _, parent := range []string{"/q", "/q/deep"} {
		c.must(jute.OpGetChildren2, &jute.PathWatchRequest{Path: parent}, &children)
		nodes += len(children.Children)
	}
	if !regexp.MustCompile(fmt.Sprintf(`^count=%d,bytes=\d+$`, nodes)).Match(data.Data) {
		t.Errorf("%s, want a count of %d; before: %s", data.Data, nodes, before[len(before)-1])
	}
}
