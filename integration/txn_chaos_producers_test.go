package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/txnhistory"
)

// lossy returns options for a transactional client, which gives up soon enough for its requests to
// be handled after that.
func (c *txnChaos) lossy(id string, more ...kgo.Opt) []kgo.Opt {
	return c.patient(append([]kgo.Opt{kgo.TransactionalID(id), kgo.TransactionTimeout(txnTimeout), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequestTimeoutOverhead(1500 * time.Millisecond), kgo.ProduceRequestTimeout(1500 * time.Millisecond), kgo.RecordDeliveryTimeout(6 * time.Second),
		kgo.RetryTimeout(4 * time.Second), kgo.ProducerLinger(0)}, more...)...)
}

// lostAnswers counts the requests of a client that got no answer.
type lostAnswers struct {
	mu    sync.Mutex // guards count
	count txnhistory.Requests
}

func (l *lostAnswers) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if e2e.Err() == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch key {
	case kmsg.Produce.Int16():
		l.count.Produce++
	case kmsg.AddPartitionsToTxn.Int16(), kmsg.AddOffsetsToTxn.Int16():
		l.count.AddPartitions++
	case kmsg.EndTxn.Int16():
		l.count.EndTxn++
	}
}

// take returns the counts since the last call.
func (l *lostAnswers) take() txnhistory.Requests {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.count
	l.count = txnhistory.Requests{}
	return taken
}

// newInstance returns the number of a new producer.
func (c *txnChaos) newInstance() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.instances++
	return c.instances
}

// appendAs appends transactions with a transactional id until the producer fails, is abandoned in
// the middle of a transaction, or has ended this many. Sometimes it starts a zombie: a second producer
// with the same id, while it continues.
func (c *txnChaos) appendAs(id string, random *rand.Rand, transactions int) {
	var lost lostAnswers
	client, err := kgo.NewClient(c.lossy(id, kgo.WithHooks(&lost))...)
	if err != nil {
		c.t.Error(err)
		c.end()
		return
	}
	defer client.Close()
	instance := c.newInstance()
	for n := 1; n <= transactions && c.appending.Err() == nil; n++ {
		t := &txnhistory.Transaction{ID: id, Instance: instance, Number: n, Outcome: txnhistory.Aborted}
		var topics []string
		var partitions []int32
		for _, p := range random.Perm(clusterPartitions)[:1+random.IntN(clusterPartitions)] {
			for range 1 + random.IntN(4) {
				topics, partitions = append(topics, "load"), append(partitions, int32(p))
			}
		}
		abandoned := random.IntN(50) == 0
		commit := random.IntN(6) != 0
		if random.IntN(40) == 0 && transactions > 10 {
			zombie := rand.New(rand.NewPCG(random.Uint64(), 0))
			c.appenders.Go(func() { c.appendAs(id, zombie, 5) })
		}
		alive := client.BeginTransaction() == nil
		if alive {
			for i := range topics {
				c.write(client, t, i, txnhistory.Partition{Topic: topics[i], Index: partitions[i]}, nil)
			}
			flushSometimes(client, random)
			alive = !abandoned && c.endTransaction(client, t, commit)
		}
		t.Unanswered = lost.take()
		c.note(t)
		if !alive {
			return
		}
		<-time.After(time.Duration(random.IntN(30)) * time.Millisecond)
	}
}

// flushSometimes waits for the answers to the writes of a transaction, three times out of four, so
// that transactions that are aborted or abandoned have records in the log.
func flushSometimes(client *kgo.Client, random *rand.Rand) {
	if random.IntN(4) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(background(), 10*time.Second)
	defer cancel()
	_ = client.Flush(ctx)
}

// write produces a record of a transaction.
func (c *txnChaos) write(client *kgo.Client, t *txnhistory.Transaction, number int, to txnhistory.Partition, source *txnhistory.Position) {
	value := fmt.Sprintf("%s/%d/%d/%d", t.ID, t.Instance, t.Number, number)
	c.mu.Lock()
	t.Writes = append(t.Writes, txnhistory.Write{Value: value, Partition: to, Source: source})
	at := len(t.Writes) - 1
	c.mu.Unlock()
	client.Produce(background(), &kgo.Record{Topic: to.Topic, Partition: to.Index, Value: []byte(value)}, func(r *kgo.Record, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.Writes[at].Acknowledged, t.Writes[at].Offset = err == nil, r.Offset
	})
}

// endTransaction ends a transaction, and notes what its producer knows about the outcome. It reports
// whether the producer can continue.
func (c *txnChaos) endTransaction(client *kgo.Client, t *txnhistory.Transaction, commit bool) bool {
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	defer func() { t.Ended = time.Now() }()
	if commit {
		commit = client.Flush(ctx) == nil && c.allAcknowledged(t)
	}
	t.EndAsked = time.Now()
	if commit {
		err := client.EndTransaction(ctx, kgo.TryCommit)
		if err == nil {
			t.Outcome = txnhistory.Committed
			return true
		}
		if !errors.Is(err, kerr.OperationNotAttempted) {
			t.Outcome = txnhistory.Unknown
		}
		return client.EndTransaction(ctx, kgo.TryAbort) == nil
	}
	return client.AbortBufferedRecords(ctx) == nil && client.EndTransaction(ctx, kgo.TryAbort) == nil
}

func (c *txnChaos) allAcknowledged(t *txnhistory.Transaction) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range t.Writes {
		if !w.Acknowledged {
			return false
		}
	}
	return true
}

// note adds a transaction to the history.
func (c *txnChaos) note(t *txnhistory.Transaction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Transactions = append(c.history.Transactions, t)
	if t.Outcome == txnhistory.Committed {
		c.committed[t.ID]++
	}
}

// copyAs copies records of "load" to "copies" as a member of a group, with its offsets in the
// transactions, until it fails or is abandoned in the middle of a transaction.
func (c *txnChaos) copyAs(id string, random *rand.Rand) {
	var lost lostAnswers
	session, err := kgo.NewGroupTransactSession(c.lossy(id, kgo.WithHooks(&lost), kgo.ConsumerGroup(copyGroup), kgo.ConsumeTopics("load"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.Balancers(kgo.RangeBalancer()), kgo.FetchMaxWait(200*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		c.t.Error(err)
		c.end()
		return
	}
	defer session.Close()
	instance := c.newInstance()
	for n := 1; c.running.Err() == nil; n++ {
		ctx, cancel := context.WithTimeout(c.running, time.Second)
		records := session.PollRecords(ctx, 40).Records()
		cancel()
		if len(records) == 0 {
			continue
		}
		t := &txnhistory.Transaction{ID: id, Instance: instance, Number: n, Group: copyGroup, Offsets: map[txnhistory.Partition]int64{}, Outcome: txnhistory.Aborted}
		alive := session.Begin() == nil
		if alive {
			for i, r := range records {
				from := txnhistory.Partition{Topic: r.Topic, Index: r.Partition}
				t.Offsets[from] = r.Offset + 1
				c.write(session.Client(), t, i, txnhistory.Partition{Topic: "copies", Index: r.Partition % copiesPartitions}, &txnhistory.Position{Partition: from, Offset: r.Offset})
			}
			abandoned := random.IntN(60) == 0
			flushSometimes(session.Client(), random)
			alive = !abandoned && c.endCopies(session, t, random.IntN(8) != 0)
		}
		t.Unanswered = lost.take()
		c.note(t)
		if !alive {
			return
		}
	}
}

// endCopies is like endTransaction for a copier.
func (c *txnChaos) endCopies(session *kgo.GroupTransactSession, t *txnhistory.Transaction, commit bool) bool {
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	defer func() { t.Ended = time.Now() }()
	if commit {
		commit = session.Client().Flush(ctx) == nil && c.allAcknowledged(t)
	}
	t.EndAsked = time.Now()
	committed, err := session.End(ctx, kgo.TransactionEndTry(commit))
	switch {
	case committed && err == nil:
		t.Outcome = txnhistory.Committed
	case commit && err != nil:
		t.Outcome = txnhistory.Unknown
	}
	return err == nil
}
