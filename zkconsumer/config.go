package zkconsumer

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore"
)

// Config is the configuration of a member. The comments name the properties of Kafka's classic
// consumer. Zero values select its defaults.
type Config struct {
	Zookeeper  string // zookeeper.connect: h1:p1,h2:p2/chroot
	Group      string // group.id
	ConsumerID string // consumer.id; "": made from host name, time and a random number
	ClientID   string // client.id; "": the group

	// The topics to read. Exactly one of the three must be set.
	Topics  map[string]int // topic -> number of streams that read it
	Include string         // a regular expression for the topics to read; a comma means |
	Exclude string         // a regular expression for the topics not to read

	Streams      int  // number of streams for Include or Exclude; 0: 1
	WithInternal bool // exclude.internal.topics=false

	Assignor    string // partition.assignment.strategy: range (default) or roundrobin
	OffsetReset string // auto.offset.reset: largest (default) or smallest

	NoAutoCommit       bool          // auto.commit.enable=false
	AutoCommitInterval time.Duration // auto.commit.interval.ms, 60 s
	OffsetsStorage     string        // offsets.storage: zookeeper (default) or kafka
	NoDualCommit       bool          // dual.commit.enabled=false: with kafka, do not also commit to ZooKeeper

	SessionTimeout    time.Duration // zookeeper.session.timeout.ms, 6 s
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms, SessionTimeout
	RebalanceRetries  int           // rebalance.max.retries, 4
	RebalanceBackoff  time.Duration // rebalance.backoff.ms, zookeeper.sync.time.ms, 2 s
	LeaderBackoff     time.Duration // refresh.leader.backoff.ms, 200 ms
	CommitBackoff     time.Duration // offsets.channel.backoff.ms, 1 s
	CommitRetries     int           // offsets.commit.max.retries, 5

	FetchMessageMax int           // fetch.message.max.bytes: limit per partition in a response, 1 MiB
	FetchMin        int           // fetch.min.bytes, 1
	FetchMax        int           // fetch.max.bytes: limit per response, 50 MiB
	FetchWait       time.Duration // fetch.wait.max.ms, 100 ms
	SocketTimeout   time.Duration // socket.timeout.ms, 30 s
	QueuedChunks    int           // queued.max.message.chunks: responses queued per partition, 2

	Logger *logrus.Logger // nil: nothing is logged
}

// Values of properties, as in Kafka.
const (
	RangeAssignor      = "range"
	RoundRobinAssignor = "roundrobin"
	Largest            = "largest"
	Smallest           = "smallest"
	StorageZookeeper   = "zookeeper"
	StorageKafka       = "kafka"
)

// ConfigError is an invalid setting. The text is that of Kafka's classic consumer where it rejects
// the setting too.
type ConfigError struct{ Text string }

func (e *ConfigError) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &ConfigError{fmt.Sprintf(format, args...)} }

var legalName = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)

// complete sets the defaults and checks the settings.
func (c *Config) complete() error {
	texts(&c.ClientID, c.Group)
	for _, name := range []struct{ key, value string }{{"client.id", c.ClientID}, {"group.id", c.Group}} {
		if !legalName.MatchString(name.value) {
			return refuse("%s %s is illegal, contains a character other than ASCII alphanumerics, '.', '_' and '-'", name.key, name.value)
		}
	}
	if c.Group == "" {
		return refuse("Missing required property 'group.id'")
	}
	texts(&c.Assignor, RangeAssignor, &c.OffsetReset, Largest, &c.OffsetsStorage, StorageZookeeper)
	if c.OffsetReset != Largest && c.OffsetReset != Smallest {
		return refuse("Wrong value %s of auto.offset.reset in ConsumerConfig; Valid values are smallest and largest", c.OffsetReset)
	}
	if c.OffsetsStorage != StorageZookeeper && c.OffsetsStorage != StorageKafka {
		return refuse("Wrong value %s of offsets.storage in consumer config; Valid values are 'zookeeper' and 'kafka'", c.OffsetsStorage)
	}
	if c.Assignor != RangeAssignor && c.Assignor != RoundRobinAssignor {
		return refuse("Wrong value %s of partition.assignment.strategy in consumer config; Valid values are 'range' and 'roundrobin'", c.Assignor)
	}
	times(&c.AutoCommitInterval, time.Minute, &c.SessionTimeout, 6*time.Second, &c.RebalanceBackoff, 2*time.Second, &c.LeaderBackoff, 200*time.Millisecond,
		&c.CommitBackoff, time.Second, &c.FetchWait, 100*time.Millisecond, &c.SocketTimeout, 30*time.Second)
	times(&c.ConnectionTimeout, c.SessionTimeout)
	counts(&c.Streams, 1, &c.RebalanceRetries, 4, &c.CommitRetries, 5, &c.FetchMessageMax, 1<<20, &c.FetchMin, 1, &c.FetchMax, 50<<20, &c.QueuedChunks, 2)
	if c.FetchWait > c.SocketTimeout {
		return refuse("requirement failed: socket.timeout.ms should always be at least fetch.wait.max.ms to prevent unnecessary socket timeouts")
	}
	if c.Logger == nil {
		c.Logger = kafkalog.Discard()
	}
	return nil
}

// texts, times and counts set the fields that are zero. The arguments are pairs of a pointer and a
// default.
func texts(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if place := pairs[i].(*string); *place == "" {
			*place = pairs[i+1].(string)
		}
	}
}

func times(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if place := pairs[i].(*time.Duration); *place <= 0 {
			*place = pairs[i+1].(time.Duration)
		}
	}
}

func counts(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if place := pairs[i].(*int); *place <= 0 {
			*place = pairs[i+1].(int)
		}
	}
}

// CheckPattern returns an error if pattern is not valid for Config.Include and Config.Exclude.
func CheckPattern(pattern string) error {
	_, err := (&Config{Include: pattern, Streams: 1}).registration()
	return err
}

// registration returns the member's registration in ZooKeeper.
func (c *Config) registration() (zkstore.ConsumerRegistration, error) {
	r := zkstore.ConsumerRegistration{Timestamp: time.Now().UnixMilli()}
	given := 0
	for _, s := range []struct {
		pattern, text string
	}{{zkstore.SubscribeWhitelist, c.Include}, {zkstore.SubscribeBlacklist, c.Exclude}} {
		if s.text == "" {
			continue
		}
		given++
		r.Pattern, r.Subscription = s.pattern, map[string]int{tidyPattern(s.text): c.Streams}
	}
	if len(c.Topics) > 0 {
		given++
		r.Pattern, r.Subscription = zkstore.SubscribeStatic, c.Topics
		for topic, streams := range c.Topics {
			if streams < 1 {
				return r, refuse("%d streams for topic %s: at least 1 is needed", streams, topic)
			}
		}
	}
	if given != 1 {
		return r, refuse("exactly one of Topics, Include and Exclude must be set")
	}
	_, err := subscriptionOf(r, !c.WithInternal)
	return r, err
}

// Properties reads a configuration like Kafka's classic consumer. unknown are the unknown keys,
// sorted.
func (c *Config) Properties(props map[string]string) (unknown []string, err error) {
	whole := map[string]*int{"rebalance.max.retries": &c.RebalanceRetries, "offsets.commit.max.retries": &c.CommitRetries, "fetch.message.max.bytes": &c.FetchMessageMax,
		"fetch.min.bytes": &c.FetchMin, "fetch.max.bytes": &c.FetchMax, "queued.max.message.chunks": &c.QueuedChunks}
	var sync time.Duration
	millis := map[string]*time.Duration{"auto.commit.interval.ms": &c.AutoCommitInterval, "zookeeper.session.timeout.ms": &c.SessionTimeout,
		"zookeeper.connection.timeout.ms": &c.ConnectionTimeout, "zookeeper.sync.time.ms": &sync, "rebalance.backoff.ms": &c.RebalanceBackoff,
		"refresh.leader.backoff.ms": &c.LeaderBackoff, "offsets.channel.backoff.ms": &c.CommitBackoff, "fetch.wait.max.ms": &c.FetchWait, "socket.timeout.ms": &c.SocketTimeout}
	text := map[string]*string{"zookeeper.connect": &c.Zookeeper, "group.id": &c.Group, "consumer.id": &c.ConsumerID, "client.id": &c.ClientID,
		"partition.assignment.strategy": &c.Assignor, "auto.offset.reset": &c.OffsetReset, "offsets.storage": &c.OffsetsStorage}
	// These properties are true by default. The fields have the negated value.
	negated := map[string]*bool{"auto.commit.enable": &c.NoAutoCommit, "dual.commit.enabled": &c.NoDualCommit, "exclude.internal.topics": &c.WithInternal}
	keys := make([]string, 0, len(props))
	for key := range props {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		value := strings.TrimSpace(props[key])
		switch {
		case text[key] != nil:
			*text[key] = value
		case whole[key] != nil || millis[key] != nil:
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return nil, refuse("%s: For input string: %q", key, value)
			}
			if whole[key] != nil {
				*whole[key] = int(n)
			} else {
				*millis[key] = time.Duration(n) * time.Millisecond
			}
		case negated[key] != nil:
			if value != "true" && value != "false" {
				return nil, refuse("requirement failed: Unacceptable value for property '%s', boolean values must be either 'true' or 'false", key)
			}
			*negated[key] = value == "false"
		case accepted[key]:
		default:
			unknown = append(unknown, key)
		}
	}
	if c.RebalanceBackoff <= 0 {
		c.RebalanceBackoff = sync
	}
	c.OffsetsStorage = strings.ToLower(c.OffsetsStorage)
	return unknown, nil
}

// accepted are known properties that have no effect here. The kernel sizes the socket buffers,
// there is one fetcher per leader, commits use the socket timeout, and the context of Poll replaces
// consumer.timeout.ms.
var accepted = map[string]bool{"socket.receive.buffer.bytes": true, "num.consumer.fetchers": true, "consumer.timeout.ms": true,
	"offsets.channel.socket.timeout.ms": true, "zookeeper.max.in.flight.requests": true}
