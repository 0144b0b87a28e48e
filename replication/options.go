package replication

import (
	"time"

	"github.com/monedula/monedula/settings"
)

// OptionsOf reads the options from a broker's configuration.
func OptionsOf(c *settings.Config) Options {
	seconds := func(k settings.KeyOf[int32]) time.Duration { return time.Duration(k.Of(c)) * time.Second }
	ms := func(k settings.KeyOf[int32]) time.Duration { return time.Duration(k.Of(c)) * time.Millisecond }
	o := Options{
		BrokerID:            c.BrokerID(),
		LagMax:              time.Duration(settings.ReplicaLagTimeMaxMs.Of(c)) * time.Millisecond,
		CheckpointInterval:  time.Duration(settings.ReplicaHighWatermarkCheckpointIntervalMs.Of(c)) * time.Millisecond,
		FetchMaxBytes:       settings.FetchMaxBytes.Of(c),
		FetchSessions:       int(settings.MaxIncrementalFetchSessionCacheSlots.Of(c)),
		Rack:                settings.BrokerRack.OrNil(c),
		InterBrokerListener: c.InterBrokerListener(),
		Fetchers:            settings.NumReplicaFetchers.Of(c),
		FetchPartitionBytes: settings.ReplicaFetchMaxBytes.Of(c),
		FetchResponseBytes:  settings.ReplicaFetchResponseMaxBytes.Of(c),
		FetchMinBytes:       settings.ReplicaFetchMinBytes.Of(c),
		FetchWait:           ms(settings.ReplicaFetchWaitMaxMs),
		FetchBackoff:        ms(settings.ReplicaFetchBackoffMs),
		FetchTimeout:        ms(settings.ReplicaSocketTimeoutMs),
		PeerVersions:        PeerVersionsOf(c.IBP()),
		QuotaWindows:        settings.ReplicationQuotaWindowNum.Of(c),
		QuotaWindow:         seconds(settings.ReplicationQuotaWindowSizeSeconds),
		MoveQuotaWindows:    settings.AlterLogDirsReplicationQuotaWindowNum.Of(c),
		MoveQuotaWindow:     seconds(settings.AlterLogDirsReplicationQuotaWindowSizeSeconds),
	}
	if threads := settings.NumReplicaAlterLogDirsThreads.OrNil(c); threads != nil {
		o.MoveThreads = *threads
	}
	o.SelectorClass = settings.ReplicaSelectorClass.OrZero(c)
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
