package zkserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/magiconair/properties"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/txnlog"
)

// Config is the configuration of a server. DefaultConfig has the defaults of Apache ZooKeeper.
type Config struct {
	FS      vfs.FS
	DataDir string // of snapshots
	LogDir  string // of transaction logs; DataDir if empty
	Host    string // to listen on; all addresses if empty
	Port    int    // 0: any

	TickTimeMs          int64
	MinSessionTimeoutMs int64 // 0: two ticks
	MaxSessionTimeoutMs int64 // 0: twenty ticks
	MaxClientCnxns      int   // connections from one address; 0: no limit
	MaxBuffer           int   // bytes of a frame
	ExpireNodesMs       int64 // how often container and TTL nodes are looked for that can be deleted

	SnapCount       int // transactions between snapshots
	PreallocateSize int64
	ForceSync       bool // sync the log before the changes in it are answered
	RetainSnapshots int  // snapshots that the purge keeps
	PurgeHours      int  // time between purges; 0: never

	// EndSessions closes, at the start, the sessions that the files contain, for a server whose clients
	// ended with its earlier process. Their ephemeral nodes are deleted at once instead of after the
	// timeouts of the sessions.
	EndSessions bool

	Words       map[string]bool // four-letter words that are answered, in addition to srvr; "*": all
	TTLNodes    bool            // permits nodes with a time to live
	Quotas      bool            // enforces the hard limits of quotas
	SuperDigest string          // user:base64(sha1(user:password)) of a user with all permissions; may be empty
	Version     string          // in the answers to four-letter words

	// Log is called with what an operator should know. It must not be nil.
	Log func(level Level, format string, args ...any)
}

// Level is the importance of a line of the log.
type Level int

// The levels.
const (
	Info Level = iota
	Warning
	Failure
)

// DefaultConfig returns the defaults. DataDir is missing.
func DefaultConfig() *Config {
	return &Config{FS: vfs.OS(), Port: 2181, TickTimeMs: 3000, MaxClientCnxns: 60, MaxBuffer: 0xfffff, ExpireNodesMs: 60_000, SnapCount: 100_000, PreallocateSize: txnlog.DefaultPreallocate,
		ForceSync: true, RetainSnapshots: 3, Words: map[string]bool{}, Version: "3.9.0-monedula", Log: func(Level, string, ...any) {}}
}

func (c *Config) snapshotDir() string { return txnlog.Subdirectory(c.DataDir) }

func (c *Config) logDir() string {
	if c.LogDir == "" {
		return c.snapshotDir()
	}
	return txnlog.Subdirectory(c.LogDir)
}

// keys sets the fields of a configuration from the keys of zookeeper.properties.
var keys = map[string]func(c *Config, value string) error{
	"dataDir":                         func(c *Config, v string) error { c.DataDir = v; return nil },
	"dataLogDir":                      func(c *Config, v string) error { c.LogDir = v; return nil },
	"clientPortAddress":               func(c *Config, v string) error { c.Host = v; return nil },
	"clientPort":                      func(c *Config, v string) error { return number(v, 0, 65535, &c.Port) },
	"tickTime":                        func(c *Config, v string) error { return number64(v, 1, &c.TickTimeMs) },
	"minSessionTimeout":               func(c *Config, v string) error { return number64(v, -1, &c.MinSessionTimeoutMs) },
	"maxSessionTimeout":               func(c *Config, v string) error { return number64(v, -1, &c.MaxSessionTimeoutMs) },
	"maxClientCnxns":                  func(c *Config, v string) error { return number(v, 0, 1<<30, &c.MaxClientCnxns) },
	"jute.maxbuffer":                  func(c *Config, v string) error { return number(v, 1024, 1<<30, &c.MaxBuffer) },
	"znode.container.checkIntervalMs": func(c *Config, v string) error { return number64(v, 1, &c.ExpireNodesMs) },
	"snapCount":                       func(c *Config, v string) error { return number(v, 2, 1<<30, &c.SnapCount) },
	"autopurge.snapRetainCount":       func(c *Config, v string) error { return number(v, 3, 1<<30, &c.RetainSnapshots) },
	"autopurge.purgeInterval":         func(c *Config, v string) error { return number(v, 0, 1<<20, &c.PurgeHours) },
	"forceSync":                       func(c *Config, v string) error { c.ForceSync = v != "no"; return nil },
	"enforceQuota":                    func(c *Config, v string) error { c.Quotas = v == "true"; return nil },
	"extendedTypesEnabled":            func(c *Config, v string) error { c.TTLNodes = v == "true"; return nil },
	"DigestAuthenticationProvider.superDigest": func(c *Config, v string) error { c.SuperDigest = v; return nil },
	"preAllocSize": func(c *Config, v string) error {
		err := number64(v, 1, &c.PreallocateSize)
		c.PreallocateSize *= 1024
		return err
	},
	"4lw.commands.whitelist": func(c *Config, v string) error {
		for word := range strings.SplitSeq(v, ",") {
			c.Words[strings.TrimSpace(word)] = true
		}
		return nil
	},
}

func number(text string, least, most int, to *int) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%q is not a number from %d to %d", text, least, most)
	}
	*to = n
	return nil
}

func number64(text string, least int64, to *int64) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < least {
		return fmt.Errorf("%q is not a number of at least %d", text, least)
	}
	*to = n
	return nil
}

// withoutMeaning are keys of Apache ZooKeeper that change nothing here.
var withoutMeaning = []string{"admin.", "initLimit", "syncLimit", "electionAlg", "metricsProvider.", "standaloneEnabled", "globalOutstandingLimit", "clientPortListenBacklog"}

// ErrEnsemble is returned for a configuration of several servers.
var ErrEnsemble = errors.New("the embedded ZooKeeper server is a single one and cannot be part of an ensemble; use Apache ZooKeeper for that: set ZOOKEEPER_HOME, or install Debian's package zookeeper")

// ParseConfig reads the text of a zookeeper.properties. It logs the keys that have no meaning here.
func ParseConfig(text []byte, c *Config) error {
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadBytes(text)
	if err != nil {
		return err
	}
	for _, key := range p.Keys() {
		value, _ := p.Get(key)
		value = strings.TrimSpace(value)
		for _, prefix := range []string{"server.", "group.", "weight.", "dynamicConfigFile"} {
			if strings.HasPrefix(key, prefix) {
				return fmt.Errorf("%s=%s: %w", key, value, ErrEnsemble)
			}
		}
		switch set := keys[strings.TrimPrefix(key, "zookeeper.")]; {
		case set != nil:
			if err := set(c, value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		case strings.HasPrefix(key, "secureClientPort") || strings.HasPrefix(key, "ssl."):
			return fmt.Errorf("%s: the embedded ZooKeeper server has no TLS; use Apache ZooKeeper for that", key)
		case slices.ContainsFunc(withoutMeaning, func(prefix string) bool { return strings.HasPrefix(key, prefix) }):
			c.Log(Info, "%s is ignored: it has no meaning for the embedded ZooKeeper server", key)
		default:
			c.Log(Warning, "%s is ignored: the embedded ZooKeeper server does not know it", key)
		}
	}
	if c.DataDir == "" {
		return errors.New("dataDir is not set")
	}
	return c.complete()
}

// complete sets what depends on other keys.
func (c *Config) complete() error {
	if c.MinSessionTimeoutMs <= 0 {
		c.MinSessionTimeoutMs = 2 * c.TickTimeMs
	}
	if c.MaxSessionTimeoutMs <= 0 {
		c.MaxSessionTimeoutMs = 20 * c.TickTimeMs
	}
	if c.MinSessionTimeoutMs > c.MaxSessionTimeoutMs {
		return errors.New("minSessionTimeout must not be larger than maxSessionTimeout")
	}
	return nil
}

func (c *Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// openFiles returns how many files the process has open and may have open.
func openFiles() (open int, most uint64) {
	entries, _ := os.ReadDir("/proc/self/fd")
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return len(entries), limit.Cur
}
