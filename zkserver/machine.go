package zkserver

import (
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkserver/txnlog"
)

// machine is the server without a clock, files and sockets. Its methods take what happened, and add
// what is to be done to pending.
type machine struct {
	config  *Config
	tree    *tree.Tree
	nowMs   int64 // the date of the current call, which transactions get
	aliveMs int64 // the time of the current call since the start, which sessions expire by: dates jump
	cxid    int32 // of the current request
	updates bool  // the current request is in the log
	clients map[*client]bool
	current map[int64]*client // by session
	pending *work
	since   int // transactions since the last snapshot
	stats   stats
	usage   func() (snapshots, logs int64) // bytes on disk
}

// work is what the committer does, in this order: make the transactions durable, and send the
// frames.
type work struct {
	batch    txnlog.Batch
	frames   []frame
	bytes    int            // of the frames
	snapshot *tree.Snapshot // to be saved after the transactions, or nil
}

// frame is for one connection.
type frame struct {
	to         *client
	content    []byte
	last       bool  // close the connection afterwards
	receivedMs int64 // time of the request since the start, or 0 if it is not a response
	update     bool  // the response to a request that is in the log
}

// client is a connection, and its session once it has one. The machine owns all fields but link and
// address.
type client struct {
	link    link
	address jute.ID
	text    string // of the address, for lists

	session   int64 // 0: none yet
	timeoutMs int64
	ids       []jute.ID
	ended     bool // no more requests are read
	stats     connectionStats
}

// link is the socket of a client. Both methods return without waiting.
type link interface {
	// send queues bytes.
	send(b []byte)
	// finish closes the connection after what is queued was sent.
	finish()
}

func newMachine(config *Config, t *tree.Tree, nowMs int64) *machine {
	m := &machine{config: config, tree: t, nowMs: nowMs, clients: map[*client]bool{}, current: map[int64]*client{}, pending: &work{}, stats: stats{responses: summary{min: -1, max: -1, last: -1}},
		usage: func() (int64, int64) { return 0, 0 }}
	t.TTLNodes, t.EnforceQuotas = config.TTLNodes, config.Quotas
	t.Record = func(header jute.TxnHeader, txn jute.Record) {
		header.Time, header.Cxid = m.nowMs, m.cxid
		m.pending.batch.Add(&header, txn)
		m.since++
		m.updates = true
	}
	// As in Apache ZooKeeper, ids begin with the number of the server, which is 1 for a single one,
	// and the time of its start.
	const serverID = 1
	t.StartIDs(int64(uint64(nowMs)<<24>>8) | serverID<<56)
	t.HeardAll(0)
	return m
}

// taken starts the next work, after the committer has got the pending one. If a snapshot is due, it
// becomes part of it.
func (m *machine) taken() {
	m.pending = &work{}
	if m.since >= m.config.SnapCount {
		m.pending.snapshot, m.since = m.tree.Snapshot(), 0
	}
}

// respond adds a frame with a response.
func (m *machine) respond(c *client, records ...jute.Record) {
	m.stats.responses.add(int64(m.send(frame{to: c, receivedMs: m.aliveMs, update: m.updates}, records...)))
}

// send adds a frame with the records and returns its size.
func (m *machine) send(f frame, records ...jute.Record) int {
	f.content = jute.Frame(records...)
	m.pending.frames = append(m.pending.frames, f)
	m.pending.bytes += len(f.content)
	f.to.stats.sent++
	m.stats.sent++
	return len(f.content)
}

// end closes a connection after what was sent so far.
func (m *machine) end(c *client) {
	if !c.ended {
		c.ended = true
		m.pending.frames = append(m.pending.frames, frame{to: c, last: true})
	}
}

// fire sends the events of the last change to the sessions that watch.
func (m *machine) fire(events []tree.Event) { m.sendEvents(m.tree.Zxid(), events) }

// sendEvents sends events with the zxid of their change, or -1.
func (m *machine) sendEvents(zxid int64, events []tree.Event) {
	const connected = 3
	m.stats.countFired(events)
	for _, e := range events {
		if c := m.current[e.Session]; c != nil {
			m.stats.eventBytes += int64(m.send(frame{to: c}, &jute.ReplyHeader{Xid: jute.EventXid, Zxid: zxid}, &jute.WatcherEvent{Type: int32(e.Type), State: connected, Path: e.Path}))
		}
	}
}

// opened adds a connection that was accepted.
func (m *machine) opened(c *client) {
	m.clients[c] = true
	c.stats.openedMs = m.nowMs
	c.ids = []jute.ID{c.address}
}

// closed removes a connection that was lost or closed. The session remains.
func (m *machine) closed(c *client) {
	delete(m.clients, c)
	m.stats.dropped++
	c.ended = true
	m.leave(c)
}

// leave separates a connection from its session. Watches belong to the connection.
func (m *machine) leave(c *client) {
	if c.session != 0 && m.current[c.session] == c {
		m.tree.Unwatch(c.session)
		delete(m.current, c.session)
	}
}

// connect handles the first frame of a connection, which opens a session or continues one.
func (m *machine) connect(c *client, content []byte) {
	m.received(c, len(content))
	m.stats.connects++
	var r jute.ConnectRequest
	if _, err := jute.Decode(content, &r); err != nil || r.LastZxidSeen > m.tree.Zxid() {
		m.end(c) // a client that has seen what this server has not must use another one
		return
	}
	c.timeoutMs = min(max(int64(r.TimeOut), m.config.MinSessionTimeoutMs), m.config.MaxSessionTimeoutMs)
	response := jute.ConnectResponse{TimeOut: int32(c.timeoutMs), Password: make([]byte, passwordLength), Old: r.Old()}
	switch {
	case r.SessionID == 0:
		c.session = m.tree.Open(m.aliveMs, c.timeoutMs)
	case isPassword(r.Password, r.SessionID) && m.tree.Reopen(r.SessionID, m.aliveMs, c.timeoutMs) == nil:
		if before := m.current[r.SessionID]; before != nil {
			m.leave(before)
			m.end(before)
		}
		c.session = r.SessionID
	default: // expired
		response.TimeOut = 0
		m.respond(c, &response)
		m.end(c)
		return
	}
	m.current[c.session] = c
	m.tree.Identify(c.session, c.ids)
	response.SessionID, response.Password = c.session, passwordOf(c.session)
	c.stats.last = jute.OpCreateSession
	m.respond(c, &response)
}

// tick ends the sessions whose clients were silent for too long.
func (m *machine) tick() {
	for _, id := range m.tree.Due(m.aliveMs) {
		m.stats.expired++
		m.endSession(id)
	}
}

// endSession closes a session and its connection.
func (m *machine) endSession(id int64) {
	m.fire(m.tree.End(id))
	if c := m.current[id]; c != nil {
		delete(m.current, id)
		m.end(c)
	}
}

// expireNodes deletes container and TTL nodes that are no longer needed.
func (m *machine) expireNodes() {
	m.cxid = 0
	for _, path := range m.tree.Expired(m.nowMs) {
		m.fire(m.tree.Expire(path, m.nowMs))
	}
}

// connectionStats are the counters of a connection.
type connectionStats struct {
	openedMs       int64
	received, sent int64
	outstanding    int64
	last           jute.Op
	lastXid        int64
	lastZxid       int64
	respondedMs    int64
	latency        summary
}

// received counts a packet, without the bytes of its length.
func (m *machine) received(c *client, n int) {
	m.stats.received++
	m.stats.receivedBytes += 4 + int64(n)
	m.updates = false
	c.stats.received++
	c.stats.outstanding++
}

// finished counts what was done.
func (m *machine) finished(d done) {
	ms := d.took.Milliseconds()
	switch {
	case d.saved && d.failed:
		m.stats.failedSnapshots++
	case d.saved:
		m.stats.snapshots.add(ms)
	case d.transactions > 0:
		m.stats.syncs.add(ms)
		m.stats.batches.add(int64(d.transactions))
	}
	m.delivered(d.frames)
}

// delivered counts the frames that were sent.
func (m *machine) delivered(frames []frame) {
	for _, f := range frames {
		if f.receivedMs == 0 {
			continue
		}
		ms := max(0, m.aliveMs-f.receivedMs)
		m.stats.latency.add(ms)
		if f.update {
			m.stats.updates.add(ms)
		} else {
			m.stats.reads.add(ms)
		}
		f.to.stats.latency.add(ms)
		f.to.stats.outstanding--
		f.to.stats.respondedMs = m.nowMs
	}
}

// list returns the connections in the order of their addresses.
func (m *machine) list() []*client {
	return slices.SortedFunc(maps.Keys(m.clients), func(a, b *client) int { return strings.Compare(a.text, b.text) })
}
