package zkserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkserver/txnlog"
)

// pendingMost is how many bytes of frames and transactions the owner collects while the committer
// waits for the disk.
const pendingMost = 8 << 20

// Server is a running server.
type Server struct {
	config   *Config
	store    *txnlog.Store
	listener net.Listener
	machine  *machine // of the owner

	events  chan event // to the owner
	commits chan *work // from the owner to the committer
	done    chan done  // to the owner, from the committer and the saver
	saves   chan *tree.Snapshot
	quit    chan struct{} // closed when the server is to end
	ended   chan struct{} // closed when it has ended

	running sync.WaitGroup // of connections and the listener

	mu       sync.Mutex
	stopping bool
	err      error
	conns    map[*outbox]bool
	perHost  map[string]int
}

// event is what happened to a connection.
type event struct {
	kind    eventKind
	client  *client
	content []byte
}

type eventKind int

// done is what the committer or the saver has done.
type done struct {
	frames        []frame // that were sent
	transactions  int     // that were made durable
	saved, failed bool    // whether a snapshot was to be saved, and was not
	took          time.Duration
}

const (
	rejected  eventKind = iota // without a client, because of maxClientCnxns
	oversized                  // because of jute.maxbuffer
	accepted
	connectSent
	requestSent
	wordSent
	lost
)

// Start opens the files and serves. It returns when clients can connect.
func Start(c *Config) (*Server, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", c.address())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	store, t, err := txnlog.Open(txnlog.Config{FS: c.FS, DataDir: c.DataDir, LogDir: c.LogDir, Preallocate: c.PreallocateSize, NoSync: !c.ForceSync,
		Warn: func(format string, args ...any) { c.Log(Warning, format, args...) }})
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	c.Port = listener.Addr().(*net.TCPAddr).Port
	s := &Server{config: c, store: store, listener: listener, machine: newMachine(c, t, time.Now().UnixMilli()),
		events: make(chan event, 256), commits: make(chan *work), done: make(chan done), saves: make(chan *tree.Snapshot, 1),
		quit: make(chan struct{}), ended: make(chan struct{}), conns: map[*outbox]bool{}, perHost: map[string]int{}}
	s.machine.usage, s.machine.since = store.Usage, store.SinceSave
	s.machine.stats.started.add(time.Since(began).Milliseconds())
	s.machine.stats.replayed.add(int64(store.SinceSave))
	if c.EndSessions {
		for _, id := range t.Sessions() {
			s.machine.endSession(id)
		}
	}
	c.Log(Info, "read %d nodes and %d sessions in %d ms; the last transaction is 0x%x", t.Count(), len(t.Sessions()), time.Since(began).Milliseconds(), t.Zxid())
	var workers sync.WaitGroup
	workers.Go(s.own)
	workers.Go(s.commit)
	workers.Go(s.save)
	s.running.Go(s.accept)
	go func() {
		workers.Wait()
		s.running.Wait()
		s.fail(store.Close())
		close(s.ended)
	}()
	return s, nil
}

// Address returns host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Ended returns a channel that is closed when the server has ended, because of Stop or an error.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Stop ends the server. Requests that were not answered may have been carried out. It returns the
// first error, also if it ended the server earlier.
func (s *Server) Stop() error {
	s.shutDown(nil)
	<-s.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail notes the first error.
func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// shutDown makes all goroutines end. err is the reason, or nil.
func (s *Server) shutDown(err error) {
	s.fail(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.stopping = true
	_ = s.listener.Close()
	for out := range s.conns {
		out.abort()
	}
	close(s.quit)
}

// accept accepts connections until the listener is closed.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as too many open files
			s.config.Log(Warning, "a connection cannot be accepted: %v", err)
			select {
			case <-s.quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		out := newOutbox(conn)
		id := addressID(conn.RemoteAddr())
		if !s.admit(out, id.ID) {
			_ = conn.Close()
			s.post(event{kind: rejected})
			continue
		}
		c := &client{link: out, address: id, text: "/" + conn.RemoteAddr().String()}
		s.running.Go(out.run)
		s.running.Go(func() {
			defer s.dismiss(out, id.ID)
			if s.post(event{kind: accepted, client: c}) {
				s.readAll(conn, c, out)
				s.post(event{kind: lost, client: c})
			}
		})
	}
}

// readAll reads a connection to its end. The connection is closed, unless the answer to a four-letter
// word is still to be sent.
func (s *Server) readAll(conn net.Conn, c *client, out *outbox) {
	err := s.read(conn, c, out)
	if err == nil {
		_, _ = io.Copy(io.Discard, conn) // until the answer is sent
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
		s.config.Log(Info, "the connection from %s is closed: %v", c.text, err)
	}
	out.abort()
}

// admit reports whether one more connection from a host is accepted.
func (s *Server) admit(out *outbox, host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	if most := s.config.MaxClientCnxns; most > 0 && s.perHost[host] >= most {
		s.config.Log(Warning, "too many connections from %s: maxClientCnxns is %d", host, most)
		return false
	}
	s.perHost[host]++
	s.conns[out] = true
	return true
}

func (s *Server) dismiss(out *outbox, host string) {
	out.abort()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, out)
	if s.perHost[host]--; s.perHost[host] == 0 {
		delete(s.perHost, host)
	}
}

// post passes an event to the owner. It reports false if the server ends.
func (s *Server) post(e event) bool {
	select {
	case s.events <- e:
		return true
	case <-s.quit:
		return false
	}
}

// own runs the machine, as the owner, and passes what the machine produced to the committer
// whenever that is ready.
func (s *Server) own() {
	defer close(s.commits)
	tick := time.NewTicker(time.Duration(s.config.TickTimeMs) * time.Millisecond)
	defer tick.Stop()
	expire := time.NewTicker(time.Duration(s.config.ExpireNodesMs) * time.Millisecond)
	defer expire.Stop()
	m, began := s.machine, time.Now()
	for {
		events, commits := s.events, s.commits
		if len(m.pending.frames) == 0 && m.pending.batch.Count() == 0 {
			commits = nil
		}
		if m.pending.bytes+m.pending.batch.Size() > pendingMost {
			events = nil
		}
		select {
		case e := <-events:
			m.setTime(began)
			m.happened(e)
		case commits <- m.pending:
			m.taken()
		case d := <-s.done:
			m.setTime(began)
			m.finished(d)
		case <-tick.C:
			m.setTime(began)
			m.tick()
		case <-expire.C:
			m.setTime(began)
			m.expireNodes()
		case <-s.quit:
			return
		}
	}
}

// setTime sets the time of the next call. It is not 0, which has a meaning in frames.
func (m *machine) setTime(began time.Time) {
	now := time.Now()
	m.nowMs, m.aliveMs = now.UnixMilli(), max(1, now.Sub(began).Milliseconds())
}

// happened handles an event.
func (m *machine) happened(e event) {
	c := e.client
	switch e.kind {
	case rejected:
		m.stats.rejected++
	case oversized:
		m.stats.oversized++
	case accepted:
		m.opened(c)
	case connectSent:
		m.connect(c, e.content)
	case requestSent:
		m.request(c, e.content)
	case wordSent:
		m.received(c, 0)
		c.stats.outstanding = 0
		c.ended = true
		m.pending.frames = append(m.pending.frames, frame{to: c, content: []byte(m.word(string(e.content))), last: true})
	case lost:
		m.closed(c)
	}
}

// commit makes transactions durable, and then sends the frames, as the committer.
func (s *Server) commit() {
	defer close(s.saves)
	for w := range s.commits {
		began := time.Now()
		if err := s.store.Commit(&w.batch); err != nil {
			s.config.Log(Failure, "the server stops, because a transaction log cannot be written: %v", err)
			s.shutDown(err)
			continue
		}
		d := done{frames: w.frames, transactions: w.batch.Count(), took: time.Since(began)}
		for _, f := range w.frames {
			if f.content != nil {
				f.to.link.send(f.content)
			}
			if f.last {
				f.to.link.finish()
			}
		}
		if w.snapshot != nil {
			s.fail(s.store.Roll())
			select {
			case s.saves <- w.snapshot:
			default: // the previous one is still being saved
			}
		}
		s.report(d)
	}
}

// report passes to the owner what is done.
func (s *Server) report(d done) {
	select {
	case s.done <- d:
	case <-s.quit:
	}
}

// save saves snapshots, and deletes old files from time to time.
func (s *Server) save() {
	var purge <-chan time.Time
	if s.config.PurgeHours > 0 {
		ticker := time.NewTicker(time.Duration(s.config.PurgeHours) * time.Hour)
		defer ticker.Stop()
		purge = ticker.C
		s.purge()
	}
	for {
		select {
		case snapshot, ok := <-s.saves:
			if !ok {
				return
			}
			began := time.Now()
			err := s.store.Save(snapshot)
			if err != nil {
				s.config.Log(Warning, "%v; the transaction logs are kept, the next snapshot will be tried later", err)
			}
			s.report(done{saved: true, failed: err != nil, took: time.Since(began)})
		case <-purge:
			s.purge()
		}
	}
}

func (s *Server) purge() {
	if err := s.store.Purge(s.config.RetainSnapshots); err != nil {
		s.config.Log(Warning, "old snapshots and logs cannot be deleted: %v", err)
	}
}

// String describes the server for its first log line.
func (s *Server) String() string {
	return fmt.Sprintf("embedded ZooKeeper server on %s, snapshots in %s, transaction logs in %s", s.Address(), s.config.snapshotDir(), s.config.logDir())
}
