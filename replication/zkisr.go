package replication

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Periods after which a leader notifies the controller of the in-sync sets that it wrote. They are
// constants in Kafka too.
const (
	isrNoticeCheck  = 2500 * time.Millisecond
	isrNoticeLinger = 5 * time.Second // without a further change
	isrNoticeMax    = time.Minute     // since the last notice
)

// isrWritePause is the pause before a write that ZooKeeper did not answer is repeated.
const isrWritePause = 100 * time.Millisecond

// ISRStore stores in-sync sets in ZooKeeper. Leaders write them there themselves if the IBP is
// below 2.7-IV2.
type ISRStore interface {
	// WriteISR writes the partition's state if the current state is the one that the change is
	// based on, and returns the new partition epoch. The error is INVALID_UPDATE_VERSION if the
	// current state is another one; in that case a retry cannot help.
	WriteISR(ctx context.Context, change ISRChange) (partitionEpoch metadata.PartitionEpoch, err error)
	// NotifyISRChange notifies the controller of partitions that were written.
	NotifyISRChange(ctx context.Context, partitions []TopicPartition) error
}

// ZooKeeperISR is the ISRChanger that writes to ZooKeeper itself, one partition after another, and
// notifies the controller some time later. Create it with NewZooKeeperISR and Close it when the
// broker stops.
type ZooKeeperISR struct {
	brokerID metadata.BrokerID
	store    ISRStore
	log      *logrus.Entry

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	queue  *changeQueue

	// Used only by run.
	written               map[TopicPartition]bool // since the last notice
	lastWrite, lastNotice time.Time
}

var _ ISRChanger = (*ZooKeeperISR)(nil)

// NewZooKeeperISR returns a ZooKeeperISR whose writer runs until Close is called.
func NewZooKeeperISR(brokerID metadata.BrokerID, store ISRStore, logger *logrus.Logger) *ZooKeeperISR {
	z := &ZooKeeperISR{brokerID: brokerID, store: store, log: kafkalog.For(logger, "kafka.server.ZkAlterPartitionManager"),
		done: make(chan struct{}), queue: newChangeQueue(), written: map[TopicPartition]bool{}, lastNotice: time.Now()}
	z.ctx, z.cancel = context.WithCancel(context.Background())
	go z.run()
	return z
}

// Close stops the writer. Queued changes get no answer.
func (z *ZooKeeperISR) Close() {
	z.cancel()
	<-z.done
}

// Submit implements ISRChanger.
func (z *ZooKeeperISR) Submit(change ISRChange, done func(ISRAnswer)) bool {
	return z.queue.add(change, done)
}

func (z *ZooKeeperISR) run() {
	defer close(z.done)
	check := time.NewTicker(isrNoticeCheck)
	defer check.Stop()
	for {
		select {
		case <-z.queue.wakeup:
			for _, w := range z.queue.all() {
				z.write(w)
			}
		case <-check.C:
			z.notify(time.Now())
		case <-z.ctx.Done():
			return
		}
	}
}

// write writes one change and repeats it until ZooKeeper accepts or refuses it.
func (z *ZooKeeperISR) write(w *waitingChange) {
	for z.ctx.Err() == nil {
		answer := ISRAnswer{Leader: z.brokerID, LeaderEpoch: w.change.LeaderEpoch, ISR: w.change.ISR}
		version, err := z.store.WriteISR(z.ctx, w.change)
		switch code := protocol.CodeOf(err); code {
		case protocol.None:
			answer.PartitionEpoch = version
			z.written[w.change.Partition], z.lastWrite = true, time.Now()
		case protocol.InvalidUpdateVersion:
			answer.Err = code
		default:
			z.log.Warnf("The in-sync replicas of %s could not be written to ZooKeeper, trying again: %v", w.change.Partition, err)
			select {
			case <-time.After(isrWritePause):
			case <-z.ctx.Done():
			}
			continue
		}
		if z.queue.remove(w.change.Partition) != nil {
			w.done(answer)
		}
		return
	}
}

// notify writes the notice for the controller if the last change is older than isrNoticeLinger or
// the last notice is older than isrNoticeMax.
func (z *ZooKeeperISR) notify(now time.Time) {
	if len(z.written) == 0 || now.Sub(z.lastWrite) <= isrNoticeLinger && now.Sub(z.lastNotice) <= isrNoticeMax {
		return
	}
	partitions := make([]TopicPartition, 0, len(z.written))
	for id := range z.written {
		partitions = append(partitions, id)
	}
	if err := z.store.NotifyISRChange(z.ctx, partitions); err != nil {
		if z.ctx.Err() == nil {
			z.log.Warnf("The controller could not be notified of changed in-sync replicas, trying again: %v", err)
		}
		return
	}
	clear(z.written)
	z.lastNotice = now
}
