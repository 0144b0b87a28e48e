package transaction

import (
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
)

// Options are the settings of the coordinator. Each names the key under which Kafka documents it.
type Options struct {
	BrokerID metadata.BrokerID // broker.id
	// Partitions is the number of partitions of __transaction_state: that of the existing topic
	// when the broker starts, else transaction.state.log.num.partitions. It does not change while
	// the broker runs.
	Partitions     int32
	Listener       string        // inter.broker.listener.name
	MaxTimeoutMs   int32         // transaction.max.timeout.ms
	IDExpiration   time.Duration // transactional.id.expiration.ms
	AbortInterval  time.Duration // transaction.abort.timed.out.transaction.cleanup.interval.ms
	RemoveInterval time.Duration // transaction.remove.expired.transaction.cleanup.interval.ms
	LoadBuffer     int           // transaction.state.log.load.buffer.size
	RequestTimeout time.Duration // request.timeout.ms
	ParallelLoads  int           // partitions of __transaction_state loaded at the same time
}

// OptionsOf returns the options of a broker's configuration. Partitions is the configured number.
func OptionsOf(c *settings.Config) Options {
	ms := func(k settings.KeyOf[int32]) time.Duration { return settings.Milliseconds(int64(k.Of(c))) }
	return Options{
		BrokerID:       c.BrokerID(),
		Partitions:     settings.TransactionStateLogNumPartitions.Of(c),
		Listener:       c.InterBrokerListener(),
		MaxTimeoutMs:   settings.TransactionMaxTimeoutMs.Of(c),
		IDExpiration:   ms(settings.TransactionalIDExpirationMs),
		AbortInterval:  ms(settings.TransactionAbortTimedOutCleanupIntervalMs),
		RemoveInterval: ms(settings.TransactionRemoveExpiredCleanupIntervalMs),
		LoadBuffer:     int(settings.TransactionStateLogLoadBufferSize.Of(c)),
		RequestTimeout: ms(settings.RequestTimeoutMs),
		ParallelLoads:  4,
	}
}
