package zkserver

import (
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// words are the four-letter words, which a client sends instead of a frame. Each is answered with
// text, after which the connection is closed.
var words = map[string]func(m *machine, out *strings.Builder){
	"ruok": func(_ *machine, out *strings.Builder) { out.WriteString("imok") },
	"isro": func(_ *machine, out *strings.Builder) { out.WriteString("rw") },
	"srvr": (*machine).srvr,
	"stat": (*machine).stat,
	"mntr": (*machine).mntr,
	"cons": (*machine).cons,
	"conf": (*machine).conf,
	"wchs": (*machine).wchs,
	"dump": (*machine).dump,
	"envi": (*machine).envi,
}

// word returns the answer to a four-letter word.
func (m *machine) word(name string) string {
	if !m.config.Words[name] && !m.config.Words["*"] && name != "srvr" {
		return name + " is not executed because it is not in the whitelist.\n"
	}
	var out strings.Builder
	words[name](m, &out)
	return out.String()
}

func (m *machine) srvr(out *strings.Builder) {
	fmt.Fprintf(out, "Zookeeper version: %s\n", m.config.Version)
	m.summary(out)
}

func (m *machine) stat(out *strings.Builder) {
	fmt.Fprintf(out, "Zookeeper version: %s\nClients:\n", m.config.Version)
	for _, c := range m.list() {
		fmt.Fprintf(out, " %s[%x](queued=%d,recved=%d,sent=%d)\n", c.text, c.interest(), c.stats.outstanding, c.stats.received, c.stats.sent)
	}
	out.WriteString("\n")
	m.summary(out)
}

// interest returns 1 if more requests are read from the connection.
func (c *client) interest() int {
	if c.ended {
		return 0
	}
	return 1
}

func (m *machine) summary(out *strings.Builder) {
	l := &m.stats.latency
	fmt.Fprintf(out, "Latency min/avg/max: %d/%s/%d\nReceived: %d\nSent: %d\nConnections: %d\nOutstanding: %d\nZxid: 0x%x\nMode: standalone\nNode count: %d\n",
		l.min, decimal(l.average()), l.max, m.stats.received, m.stats.sent, len(m.clients), m.outstanding(), m.tree.Zxid(), m.nodeCount())
}

// decimal writes a number as Java does, with up to four digits after the point.
func decimal(x float64) string {
	text := strconv.FormatFloat(math.Round(x*10000)/10000, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// nodeCount counts the root twice, as Apache ZooKeeper does.
func (m *machine) nodeCount() int { return m.tree.Count() + 1 }

func (m *machine) outstanding() (sum int64) {
	for c := range m.clients {
		sum += c.stats.outstanding
	}
	return sum
}

func (m *machine) cons(out *strings.Builder) {
	for _, c := range m.list() {
		s := &c.stats
		fmt.Fprintf(out, " %s[%x](queued=%d,recved=%d,sent=%d", c.text, c.interest(), s.outstanding, s.received, s.sent)
		if c.session != 0 {
			fmt.Fprintf(out, ",sid=0x%x,lop=%s,est=%d,to=%d,lcxid=0x%x,lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d", uint64(c.session),
				s.last, s.openedMs, c.timeoutMs, uint64(s.lastXid), uint64(s.lastZxid), s.respondedMs, s.latency.last, s.latency.min, int64(s.latency.average()), s.latency.max)
		}
		out.WriteString(")\n")
	}
	out.WriteString("\n")
}

func (m *machine) conf(out *strings.Builder) {
	c := m.config
	snapshots, logs := m.usage()
	fmt.Fprintf(out, "clientPort=%d\nsecureClientPort=-1\ndataDir=%s\ndataDirSize=%d\ndataLogDir=%s\ndataLogSize=%d\ntickTime=%d\nmaxClientCnxns=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\nclientPortListenBacklog=-1\nserverId=0\n",
		c.Port, c.snapshotDir(), snapshots, c.logDir(), logs, c.TickTimeMs, c.MaxClientCnxns, c.MinSessionTimeoutMs, c.MaxSessionTimeoutMs)
}

// envi writes the version, which some clients read here, and a few properties of the machine.
func (m *machine) envi(out *strings.Builder) {
	host, _ := os.Hostname()
	fmt.Fprintf(out, "Environment:\nzookeeper.version=%s\nhost.name=%s\nos.name=%s\nos.arch=%s\n", m.config.Version, host, runtime.GOOS, runtime.GOARCH)
}

func (m *machine) wchs(out *strings.Builder) {
	sessions, paths, all := m.tree.Watched()
	fmt.Fprintf(out, "%d connections watching %d paths\nTotal watches:%d\n", sessions, paths, all)
}

func (m *machine) dump(out *strings.Builder) {
	ids := m.tree.Sessions()
	expiry := map[int64][]string{}
	connections := map[int64][]string{}
	for _, id := range ids {
		at := m.roundUp(m.tree.Expiry(id) - m.aliveMs + m.nowMs)
		expiry[at] = append(expiry[at], fmt.Sprintf("0x%x", uint64(id)))
	}
	for _, c := range m.list() {
		at := m.roundUp(m.nowMs + c.timeoutMs)
		connections[at] = append(connections[at], fmt.Sprintf("ip: %s sessionId: 0x%x", c.text, uint64(c.session)))
	}
	out.WriteString("SessionTracker dump:\nSession ")
	sets(out, expiry)
	out.WriteString("ephemeral nodes dump:\n")
	owners := 0
	var nodes strings.Builder
	for _, id := range ids {
		if paths, _ := m.tree.Ephemerals(id, ""); len(paths) > 0 {
			owners++
			fmt.Fprintf(&nodes, "0x%x:\n\t%s\n", uint64(id), strings.Join(paths, "\n\t"))
		}
	}
	fmt.Fprintf(out, "Sessions with Ephemerals (%d):\n%sConnections dump:\nConnections ", owners, nodes.String())
	sets(out, connections)
}

// roundUp returns the next multiple of the tick after a time.
func (m *machine) roundUp(ms int64) int64 { return (ms/m.config.TickTimeMs + 1) * m.config.TickTimeMs }

// sets writes what expires at which time in milliseconds.
func sets(out *strings.Builder, expiry map[int64][]string) {
	all := 0
	for _, of := range expiry {
		all += len(of)
	}
	fmt.Fprintf(out, "Sets (%d)/(%d):\n", len(expiry), all)
	for _, at := range slices.Sorted(maps.Keys(expiry)) {
		fmt.Fprintf(out, "%d expire at %s:\n\t%s\n", len(expiry[at]), time.UnixMilli(at).Format("Mon Jan 02 15:04:05 MST 2006"), strings.Join(expiry[at], "\n\t"))
	}
}
