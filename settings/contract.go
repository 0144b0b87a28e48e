// Package settings is the configuration: one table row per key, the loading of
// a properties file, and the typed values that the other rooms read.
package settings

// Config is a broker's static configuration, immutable. Values are read by
// their key: Int("num.partitions"). Asking for a key that the table does not
// have, or with the wrong type, is a programming error and panics at once
// (a test walks all keys the code names).
//
//	String, Int (int32), Long (int64), Double, Bool, List, Password; IsSet(key); Original(key)
type Config struct{ _ int }

// Topic is a topic's effective configuration, immutable; a Log holds it by an
// atomic pointer. Times in ms, sizes in bytes; -1 means unlimited where Kafka
// says so.
type Topic struct {
	CleanupCompact, CleanupDelete  bool
	CompressionType                string // producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel, LZ4Level, ZstdLevel int
	DeleteRetentionMs              int64
	FileDeleteDelayMs              int64
	FlushMessages                  int64
	FlushMs                        int64
	IndexIntervalBytes             int32
	MaxCompactionLagMs             int64
	MaxMessageBytes                int32
	DownConversionEnable           bool
	MessageFormatVersion           string
	Magic                          int8 // 2 from IBP 3.0 on, else by message.format.version
	TimestampAfterMaxMs            int64
	TimestampBeforeMaxMs           int64
	TimestampType                  string // CreateTime or LogAppendTime
	MinCleanableDirtyRatio         float64
	MinCompactionLagMs             int64
	MinInSyncReplicas              int32
	Preallocate                    bool
	RetentionBytes                 int64
	RetentionMs                    int64
	SegmentBytes                   int32
	SegmentIndexBytes              int32
	SegmentJitterMs                int64
	SegmentMs                      int64
	UncleanLeaderElection          bool
	LeaderThrottledReplicas        []string
	FollowerThrottledReplicas      []string
	// Overrides are the topic's own keys as stored in /config/topics/T.
	Overrides map[string]string
}
