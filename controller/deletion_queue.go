package controller

// deletionQueue holds the topics to be deleted. A topic stays queued until it is deleted. The other
// three sets are subsets of queued.
type deletionQueue struct {
	queued     map[string]bool
	due        map[string]bool // the next pass considers them
	started    map[string]bool // the first round has begun, and their partitions are NonExistent
	ineligible map[string]bool // they get no further round until something changes for them
}

func newDeletionQueue() deletionQueue {
	return deletionQueue{queued: map[string]bool{}, due: map[string]bool{}, started: map[string]bool{}, ineligible: map[string]bool{}}
}

// add queues a topic and makes it due for the next pass. It has no effect on a queued topic.
func (q *deletionQueue) add(topic string) {
	if !q.queued[topic] {
		q.queued[topic], q.due[topic] = true, true
	}
}

// halt makes topics ineligible. It returns those that are queued; the others are ignored.
func (q *deletionQueue) halt(topics ...string) (halted []string) {
	for _, topic := range topics {
		if q.queued[topic] {
			q.ineligible[topic] = true
			halted = append(halted, topic)
		}
	}
	return halted
}

// resume makes topics eligible again and due for the next pass. It reports whether any of them is
// queued; the others are ignored.
func (q *deletionQueue) resume(topics ...string) (queued bool) {
	for _, topic := range topics {
		if q.queued[topic] {
			queued = true
			q.due[topic] = true
			delete(q.ineligible, topic)
		}
	}
	return queued
}

// remove forgets a topic.
func (q *deletionQueue) remove(topic string) {
	delete(q.queued, topic)
	delete(q.due, topic)
	delete(q.started, topic)
	delete(q.ineligible, topic)
}
