package controller

import (
	"errors"
	"fmt"
	"testing"

	"github.com/monedula/monedula/zkstore"
)

// readTopicIDs returns the ids after a read of topics, and what was written.
func readTopicIDs(t *testing.T, supported bool, known func(string) TopicID) (ids map[string]TopicID, writes string) {
	p := newParts(t, 0)
	p.create("kept", replicas(0))
	for _, name := range []string{"new", "lost"} {
		p.create(name, replicas(0))
		node := p.store.topics[name]
		node.ID = TopicID{}
		p.store.topics[name] = node
	}
	delete(p.store.states, tp("new", 0))
	p.c.reset()
	p.c.epochVersion = p.store.epochVersion
	draws := []TopicID{{0: 0xf8}, {0: 7}} // the text of the first one begins with '-'
	nodes := &topicNodes{topicIDs: supported, c: p.c, store: p.store, agenda: p.harness, log: p.partitions.log,
		draw: func() (TopicID, error) { id := draws[0]; draws = draws[1:]; return id, nil }}
	tps, err := nodes.read(p.ctx, sortedKeys(p.store.topics), known)
	if err != nil || len(tps) != 3 {
		t.Fatal(tps, err)
	}
	ids = map[string]TopicID{}
	for name := range p.store.topics {
		ids[name] = p.c.topicID(name)
		if ids[name] != p.store.topics[name].ID {
			t.Errorf("%s has the id %x in ZooKeeper and %x in the context", name, p.store.topics[name].ID, ids[name])
		}
	}
	return ids, p.requests()
}

// An id in ZooKeeper is kept. A topic without one gets the known id if its partitions have states,
// and otherwise a new id, if ids are supported. No id begins with '-' in its text.
func TestTopicsWithoutIDsGetTheKnownOrANewOne(t *testing.T) {
	known := func(topic string) TopicID { return TopicID{15: topic[0]} }
	kept := topicNode("kept").ID
	for _, c := range []struct {
		supported bool
		known     func(string) TopicID
		lost, new TopicID
		writes    string
	}{
		{true, known, TopicID{15: 'l'}, TopicID{0: 7}, "zk set topic lost 0=0 (id), zk set topic new 0=0 (id)"},
		{false, known, TopicID{15: 'l'}, TopicID{}, "zk set topic lost 0=0 (id)"},
		{false, nil, TopicID{}, TopicID{}, ""},
	} {
		ids, writes := readTopicIDs(t, c.supported, c.known)
		if ids["kept"] != kept || ids["lost"] != c.lost || ids["new"] != c.new || writes != c.writes {
			t.Errorf("supported %t: ids %x, writes %q; want %x, %x, %x and %q", c.supported, ids, writes, kept, c.lost, c.new, c.writes)
		}
	}
}

// A topic that changes or disappears while its id is restored does not end the failover: an event
// follows. Any other error does.
func TestATopicMayChangeWhileItsIDIsRestored(t *testing.T) {
	for _, c := range []struct {
		err   error
		fatal bool
	}{{zkstore.ErrBadVersion, false}, {zkstore.ErrNoNode, false}, {zkstore.ErrControllerMoved, true}, {errors.New("lost"), true}} {
		p := newParts(t, 0)
		p.create("lost", replicas(0))
		node := p.store.topics["lost"]
		id := node.ID
		node.ID = TopicID{}
		p.store.topics["lost"] = node
		nodes := &topicNodes{topicIDs: true, c: p.c, store: p.store, agenda: p.harness, log: p.partitions.log}
		p.store.fail["SetTopic"] = fmt.Errorf("set: %w", c.err)
		tps, err := nodes.read(p.ctx, []string{"lost"}, func(string) TopicID { return id })
		if c.fatal != errors.Is(err, c.err) || !c.fatal && (err != nil || len(tps) != 1 || p.c.topicID("lost") != id) {
			t.Errorf("%v: partitions %v, id %x, %v", c.err, tps, p.c.topicID("lost"), err)
		}
	}
}

// A topic's znode with invalid data is not overwritten when it changes and is still invalid.
func TestAnInvalidZnodeOfATopicIsLeftAsItIs(t *testing.T) {
	h := started(t, nil, 0)
	for range 3 {
		h.store.putTopic(zkstore.TopicNode{Name: "broken"})
		h.run()
	}
	if written := h.take(); written != "" || h.m.c.topics["broken"] == nil {
		t.Errorf("known: %t; written:\n%s", h.m.c.topics["broken"] != nil, written)
	}
}
