package replication

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// fakeCoordinator is the remote end of a Verifier: it receives requests and sends the responses of
// the test.
type fakeCoordinator struct {
	newest int16 // latest version of AddPartitionsToTxn; -1: not supported
	asked  chan *kmsg.AddPartitionsToTxnRequest
	answer chan func(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse // nil: the connection breaks
}

func (f *fakeCoordinator) dial(context.Context, string) (net.Conn, error) {
	return memnet.Answering(f.respond), nil
}

func (f *fakeCoordinator) respond(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		resp := kmsg.NewPtrApiVersionsResponse()
		if f.newest >= 0 {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: 24, MaxVersion: f.newest})
		}
		return resp
	case *kmsg.AddPartitionsToTxnRequest:
		f.asked <- req
		if resp := (<-f.answer)(req); resp != nil {
			return resp
		}
	}
	return nil
}

// verdict answers every partition of a request with a code.
func verdict(code protocol.ErrorCode) func(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	return func(req *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
		resp := kmsg.NewPtrAddPartitionsToTxnResponse()
		for _, t := range req.Transactions {
			answer := kmsg.NewAddPartitionsToTxnResponseTransaction()
			answer.TransactionalID = t.TransactionalID
			for _, topic := range t.Topics {
				a := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
				a.Topic = topic.Topic
				for _, p := range topic.Partitions {
					one := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
					one.Partition, one.ErrorCode = p, int16(code)
					a.Partitions = append(a.Partitions, one)
				}
				answer.Topics = append(answer.Topics, a)
			}
			resp.Transactions = append(resp.Transactions, answer)
		}
		return resp
	}
}

func refusal(code protocol.ErrorCode) func(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	return func(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
		resp := kmsg.NewPtrAddPartitionsToTxnResponse()
		resp.ErrorCode = int16(code)
		return resp
	}
}

func noAnswer(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse { return nil }

// verifying returns a broker whose transactions are coordinated by f.
func verifying(t *testing.T, newest int16) (*testBroker, *fakeCoordinator) {
	t.Helper()
	f := &fakeCoordinator{newest: newest, asked: make(chan *kmsg.AddPartitionsToTxnRequest, 10),
		answer: make(chan func(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse, 10)}
	b := newTestBroker(t)
	v := NewVerifier(VerifierConfig{BrokerID: ourID, Listener: "PLAINTEXT", Metadata: b.cluster, Timeout: brokerTime,
		PartitionFor: func(string) int32 { return 7 }, Dial: f.dial, Logger: kafkalog.Discard()})
	v.SetVerifying(true)
	t.Cleanup(v.Close)
	b.cfg.Transactions = v
	b.know(ourID, 2)
	b.knowCoordinator(2)
	b.lead(0, []int32{ourID}, ourID)
	return b, f
}

// knowCoordinator sends the broker metadata in which leader leads partition 7 of
// __transaction_state.
func (b *testBroker) knowCoordinator(leader int32) {
	b.t.Helper()
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 8, 1, 1, -1
	for _, id := range []int32{ourID, 2} {
		live := kmsg.NewUpdateMetadataRequestLiveBroker()
		live.ID = id
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port, e.ListenerName = "host", 9092, "PLAINTEXT"
		live.Endpoints = append(live.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, live)
	}
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic, topic.TopicID = "__transaction_state", TopicID{9}
	s := kmsg.NewUpdateMetadataRequestTopicPartition()
	s.Partition, s.Leader, s.Replicas, s.ISR = 7, leader, []int32{2}, []int32{2}
	topic.PartitionStates = append(topic.PartitionStates, s)
	req.TopicStates = append(req.TopicStates, topic)
	if resp, _ := b.UpdateMetadata(req, 1); resp.ErrorCode != 0 {
		b.t.Fatalf("UpdateMetadata: %s", protocol.ErrorCode(resp.ErrorCode))
	}
}

// transact produces one transactional batch and returns its response.
func (b *testBroker) transact(version int16, producer int64, sequence int32) protocol.ProducePartitionResponse {
	b.t.Helper()
	id := "tx"
	p := b.NewProduce()
	defer p.Release()
	p.Version, p.Acks, p.TransactionalID = version, 1, &id
	p.Add(testTopic, 0, batch(b.t, 1, transactional(producer), func(o *record.Options) { o.BaseSequence = sequence }))
	p.Append()
	return p.Partitions[0].Answer()
}

// The producer gets the coordinator's verdict, and nothing is appended unless the partition belongs
// to the transaction.
func TestPitfallReplication25_RecordsWithoutAnOpenTransactionAreRefused(t *testing.T) {
	unable := func(cause string) string {
		return "Unable to verify the partition has been added to the transaction. Underlying error: " + cause
	}
	for _, c := range []struct {
		name    string
		answer  func(*kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse
		version int16
		want    protocol.ErrorCode
		text    string
	}{
		{"not added", verdict(protocol.TransactionAbortable), 11, protocol.TransactionAbortable, ""},
		{"not added, old client", verdict(protocol.TransactionAbortable), 10, protocol.InvalidTxnState, "Partition was not added to the transaction"},
		{"not added, Kafka 3.6", verdict(protocol.InvalidTxnState), 11, protocol.InvalidTxnState, "Partition was not added to the transaction"},
		{"fenced", verdict(protocol.ProducerFenced), 11, protocol.InvalidProducerEpoch, ""},
		{"unknown id", verdict(protocol.InvalidProducerIDMapping), 11, protocol.InvalidProducerIDMapping, ""},
		{"busy", verdict(protocol.ConcurrentTransactions), 11, protocol.NotEnoughReplicas, unable("CONCURRENT_TRANSACTIONS")},
		{"loading", refusal(protocol.CoordinatorLoadInProgress), 11, protocol.NotEnoughReplicas, unable("COORDINATOR_LOAD_IN_PROGRESS")},
		{"moved", refusal(protocol.NotCoordinator), 11, protocol.NotEnoughReplicas, unable("NOT_COORDINATOR")},
		{"not allowed to ask", refusal(protocol.ClusterAuthorizationFailed), 11, protocol.InvalidTxnState, "Partition was not added to the transaction"},
		{"no answer", noAnswer, 11, protocol.NotEnoughReplicas, unable("NETWORK_EXCEPTION")},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, f := verifying(t, 5)
			f.answer <- c.answer
			got := b.transact(c.version, 7, 0)
			if text := textOf(got.ErrorMessage); got.ErrorCode != c.want || text != c.text {
				t.Errorf("%s %q, want %s %q", got.ErrorCode, text, c.want, c.text)
			}
			req := (<-f.asked).Transactions[0]
			if req.TransactionalID != "tx" || req.ProducerID != 7 || !req.VerifyOnly || req.Topics[0].Topic != testTopic {
				t.Errorf("request %+v", req)
			}
			if end := b.partition().Log().Offsets().LogEnd; end != 0 {
				t.Errorf("the refused records were appended: log end %d", end)
			}
			// The producer tries again, and now the partition belongs to the transaction.
			f.answer <- verdict(protocol.None)
			if got := b.transact(c.version, 7, 0); got.ErrorCode != protocol.None {
				t.Errorf("after it was added: %s", got.ErrorCode)
			}
			// From now on no coordinator is asked.
			<-f.asked
			if got := b.transact(c.version, 7, 1); got.ErrorCode != protocol.None || len(f.asked) != 0 {
				t.Errorf("in the open transaction: %s, asked %d times", got.ErrorCode, len(f.asked))
			}
		})
	}
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// A coordinator older than 3.6 cannot verify. One that is unreachable, or does not support
// transactions, verifies nothing.
func TestCoordinatorsThatCannotVerify(t *testing.T) {
	for _, c := range []struct {
		name   string
		newest int16
		leader int32
		want   protocol.ErrorCode
	}{
		{"2.8", 3, 2, protocol.None},
		{"none", 5, -1, protocol.NotEnoughReplicas},
		{"dead", 5, 3, protocol.NotEnoughReplicas},
		{"without transactions", -1, 2, protocol.InvalidProducerIDMapping},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := verifying(t, c.newest)
			b.knowCoordinator(c.leader)
			if got := b.transact(11, 7, 0); got.ErrorCode != c.want {
				t.Errorf("%s, want %s", got.ErrorCode, c.want)
			}
		})
	}
}

// With verification switched off no coordinator is asked, and markers end open transactions.
func TestVerificationCanBeSwitchedOff(t *testing.T) {
	b, f := verifying(t, 5)
	b.cfg.Transactions.(*Verifier).SetVerifying(false)
	if got := b.transact(11, 7, 0); got.ErrorCode != protocol.None || len(f.asked) != 0 {
		t.Fatalf("%s, asked %d times", got.ErrorCode, len(f.asked))
	}
	if at := b.partition().Log().Offsets(); at.LastStable != 0 || at.HighWatermark != 1 {
		t.Errorf("while open: %+v", at)
	}
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = 7, 0
	marker, err := record.EndTxnMarker(o, record.Abort, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.partition().AppendAsLeader(marker, nil, -1); err != nil {
		t.Fatal(err)
	}
	if at := b.partition().Log().Offsets(); at.LastStable != 2 {
		t.Errorf("after the marker: %+v", at)
	}
}

// A transaction that this broker coordinates is verified without a request.
func TestThisBrokersTransactionsAreVerifiedWithoutARequest(t *testing.T) {
	b, f := verifying(t, 5)
	codes := []protocol.ErrorCode{protocol.ProducerFenced}
	var asked []string
	b.cfg.Transactions.(*Verifier).cfg.Local = func(t *Transaction) []protocol.ErrorCode {
		asked = append(asked, t.ID)
		return codes
	}
	b.knowCoordinator(ourID)
	if a := b.transact(9, 1, 0); a.ErrorCode != protocol.InvalidProducerEpoch {
		t.Errorf("of a fenced producer: %+v", a)
	}
	codes[0] = protocol.None
	if a := b.transact(9, 1, 0); a.ErrorCode != protocol.None {
		t.Errorf("of a partition in the transaction: %+v", a)
	}
	if a := b.transact(9, 1, 1); a.ErrorCode != protocol.None || len(asked) != 2 || len(f.asked) != 0 {
		t.Errorf("the next batch: %+v; asked for %q and with %d requests", a, asked, len(f.asked))
	}
	b.knowCoordinator(2)
	f.answer <- verdict(protocol.ProducerFenced)
	if a := b.transact(9, 2, 0); a.ErrorCode != protocol.InvalidProducerEpoch || len(asked) != 2 || len(f.asked) != 1 {
		t.Errorf("with another coordinator: %+v; asked for %q and with %d requests", a, asked, len(f.asked))
	}
}

// While one request is in flight the next calls are queued. Of two calls with one transactional id
// the older is fenced.
func TestOneRequestAtATimeWithTheNewestCallOfEachTransaction(t *testing.T) {
	b, f := verifying(t, 5)
	v := b.cfg.Transactions.(*Verifier)
	var wg sync.WaitGroup
	verify := func(id string, epoch int16) chan protocol.ErrorCode {
		answer := make(chan protocol.ErrorCode, 1)
		p := TopicPartition{Topic: testTopic}
		wg.Go(func() {
			answer <- v.Verify(&Transaction{ID: id, ProducerID: 1, ProducerEpoch: epoch, Partitions: []TopicPartition{p}}, nil)[p]
		})
		return answer
	}
	want := func(what string, answer chan protocol.ErrorCode, code protocol.ErrorCode) {
		t.Helper()
		select {
		case got := <-answer:
			if got != code {
				t.Errorf("%s: %s, want %s", what, got, code)
			}
		case <-time.After(brokerTime):
			t.Fatalf("%s: no answer", what)
		}
	}
	waiting := func(id string, epoch int16) {
		eventually(t, id+" to be queued", func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			c := v.queues["host:9092"].waiting[id]
			return c != nil && c.ProducerEpoch == epoch
		})
	}
	first := verify("a", 0)
	<-f.asked
	second := verify("b", 1)
	waiting("b", 1)
	want("an older epoch", verify("b", 0), protocol.InvalidProducerEpoch)
	third := verify("b", 2)
	want("fenced", second, protocol.InvalidProducerEpoch)
	waiting("b", 2)
	p := TopicPartition{Topic: testTopic}
	abandoned := make(chan struct{})
	close(abandoned)
	if code := v.Verify(&Transaction{ID: "b", ProducerID: 1, ProducerEpoch: 2, Partitions: []TopicPartition{p}}, abandoned)[p]; code != protocol.NetworkException {
		t.Errorf("canceled: %s", code)
	}
	want("sent again", third, protocol.NetworkException)
	fourth := verify("c", 0)
	waiting("c", 0)
	f.answer <- verdict(protocol.None)
	want("the first", first, protocol.None)
	if n := len((<-f.asked).Transactions); n != 2 {
		t.Errorf("%d transactions in the second request, want 2", n)
	}
	f.answer <- verdict(protocol.TransactionAbortable)
	want("of another", fourth, protocol.InvalidTxnState)
	wg.Wait()
}

// A coordinator's own transactional records are verified the same way.
func TestACoordinatorsRecordsAreVerified(t *testing.T) {
	b, f := verifying(t, 5)
	txn := &Transaction{ID: "tx", ProducerID: 7, Partitions: []TopicPartition{{Topic: testTopic}}}
	f.answer <- verdict(protocol.TransactionAbortable)
	_, err := b.VerifyTransaction(txn, nil)
	wantCode(t, "not added", err, protocol.InvalidTxnState)
	set := func() []byte { return batch(t, 1, transactional(7)) }
	_, err = b.partition().AppendAsLeader(set(), nil, -1)
	wantCode(t, "unverified", err, protocol.InvalidTxnState)
	f.answer <- verdict(protocol.None)
	guard, err := b.VerifyTransaction(txn, nil)
	wantCode(t, "added", err, protocol.None)
	_, err = b.partition().AppendAsLeader(set(), guard, -1)
	wantCode(t, "verified", err, protocol.None)
	var none *storage.Verification
	if guard, err = b.VerifyTransaction(txn, nil); guard != none || err != nil {
		t.Errorf("in the open transaction: %v, %v", guard, err)
	}
}
