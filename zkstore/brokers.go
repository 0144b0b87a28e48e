package zkstore

import (
	"context"
	"errors"
	"sort"
	"strconv"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/zkstore/zkclient"
)

// RegisterBroker creates the broker's ephemeral node and returns the broker epoch, which is the
// node's czxid. It replaces a node of an earlier session of this store, and returns ErrNodeExists
// if the node belongs to any other session.
func (s *Store) RegisterBroker(ctx context.Context, info BrokerInfo) (epoch int64, err error) {
	ctx, session, err := s.Bind(ctx)
	if err != nil {
		return 0, err
	}
	path := BrokerPath(info.ID)
	s.kafkaLog.Infof("Creating %s (is it secure? %t)", path, s.cfg.SecureACL)
	stat, err := s.createBroker(ctx, session, path, encodeBroker(info, s.cfg.Now().UnixMilli()))
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.registered = session
	s.mu.Unlock()
	s.kafkaLog.Infof("Stat of the created znode at %s is: %s\n", path, statText(stat))
	s.kafkaLog.Infof("Registered broker %d at path %s with addresses: %s, czxid (broker epoch): %d",
		info.ID, path, addresses(info), stat.Czxid)
	return stat.Czxid, nil
}

// createBroker creates the node and writes its data in one transaction, so that no reader sees it
// empty and its version is 1, as with Kafka.
func (s *Store) createBroker(ctx context.Context, session int64, path string, data []byte) (zk.Stat, error) {
	for {
		results, _, _, err := s.Multi(ctx, "register", path,
			s.CreateOp(path, nil, zk.FlagEphemeral), s.SetOp(path, data, 0))
		if err == nil {
			return *results[1].Stat, nil
		}
		if !errors.Is(err, ErrNodeExists) {
			s.kafkaLog.Errorf("Error while creating ephemeral at %s with return code: %v", path, err)
			return zk.Stat{}, err
		}
		n, readErr := s.ReadUnwatched(ctx, path)
		if errors.Is(readErr, ErrNoNode) {
			s.kafkaLog.Infof("The ephemeral node at %s went away while reading it, attempting create() again", path)
			continue
		}
		if readErr != nil {
			return zk.Stat{}, readErr
		}
		switch owner := n.Stat.EphemeralOwner; {
		case owner == session: // created by an earlier attempt, whose answer was lost
			return n.Stat, nil
		case owner != 0 && owner == s.formerSession():
			s.kafkaLog.Infof("Was not possible to create the ephemeral at %s, node already exists and owner '0x%x' does not match current session '0x%x', trying to delete and re-create it with the newest Zookeeper session", path, owner, session)
			if err := s.Remove(ctx, path); err != nil {
				return zk.Stat{}, err
			}
		default:
			s.kafkaLog.Errorf("Error while creating ephemeral at %s, node already exists and owner '0x%x' does not match current session '0x%x'", path, owner, session)
			return zk.Stat{}, err
		}
	}
}

// formerSession returns the id of the session in which this store last registered a broker.
func (s *Store) formerSession() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registered
}

func statText(t zk.Stat) string {
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
func (s *Store) UpdateBroker(ctx context.Context, info BrokerInfo) error {
	path := BrokerPath(info.ID)
	if _, err := s.Set(ctx, path, encodeBroker(info, s.cfg.Now().UnixMilli()), AnyVersion); err != nil {
		return err
	}
	s.kafkaLog.Infof("Updated broker %d at path %s with addresses: %s", info.ID, path, addresses(info))
	return nil
}

// BrokerNode reads one broker's node and arms a NodeWatch on BrokerPath(id). owner is the id of the
// session that owns the node. It returns ErrNoNode if the broker is not registered.
func (s *Store) BrokerNode(ctx context.Context, id int32) (info *BrokerInfo, owner int64, err error) {
	n, err := s.Read(ctx, BrokerPath(id))
	if err != nil {
		return nil, 0, err
	}
	info, err = brokerOf(id, n)
	return info, n.Stat.EphemeralOwner, err
}

func brokerOf(id int32, n zkclient.Node) (*BrokerInfo, error) {
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
func (s *Store) Brokers(ctx context.Context) (map[int32]BrokerInfo, error) {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := s.brokerIDs(ctx, true)
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(ids))
	for i, id := range ids {
		paths[i] = BrokerPath(id)
	}
	nodes, found, err := s.ReadMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	brokers := make(map[int32]BrokerInfo, len(ids))
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
func (s *Store) BrokerIDs(ctx context.Context) ([]int32, error) { return s.brokerIDs(ctx, false) }

func (s *Store) brokerIDs(ctx context.Context, arm bool) ([]int32, error) {
	names, err := s.Children(ctx, BrokerIDsPath, arm)
	if err != nil {
		return nil, err
	}
	ids := make([]int32, 0, len(names))
	for _, name := range names {
		id, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			s.kafkaLog.Errorf("Ignoring %q in %s, which is not a broker id", name, BrokerIDsPath)
			continue
		}
		ids = append(ids, int32(id))
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids, nil
}

// AwaitBrokerGone waits with a separate watch until /brokers/ids/id does not exist. It returns the
// context's error if ctx is done first.
func (s *Store) AwaitBrokerGone(ctx context.Context, id int32) error {
	return s.AwaitGone(ctx, BrokerPath(id))
}
