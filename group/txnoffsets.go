package group

// txnOffsets has the commits of a group's open transactions. They are found by producer and by
// partition, since a request may name very many partitions while very many transactions are open.
// The zero value is empty.
type txnOffsets struct {
	byProducer  map[int64]map[TopicPartition]CommittedOffset
	byPartition map[TopicPartition]*smallMap[int64, struct{}] // the producers with a commit
}

func (t *txnOffsets) empty() bool { return len(t.byProducer) == 0 }

// open reports whether the producer has a commit in the group.
func (t *txnOffsets) open(producerID int64) bool { return len(t.byProducer[producerID]) > 0 }

// holds reports whether a transaction has a commit of the partition.
func (t *txnOffsets) holds(p TopicPartition) bool { return t.byPartition[p] != nil }

func (t *txnOffsets) get(producerID int64, p TopicPartition) (v CommittedOffset, known bool) {
	v, known = t.byProducer[producerID][p]
	return v, known
}

func (t *txnOffsets) put(producerID int64, p TopicPartition, v CommittedOffset) {
	if t.byProducer == nil {
		t.byProducer = map[int64]map[TopicPartition]CommittedOffset{}
		t.byPartition = map[TopicPartition]*smallMap[int64, struct{}]{}
	}
	commits := t.byProducer[producerID]
	if commits == nil {
		commits = map[TopicPartition]CommittedOffset{}
		t.byProducer[producerID] = commits
	}
	commits[p] = v
	producers := t.byPartition[p]
	if producers == nil {
		producers = &smallMap[int64, struct{}]{}
		t.byPartition[p] = producers
	}
	producers.put(producerID, struct{}{})
}

func (t *txnOffsets) remove(producerID int64, p TopicPartition) {
	commits := t.byProducer[producerID]
	if delete(commits, p); len(commits) == 0 {
		delete(t.byProducer, producerID)
	}
	t.forget(producerID, p)
}

// forget removes the commit from byPartition only.
func (t *txnOffsets) forget(producerID int64, p TopicPartition) {
	producers := t.byPartition[p]
	if producers == nil {
		return
	}
	if producers.remove(producerID); producers.size() == 0 {
		delete(t.byPartition, p)
	}
}

// end removes and returns the producer's commits.
func (t *txnOffsets) end(producerID int64) map[TopicPartition]CommittedOffset {
	commits := t.byProducer[producerID]
	delete(t.byProducer, producerID)
	for p := range commits {
		t.forget(producerID, p)
	}
	return commits
}

// drop removes the partition's commits from all transactions.
func (t *txnOffsets) drop(p TopicPartition) {
	producers := t.byPartition[p]
	if producers == nil {
		return
	}
	delete(t.byPartition, p)
	for producerID := range producers.all() {
		t.remove(producerID, p)
	}
}
