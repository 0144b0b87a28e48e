package zkstore

import (
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/zkstore/zkclient"
)

// watching is a connection without nodes except /brokers/topics/t. It records the requests that arm
// a watch.
type watching struct {
	zkclient.Conn
	armed map[watched]bool
}

// watched is a path whose node or children are watched.
type watched struct {
	path     string
	children bool
}

func (c *watching) Get(path string) ([]byte, *zk.Stat, error) {
	if path == TopicPath("t") {
		return encodeTopic(TopicNode{Name: "t"}), &zk.Stat{}, nil
	}
	return nil, nil, zk.ErrNoNode
}

// GetW arms a watch only if the node exists.
func (c *watching) GetW(path string) ([]byte, *zk.Stat, <-chan zk.Event, error) {
	data, stat, err := c.Get(path)
	if err == nil {
		c.armed[watched{path, false}] = true
	}
	return data, stat, nil, err
}

func (c *watching) Exists(path string) (bool, *zk.Stat, error) {
	return path == TopicPath("t"), &zk.Stat{}, nil
}

func (c *watching) ExistsW(path string) (bool, *zk.Stat, <-chan zk.Event, error) {
	c.armed[watched{path, false}] = true
	exists, stat, err := c.Exists(path)
	return exists, stat, nil, err
}

func (c *watching) Children(string) ([]string, *zk.Stat, error) { return nil, &zk.Stat{}, nil }

func (c *watching) ChildrenW(path string) ([]string, *zk.Stat, <-chan zk.Event, error) {
	c.armed[watched{path, true}] = true
	return nil, &zk.Stat{}, nil, nil
}

func (*watching) SessionID() int64 { return 1 }
func (*watching) Close()           {}

func TestReadsArmTheWatchesThatHaveHandlers(t *testing.T) {
	conn := &watching{armed: map[watched]bool{}}
	s, ctx := begun(t, conn)
	for key, read := range map[watched]func() error{
		{TopicsPath, true}:               func() error { return second(s.Topics(ctx)) },
		{BrokerIDsPath, true}:            func() error { return second(s.Brokers(ctx)) },
		{DeleteTopicsPath, true}:         func() error { return second(s.TopicDeletions(ctx)) },
		{ConfigChangesPath, true}:        func() error { return third(s.ConfigChanges(ctx, 0)) },
		{ISRChangesPath, true}:           func() error { return second(s.ISRChanges(ctx)) },
		{LogDirEventsPath, true}:         func() error { return second(s.LogDirEvents(ctx)) },
		{TopicPath("t"), false}:          func() error { return second(s.TopicNodes(ctx, []string{"t"})) },
		{ControllerPath, false}:          func() error { return third(s.Controller(ctx)) }, // does not exist
		{ReassignPartitionsPath, false}:  func() error { return second(s.PartitionReassignments(ctx)) },
		{PreferredElectionPath, false}:   func() error { return second(s.PreferredElections(ctx)) },
		{clusterIDPath + "/none", false}: func() error { return second(s.Arm(ctx, clusterIDPath+"/none")) },
	} {
		must(t, read())
		if conn.armed[key] {
			t.Errorf("%v is armed without a handler", key)
		}
		if key.children {
			s.WatchChildren(key.path, func() {})
		} else {
			s.WatchNode(key.path, NodeWatch{})
		}
		must(t, read())
		if !conn.armed[key] {
			t.Errorf("%v is not armed", key)
		}
	}
}
