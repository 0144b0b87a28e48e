package group

import (
	"sync"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// CommitRequest is a request to commit offsets.
type CommitRequest struct {
	MemberID   string
	InstanceID *string
	Generation int32 // -1: the sender is not a member
	Commits    []Commit
	// Txn is the transaction that the commits belong to; nil: none.
	Txn *Txn
}

// Txn identifies a producer's open transaction.
type Txn struct {
	ID         string // transactional id
	ProducerID int64
	Epoch      int16
	Abortable  bool // the client knows TRANSACTION_ABORTABLE

	verified *storage.Verification
}

// Commit stores offsets and returns a code for each. It waits until they are on all in-sync
// replicas, for at most offsets.commit.timeout.ms.
func (c *Coordinator) Commit(group string, req CommitRequest) []protocol.ErrorCode {
	codes := make([]protocol.ErrorCode, len(req.Commits))
	refuse := func(code protocol.ErrorCode) []protocol.ErrorCode {
		for i := range codes {
			if codes[i] == protocol.None {
				codes[i] = code
			}
		}
		return codes
	}
	e, code := c.lookup(group, req.Txn == nil)
	if code != protocol.None {
		return refuse(code)
	}
	if e == nil {
		if req.Txn == nil && req.Generation >= 0 {
			return refuse(protocol.IllegalGeneration)
		}
		if e = c.findOrCreate(group); e == nil {
			return refuse(protocol.NotCoordinator)
		}
	}
	if req.Txn != nil {
		if err := c.verify(e.partition, req.Txn); err != nil {
			return refuse(commitError(err))
		}
	}
	return refuse(c.commit(e, &req, codes))
}

// verify asks the transaction's coordinator whether the group's partition of the offsets topic
// belongs to the transaction, and keeps the result in txn.
func (c *Coordinator) verify(partition int32, txn *Txn) (err error) {
	txn.verified, err = c.topic.Verify(&replication.Transaction{
		ID: txn.ID, ProducerID: txn.ProducerID, ProducerEpoch: txn.Epoch, Abortable: txn.Abortable,
		Partitions: []TopicPartition{{Topic: metadata.GroupOffsetsTopic, Partition: partition}},
	}, c.rt.Done())
	return err
}

// commit stores the offsets whose metadata is not too long and returns their code. It sets the
// codes of the others.
func (c *Coordinator) commit(e *entry, req *CommitRequest, codes []protocol.ErrorCode) protocol.ErrorCode {
	c.lock(e)
	code := e.group.CheckCommit(time.Now(), req.MemberID, req.InstanceID, req.Generation, req.Txn != nil)
	c.arm(e)
	if code != protocol.None {
		c.unlock(e)
		return code
	}
	commits := c.short(req.Commits, codes)
	if len(commits) == 0 {
		c.unlock(e)
		return protocol.None
	}
	if e.group.offsets.mixed() {
		c.log.Warnf("[GroupCoordinator %d]: group: %s with leader: %s has received offset commits from consumers as well as transactional producers. Mixing both types of offset commits will generally result in surprises and should be avoided.",
			c.opts.BrokerID, e.group.ID, e.group.members.leader)
	}
	written, settle, err := c.appendCommits(e, commits, req.Txn)
	c.unlock(e)
	if err == nil && c.opts.CommitAcks == -1 {
		err = c.topic.AwaitReplicated(e.partition, written, c.opts.CommitTimeout, c.rt.Done())
	}
	c.lock(e)
	settle(written.First, err == nil)
	c.unlock(e)
	c.counts.commits.Add(int64(len(commits)))
	return commitError(err)
}

// short returns the commits whose metadata is not too long and sets the codes of the others.
func (c *Coordinator) short(commits []Commit, codes []protocol.ErrorCode) []Commit {
	tooLong := false
	for i := range commits {
		if c.TooLong(commits[i].Offset.Metadata) {
			codes[i], tooLong = protocol.OffsetMetadataTooLarge, true
		}
	}
	if !tooLong {
		return commits
	}
	var short []Commit
	for i := range commits {
		if codes[i] == protocol.None {
			short = append(short, commits[i])
		}
	}
	return short
}

// TooLong reports whether the metadata of a commit is longer than offset.metadata.max.bytes.
func (c *Coordinator) TooLong(metadata string) bool {
	return len(metadata) > c.opts.MaxMetadata && javatext.Length(metadata) > c.opts.MaxMetadata
}

// appendCommits stages the commits in the group and appends them. settle passes the outcome to the
// group; it is returned even with an error, and must always be called. The caller must hold e.mu,
// including when it calls settle.
func (c *Coordinator) appendCommits(e *entry, commits []Commit, txn *Txn) (written replication.Written, settle func(first record.Offset, ok bool), err error) {
	g := e.group
	if txn != nil {
		c.txns.add(txn.ProducerID, e)
		g.offsets.stageTxn(txn.ProducerID, commits)
		settle = func(first record.Offset, ok bool) {
			if open := g.offsets.settleTxn(txn.ProducerID, commits, first, ok); !open {
				c.txns.remove(txn.ProducerID, e)
			}
		}
	} else {
		stage := g.offsets.stage(commits)
		settle = func(first record.Offset, ok bool) { g.offsets.settle(commits, stage, first, ok) }
	}
	batch, err := c.commitBatch(g.ID, commits, txn)
	if err != nil {
		return replication.Written{}, settle, err
	}
	var verified *storage.Verification
	if txn != nil {
		verified = txn.verified
	}
	written, err = c.topic.Append(e.partition, batch, verified, c.opts.CommitAcks)
	return written, settle, err
}

// commitError returns the code for the client if committing offsets failed with err.
func commitError(err error) protocol.ErrorCode {
	if err == nil {
		return protocol.None
	}
	switch code := protocol.CodeOf(err); code {
	case protocol.NetworkException: // from the verification of the transaction
		return protocol.CoordinatorLoadInProgress
	case protocol.UnknownTopicOrPartition, protocol.NotEnoughReplicas, protocol.NotEnoughReplicasAfterAppend:
		return protocol.CoordinatorNotAvailable
	case protocol.NotLeaderOrFollower, protocol.KafkaStorageError:
		return protocol.NotCoordinator
	case protocol.MessageTooLarge, protocol.RecordListTooLarge, protocol.InvalidFetchSize:
		return protocol.InvalidCommitOffsetSize
	default:
		return code
	}
}

type keyValue struct{ key, value []byte }

// batch returns a batch of the records with the current time. A nil value is a tombstone.
func (c *Coordinator) batch(records []keyValue) ([]byte, error) {
	o := record.Defaults()
	o.Codec = c.opts.Codec
	b := record.NewBuilder(o)
	now := time.Now().UnixMilli()
	for _, r := range records {
		if err := b.Append(now, r.key, r.value); err != nil {
			return nil, err
		}
	}
	return b.Build()
}

// commitBatch returns a batch of the commits.
func (c *Coordinator) commitBatch(group string, commits []Commit, txn *Txn) ([]byte, error) {
	o := record.Defaults()
	o.Codec = c.opts.Codec
	o.BaseSequence = 0 // Kafka writes 0 with and without a producer
	if txn != nil {
		o.ProducerID, o.ProducerEpoch, o.Transactional = txn.ProducerID, txn.Epoch, true
	}
	b := record.NewBuilder(o)
	now := time.Now().UnixMilli()
	var scratch []byte
	for i := range commits {
		scratch = appendOffsetKey(scratch[:0], group, commits[i].Partition)
		key := len(scratch)
		scratch = c.formats.appendOffset(scratch, &commits[i].Offset)
		if err := b.Append(now, scratch[:key:key], scratch[key:]); err != nil {
			return nil, err
		}
	}
	return b.Build()
}

// txnGroups has the groups with commits in a producer's open transaction, by producer id. Its lock
// is a leaf.
type txnGroups struct {
	mu     sync.Mutex
	groups map[int64]map[*entry]bool
}

func (t *txnGroups) add(producerID int64, e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.groups == nil {
		t.groups = map[int64]map[*entry]bool{}
	}
	if t.groups[producerID] == nil {
		t.groups[producerID] = map[*entry]bool{}
	}
	t.groups[producerID][e] = true
}

// remove removes the group from the producer's groups.
func (t *txnGroups) remove(producerID int64, e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.groups[producerID], e); len(t.groups[producerID]) == 0 {
		delete(t.groups, producerID)
	}
}

// take removes and returns the producer's groups in the partition.
func (t *txnGroups) take(producerID int64, partition int32) []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	var taken []*entry
	for e := range t.groups[producerID] {
		if e.partition == partition {
			taken = append(taken, e)
			delete(t.groups[producerID], e)
		}
	}
	if len(t.groups[producerID]) == 0 {
		delete(t.groups, producerID)
	}
	return taken
}

// dropPartition removes all groups of a partition.
func (t *txnGroups) dropPartition(partition int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, groups := range t.groups {
		for e := range groups {
			if e.partition == partition {
				delete(groups, e)
			}
		}
		if len(groups) == 0 {
			delete(t.groups, id)
		}
	}
}

// TxnEnded makes the offsets that a producer committed in its transaction valid, or drops them. It
// must be called after the marker is in the partition's log. If the partition is being loaded it
// waits for the load, which may have read the log before the marker was appended.
func (c *Coordinator) TxnEnded(producerID int64, partition int32, committed bool) {
	if !c.rt.AwaitLoaded(partition) {
		return
	}
	for _, e := range c.txns.take(producerID, partition) {
		c.lock(e)
		e.group.offsets.endTxn(producerID, committed)
		c.unlock(e)
	}
}
