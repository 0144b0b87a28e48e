package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// txnSide is a side with the producers that it initialized, by transactional id.
type txnSide struct {
	*side
	producers map[string]rawProducer
}

// rawProducer is the identity of a producer.
type rawProducer struct {
	id    int64
	epoch int16
}

// txnRequest is one request of the sequence, with the producer ids of the side.
type txnRequest struct {
	name    string
	version int16
	build   func(s *txnSide) kmsg.Request
}

// Our coordinator answers the same requests of transactional producers as a real one: in each state,
// of current, former and unknown producers, in each version whose answers differ.
func TestTransactionsAreCoordinatedAsByARealBroker(t *testing.T) {
	common := []string{"log.retention.ms=-1", "transaction.abort.timed.out.transaction.cleanup.interval.ms=200"}
	theirs := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "", common...)
	ours := startBroker(t, options{extra: common})
	sides := []*txnSide{
		{side: &side{name: "ours", address: ours.address(), port: int32(ours.port)}, producers: map[string]rawProducer{}},
		{side: &side{name: "real", address: theirs.Address(), port: int32(theirs.Port)}, producers: map[string]rawProducer{}},
	}
	for _, s := range sides {
		s.link = link(t, s.address)
		s.prepare(t)
		s.warmProducerIDs(t)
		awaitCoordinator(s.side, 0)
		awaitCoordinator(s.side, 1)
	}
	for _, step := range coordinatedLife() {
		var answers [2]string
		for i, s := range sides {
			began := time.Now()
			answers[i] = s.answer(t, step)
			if took := time.Since(began); took > time.Second {
				t.Logf("%s v%d took %s %v", step.name, step.version, s.name, took.Round(100*time.Millisecond))
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("%s v%d:\n  ours: %s\n  real: %s", step.name, step.version, answers[0], answers[1])
		}
	}
}

// answer sends a request and returns the answer in a comparable form. It keeps the producer that
// InitProducerId returns.
func (s *txnSide) answer(t *testing.T, step txnRequest) string {
	t.Helper()
	req := step.build(s)
	req.SetVersion(step.version)
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	var resp kmsg.Response
	var err error
	testkit.Eventually(t, 30*time.Second, "a partition of __transaction_state that was just created to be loaded", func() bool {
		resp, err = s.link.Do(ctx, req)
		return !stillLoading(resp)
	})
	if err != nil {
		t.Fatalf("%s v%d, %s: %v", step.name, step.version, s.name, err)
	}
	switch resp := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		if asked := req.(*kmsg.InitProducerIDRequest); resp.ErrorCode == 0 && asked.TransactionalID != nil {
			s.producers[*asked.TransactionalID] = rawProducer{resp.ProducerID, resp.ProducerEpoch}
		}
	case *kmsg.DescribeTransactionsResponse:
		for i := range resp.TransactionStates { // depends on the clock
			resp.TransactionStates[i].StartTimestamp = min(resp.TransactionStates[i].StartTimestamp, 0)
			for _, topic := range resp.TransactionStates[i].Topics { // a set
				slices.Sort(topic.Partitions)
			}
		}
	case *kmsg.DescribeProducersResponse:
		raw, err := json.Marshal(resp)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(len(producerIDField.FindAllString(string(raw), -1)), " producers: ", comparable(resp))
	}
	return comparable(resp)
}

// stillLoading reports whether a producer is to ask again for its id.
func stillLoading(resp kmsg.Response) bool {
	initialized, ok := resp.(*kmsg.InitProducerIDResponse)
	return ok && protocol.ErrorCode(initialized.ErrorCode) == protocol.CoordinatorLoadInProgress
}

// coordinatedLife returns the requests.
func coordinatedLife() []txnRequest {
	var l txnLifeSteps
	l.initializations()
	l.transactions()
	l.strangers()
	l.offsets()
	l.verifications()
	l.fencing()
	l.lists()
	return l.steps
}

// versions returns the first and the last version, or all with MONEDULA_TEST_ALL.
func versions(first, last int16) []int16 {
	all := []int16{first}
	for v := first + 1; v < last && testkit.FullMatrices(); v++ {
		all = append(all, v)
	}
	return append(all, last)
}

type txnLifeSteps struct{ steps []txnRequest }

func (l *txnLifeSteps) add(name string, version int16, build func(s *txnSide) kmsg.Request) {
	l.steps = append(l.steps, txnRequest{name, version, build})
}

// change is how the producer of a request differs from the current one.
type change struct {
	id    int64
	epoch int16
}

func (s *txnSide) producer(id string, c change) rawProducer {
	p := s.producers[id]
	return rawProducer{p.id + c.id, p.epoch + c.epoch}
}

func (l *txnLifeSteps) initialize(name, id string, version int16, timeout int32, more ...func(s *txnSide, r *kmsg.InitProducerIDRequest)) {
	l.add("initialize "+name, version, func(s *txnSide) kmsg.Request {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, timeout
		for _, f := range more {
			f(s, req)
		}
		return req
	})
}

// as sets the id and the epoch of the producer that asks again (KIP-360).
func as(id string, c change) func(s *txnSide, r *kmsg.InitProducerIDRequest) {
	return func(s *txnSide, r *kmsg.InitProducerIDRequest) {
		p := s.producer(id, c)
		r.ProducerID, r.ProducerEpoch = p.id, p.epoch
	}
}

func (l *txnLifeSteps) addPartitions(name, id string, version int16, c change, partitions ...string) {
	l.add("add partitions "+name, version, func(s *txnSide) kmsg.Request {
		p := s.producer(id, c)
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, p.id, p.epoch
		for _, tp := range partitions {
			topic, partition := splitPartition(tp)
			req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: topic, Partitions: []int32{partition}})
		}
		return req
	})
}

func splitPartition(text string) (topic string, partition int32) {
	at := len(text) - 2
	return text[:at], int32(text[at+1] - '0')
}

func (l *txnLifeSteps) end(name, id string, version int16, c change, commit bool) {
	l.add("end "+name, version, func(s *txnSide) kmsg.Request {
		p := s.producer(id, c)
		return endTxnRequest(id, p.id, p.epoch, commit)
	})
}

// state waits until the id is in the state on the side, then describes it.
func (l *txnLifeSteps) state(id, want string) {
	l.add(fmt.Sprintf("describe %s, which is to be %s", id, want), 0, func(s *txnSide) kmsg.Request {
		req := kmsg.NewPtrDescribeTransactionsRequest()
		req.TransactionalIDs = []string{id}
		ctx, cancel := context.WithTimeout(background(), 20*time.Second)
		defer cancel()
		within(20*time.Second, func() bool {
			resp, err := s.link.Do(ctx, req)
			return err == nil && resp.(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State == want
		}) // the answer shows a state that is not reached
		return req
	})
}

func (l *txnLifeSteps) produce(name, id string, c change, sequence int32, partition string) {
	l.add("produce "+name, 9, func(s *txnSide) kmsg.Request {
		p := s.producer(id, c)
		topic, index := splitPartition(partition)
		req := produceRequest(topic, index, transactionalBatch(p.id, p.epoch, sequence), 9)
		req.TransactionID = &id
		return req
	})
}

func (l *txnLifeSteps) initializations() {
	for _, version := range versions(0, 5) {
		id := fmt.Sprint("init-", version)
		l.initialize("without an id", "", version, 60000)
		for _, timeout := range []int32{0, -1, 900001, -1 << 31} {
			l.initialize(fmt.Sprint("with a timeout of ", timeout), id, version, timeout)
		}
		l.initialize("a new id", id, version, 900000)
		l.initialize("again", id, version, 1)
		if version < 3 {
			continue
		}
		l.initialize("as the current producer", id, version, 60000, as(id, change{}))
		l.initialize("as the current producer, repeated", id, version, 60000, as(id, change{0, -1}))
		l.initialize("as an older producer", id, version, 60000, as(id, change{0, -2}))
		l.initialize("as a newer producer", id, version, 60000, as(id, change{0, 5}))
		l.initialize("as another producer", id, version, 60000, as(id, change{1 << 40, 0}))
		l.initialize("with an id and no epoch", id, version, 60000, func(s *txnSide, r *kmsg.InitProducerIDRequest) { r.ProducerID = 5 })
		l.initialize("with an epoch and no id", id, version, 60000, func(s *txnSide, r *kmsg.InitProducerIDRequest) { r.ProducerEpoch = 5 })
		l.initialize("with a negative epoch", id, version, 60000, as(id, change{0, -100}))
		l.initialize("a new id as any producer", id+"-new", version, 60000, func(s *txnSide, r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 123, 4 })
		l.state(id, "Empty")
	}
}

func (l *txnLifeSteps) transactions() {
	const id = "tx"
	l.initialize("the producer", id, 4, 60000)
	l.initialize("the producer again, for an epoch above 0", id, 4, 60000)
	for i, version := range append(versions(0, 3), 3) {
		commit := i%2 == 0
		older := change{0, -1}
		l.end("none", id, version, change{}, true)
		l.addPartitions("to begin", id, version, change{}, "t1-0")
		l.addPartitions("again", id, version, change{}, "t1-0")
		l.addPartitions("unknown", id, version, change{}, "t1-1", "missing-0", "t1-9")
		l.addPartitions("internal", id, version, change{}, "t1-1", "__consumer_offsets-0", "__transaction_state-0")
		l.addPartitions("of an older epoch", id, version, older, "t1-0")
		l.addPartitions("of another producer", id, version, change{1, 0}, "t1-0")
		l.addPartitions("more", id, version, change{}, "t1-1", "t1-0", "t1-1")
		l.addPartitions("none", id, version, change{})
		l.state(id, "Ongoing")
		l.produce("to it", id, change{}, int32(i), "t1-0")
		l.produce("with an older epoch", id, older, 0, "t1-0")
		l.end("with an older epoch", id, version, older, commit)
		l.end("with a newer epoch", id, version, change{0, 1}, commit)
		l.end("of another producer", id, version, change{7, 0}, commit)
		l.end("the transaction", id, version, change{}, commit)
		l.state(id, completed(commit).String())
		l.end("again", id, version, change{}, commit)
		l.end("otherwise", id, version, change{}, !commit)
		l.produce("after its end", id, change{}, int32(i)+1, "t1-0")
		if version == 3 && commit {
			l.initialize("after a commit, as the producer", id, 4, 60000, as(id, change{}))
			l.state(id, "Empty")
		}
	}
	l.addPartitions("for an end without records", id, 3, change{}, "t1-0")
	l.end("without records", id, 3, change{}, true)
	l.state(id, "CompleteCommit")
}

func (l *txnLifeSteps) strangers() {
	for _, version := range versions(0, 3) {
		l.addPartitions("of no id", "", version, change{5, 0}, "t1-0")
		l.addPartitions("of an unknown id", "stranger", version, change{5, 0}, "t1-0")
		l.addPartitions("of negative ids", "stranger", version, change{-5, -9}, "t1-0")
		l.end("of no id", "", version, change{5, 0}, true)
		l.end("of an unknown id", "stranger", version, change{5, 0}, true)
	}
	l.add("describe unknown ids", 0, func(*txnSide) kmsg.Request {
		req := kmsg.NewPtrDescribeTransactionsRequest()
		req.TransactionalIDs = []string{"stranger", "", "stranger"}
		return req
	})
	l.produce("of an unknown id", "stranger", change{5, 0}, 0, "t1-0")
}

// offsets commits the offsets of a group in transactions, with and without membership (KIP-447).
func (l *txnLifeSteps) offsets() {
	const id = "offsets"
	l.initialize("the producer", id, 4, 60000)
	l.initialize("the producer again, for an epoch above 0", id, 4, 60000)
	addOffsets := func(name, txn string, version int16, c change, of string) {
		l.add("add offsets "+name, version, func(s *txnSide) kmsg.Request {
			p := s.producer(txn, c)
			req := kmsg.NewPtrAddOffsetsToTxnRequest()
			req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = txn, of, p.id, p.epoch
			return req
		})
	}
	commit := func(name string, version int16, c change, more ...func(*kmsg.TxnOffsetCommitRequest)) {
		l.add("commit offsets "+name, version, func(s *txnSide) kmsg.Request {
			p := s.producer(id, c)
			req := txnCommitRequest(p.id, 5+int64(version))
			req.TransactionalID, req.ProducerEpoch = id, p.epoch
			for _, f := range more {
				f(req)
			}
			return req
		})
	}
	fetch := func(name string, stable bool) {
		l.add("fetch offsets "+name, 8, func(*txnSide) kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.RequireStable = stable
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = "txn"
			g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: "t1", Partitions: []int32{0, 1}})
			req.Groups = append(req.Groups, g)
			return req
		})
	}
	for _, version := range versions(0, 4) {
		commit("without a transaction", version, change{})
		addOffsets("of a fenced producer", id, version, change{0, 3}, "txn")
		addOffsets("of an unknown id", "stranger", version, change{3, 0}, "txn")
		addOffsets("of no id", "", version, change{3, 0}, "txn")
		addOffsets("of another producer", id, version, change{3, 0}, "txn")
		addOffsets("of a group", id, version, change{}, "txn")
		addOffsets("again", id, version, change{}, "txn")
		commit("in it", version, change{})
		commit("of a fenced producer", version, change{0, -1})
		commit("of another producer", version, change{1, 0})
		if version >= 3 {
			commit("of an unknown member", version, change{}, func(r *kmsg.TxnOffsetCommitRequest) { r.MemberID, r.Generation = "m", 1 })
			commit("of a wrong generation", version, change{}, func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = 7 })
			commit("of an unknown instance", version, change{}, func(r *kmsg.TxnOffsetCommitRequest) {
				r.InstanceID, r.Generation = kmsg.StringPtr("i"), 0
			})
		}
		fetch("that are pending", true)
		fetch("that are valid", false)
		l.state(id, "Ongoing")
		l.end("with offsets", id, min(version, 3), change{}, version%2 == 0)
		l.state(id, completed(version%2 == 0).String())
		fetch("after the end", true)
	}
	addOffsets("of no group", id, 3, change{}, "")
	l.state(id, "Ongoing")
	l.end("with offsets of no group", id, 3, change{}, false)
	l.state(id, "CompleteAbort")
}

// verifications are the requests of partition leaders (KIP-890).
func (l *txnLifeSteps) verifications() {
	const id = "verified"
	l.initialize("the producer", id, 4, 60000)
	verify := func(name string, version int16, c change, only bool, partitions ...kmsg.AddPartitionsToTxnRequestTransactionTopic) {
		l.add("verify "+name, version, func(s *txnSide) kmsg.Request {
			p := s.producer(id, c)
			req := kmsg.NewPtrAddPartitionsToTxnRequest()
			for _, txn := range []string{id, "stranger"} {
				t := kmsg.NewAddPartitionsToTxnRequestTransaction()
				t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly, t.Topics = txn, p.id, p.epoch, only, partitions
				req.Transactions = append(req.Transactions, t)
			}
			return req
		})
	}
	of := func(topic string, partitions ...int32) kmsg.AddPartitionsToTxnRequestTransactionTopic {
		return kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: topic, Partitions: partitions}
	}
	l.initialize("the producer again", id, 4, 60000)
	for _, version := range versions(4, 5) {
		verify("without a transaction", version, change{}, true, of("t1", 0))
		verify("and add", version, change{}, false, of("t1", 0), of("__consumer_offsets", coordinator.HashPartition("txn", 50)))
		verify("what is in it", version, change{}, true, of("t1", 0))
		verify("what is not in it", version, change{}, true, of("t1", 0, 1), of("compacted", 0))
		verify("what does not exist", version, change{}, true, of("t1", 0), of("missing", 0))
		verify("of an older epoch", version, change{0, -1}, true, of("t1", 0))
		verify("of another producer", version, change{2, 0}, true, of("t1", 0))
		l.produce("what was not added", id, change{}, 0, "t1-1")
		l.produce("what was added", id, change{}, int32(version-4), "t1-0")
		l.end("what was verified", id, 3, change{}, true)
		l.state(id, "CompleteCommit")
		verify("after the end", version, change{}, true, of("t1", 0))
	}
}

// fencing aborts open transactions: by another producer, and by their timeout.
func (l *txnLifeSteps) fencing() {
	for _, version := range versions(0, 4) {
		id := fmt.Sprint("fenced-", version)
		l.initialize("the first producer", id, version, 60000)
		l.addPartitions("of the first", id, 3, change{}, "t1-0")
		l.produce("of the first", id, change{}, 0, "t1-0")
		l.initialize("the second producer, during a transaction", id, version, 60000)
		l.state(id, "CompleteAbort")
		l.produce("late", id, change{}, 1, "t1-0")
		l.addPartitions("late", id, 0, change{}, "t1-0")
		l.addPartitions("late", id, 2, change{}, "t1-0")
		l.end("late", id, 1, change{}, true)
		l.end("late", id, 3, change{}, true)
		l.initialize("the second producer", id, version, 60000)
		l.state(id, "Empty")
	}
	const id = "slow"
	l.initialize("a producer with a short timeout", id, 4, 300)
	l.addPartitions("of the slow one", id, 3, change{}, "t1-0")
	l.produce("of the slow one", id, change{}, 0, "t1-0")
	l.state(id, "CompleteAbort")
	l.end("of the slow one", id, 1, change{}, true)
	l.end("of the slow one", id, 3, change{}, true)
	l.produce("after the timeout", id, change{}, 1, "t1-0")
	l.initialize("as the slow producer", id, 4, 60000, as(id, change{}))
	l.initialize("as the slow producer, fenced", id, 4, 60000, as(id, change{0, 1}))
}

func (l *txnLifeSteps) lists() {
	const id = "listed"
	l.initialize("an id to list", id, 4, 600000)
	l.addPartitions("of an id to list", id, 3, change{}, "t1-1", "t1-0")
	for _, version := range versions(0, 1) {
		list := func(name string, change func(s *txnSide, r *kmsg.ListTransactionsRequest)) {
			l.add("list "+name, version, func(s *txnSide) kmsg.Request {
				req := kmsg.NewPtrListTransactionsRequest()
				change(s, req)
				return req
			})
		}
		list("all", func(*txnSide, *kmsg.ListTransactionsRequest) {})
		list("by state", func(_ *txnSide, r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Ongoing"} })
		list("by several states", func(_ *txnSide, r *kmsg.ListTransactionsRequest) {
			r.StateFilters = []string{"Ongoing", "CompleteAbort", "Dead", "PrepareEpochFence"}
		})
		list("by unknown states", func(_ *txnSide, r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"ongoing", "nonsense"} })
		list("by producer", func(s *txnSide, r *kmsg.ListTransactionsRequest) {
			r.ProducerIDFilters = []int64{s.producers[id].id, 99}
		})
		list("by unknown producer", func(_ *txnSide, r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{99} })
		if version == 1 {
			list("by duration", func(_ *txnSide, r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 86400000 })
			list("by no duration", func(_ *txnSide, r *kmsg.ListTransactionsRequest) {
				r.DurationFilterMillis, r.StateFilters = 0, []string{"Ongoing"}
			})
		}
	}
	l.add("describe producers", 0, func(*txnSide) kmsg.Request {
		req := kmsg.NewPtrDescribeProducersRequest()
		req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t1", Partitions: []int32{0, 1, 9}}, {Topic: "missing", Partitions: []int32{0}}}
		return req
	})
	l.end("of an id to list", id, 3, change{}, false)
	l.state(id, "CompleteAbort")
}
