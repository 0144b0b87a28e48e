package simulation

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/replication"
	zktree "github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkstore"
)

// A topic with one partition is deleted and created again under its name. Each time it has another
// id and is a new incarnation, in which no data of an earlier one may appear.

// briefName is the topic that is deleted and created again.
const briefName = "brief"

// Places number the partitions of all topics from 0: first those of the permanent topic, then brief,
// those of the topic of transactional producers, and those of __transaction_state.
const (
	brief      int32 = partitionCount // the only partition of the topic that comes and goes
	firstData        = brief + 1
	firstState       = firstData + dataPartitions
	placeCount       = firstState + maxStates
)

// tp returns the partition at a place.
func tp(place int32) replication.TopicPartition {
	switch {
	case place >= firstState:
		return replication.TopicPartition{Topic: metadata.TransactionStateTopic, Partition: place - firstState}
	case place >= firstData:
		return replication.TopicPartition{Topic: dataName, Partition: place - firstData}
	case place == brief:
		return replication.TopicPartition{Topic: briefName}
	}
	return replication.TopicPartition{Topic: topicName, Partition: place}
}

// place returns the place of a partition.
func place(p replication.TopicPartition) int32 { return firstOf(p.Topic) + p.Partition }

// firstOf returns the place of a topic's first partition.
func firstOf(topic string) int32 {
	switch topic {
	case briefName:
		return brief
	case dataName:
		return firstData
	case metadata.TransactionStateTopic:
		return firstState
	}
	return 0
}

// placesOf returns the places of a topic's partitions.
func (w *world) placesOf(topic string) (places []int32) {
	for _, p := range w.places {
		if tp(p).Topic == topic {
			places = append(places, p)
		}
	}
	return places
}

// isData reports whether transactional producers write to the partition.
func isData(place int32) bool { return place >= firstData && place < firstState }

// isState reports whether it is a partition of __transaction_state.
func isState(place int32) bool { return place >= firstState }

// deletionPath is the node that marks the topic for deletion.
const deletionPath = zkstore.DeleteTopicsPath + "/" + briefName

func (w *world) exists(path string) bool {
	_, _, exists := w.tree.Peek(path)
	return exists
}

// recycle creates the topic if it does not exist, and sometimes deletes it, through any broker.
// Then it schedules itself again.
func (w *world) recycle() {
	b := w.brokers[w.random.IntN(brokerCount)]
	if b.alive && b.conn != nil && b.registered >= 0 && !b.zkBlocked() {
		switch {
		case !w.exists(zkstore.TopicPath(briefName)):
			b.after(0, b.createBrief)
		case w.chaotic && !w.exists(deletionPath) && w.chance(3):
			b.after(0, b.deleteBrief)
		}
	}
	w.after(w.between(100*time.Millisecond, 1500*time.Millisecond), w.recycle)
}

func (b *broker) createBrief() {
	b.w.topicsMade++
	a := zkstore.Assignment{}
	for _, id := range b.w.random.Perm(brokerCount) {
		a.Replicas = append(a.Replicas, metadata.BrokerID(id))
	}
	err := b.store.CreateTopic(b.bound(), zkstore.TopicNode{Name: briefName, ID: zkstore.TopicID{14: 1, 15: b.w.topicsMade},
		Partitions: map[int32]zkstore.Assignment{0: a}})
	b.w.say("broker %d creates topic %s: %v", b.id, briefName, err)
}

func (b *broker) deleteBrief() {
	err := b.store.CreateTopicDeletion(b.bound(), briefName)
	b.w.say("broker %d marks topic %s for deletion: %v", b.id, briefName, err)
}

// topicWritten checks what a session wrote to the nodes of topics.
func (c *checker) topicWritten(by *zkConn, op zktree.Op) {
	c.lastingTopicWritten(by, op)
	switch op := op.(type) {
	case zktree.Create:
		switch op.Path {
		case zkstore.TopicPath(briefName):
			c.born(op.Data, brief)
			c.w.producers[brief] = newProducer(c.w, brief)
			c.w.after(c.w.between(0, 500*time.Millisecond), c.w.producers[brief].produce)
		case deletionPath:
			c.briefMarked = true
		}
	case zktree.Set:
		switch op.Path {
		case zkstore.TopicPath(briefName):
			c.assigned(op.Data, []int32{brief})
			c.keepsID(op.Data, brief)
		}
	case zktree.Delete:
		switch op.Path {
		case zkstore.TopicPath(briefName):
			c.died(by)
		case deletionPath:
			if by != c.controller {
				c.w.fail("broker %d deleted the mark of a topic's deletion after it was deposed", by.b.id)
			}
			c.briefMarked = false
		case zkstore.PartitionStatePath(tp(brief)):
			if by != c.controller {
				c.w.fail("broker %d deleted the state of a partition after it was deposed", by.b.id)
			}
			c.states[brief] = partitionState{}
		}
	}
}

// lastingTopicWritten checks what a session wrote to the nodes of the other topics.
func (c *checker) lastingTopicWritten(by *zkConn, op zktree.Op) {
	for _, topic := range []string{topicName, dataName, metadata.TransactionStateTopic} {
		path, places := zkstore.TopicPath(topic), c.w.placesOf(topic)
		switch op := op.(type) {
		case zktree.Create:
			if op.Path == path {
				c.born(op.Data, places...)
			}
		case zktree.Set:
			if op.Path == path {
				c.assigned(op.Data, places)
				c.keepsID(op.Data, places[0])
			}
		case zktree.Delete:
			if op.Path == path {
				c.w.fail("broker %d deleted the topic %s", by.b.id, topic)
			}
		}
	}
}

// born begins the history of an incarnation of a topic.
func (c *checker) born(data []byte, places ...int32) {
	c.assigned(data, places)
	for _, p := range places {
		c.ids[p] = topicIDOf(data)
		c.histories[incarnation{p, c.ids[p]}] = newHistory(p)
	}
	c.w.say("the topic's id is %x", c.ids[places[0]])
}

// died ends the incarnation of the topic that is deleted and created again, together with its
// clients and their messages. The topic must have been marked for deletion during this incarnation:
// a mark for an earlier one must not delete it.
func (c *checker) died(by *zkConn) {
	switch {
	case by != c.controller:
		c.w.fail("broker %d deleted a topic after it was deposed", by.b.id)
	case !c.briefMarked:
		c.w.fail("broker %d deleted a topic that was not marked for deletion", by.b.id)
	case c.w.exists(deletionPath):
		c.w.fail("broker %d deleted a topic and left its mark, which would delete the next one", by.b.id)
	}
	c.w.say("broker %d deleted the topic %x", by.b.id, c.ids[brief])
	c.briefMarked = false
	c.ids[brief] = zkstore.TopicID{}
	c.states[brief] = partitionState{}
	c.assignments[brief] = assignment{}
	if p := c.w.producers[brief]; p != nil {
		p.gone = true
	}
	for _, b := range c.w.brokers {
		b.dirty[brief] = false
	}
}

func (c *checker) keepsID(data []byte, p int32) {
	if id := topicIDOf(data); id != c.ids[p] {
		c.w.fail("the topic of partition %d has another id: %x, which was %x", p, id, c.ids[p])
	}
}

func topicIDOf(data []byte) (id zkstore.TopicID) {
	var node struct {
		TopicID string `json:"topic_id"`
	}
	if err := json.Unmarshal(data, &node); err == nil {
		text, _ := base64.RawURLEncoding.DecodeString(node.TopicID)
		copy(id[:], text)
	}
	return id
}
