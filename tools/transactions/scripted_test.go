package transactions

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
)

// refusing answers like a cluster of two brokers that refuses requests with a code. Broker 1
// coordinates all ids and leads all partitions.
func refusing(code protocol.ErrorCode) func(req kmsg.Request) kmsg.Response {
	cluster := toolreplay.Cluster{Brokers: []int32{0, 1}}
	return func(req kmsg.Request) kmsg.Response {
		switch req := req.(type) {
		case *kmsg.MetadataRequest:
			resp := cluster.Metadata(req)
			for _, asked := range req.Topics {
				t := kmsg.NewMetadataResponseTopic()
				t.Topic = asked.Topic
				if *asked.Topic == "nosuch" {
					t.ErrorCode = int16(protocol.UnknownTopicOrPartition)
				} else {
					t.Partitions = []kmsg.MetadataResponseTopicPartition{{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}}
				}
				resp.Topics = append(resp.Topics, t)
			}
			return resp
		case *kmsg.FindCoordinatorRequest:
			resp := kmsg.NewPtrFindCoordinatorResponse()
			for _, key := range req.CoordinatorKeys {
				resp.Coordinators = append(resp.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: 1, ErrorCode: int16(codeFor(key, code))})
			}
			return resp
		case *kmsg.ListTransactionsRequest:
			resp := kmsg.NewPtrListTransactionsResponse()
			resp.ErrorCode = int16(code)
			return resp
		case *kmsg.DescribeTransactionsRequest:
			resp := kmsg.NewPtrDescribeTransactionsResponse()
			for _, id := range req.TransactionalIDs {
				resp.TransactionStates = append(resp.TransactionStates, kmsg.DescribeTransactionsResponseTransactionState{TransactionalID: id, ErrorCode: int16(code)})
			}
			return resp
		case *kmsg.DescribeProducersRequest:
			resp := kmsg.NewPtrDescribeProducersResponse()
			for _, t := range req.Topics {
				answer := kmsg.DescribeProducersResponseTopic{Topic: t.Topic}
				for _, p := range t.Partitions {
					answer.Partitions = append(answer.Partitions, kmsg.DescribeProducersResponseTopicPartition{Partition: p, ErrorCode: int16(code)})
				}
				resp.Topics = append(resp.Topics, answer)
			}
			return resp
		case *kmsg.WriteTxnMarkersRequest:
			resp := kmsg.NewPtrWriteTxnMarkersResponse()
			m := req.Markers[0]
			resp.Markers = []kmsg.WriteTxnMarkersResponseMarker{{ProducerID: m.ProducerID, Topics: []kmsg.WriteTxnMarkersResponseMarkerTopic{{Topic: m.Topics[0].Topic,
				Partitions: []kmsg.WriteTxnMarkersResponseMarkerTopicPartition{{Partition: m.Topics[0].Partitions[0], ErrorCode: int16(code)}}}}}}
			return resp
		}
		return nil
	}
}

// codeFor returns the code of FindCoordinator: only the id "lost" is refused.
func codeFor(id string, code protocol.ErrorCode) protocol.ErrorCode {
	if id == "lost" {
		return code
	}
	return protocol.None
}

func TestRefusalsHaveTheTextsOfTheRealTool(t *testing.T) {
	const (
		server = "--bootstrap-server {B} "
		soon   = server + "--command-config {F}/impatient.properties "
		detail = ". Enable debug logging for additional detail.\n[exit] 1\n"
		abort  = "abort --topic t --partition 0 --producer-id 5 --producer-epoch 1 --coordinator-epoch 3"
		spec   = "AbortTransactionSpec(topicPartition=t-0, producerId=5, producerEpoch=1, coordinatorEpoch=3)"
		failed = "[out]\n[err] Failed to "
		// marker is what the client logs of a refused abort.
		marker = "[out]\n[err] * ERROR [AdminClient clientId=*] WriteTxnMarkers request for abort spec " + spec + " "
	)
	for _, test := range []struct {
		name, args string
		code       protocol.ErrorCode
		want       string
	}{
		{"a list of a broker that stops", server + "list", protocol.CoordinatorNotAvailable,
			failed + "list transactions: ListTransactions request sent to broker 0 failed because the coordinator is shutting down" + detail},
		{"a list that fails", server + "list", protocol.UnknownServerError,
			"[out]\n[err] * ERROR [AdminClient clientId=*] The `ListTransactions` request sent to broker 0 failed because of an unexpected error UNKNOWN_SERVER_ERROR (org.apache.kafka.clients.admin.internals.ListTransactionsHandler)\n" +
				"[err] Failed to list transactions: ListTransactions request sent to broker 0 failed with an unexpected exception" + detail},
		{"a list that fails for a client with a name", server + "--command-config {F}/named.properties list", protocol.UnknownServerError,
			"[out]\n[err] * ERROR [AdminClient clientId=me] The `ListTransactions` request sent to broker 0 failed because of an unexpected error UNKNOWN_SERVER_ERROR (org.apache.kafka.clients.admin.internals.ListTransactionsHandler)\n" +
				"[err] Failed to list transactions: ListTransactions request sent to broker 0 failed with an unexpected exception" + detail},
		{"an id that fails", server + "describe --transactional-id x", protocol.UnknownServerError,
			failed + "describe transaction state of transactional-id `x`: DescribeTransactions request for transactionalId `x` failed due to unexpected error" + detail},
		{"an id that may not be described", server + "describe --transactional-id x", protocol.TransactionalIDAuthorizationFailed,
			failed + "describe transaction state of transactional-id `x`: DescribeTransactions request for transactionalId `x` failed due to authorization failure" + detail},
		{"an id without a coordinator", server + "describe --transactional-id lost", protocol.InvalidRequest,
			failed + "describe transaction state of transactional-id `lost`: FindCoordinator request for key `CoordinatorKey(idValue='lost', type=TRANSACTION)` failed due to an unexpected error" + detail},
		{"a replica that another broker has", server + "describe-producers --topic t --partition 0 --broker-id 0", protocol.NotLeaderOrFollower,
			"[out]\n[err] * ERROR [AdminClient clientId=*] Not leader error in `DescribeProducers` response for partition t-0 for brokerId 0 set in options (org.apache.kafka.clients.admin.internals.DescribeProducersHandler)\n" +
				"[err] org.apache.kafka.common.errors.NotLeaderOrFollowerException: " + protocol.NotLeaderOrFollower.Message() + "\n" +
				"[err] Failed to describe producers for partition t-0 on broker 0: Failed to describe active producers for partition t-0 on brokerId 0" + detail},
		{"an abort that is not allowed", server + abort, protocol.ClusterAuthorizationFailed,
			marker + "failed cluster authorization (org.apache.kafka.clients.admin.internals.AbortTransactionHandler)\n" +
				"[err] Failed to abort transaction " + spec + ": WriteTxnMarkers request with " + spec + " failed due to cluster authorization error" + detail},
		{"an abort of an older epoch", server + abort, protocol.InvalidProducerEpoch,
			marker + "failed due to an invalid producer epoch (org.apache.kafka.clients.admin.internals.AbortTransactionHandler)\n" +
				"[err] Failed to abort transaction " + spec + ": WriteTxnMarkers request with " + spec + " failed due an invalid producer epoch" + detail},
		{"an abort of an older coordinator", server + abort, protocol.TransactionCoordinatorFenced,
			marker + "failed because the coordinator epoch is fenced (org.apache.kafka.clients.admin.internals.AbortTransactionHandler)\n" +
				"[err] Failed to abort transaction " + spec + ": WriteTxnMarkers request with " + spec + " failed since the provided coordinator epoch 3 has been fenced by the active coordinator" + detail},
		{"an abort that is done", server + abort, protocol.None, "[out]\n[err]\n[exit] 0\n"},
		{"producers of an unknown topic", soon + "describe-producers --topic nosuch --partition 0", protocol.None,
			"[out]\n[err] Failed to describe producers for partition nosuch-0 on leader: Call(callName=describeProducers(api=METADATA), deadlineMs=*, tries=*, nextAllowedTryMs=*) timed out at * after * attempt(s)" + detail},
		{"an abort in an unknown topic", soon + "abort --topic nosuch --partition 0 --start-offset 0", protocol.None,
			"[out]\n[err] Failed to validate producer state for partition nosuch-0: Call(callName=describeProducers(api=METADATA), deadlineMs=*, tries=*, nextAllowedTryMs=*) timed out at * after * attempt(s)" + detail},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"impatient.properties": "default.api.timeout.ms={T}\nrequest.timeout.ms=250\n", "named.properties": "client.id=me\n"}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: test.args, Alone: true, Tidy: tidy}, files, refusing(test.code))
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}
