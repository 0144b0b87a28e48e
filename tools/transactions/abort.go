package transactions

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

func abortCommand(line *cli.Arguments) command {
	c := line.Command("abort", "Aborts a hanging transaction in one partition. Needs permission to alter the cluster.")
	partition := partitionOptions(c, true)
	start := c.Add(cli.Argument{Name: "--start-offset", Metavar: "START_OFFSET", Kind: "Long", Doc: "The offset of the transaction's first record. Brokers since 3.0 need only this."})
	id := c.Add(cli.Argument{Name: "--producer-id", Metavar: "PRODUCER_ID", Kind: "Long", Doc: "The producer's id, for older brokers."})
	epoch := c.Add(cli.Argument{Name: "--producer-epoch", Metavar: "PRODUCER_EPOCH", Kind: "Short", Doc: "The producer's epoch, for older brokers."})
	coordinator := c.Add(cli.Argument{Name: "--coordinator-epoch", Metavar: "COORDINATOR_EPOCH", Kind: "Integer", Doc: "The epoch of the transaction's coordinator, for older brokers."})
	return command{c, func(a *admin) error {
		spec := abortSpec{partition: partition(), producerID: id.Number(-1), epoch: int16(epoch.Number(0)), coordinatorEpoch: max(int32(coordinator.Number(0)), 0)}
		switch {
		case start.Given():
			if err := a.findOpen(&spec, record.Offset(start.Number(0))); err != nil {
				return err
			}
		case !id.Given():
			return failure{what: "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)"}
		case !epoch.Given():
			return failure{what: "Missing required argument --producer-epoch"}
		case !coordinator.Given():
			return failure{what: "Missing required argument --coordinator-epoch"}
		}
		if err := a.abort(spec); err != nil {
			return failure{fmt.Sprintf("Failed to abort transaction %s", spec), err}
		}
		return nil
	}}
}

// abortSpec identifies a transaction in one partition.
type abortSpec struct {
	partition        client.TopicPartition
	producerID       int64
	epoch            int16
	coordinatorEpoch int32 // 0 if the partition has had no marker of the producer
}

// String returns the text of Kafka's AbortTransactionSpec.
func (s abortSpec) String() string {
	return fmt.Sprintf("AbortTransactionSpec(topicPartition=%s, producerId=%d, producerEpoch=%d, coordinatorEpoch=%d)", s.partition, s.producerID, s.epoch, s.coordinatorEpoch)
}

// findOpen completes spec with the producer whose open transaction begins at the offset.
func (a *admin) findOpen(spec *abortSpec, start record.Offset) error {
	described, err := a.producers([]client.TopicPartition{spec.partition}, noBroker)
	if err != nil {
		return failure{fmt.Sprintf("Failed to validate producer state for partition %s", spec.partition), err}
	}
	for _, p := range described[spec.partition] {
		if p.CurrentTxnStartOffset >= 0 && record.Offset(p.CurrentTxnStartOffset) == start {
			spec.producerID, spec.epoch, spec.coordinatorEpoch = p.ProducerID, int16(p.ProducerEpoch), max(p.CoordinatorEpoch, 0)
			return nil
		}
	}
	return failure{what: fmt.Sprintf("Could not find any open transactions starting at offset %d on partition %s", start, spec.partition)}
}

// abort writes the marker on the partition's leader.
func (a *admin) abort(spec abortSpec) error {
	c, err := a.Begin("abortTransaction(api=METADATA)")
	if err != nil {
		return err
	}
	defer c.End()
	for {
		byLeader, err := c.Leaders([]client.TopicPartition{spec.partition}, true)
		if err != nil {
			return err
		}
		for leader := range byLeader {
			if done, err := a.abortOn(c, leader, spec); done || err != nil {
				return err
			}
		}
		if err := c.Again(); err != nil {
			return err
		}
	}
}

// abortOn reports whether the broker has written the marker.
func (a *admin) abortOn(c *client.Call, leader metadata.BrokerID, spec abortSpec) (done bool, err error) {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: spec.producerID, ProducerEpoch: spec.epoch, CoordinatorEpoch: spec.coordinatorEpoch,
		Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: spec.partition.Topic, Partitions: []int32{spec.partition.Partition}}}}}
	resp, err := ask[*kmsg.WriteTxnMarkersResponse](a, c, leader, req, 1)
	if unsupported(err) {
		return false, err
	}
	if err != nil || len(resp.Markers) == 0 || len(resp.Markers[0].Topics) == 0 || len(resp.Markers[0].Topics[0].Partitions) == 0 {
		return false, nil
	}
	code := protocol.ErrorCode(resp.Markers[0].Topics[0].Partitions[0].ErrorCode)
	refused := func(line, format string, args ...any) (bool, error) {
		a.log("AbortTransactionHandler").Errorf("[AdminClient clientId=%s] WriteTxnMarkers request for abort spec %s %s", a.ID, spec, line)
		return false, protocol.Errorf(code, "WriteTxnMarkers request with %s failed %s", spec, fmt.Sprintf(format, args...))
	}
	switch code {
	case protocol.None:
		return true, nil
	case protocol.NotLeaderOrFollower, protocol.ReplicaNotAvailable, protocol.BrokerNotAvailable, protocol.UnknownTopicOrPartition:
		return false, nil
	case protocol.ClusterAuthorizationFailed:
		return refused("failed cluster authorization", "due to cluster authorization error")
	case protocol.InvalidProducerEpoch:
		return refused("failed due to an invalid producer epoch", "due an invalid producer epoch")
	case protocol.TransactionCoordinatorFenced:
		return refused("failed because the coordinator epoch is fenced", "since the provided coordinator epoch %d has been fenced by the active coordinator", spec.coordinatorEpoch)
	}
	return refused("failed due to an unexpected error "+code.Name(), "due to unexpected error: %s", code.Message())
}
