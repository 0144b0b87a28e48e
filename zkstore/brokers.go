package zkstore

import (
	"context"
	"errors"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// brokers has the operations on the nodes of brokers.
type brokers struct {
	nodes  nodes
	now    func() time.Time
	secure bool // zookeeper.set.acl

	mu         sync.Mutex // guards registered
	registered int64      // id of the session in which this store last registered its broker
}

// RegisterBroker creates the broker's ephemeral node and returns the broker epoch, which is the
// node's czxid. It replaces a node of an earlier session of this store, and returns ErrNodeExists
// if the node belongs to any other session.
func (b *brokers) RegisterBroker(ctx context.Context, info BrokerInfo) (epoch int64, err error) {
	ctx, session, err := b.nodes.Bind(ctx)
	if err != nil {
		return 0, err
	}
	path := BrokerPath(info.ID)
	b.nodes.log.Infof("Creating %s (is it secure? %t)", path, b.secure)
	stat, err := b.createBroker(ctx, session, path, encodeBroker(info, b.now().UnixMilli()))
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	b.registered = session
	b.mu.Unlock()
	b.nodes.log.Infof("Stat of the created znode at %s is: %s\n", path, statText(stat))
	b.nodes.log.Infof("Registered broker %d at path %s with addresses: %s, czxid (broker epoch): %d",
		info.ID, path, addresses(info), stat.Czxid)
	return stat.Czxid, nil
}

// Registered reports whether the broker was registered in the session that is open now.
func (s *Store) Registered() bool {
	s.brokers.mu.Lock()
	defer s.brokers.mu.Unlock()
	return s.registered == s.SessionID()
}

// createBroker creates the node and writes its data in one transaction, so that no reader sees it
// empty and its version is 1, as with Kafka.
func (b *brokers) createBroker(ctx context.Context, session int64, path string, data []byte) (zkclient.Stat, error) {
	for {
		stats, _, _, err := b.nodes.Multi(ctx, "register", path,
			zkclient.CreateEphemeralOp(path, nil), zkclient.SetOp(path, data, 0))
		if err == nil {
			return stats[1], nil
		}
		if !errors.Is(err, ErrNodeExists) {
			b.nodes.log.Errorf("Error while creating ephemeral at %s with return code: %v", path, err)
			return zkclient.Stat{}, err
		}
		n, readErr := b.nodes.ReadUnwatched(ctx, path)
		if errors.Is(readErr, ErrNoNode) {
			b.nodes.log.Infof("The ephemeral node at %s went away while reading it, attempting create() again", path)
			continue
		}
		if readErr != nil {
			return zkclient.Stat{}, readErr
		}
		switch owner := n.Stat.EphemeralOwner; {
		case owner == session: // created by an earlier attempt, whose answer was lost
			return n.Stat, nil
		case owner != 0 && owner == b.formerSession():
			b.nodes.log.Infof("Was not possible to create the ephemeral at %s, node already exists and owner '0x%x' does not match current session '0x%x', trying to delete and re-create it with the newest Zookeeper session", path, owner, session)
			if err := b.nodes.Remove(ctx, path); err != nil {
				return zkclient.Stat{}, err
			}
		default:
			b.nodes.log.Errorf("Error while creating ephemeral at %s, node already exists and owner '0x%x' does not match current session '0x%x'", path, owner, session)
			return zkclient.Stat{}, err
		}
	}
}

// formerSession returns the id of the session in which this store last registered a broker.
func (b *brokers) formerSession() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.registered
}

func statText(t zkclient.Stat) string {
	numbers := []int64{t.Czxid, t.Mzxid, t.Ctime, t.Mtime, int64(t.Version), int64(t.Cversion), int64(t.Aversion),
		t.EphemeralOwner, int64(t.DataLength), int64(t.NumChildren), t.Pzxid}
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(texts, ",")
}

func addresses(info BrokerInfo) string {
	texts := make([]string, len(info.Endpoints))
	for i, e := range info.Endpoints {
		texts[i] = endpointText(e)
	}
	return strings.Join(texts, ",")
}

// UpdateBroker rewrites the broker's node after a change of its listeners. The broker epoch does
// not change.
func (b *brokers) UpdateBroker(ctx context.Context, info BrokerInfo) error {
	path := BrokerPath(info.ID)
	if _, err := b.nodes.Set(ctx, path, encodeBroker(info, b.now().UnixMilli()), AnyVersion); err != nil {
		return err
	}
	b.nodes.log.Infof("Updated broker %d at path %s with addresses: %s", info.ID, path, addresses(info))
	return nil
}

// BrokerNode reads one broker's node and arms a NodeWatch on BrokerPath(id). owner is the id of the
// session that owns the node. It returns ErrNoNode if the broker is not registered.
func (b *brokers) BrokerNode(ctx context.Context, id metadata.BrokerID) (info *BrokerInfo, owner int64, err error) {
	n, err := b.nodes.Read(ctx, BrokerPath(id))
	if err != nil {
		return nil, 0, err
	}
	info, err = brokerOf(id, n)
	return info, n.Stat.EphemeralOwner, err
}

// RegistrationTimes returns when a broker wrote its node, in ms: by the clock of the broker, and by
// that of ZooKeeper.
func (b *brokers) RegistrationTimes(ctx context.Context, id metadata.BrokerID) (broker, zooKeeper int64, err error) {
	n, err := b.nodes.ReadUnwatched(ctx, BrokerPath(id))
	if err != nil {
		return 0, 0, err
	}
	info, err := brokerOf(id, n)
	if err != nil {
		return 0, 0, err
	}
	return info.Timestamp, n.Stat.Mtime, nil
}

func brokerOf(id metadata.BrokerID, n zkclient.Node) (*BrokerInfo, error) {
	info, err := decodeBroker(id, n.Data)
	if err != nil {
		return nil, invalid(BrokerPath(id), err)
	}
	info.Epoch = n.Stat.Czxid
	return info, nil
}

// Brokers reads all registered brokers with their epochs, and arms the children watch on
// BrokerIDsPath and NodeWatches on their paths. It returns ErrInvalidNode if one node is invalid,
// as Kafka does.
func (b *brokers) Brokers(ctx context.Context) (map[metadata.BrokerID]BrokerInfo, error) {
	ctx, _, err := b.nodes.Bind(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := b.brokerIDs(ctx, true)
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(ids))
	for i, id := range ids {
		paths[i] = BrokerPath(id)
	}
	nodes, found, err := b.nodes.ReadMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	brokers := make(map[metadata.BrokerID]BrokerInfo, len(ids))
	for i, id := range ids {
		if !found[i] { // deleted since it was listed
			continue
		}
		info, err := brokerOf(id, nodes[i])
		if err != nil {
			return nil, err
		}
		brokers[id] = *info
	}
	return brokers, nil
}

// BrokerIDs returns the sorted ids of the registered brokers. It arms no watch.
func (b *brokers) BrokerIDs(ctx context.Context) ([]metadata.BrokerID, error) {
	return b.brokerIDs(ctx, false)
}

func (b *brokers) brokerIDs(ctx context.Context, arm bool) ([]metadata.BrokerID, error) {
	names, err := b.nodes.Children(ctx, BrokerIDsPath, arm)
	if err != nil {
		return nil, err
	}
	ids := make([]metadata.BrokerID, 0, len(names))
	for _, name := range names {
		id, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			b.nodes.log.Errorf("Ignoring %q in %s, which is not a broker id", name, BrokerIDsPath)
			continue
		}
		ids = append(ids, metadata.BrokerID(id))
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids, nil
}

// AwaitBrokerGone waits with a separate watch until /brokers/ids/id does not exist. It returns the
// context's error if ctx is done first.
func (b *brokers) AwaitBrokerGone(ctx context.Context, id metadata.BrokerID) error {
	return b.nodes.AwaitGone(ctx, BrokerPath(id))
}
