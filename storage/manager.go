package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// ManagerConfig holds what a Manager needs to open log directories.
type ManagerConfig struct {
	FS   vfs.FS
	Dirs []string // log.dirs, in order
	Log  *logrus.Logger
	// BrokerID and ClusterID are written to meta.properties. BrokerID is final; see StoredIdentity
	// for a generated one.
	BrokerID  metadata.BrokerID
	ClusterID string
	// Defaults is the configuration of a topic for which TopicConfig returns nil.
	Defaults *settings.Topic
	// TopicConfig returns the configuration of a topic found on disk, nil for a topic it does not
	// know. TopicConfig itself may be nil.
	TopicConfig func(topic string) *settings.Topic
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Later, if set, runs background and periodic work after a delay, instead of timers and
	// goroutines. Simulations, which have neither, use it.
	Later func(delay time.Duration, f func())
	// Sleep, if set, waits instead of a timer when the cleaner has reached its I/O limit.
	// Simulations, in which other things happen meanwhile, use it.
	Sleep func(time.Duration)
	// Flushed, if set, is called after each sync of a segment with the time that it took. It must
	// return at once.
	Flushed func(took time.Duration)
	// UniqueID returns the 32 characters that distinguish a directory's name from others of the
	// same partition; nil means a random UUID.
	UniqueID func() string
	Options
}

// Options holds the broker's settings for its logs.
type Options struct {
	RecoveryThreads int // num.recovery.threads.per.data.dir
	// The periods of the periodic work; all of it first runs after InitialDelay.
	InitialDelay            time.Duration // log.initial.task.delay.ms
	RetentionCheck          time.Duration // log.retention.check.interval.ms
	FlushCheck              time.Duration // log.flush.scheduler.interval.ms
	RecoveryPointCheckpoint time.Duration // log.flush.offset.checkpoint.interval.ms
	LogStartCheckpoint      time.Duration // log.flush.start.offset.checkpoint.interval.ms
	ProducerExpiryCheck     time.Duration // producer.id.expiration.check.interval.ms
	ProducerExpirationMs    int64         // producer.id.expiration.ms
	KeepTopicIDs            bool          // inter.broker.protocol.version 2.8 and later
	ZstdAllowed             bool          // inter.broker.protocol.version 2.1 and later (KIP-110)
	OpenFiles               int           // number of idle files kept open
	DiskLowWatermark        int64         // monedula.disk.low.watermark.bytes; -1: derived from the volume, 0: none
	Cleaner                 CleanerOptions
}

// DefaultOptions returns Kafka's defaults.
func DefaultOptions() Options {
	return Options{
		RecoveryThreads:         1,
		InitialDelay:            30 * time.Second,
		RetentionCheck:          5 * time.Minute,
		FlushCheck:              settings.Milliseconds(1<<63 - 1),
		RecoveryPointCheckpoint: time.Minute,
		LogStartCheckpoint:      time.Minute,
		ProducerExpiryCheck:     10 * time.Minute,
		ProducerExpirationMs:    24 * 60 * 60 * 1000,
		KeepTopicIDs:            true,
		ZstdAllowed:             true,
		OpenFiles:               1000,
		DiskLowWatermark:        -1,
		Cleaner:                 DefaultCleanerOptions(),
	}
}

// OptionsOf reads the options from a broker's configuration.
func OptionsOf(c *settings.Config) Options {
	o := DefaultOptions()
	o.RecoveryThreads = int(settings.NumRecoveryThreadsPerDataDir.Of(c))
	o.RetentionCheck = settings.Milliseconds(settings.LogRetentionCheckIntervalMs.Of(c))
	o.FlushCheck = settings.Milliseconds(settings.LogFlushSchedulerIntervalMs.Of(c))
	o.RecoveryPointCheckpoint = settings.Milliseconds(int64(settings.LogFlushOffsetCheckpointIntervalMs.Of(c)))
	o.LogStartCheckpoint = settings.Milliseconds(int64(settings.LogFlushStartOffsetCheckpointIntervalMs.Of(c)))
	o.InitialDelay = settings.Milliseconds(settings.LogInitialTaskDelayMs.Of(c))
	o.ProducerExpirationMs = int64(settings.ProducerIDExpirationMs.Of(c))
	o.ProducerExpiryCheck = settings.Milliseconds(int64(settings.ProducerIDExpirationCheckIntervalMs.Of(c)))
	o.KeepTopicIDs = c.IBP().AtLeast("2.8-IV0")
	o.ZstdAllowed = c.IBP().AtLeast("2.1-IV0")
	o.DiskLowWatermark = c.DiskLowWatermark()
	o.Cleaner = cleanerOptionsOf(c)
	return o
}

// smallWriters is the number of small files of a directory that are written at once.
const smallWriters = 32

// Manager owns the log directories and every log in them.
//
// Locks, in the order they are taken: creation, then places.mu, then a Log's, then logs.mu. A
// Manager has no goroutines while idle: timers hand work to two pools per directory and one for the
// periodic tasks, whose goroutines end with the work.
type Manager struct {
	config  ManagerConfig
	env     *environment
	log     *logrus.Entry
	dirs    logDirs
	tasks   *pool // periodic work over all logs
	cleaner *cleaner

	// creation is held for reading while a current log is created, of which many may run at once,
	// and for writing while a log is deleted or replaced, or a future one is created.
	creation sync.RWMutex

	places    *places
	logs      logTable
	announced announced
	defaults  atomic.Pointer[settings.Topic] // ManagerConfig.Defaults, or the last argument of SetDefaults

	failures struct {
		mu        sync.Mutex // guards the fields below
		report    func(dir string)
		pending   []string
		reportLog func(tp TopicPartition)
	}
	closing         atomic.Bool
	recoveryThreads atomic.Int32
	loads           atomic.Pointer[[]*dirLoad] // while Load runs
}

// NewManager locks the directories and checks or writes their meta.properties. A directory that
// fails with an I/O error is taken offline; it is an error if all of them are offline.
func NewManager(c ManagerConfig) (*Manager, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TopicConfig == nil {
		c.TopicConfig = func(string) *settings.Topic { return nil }
	}
	if c.UniqueID == nil {
		c.UniqueID = randomID
	}
	m := &Manager{
		config: c,
		env: &environment{
			fs:           c.FS,
			now:          func() int64 { return c.Now().UnixMilli() },
			jitter:       func(below int64) int64 { return rand.Int64N(below) },
			files:        newFileCache(c.FS, c.OpenFiles),
			schedule:     newScheduler(c.Later),
			logger:       c.Log,
			keepTopicIDs: c.KeepTopicIDs,
			zstdAllowed:  c.ZstdAllowed,
			onFlush:      c.Flushed,
		},
		log:   kafkalog.For(c.Log, "kafka.log.LogManager"),
		tasks: newPool(1),
		logs:  newLogTable(),
	}
	m.env.onLogFailure, m.env.settleMove = m.logGivenUp, m.settleMove
	m.defaults.Store(c.Defaults)
	m.env.expirationMs.Store(c.ProducerExpirationMs)
	m.recoveryThreads.Store(int32(c.RecoveryThreads))
	if err := m.openDirs(); err != nil {
		m.dirs.unlock()
		return nil, err
	}
	m.places = newPlaces(m.dirs, &m.logs)
	m.cleaner = newCleaner(m)
	return m, nil
}

// SetLive applies the options that may change while logs are open: RecoveryThreads, which from then
// on affects only the shutdown, ProducerExpirationMs, and those of the cleaner.
func (m *Manager) SetLive(o Options) {
	m.recoveryThreads.Store(int32(o.RecoveryThreads))
	m.env.expirationMs.Store(o.ProducerExpirationMs)
	m.cleaner.configure(o.Cleaner)
}

// SetDefaults replaces the configuration of topics that have none of their own. It also determines
// how long a deleted log stays on disk.
func (m *Manager) SetDefaults(c *settings.Topic) { m.defaults.Store(c) }

// openDirs creates, locks and identifies the directories.
func (m *Manager) openDirs() error {
	for _, path := range m.config.Dirs {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(m.dirs, func(d *logDir) bool { return d.path == absolute }) {
			return fmt.Errorf("Duplicate log directory found: %s", strings.Join(m.config.Dirs, ", "))
		}
		d := &logDir{path: absolute, fs: m.config.FS, log: m.log, onFailure: m.dropDirLater,
			background: newPool(max(m.config.RecoveryThreads, 2)), small: newPool(smallWriters), lowWatermark: m.config.DiskLowWatermark}
		d.later = func(f func()) { m.env.schedule.after(0, d.small, f) }
		d.checkpoints = dirCheckpoints{dir: d, logs: &m.logs, files: map[string]map[TopicPartition]record.Offset{}}
		m.dirs = append(m.dirs, d)
	}
	for _, d := range m.dirs {
		if err := m.openDir(d); err != nil {
			return err
		}
	}
	return m.checkAnyOnline()
}

// checkAnyOnline returns an error if no directory is online.
func (m *Manager) checkAnyOnline() error {
	for _, d := range m.dirs {
		if !d.offline.Load() {
			return nil
		}
	}
	return fmt.Errorf("Shutdown broker because none of the specified log dirs from %s can be created or validated", strings.Join(m.config.Dirs, ", "))
}

// openDir prepares one directory. A fault of the disk takes the directory offline; a fault in the
// configuration is an error.
func (m *Manager) openDir(d *logDir) error {
	if err := m.makeDir(d); err != nil {
		d.takeOffline("Failed to create or validate data directory "+d.path, err)
		return nil
	}
	lock, err := m.config.FS.Lock(d.file(lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("Failed to acquire lock on file .lock in %s. A Kafka instance in another process or thread is using this directory.", d.path)
	}
	if err != nil {
		d.takeOffline("Disk error while locking directory "+d.path, err)
		return nil
	}
	d.lock = lock
	d.measureSpace()
	return m.identify(d)
}

func (m *Manager) makeDir(d *logDir) error {
	info, err := m.config.FS.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		m.log.Infof("Log directory %s not found, creating it.", d.path)
		if err := m.config.FS.MkdirAll(d.path, 0o755); err != nil {
			return err
		}
		return m.config.FS.SyncDir(filepath.Dir(d.path))
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a readable log directory.", d.path)
	}
	_, err = m.config.FS.ReadDir(d.path)
	return err
}

// identify checks that the directory belongs to this broker and cluster, and writes their ids to a
// new one.
func (m *Manager) identify(d *logDir) error {
	stored, err := readMetaProperties(m.config.FS, d.path)
	wanted := stored
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m.log.Infof("No meta.properties file found in %s.", d.path)
		wanted = metaProperties{brokerID: m.config.BrokerID, clusterID: m.config.ClusterID}
	case err != nil:
		d.takeOffline("Disk error while reading meta.properties in "+d.path, err)
		return nil
	case stored.clusterID != "" && stored.clusterID != m.config.ClusterID:
		return fmt.Errorf("Invalid cluster.id in: %s. Expected %s, but read %s", d.file(metaPropertiesFile), m.config.ClusterID, stored.clusterID)
	case stored.brokerID >= 0 && stored.brokerID != m.config.BrokerID:
		return nodeIDError(d.file(metaPropertiesFile), stored.brokerID, m.config.BrokerID)
	default:
		wanted.brokerID, wanted.clusterID = m.config.BrokerID, m.config.ClusterID
	}
	if err == nil && wanted.equal(stored) {
		return nil
	}
	if err := writeMetaProperties(m.config.FS, d.path, wanted, m.config.Now()); err != nil {
		d.takeOffline("Disk error while writing meta.properties in "+d.path, err)
	}
	return nil
}

func nodeIDError(file string, stored, expected metadata.BrokerID) error {
	return fmt.Errorf("Stored node id %d doesn't match previous node id %d in %s. If you moved your data, make sure your configured node id matches. "+
		"If you intend to create a new node, you should remove all data in your data directories.", stored, expected, file)
}

// StoredIdentity reads the meta.properties of the directories before a Manager exists, and returns
// their broker id (-1 if they have none) and cluster id ("" if none). Directories that disagree are
// an error. A directory that cannot be read is left out, since NewManager will take it offline.
func StoredIdentity(fsys vfs.FS, dirs []string) (brokerID metadata.BrokerID, clusterID string, err error) {
	brokerID = -1
	for _, dir := range dirs {
		m, err := readMetaProperties(fsys, dir)
		if err != nil {
			continue
		}
		file := filepath.Join(dir, metaPropertiesFile)
		if m.clusterID != "" {
			if clusterID != "" && m.clusterID != clusterID {
				return 0, "", fmt.Errorf("Invalid cluster.id in: %s. Expected %s, but read %s", file, clusterID, m.clusterID)
			}
			clusterID = m.clusterID
		}
		if m.brokerID >= 0 {
			if brokerID >= 0 && m.brokerID != brokerID {
				return 0, "", nodeIDError(file, m.brokerID, brokerID)
			}
			brokerID = m.brokerID
		}
	}
	return brokerID, clusterID, nil
}

// OnDirFailure registers the function that is called, once per directory and in a goroutine of its
// own, after an I/O error has taken the directory offline and the Manager has dropped its logs. A
// broker with no directory left (see Dirs) cannot continue. Directories that failed earlier are
// reported at once.
func (m *Manager) OnDirFailure(f func(dir string)) {
	m.failures.mu.Lock()
	pending := m.failures.pending
	m.failures.report, m.failures.pending = f, nil
	m.failures.mu.Unlock()
	for _, dir := range pending {
		f(dir)
	}
}

// OnLogFailure registers the function that is called, in a goroutine of its own, after an error
// that is not a disk error interrupted a change of a partition's current log. That log is
// unavailable until a restart recovers it; the other logs of its directory are not affected.
func (m *Manager) OnLogFailure(f func(tp TopicPartition)) {
	m.failures.mu.Lock()
	defer m.failures.mu.Unlock()
	m.failures.reportLog = f
}

// logGivenUp reports the failure of a log from another goroutine, since the caller holds the log's
// lock.
func (m *Manager) logGivenUp(d *partitionDir) {
	report := func() {
		m.failures.mu.Lock()
		f := m.failures.reportLog
		m.failures.mu.Unlock()
		if l := m.logs.get(d.tp, false); f != nil && l != nil && &l.partitionDir == d {
			f(d.tp)
		}
	}
	if m.config.Later != nil {
		m.config.Later(0, report)
		return
	}
	go report()
}

// dropDirLater runs dropDir in another goroutine, since the caller may hold a log's lock.
func (m *Manager) dropDirLater(d *logDir) {
	if m.config.Later != nil {
		m.config.Later(0, func() { m.dropDir(d) })
		return
	}
	go m.dropDir(d)
}

// dropDir drops the logs of a failed directory.
func (m *Manager) dropDir(d *logDir) {
	m.log.Warnf("Stopping serving logs in dir %s", d.path)
	current, future := m.logs.removeDir(d)
	for _, l := range slices.Concat(current, future) {
		l.abandon()
	}
	m.log.Warnf("Logs for partitions %s are offline and logs for future partitions %s are offline due to failure on log directory %s",
		logNames(current), logNames(future), d.path)
	if m.checkAnyOnline() != nil {
		m.log.Log(logrus.FatalLevel, fmt.Sprintf("Shutdown broker because all log dirs in %s have failed", strings.Join(m.config.Dirs, ", ")))
	}
	d.unlock()
	m.failures.mu.Lock()
	report := m.failures.report
	if report == nil {
		m.failures.pending = append(m.failures.pending, d.path)
	}
	m.failures.mu.Unlock()
	if report != nil {
		report(d.path)
	}
}

func logNames(logs []*Log) string {
	names := make([]string, len(logs))
	for i, l := range logs {
		names[i] = l.name
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// DirStatus is the state of one log directory.
type DirStatus struct {
	Path   string
	Online bool
	Total  int64 // bytes of the volume, -1 if unknown
	Usable int64
	// Refuses are the origins whose appends are refused because too little space is free.
	Refuses []record.Origin
}

// Dirs returns the state of every directory, in the order of log.dirs.
func (m *Manager) Dirs() []DirStatus {
	all := make([]DirStatus, 0, len(m.dirs))
	for _, d := range m.dirs {
		s := DirStatus{Path: d.path, Online: !d.offline.Load(), Total: -1, Usable: -1}
		if s.Online {
			if total, usable, err := m.config.FS.Usage(d.path); err == nil {
				s.Total, s.Usable = total, usable
			}
			s.Refuses = d.space.refuses()
		}
		all = append(all, s)
	}
	return all
}

var _ io.Closer = (*Manager)(nil)
