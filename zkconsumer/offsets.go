package zkconsumer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkstore"
)

// offsetStore stores the committed offsets of a group.
type offsetStore interface {
	// fetch returns the committed offset of each partition. Partitions without one are missing from
	// the result.
	fetch(ctx context.Context, tps []TopicPartition) (map[TopicPartition]record.Offset, error)
	// commit commits offsets. written has the committed partitions, even if there is an error.
	commit(ctx context.Context, offsets map[TopicPartition]record.Offset) (written []TopicPartition, err error)
	// disconnect closes the connection, if any. The next call opens a new one.
	disconnect()
}

// zookeeperOffsets stores offsets below /consumers/G/offsets.
type zookeeperOffsets struct {
	store *zkstore.Store
	group string
}

func (z *zookeeperOffsets) fetch(ctx context.Context, tps []TopicPartition) (map[TopicPartition]record.Offset, error) {
	offsets := map[TopicPartition]record.Offset{}
	for _, tp := range tps {
		offset, known, err := z.store.ConsumerOffset(ctx, z.group, tp)
		if err != nil {
			return nil, err
		}
		if known {
			offsets[tp] = offset
		}
	}
	return offsets, nil
}

func (z *zookeeperOffsets) disconnect() {}

func (z *zookeeperOffsets) commit(ctx context.Context, offsets map[TopicPartition]record.Offset) (written []TopicPartition, err error) {
	for tp, offset := range offsets {
		if err := z.store.SetConsumerOffset(ctx, z.group, tp, offset); err != nil {
			return written, err
		}
		written = append(written, tp)
	}
	return written, nil
}

// kafkaOffsets stores offsets with the group's coordinator, as commits of a group without members.
type kafkaOffsets struct {
	cfg   *Config
	store *zkstore.Store
	log   *logrus.Entry
	also  *zookeeperOffsets // for dual.commit.enabled: also written, and fetch returns the larger offset; nil: disabled
	link  *peerlink.Link    // connection to the coordinator; nil: not connected
}

// again calls f until it succeeds, at most tries times, and waits CommitBackoff between attempts.
func (k *kafkaOffsets) again(ctx context.Context, tries int, f func(link *peerlink.Link) error) error {
	for {
		err := k.coordinator(ctx)
		if err == nil {
			err = f(k.link)
		}
		tries--
		if err == nil || tries <= 0 || ctx.Err() != nil {
			return err
		}
		if code := protocol.CodeOf(err); code != protocol.CoordinatorLoadInProgress {
			k.disconnect()
		}
		k.log.WithError(err).Debug("Request to the offset coordinator failed, retrying")
		timer := time.NewTimer(k.cfg.CommitBackoff)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (k *kafkaOffsets) disconnect() {
	if k.link != nil {
		k.link.Close()
		k.link = nil
	}
}

func (k *kafkaOffsets) dial(address string) *peerlink.Link {
	return peerlink.New(peerlink.Config{Address: address, ClientID: k.cfg.ClientID, RequestTimeout: k.cfg.SocketTimeout, ConnectTimeout: k.cfg.SocketTimeout})
}

// coordinator connects to the group's coordinator if there is no connection.
func (k *kafkaOffsets) coordinator(ctx context.Context) error {
	if k.link != nil {
		return nil
	}
	addresses, err := plaintextAddresses(ctx, k.store)
	if err != nil {
		return err
	}
	var failures []error
	for _, address := range addresses {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.SetVersion(0)
		req.CoordinatorKey = k.cfg.Group
		link := k.dial(address)
		resp, err := link.Do(ctx, req)
		link.Close()
		if err != nil {
			failures = append(failures, err)
			continue
		}
		found := resp.(*kmsg.FindCoordinatorResponse)
		if code := protocol.ErrorCode(found.ErrorCode); code != protocol.None {
			failures = append(failures, fmt.Errorf("find the coordinator of group %s through %s: %w", k.cfg.Group, address, code))
			continue
		}
		k.link = k.dial(net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port))))
		return nil
	}
	return errors.Join(failures...)
}

func (k *kafkaOffsets) fetch(ctx context.Context, tps []TopicPartition) (map[TopicPartition]record.Offset, error) {
	offsets := map[TopicPartition]record.Offset{}
	if len(tps) == 0 {
		return offsets, nil
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.SetVersion(1)
	req.Group = k.cfg.Group
	for _, tp := range tps {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = tp.Topic, []int32{tp.Partition}
		req.Topics = append(req.Topics, t)
	}
	err := k.again(ctx, 1+k.cfg.CommitRetries, func(link *peerlink.Link) error {
		resp, err := link.Do(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range resp.(*kmsg.OffsetFetchResponse).Topics {
			for _, p := range t.Partitions {
				if code := protocol.ErrorCode(p.ErrorCode); code != protocol.None {
					return fmt.Errorf("fetch the offset of %s-%d: %w", t.Topic, p.Partition, code)
				}
				if p.Offset >= 0 {
					offsets[TopicPartition{Topic: t.Topic, Partition: p.Partition}] = record.Offset(p.Offset)
				}
			}
		}
		return nil
	})
	if err != nil || k.also == nil {
		return offsets, err
	}
	others, err := k.also.fetch(ctx, tps)
	for tp, offset := range others {
		if known, found := offsets[tp]; !found || offset > known {
			offsets[tp] = offset
		}
	}
	return offsets, err
}

func (k *kafkaOffsets) commit(ctx context.Context, offsets map[TopicPartition]record.Offset) (written []TopicPartition, err error) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.SetVersion(1)
	req.Group, req.Generation = k.cfg.Group, -1
	for tp, offset := range offsets {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = tp.Topic
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Timestamp = tp.Partition, int64(offset), -1
		p.Metadata = kmsg.StringPtr("")
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	err = k.again(ctx, 1+k.cfg.CommitRetries, func(link *peerlink.Link) error {
		resp, err := link.Do(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
			for _, p := range t.Partitions {
				if code := protocol.ErrorCode(p.ErrorCode); code != protocol.None {
					return fmt.Errorf("commit the offset of %s-%d: %w", t.Topic, p.Partition, code)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if k.also != nil {
		return k.also.commit(ctx, offsets)
	}
	for tp := range offsets {
		written = append(written, tp)
	}
	return written, nil
}
