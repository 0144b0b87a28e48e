package replication

import (
	"time"

	"github.com/monedula/monedula/settings"
)

// OptionsOf reads the options from a broker's configuration.
func OptionsOf(c *settings.Config) Options {
	seconds := func(key string) time.Duration { return time.Duration(c.Int(key)) * time.Second }
	ms := func(key string) time.Duration { return time.Duration(c.Int(key)) * time.Millisecond }
	o := Options{
		BrokerID:            c.BrokerID(),
		LagMax:              time.Duration(c.Long("replica.lag.time.max.ms")) * time.Millisecond,
		CheckpointInterval:  time.Duration(c.Long("replica.high.watermark.checkpoint.interval.ms")) * time.Millisecond,
		FetchMaxBytes:       c.Int("fetch.max.bytes"),
		FetchSessions:       int(c.Int("max.incremental.fetch.session.cache.slots")),
		Rack:                c.StringOrNil("broker.rack"),
		InterBrokerListener: c.InterBrokerListener(),
		Fetchers:            c.Int("num.replica.fetchers"),
		FetchPartitionBytes: c.Int("replica.fetch.max.bytes"),
		FetchResponseBytes:  c.Int("replica.fetch.response.max.bytes"),
		FetchMinBytes:       c.Int("replica.fetch.min.bytes"),
		FetchWait:           ms("replica.fetch.wait.max.ms"),
		FetchBackoff:        ms("replica.fetch.backoff.ms"),
		FetchTimeout:        ms("replica.socket.timeout.ms"),
		PeerVersions:        PeerVersionsOf(c.IBP()),
		QuotaWindows:        c.Int("replication.quota.window.num"),
		QuotaWindow:         seconds("replication.quota.window.size.seconds"),
		MoveQuotaWindows:    c.Int("alter.log.dirs.replication.quota.window.num"),
		MoveQuotaWindow:     seconds("alter.log.dirs.replication.quota.window.size.seconds"),
	}
	if !c.IsNull("num.replica.alter.log.dirs.threads") {
		o.MoveThreads = c.Int("num.replica.alter.log.dirs.threads")
	}
	if class := c.StringOrNil("replica.selector.class"); class != nil {
		o.SelectorClass = *class
	}
	return o
}

// since is the version of a request that brokers send each other from a given
// inter.broker.protocol.version on.
type since struct {
	ibp     string
	version int16
}

// Newest first. The last entry also applies to all older protocol versions.
var (
	fetchSince = []since{{"3.9-IV0", 17}, {"3.7-IV4", 16}, {"3.5-IV1", 15}, {"3.5-IV0", 14}, {"3.1-IV0", 13},
		{"2.7-IV1", 12}, {"2.3-IV1", 11}, {"2.1-IV2", 10}, {"2.0-IV1", 8}, {"1.1-IV0", 7}, {"0.11.0-IV1", 5},
		{"0.11.0-IV0", 4}, {"0.10.1-IV1", 3}, {"0.10.0-IV0", 2}, {"0.9.0", 1}, {"0.8.0", 0}}
	listOffsetsSince = []since{{"3.9-IV0", 9}, {"3.5-IV0", 8}, {"3.0-IV1", 7}, {"2.8-IV0", 6}, {"2.2-IV1", 5},
		{"2.1-IV1", 4}, {"2.0-IV1", 3}, {"0.11.0-IV0", 2}, {"0.10.1-IV2", 1}, {"0.8.0", 0}}
	offsetForLeaderEpochSince = []since{{"2.8-IV0", 4}, {"2.3-IV1", 3}, {"2.1-IV1", 2}, {"2.0-IV0", 1}, {"0.8.0", 0}}
)

// PeerVersionsOf returns the versions that followers send at an inter.broker.protocol.version.
func PeerVersionsOf(ibp settings.IBP) PeerVersions {
	version := func(table []since) int16 {
		for _, s := range table {
			if ibp.AtLeast(s.ibp) {
				return s.version
			}
		}
		return 0
	}
	return PeerVersions{
		Fetch:                version(fetchSince),
		ListOffsets:          version(listOffsetsSince),
		OffsetForLeaderEpoch: version(offsetForLeaderEpochSince),
		TruncateOnFetch:      ibp.AtLeast("2.7-IV1"),
		AlterPartition:       ibp.AtLeast("2.7-IV2"),
	}
}
