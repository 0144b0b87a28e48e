package transaction

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
)

// Config is what a Coordinator needs.
type Config struct {
	Options  Options
	Topic    coordinator.Topic // __transaction_state
	Metadata *metadata.Cache
	// NextProducerID returns a producer id that was never used.
	NextProducerID func(context.Context) (int64, error)
	// WriteMarkers writes the markers of partitions that this broker leads. If it is nil, they are
	// sent in a request, like the others.
	WriteMarkers func(context.Context, *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse
	Dial         peerlink.Dialer // nil: TCP
	Logger       *logrus.Logger
	Steps        *Steps // nil: goroutines and the real clock
}

// Coordinator is a broker's transaction coordinator. It implements replication.LeadershipListener.
// Create it with NewCoordinator, call Start before requests are served and Stop before the
// replication stops.
type Coordinator struct {
	opts           Options
	topic          coordinator.Topic
	metadata       *metadata.Cache
	nextProducerID func(context.Context) (int64, error)
	now            func() time.Time
	logs           [MarkerLine + 1]logOfSource

	rt      *coordinator.Runtime[entry]
	timers  *coordinator.Timers[*entry]
	markers *markerSender
	slots   sync.Pool // of chan Result with one slot
}

// logOfSource is the log of a Kafka class, with the prefix of its lines.
type logOfSource struct {
	*logrus.Entry
	prefix string
}

// entry is a transactional id with its lock.
type entry struct {
	mu  sync.Mutex // guards txn, changes of unloaded, and the use of Alarm
	txn *Transaction
	// unloaded is set when the broker stops leading the partition. No record is appended for the
	// entry afterwards, since the next term of leadership may have begun.
	unloaded atomic.Bool

	coordinator.Alarm // when the transaction times out
}

// partition returns the partition of __transaction_state that stores the id. It does not change.
func (e *entry) partition() int32 { return e.txn.Home.Partition }

var _ replication.LeadershipListener = (*Coordinator)(nil)

// NewCoordinator returns a coordinator without transactional ids. It refuses requests until Start is
// called.
func NewCoordinator(cfg Config) *Coordinator {
	steps := cfg.steps()
	c := &Coordinator{opts: cfg.Options, topic: cfg.Topic, metadata: cfg.Metadata, nextProducerID: cfg.NextProducerID, now: steps.Now, timers: coordinator.NewTimers[*entry](steps.Now)}
	c.slots.New = func() any { return make(chan Result, 1) }
	for source, name := range map[Source][2]string{
		CoordinatorLine:  {"TransactionCoordinator", "[TransactionCoordinator id=%d] "},
		StateManagerLine: {"TransactionStateManager", "[Transaction State Manager %d]: "},
		MetadataLine:     {"TransactionMetadata", ""},
		MarkerLine:       {"TransactionMarkerChannelManager", "[Transaction Marker Channel Manager %d]: "},
	} {
		c.logs[source] = logOfSource{kafkalog.For(cfg.Logger, "kafka.coordinator.transaction."+name[0]), prefixOf(name[1], cfg.Options.BrokerID)}
	}
	c.rt = coordinator.New(coordinator.Config[entry]{
		TopicName: metadata.TransactionStateTopic, Partitions: cfg.Options.Partitions, Topic: cfg.Topic,
		ParallelLoads: cfg.Options.ParallelLoads, LoadBuffer: cfg.Options.LoadBuffer, NewLoad: c.newLoad, Replicated: true,
		Now: steps.Now, Drive: steps.Drive,
	})
	c.markers = newMarkerSender(c, &cfg)
	return c
}

// Start makes the coordinator accept requests, and begins to abort transactions that time out and to
// remove ids that expire.
func (c *Coordinator) Start() {
	c.logf(Info, CoordinatorLine, "Starting up.")
	c.rt.Every(c.opts.AbortInterval, c.AbortTimedOut)
	c.rt.Every(c.opts.RemoveInterval, c.RemoveExpired)
	c.rt.Start()
	c.logf(Info, CoordinatorLine, "Startup complete.")
}

// Stop refuses further requests and waits until all goroutines of the coordinator have ended. It does
// not end requests, which wait until their context ends.
func (c *Coordinator) Stop() {
	c.logf(Info, CoordinatorLine, "Shutting down.")
	c.markers.cancel()
	c.rt.Stop()
	c.markers.close()
	c.logf(Info, CoordinatorLine, "Shutdown complete.")
}

// PartitionFor returns the partition of __transaction_state that stores the transactional id.
func (c *Coordinator) PartitionFor(id string) int32 { return c.rt.PartitionFor(id) }

// step makes one step of a transactional id and carries out its effects. It returns false, and does
// nothing, if the id is unloaded.
func (c *Coordinator) step(e *entry, do func(t *Transaction, now time.Time) *Effects) bool {
	e.mu.Lock()
	if e.unloaded.Load() {
		e.mu.Unlock()
		return false
	}
	c.carryOut(e, do(e.txn, c.now()))
	return true
}

// carryOut carries out the effects of a step; nil: none. The caller must hold e.mu, which carryOut
// releases.
func (c *Coordinator) carryOut(e *entry, effects *Effects) {
	if effects == nil {
		e.mu.Unlock()
		return
	}
	tr := effects.Append
	var written replication.Written
	appended := false
	if tr != nil && !effects.Retry {
		written, appended = c.append(e, effects)
	}
	c.arm(e)
	e.mu.Unlock()
	c.deliver(e, effects)
	if appended {
		c.rt.AfterReplicated(e.partition(), written, c.patience(tr), func(err error) { c.appended(e, tr, err) })
	}
}

// patience returns how long to wait until the record of a transition is replicated: for the timeout
// of the transaction, as Kafka does, but at least request.timeout.ms if no request waits. A shorter
// timeout would fail every attempt to end the transaction, which would then stay open.
func (c *Coordinator) patience(tr *Transition) time.Duration {
	timeout := time.Duration(tr.timeoutMs) * time.Millisecond
	if tr.to == nil {
		timeout = max(timeout, c.opts.RequestTimeout)
	}
	return timeout
}

// append appends the record of the effects. If that fails, it passes the error to the transaction at
// once and adds the resulting effects. The caller must hold e.mu.
func (c *Coordinator) append(e *entry, effects *Effects) (written replication.Written, ok bool) {
	b := newBatch(c.now())
	err := b.add(e.txn, effects.Append)
	if err == nil {
		written, err = c.appendBatch(e.partition(), b)
	}
	if err == nil {
		return written, true
	}
	more := e.txn.Appended(c.now(), effects.Append, protocol.CodeOf(err))
	effects.Append, effects.Retry = more.Append, more.Retry
	effects.Answers = append(effects.Answers, more.Answers...)
	effects.Lines = append(effects.Lines, more.Lines...)
	return written, false
}

// appended passes the outcome of an append to the transaction.
func (c *Coordinator) appended(e *entry, tr *Transition, err error) {
	code := protocol.CodeOf(err)
	e.mu.Lock()
	if e.unloaded.Load() {
		code = protocol.NotCoordinator
	}
	c.carryOut(e, e.txn.Appended(c.now(), tr, code))
}

// appendAgain appends a record whose append has failed.
func (c *Coordinator) appendAgain(e *entry, tr *Transition) {
	c.step(e, func(*Transaction, time.Time) *Effects { return &Effects{Append: tr} })
}

// arm sets the timer to the timeout of the transaction, unless the id is unloaded. The caller must hold
// e.mu.
func (c *Coordinator) arm(e *entry) {
	if at, ongoing := e.txn.TimesOut(); ongoing && !e.unloaded.Load() {
		c.timers.Arm(e, at)
	}
}

// deliver hands over markers and retries, sends the answers and logs the lines. It does not block,
// because every channel has one slot and gets one answer.
func (c *Coordinator) deliver(e *entry, effects *Effects) {
	for i := range effects.Answers {
		effects.Answers[i].To <- effects.Answers[i].Result
	}
	for i := range effects.Lines {
		l := &effects.Lines[i]
		c.log(l.Level, l.From, l.Text)
	}
	if effects.Remove {
		c.rt.Remove(e.txn.ID, e)
	}
	if effects.Markers != nil {
		c.markers.send(&markerJob{e: e, markers: effects.Markers, partitions: effects.Markers.Partitions})
	}
	if effects.Append != nil && effects.Retry {
		c.markers.later(retry{e: e, record: effects.Append})
	}
}

// recordBatch is a batch of records of __transaction_state. Kafka never compresses them.
type recordBatch struct {
	builder *record.Builder
	nowMs   int64
	scratch []byte
}

func newBatch(now time.Time) *recordBatch {
	return &recordBatch{builder: record.NewBuilder(record.Defaults()), nowMs: now.UnixMilli(), scratch: make([]byte, 0, 256)}
}

// add adds the record of a transition.
func (b *recordBatch) add(t *Transaction, tr *Transition) error {
	b.scratch = t.AppendKey(b.scratch[:0])
	key := len(b.scratch)
	if tr.Tombstone() {
		return b.builder.Append(b.nowMs, b.scratch, nil)
	}
	b.scratch = tr.AppendValue(b.scratch)
	return b.builder.Append(b.nowMs, b.scratch[:key:key], b.scratch[key:])
}

// appendBatch appends the records as the partition's leader.
func (c *Coordinator) appendBatch(partition int32, b *recordBatch) (replication.Written, error) {
	batch, err := b.builder.Build()
	if err != nil {
		return replication.Written{}, err
	}
	return c.topic.Append(partition, batch, nil, -1)
}
