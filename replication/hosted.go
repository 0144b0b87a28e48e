package replication

import "sync"

// hosted has the partitions that this broker hosts, and the traffic of their topics.
type hosted struct {
	mu         sync.RWMutex // guards the fields below
	partitions map[string]map[int32]*Partition
	traffic    map[string]*traffic // by topic with partitions
	ended      TrafficCounts       // of topics that no longer have partitions
}

func newHosted() hosted {
	return hosted{partitions: map[string]map[int32]*Partition{}, traffic: map[string]*traffic{}}
}

// get returns the partition, which may be offline, or nil.
func (h *hosted) get(topic string, index int32) *Partition {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.partitions[topic][index]
}

// list returns all partitions in no particular order, including those in failed directories.
func (h *hosted) list() []*Partition {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var all []*Partition
	for _, topic := range h.partitions {
		for _, p := range topic {
			all = append(all, p)
		}
	}
	return all
}

// add returns the partition of the manager, and makes it if it is missing.
func (h *hosted) add(id TopicPartition, m *Manager) *Partition {
	h.mu.Lock()
	defer h.mu.Unlock()
	topic := h.partitions[id.Topic]
	if topic == nil {
		topic = map[int32]*Partition{}
		h.partitions[id.Topic], h.traffic[id.Topic] = topic, &traffic{}
	}
	p := topic[id.Partition]
	if p == nil {
		p = newPartition(id, m, h.traffic[id.Topic])
		topic[id.Partition] = p
	}
	return p
}

// remove removes the partition. With the last partition of its topic, the topic's traffic moves to
// that of all topics.
func (h *hosted) remove(id TopicPartition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	topic := h.partitions[id.Topic]
	delete(topic, id.Partition)
	if t := h.traffic[id.Topic]; t != nil && len(topic) == 0 {
		h.ended.add(t.counts())
		delete(h.partitions, id.Topic)
		delete(h.traffic, id.Topic)
	}
}

// counts returns the traffic of all topics that have or had partitions, and that of each topic with
// partitions.
func (h *hosted) counts() (all TrafficCounts, topics map[string]TrafficCounts) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	all = h.ended
	topics = make(map[string]TrafficCounts, len(h.traffic))
	for topic, t := range h.traffic {
		counts := t.counts()
		topics[topic] = counts
		all.add(counts)
	}
	return all, topics
}
