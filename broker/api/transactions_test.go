package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

type fixedIDs struct{ err error }

func (f fixedIDs) Next(context.Context) (int64, error) { return 77, f.err }

// instantTransactions is Transactions whose records and markers are written at once.
type instantTransactions struct {
	now  time.Time
	txns map[string]*transaction.Transaction
	code protocol.ErrorCode // of every request; None: that of the transaction
}

func newInstantTransactions() *instantTransactions {
	return &instantTransactions{now: time.UnixMilli(1000), txns: map[string]*transaction.Transaction{}}
}

// do takes a step and returns the answer.
func (f *instantTransactions) do(id string, step func(t *transaction.Transaction, to chan<- transaction.Result) *transaction.Effects) transaction.Result {
	t := f.txns[id]
	switch {
	case f.code != protocol.None:
		return transaction.Refused(f.code)
	case id == "":
		return transaction.Refused(protocol.InvalidRequest)
	case t == nil:
		return transaction.Refused(protocol.InvalidProducerIDMapping)
	}
	to := make(chan transaction.Result, 1)
	todo := []*transaction.Effects{step(t, to)}
	var result transaction.Result
	for len(todo) > 0 {
		e := todo[0]
		todo = todo[1:]
		for _, a := range e.Answers {
			result = a.Result
		}
		if e.Append != nil {
			todo = append(todo, t.Appended(f.now, e.Append, protocol.None))
		}
		if e.Markers != nil {
			todo = append(todo, t.MarkersWritten(e.Markers, e.Markers.Partitions))
		}
	}
	return result
}

func (f *instantTransactions) InitProducerID(_ context.Context, id string, timeoutMs int32, expected *transaction.ProducerIDAndEpoch) transaction.Result {
	if f.txns[id] == nil && id != "" {
		f.txns[id] = transaction.New(id, transaction.Home{}, 500, timeoutMs, f.now)
	}
	return f.do(id, func(t *transaction.Transaction, to chan<- transaction.Result) *transaction.Effects {
		return t.InitProducerID(f.now, transaction.InitRequest{TimeoutMs: timeoutMs, Expected: expected, NewProducerID: 501}, to)
	})
}

func (f *instantTransactions) AddPartitions(_ context.Context, id string, producer transaction.ProducerIDAndEpoch, partitions []transaction.TopicPartition) protocol.ErrorCode {
	return f.do(id, func(t *transaction.Transaction, to chan<- transaction.Result) *transaction.Effects {
		return t.AddPartitions(f.now, producer, partitions, to)
	}).Code
}

func (f *instantTransactions) Verify(id string, producer transaction.ProducerIDAndEpoch, partitions []transaction.TopicPartition) []protocol.ErrorCode {
	codes := make([]protocol.ErrorCode, len(partitions))
	for i, p := range partitions {
		if codes[i] = protocol.InvalidProducerIDMapping; f.txns[id] != nil {
			codes[i] = f.txns[id].Verify(producer, p)
		}
	}
	return codes
}

func (f *instantTransactions) EndTxn(_ context.Context, id string, producer transaction.ProducerIDAndEpoch, commit bool) protocol.ErrorCode {
	return f.do(id, func(t *transaction.Transaction, to chan<- transaction.Result) *transaction.Effects {
		return t.EndTxn(f.now, producer, commit, to)
	}).Code
}

func (f *instantTransactions) Describe(id string) (transaction.Description, protocol.ErrorCode) {
	if f.txns[id] == nil {
		return transaction.Description{}, protocol.TransactionalIDNotFound
	}
	return f.txns[id].Describe()
}

func (f *instantTransactions) List(filter transaction.Filter) (list []transaction.Listed, code protocol.ErrorCode) {
	for _, t := range f.txns {
		if entry, ok := t.List(f.now, &filter); ok {
			list = append(list, entry)
		}
	}
	slices.SortFunc(list, func(a, b transaction.Listed) int { return strings.Compare(a.ID, b.ID) })
	return list, f.code
}

// denyNames is an Access that refuses operations on the named resources.
type denyNames map[string]kmsg.ACLOperation

func (d denyNames) Allows(_ *network.Peer, op kmsg.ACLOperation, _ kmsg.ACLResourceType, name string) bool {
	return d[name] != op
}
func (d denyNames) AllowsAny(*network.Peer, kmsg.ACLOperation, kmsg.ACLResourceType) bool {
	return true
}

// newTxnCaller returns a caller of the handlers of transactions in a cluster with topics t, u and
// the offsets topic.
func newTxnCaller(t *testing.T, access Access, txns Transactions) *caller {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 2, "u": 1, "__consumer_offsets": 5})
	return newCaller(t, access, InitProducerId(fixedIDs{}, txns), AddPartitionsToTxn(txns, cache),
		AddOffsetsToTxn(txns, func(group string) int32 { return int32(len(group)) }), EndTxn(txns), DescribeTransactions(txns), ListTransactions(txns))
}

func TestInitProducerIdInEveryVersion(t *testing.T) {
	txns := newInstantTransactions()
	c := newTxnCaller(t, nil, txns)
	for v := int16(0); v <= 5; v++ {
		ask := func(id *string, change func(*kmsg.InitProducerIDRequest)) *kmsg.InitProducerIDResponse {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionalID, req.TransactionTimeoutMillis = id, 1000
			if change != nil {
				change(req)
			}
			return call[*kmsg.InitProducerIDResponse](c, v, req)
		}
		if resp := ask(nil, nil); resp.ErrorCode != 0 || resp.ProducerID != 77 || resp.ProducerEpoch != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
		id := fmt.Sprint("tx-", v)
		if resp := ask(&id, nil); resp.ErrorCode != 0 || resp.ProducerID != 500 || resp.ProducerEpoch != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
		for code, want := range map[protocol.ErrorCode]protocol.ErrorCode{
			protocol.InvalidTransactionTimeout: protocol.InvalidTransactionTimeout, protocol.CoordinatorNotAvailable: protocol.CoordinatorNotAvailable,
			protocol.ProducerFenced: map[bool]protocol.ErrorCode{true: protocol.ProducerFenced, false: protocol.InvalidProducerEpoch}[v >= 4],
		} {
			txns.code = code
			if resp := ask(&id, nil); protocol.ErrorCode(resp.ErrorCode) != want || resp.ProducerID != -1 || resp.ProducerEpoch != -1 {
				t.Errorf("v%d %s: %+v", v, code.Name(), resp)
			}
			txns.code = protocol.None
		}
		if v < 3 {
			continue
		}
		if resp := ask(&id, func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 500, 0 }); resp.ErrorCode != 0 || resp.ProducerEpoch != 1 {
			t.Errorf("v%d: %+v", v, resp)
		}
		for _, p := range [][2]int64{{5, -1}, {-1, 5}} {
			resp := ask(&id, func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = p[0], int16(p[1]) })
			if protocol.ErrorCode(resp.ErrorCode) != protocol.InvalidRequest || resp.ProducerID != -1 || resp.ProducerEpoch != -1 {
				t.Errorf("v%d, %v: %+v", v, p, resp)
			}
		}
	}
	c = newCaller(t, nil, InitProducerId(fixedIDs{protocol.CoordinatorLoadInProgress}, txns))
	if resp := call[*kmsg.InitProducerIDResponse](c, 4, kmsg.NewPtrInitProducerIDRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.CoordinatorLoadInProgress {
		t.Errorf("%+v", resp)
	}
	c = newCaller(t, deny{kmsg.ACLOperationIdempotentWrite, kmsg.ACLOperationWrite}, InitProducerId(fixedIDs{}, txns))
	if resp := call[*kmsg.InitProducerIDResponse](c, 4, kmsg.NewPtrInitProducerIDRequest()); protocol.ErrorCode(resp.ErrorCode) != protocol.ClusterAuthorizationFailed {
		t.Errorf("%+v", resp)
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = kmsg.StringPtr("tx")
	if resp := call[*kmsg.InitProducerIDResponse](c, 4, req); protocol.ErrorCode(resp.ErrorCode) != protocol.TransactionalIDAuthorizationFailed {
		t.Errorf("%+v", resp)
	}
}

// begin initializes the producer of an id and returns it.
func (f *instantTransactions) begin(id string) transaction.ProducerIDAndEpoch {
	r := f.InitProducerID(context.Background(), id, 1000, nil)
	return transaction.ProducerIDAndEpoch{ID: r.ProducerID, Epoch: r.Epoch}
}

// codesOf returns the codes of an answer to AddPartitionsToTxn as text.
func codesOf(topics []kmsg.AddPartitionsToTxnResponseTopic) string {
	var all []string
	for _, topic := range topics {
		for _, p := range topic.Partitions {
			all = append(all, fmt.Sprintf("%s-%d %d", topic.Topic, p.Partition, p.ErrorCode))
		}
	}
	return strings.Join(all, ", ")
}

func TestClientsAddPartitionsToTransactions(t *testing.T) {
	txns := newInstantTransactions()
	p := txns.begin("tx")
	for _, tc := range []struct {
		name     string
		versions [2]int16
		id       string
		epoch    int16
		topics   string
		access   Access
		want     string
	}{
		{"two topics", [2]int16{0, 3}, "tx", 0, "t:0,1 u:0", nil, "t-0 0, t-1 0, u-0 0"},
		{"repeated partitions", [2]int16{0, 3}, "tx", 0, "t:0 u:0 t:1,0", nil, "t-0 0, u-0 0, t-1 0, t-0 0"},
		{"no partitions", [2]int16{0, 3}, "tx", 0, "", nil, ""},
		{"an unknown partition", [2]int16{0, 3}, "tx", 0, "t:0,5 u:0", nil, "t-0 55, t-5 3, u-0 55"},
		{"an unknown topic", [2]int16{0, 3}, "tx", 0, "t:0 missing:0", nil, "t-0 55, missing-0 3"},
		{"an internal topic", [2]int16{0, 3}, "tx", 0, "t:0 __consumer_offsets:0", nil, "t-0 55, __consumer_offsets-0 29"},
		{"no id", [2]int16{0, 3}, "", 0, "t:0", nil, "t-0 42"},
		{"an unknown id", [2]int16{0, 3}, "other", 0, "t:0", nil, "t-0 49"},
		{"a fenced producer, for old clients", [2]int16{0, 1}, "tx", 9, "t:0", nil, "t-0 47"},
		{"a fenced producer", [2]int16{2, 3}, "tx", 9, "t:0", nil, "t-0 90"},
		{"an id that may not be used", [2]int16{0, 3}, "tx", 0, "t:0 missing:0", denyNames{"tx": kmsg.ACLOperationWrite}, "t-0 53, missing-0 53"},
		{"a topic that may not be written", [2]int16{0, 3}, "tx", 0, "t:0 u:0 missing:0", denyNames{"u": kmsg.ACLOperationWrite}, "t-0 55, u-0 29, missing-0 3"},
	} {
		c := newTxnCaller(t, tc.access, txns)
		for v := tc.versions[0]; v <= tc.versions[1]; v++ {
			req := kmsg.NewPtrAddPartitionsToTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch = tc.id, p.ID, tc.epoch
			for _, topic := range strings.Fields(tc.topics) {
				name, list, _ := strings.Cut(topic, ":")
				asked := kmsg.NewAddPartitionsToTxnRequestTopic()
				asked.Topic = name
				for _, index := range strings.Split(list, ",") {
					asked.Partitions = append(asked.Partitions, int32(index[0]-'0'))
				}
				req.Topics = append(req.Topics, asked)
			}
			if got := codesOf(call[*kmsg.AddPartitionsToTxnResponse](c, v, req).Topics); got != tc.want {
				t.Errorf("v%d, %s: %s, want %s", v, tc.name, got, tc.want)
			}
		}
	}
	if d, _ := txns.Describe("tx"); d.State != transaction.Ongoing || len(d.Partitions) != 3 {
		t.Errorf("%+v", d)
	}
}

// Brokers send batches of transactions, of any topic, and may ask only.
func TestBrokersVerifyPartitionsOfTransactions(t *testing.T) {
	txns := newInstantTransactions()
	c := newTxnCaller(t, nil, txns)
	p := txns.begin("tx")
	ask := func(version int16, transactions ...kmsg.AddPartitionsToTxnRequestTransaction) string {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.Transactions = transactions
		resp := call[*kmsg.AddPartitionsToTxnResponse](c, version, req)
		var all []string
		for _, txn := range resp.Transactions {
			var topics []kmsg.AddPartitionsToTxnResponseTopic
			for _, topic := range txn.Topics {
				converted := kmsg.AddPartitionsToTxnResponseTopic{Topic: topic.Topic}
				for _, p := range topic.Partitions {
					converted.Partitions = append(converted.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p.Partition, ErrorCode: p.ErrorCode})
				}
				topics = append(topics, converted)
			}
			all = append(all, txn.TransactionalID+": "+codesOf(topics))
		}
		return fmt.Sprint(resp.ErrorCode, " ", strings.Join(all, "; "))
	}
	txn := func(id string, epoch int16, verify bool, topic string, partitions ...int32) kmsg.AddPartitionsToTxnRequestTransaction {
		return kmsg.AddPartitionsToTxnRequestTransaction{TransactionalID: id, ProducerID: p.ID, ProducerEpoch: epoch, VerifyOnly: verify,
			Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: topic, Partitions: partitions}}}
	}
	for v := int16(4); v <= 5; v++ {
		if got, want := ask(v, txn("tx", 0, false, "t", 0), txn("tx", 0, true, "t", 0, 1), txn("tx", 1, true, "t", 0), txn("other", 0, true, "t", 0), txn("tx", 0, true, "t", 7)),
			"0 tx: t-0 0; tx: t-0 0, t-1 120; tx: t-0 90; other: t-0 49; tx: t-7 3"; got != want {
			t.Errorf("v%d: %s, want %s", v, got, want)
		}
		if got, want := ask(v, txn("tx", 0, false, "__consumer_offsets", 2)), "0 tx: __consumer_offsets-2 0"; got != want {
			t.Errorf("v%d: %s, want %s", v, got, want)
		}
		if got := ask(v); got != "0 " {
			t.Errorf("v%d, nothing: %s", v, got)
		}
	}
	c = newTxnCaller(t, deny{kmsg.ACLOperationClusterAction}, txns)
	if got := ask(4, txn("tx", 0, true, "t", 0)); got != "31 " {
		t.Errorf("without the permission: %s", got)
	}
}

func TestOffsetsJoinTransactionsAndTransactionsEnd(t *testing.T) {
	txns := newInstantTransactions()
	c := newTxnCaller(t, nil, txns)
	p := txns.begin("tx")
	add := func(c *caller, version int16, id, group string, epoch int16) int16 {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = id, group, p.ID, epoch
		return call[*kmsg.AddOffsetsToTxnResponse](c, version, req).ErrorCode
	}
	end := func(c *caller, version int16, id string, epoch int16, commit bool) int16 {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, p.ID, epoch, commit
		return call[*kmsg.EndTxnResponse](c, version, req).ErrorCode
	}
	for v := int16(0); v <= 4; v++ {
		fenced := int16(90)
		if v < 2 {
			fenced = 47
		}
		for _, tc := range []struct {
			what      string
			got, want int16
		}{
			{"offsets", add(c, v, "tx", "four", 0), 0},
			{"offsets of a fenced producer", add(c, v, "tx", "four", 1), fenced},
			{"offsets of an unknown id", add(c, v, "other", "four", 0), 49},
			{"offsets without an id", add(c, v, "", "four", 0), 42},
			{"offsets, without permission for the id", add(newTxnCaller(t, denyNames{"tx": kmsg.ACLOperationWrite}, txns), v, "tx", "four", 0), 53},
			{"offsets, without permission for the group", add(newTxnCaller(t, denyNames{"four": kmsg.ACLOperationRead}, txns), v, "tx", "four", 0), 30},
			{"end of a fenced producer", end(c, v, "tx", 1, true), fenced},
			{"end, without permission", end(newTxnCaller(t, denyNames{"tx": kmsg.ACLOperationWrite}, txns), v, "tx", 0, true), 53},
			{"end of an unknown id", end(c, v, "other", 0, true), 49},
			{"end without an id", end(c, v, "", 0, true), 42},
			{"commit", end(c, v, "tx", 0, true), 0},
			{"abort of a committed one", end(c, v, "tx", 0, false), 48},
		} {
			if tc.got != tc.want {
				t.Errorf("v%d, %s: %d, want %d", v, tc.what, tc.got, tc.want)
			}
		}
	}
}

func TestTransactionsAreListedAndDescribed(t *testing.T) {
	txns := newInstantTransactions()
	txns.begin("idle")
	for _, id := range []string{"open", "secret"} {
		txns.AddPartitions(context.Background(), id, txns.begin(id), []transaction.TopicPartition{{Topic: "t", Partition: 1}, {Topic: "u", Partition: 0}, {Topic: "t", Partition: 0}})
	}
	c := newTxnCaller(t, denyNames{"secret": kmsg.ACLOperationDescribe, "u": kmsg.ACLOperationDescribe}, txns)
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{"open", "idle", "secret", "missing"}
	var got []string
	for _, s := range call[*kmsg.DescribeTransactionsResponse](c, 0, describe).TransactionStates {
		got = append(got, fmt.Sprintf("%s %d %s %d %d %d/%d %v", s.TransactionalID, s.ErrorCode, s.State, s.TimeoutMillis, s.StartTimestamp, s.ProducerID, s.ProducerEpoch, s.Topics))
	}
	if want := []string{"open 0 Ongoing 1000 1000 500/0 [{t [0 1] {map[]}}]", "idle 0 Empty 1000 -1 500/0 []", "secret 53  0 0 0/0 []", "missing 105  0 0 0/0 []"}; !slices.Equal(withoutTags(got), withoutTags(want)) {
		t.Errorf("described:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, tc := range []struct {
		name    string
		version int16
		req     kmsg.ListTransactionsRequest
		want    string
	}{
		{"all", 0, kmsg.ListTransactionsRequest{}, "0 [] [idle 500 Empty] [open 500 Ongoing]"},
		{"by state", 0, kmsg.ListTransactionsRequest{StateFilters: []string{"Ongoing", "nonsense", "nonsense"}}, "0 [nonsense] [open 500 Ongoing]"},
		{"by an unknown state", 1, kmsg.ListTransactionsRequest{StateFilters: []string{"ongoing"}, DurationFilterMillis: -1}, "0 [ongoing]"},
		{"by producer", 1, kmsg.ListTransactionsRequest{ProducerIDFilters: []int64{500, 7}, DurationFilterMillis: -1}, "0 [] [idle 500 Empty] [open 500 Ongoing]"},
		{"by another producer", 1, kmsg.ListTransactionsRequest{ProducerIDFilters: []int64{7}, DurationFilterMillis: -1}, "0 []"},
		{"by duration", 1, kmsg.ListTransactionsRequest{DurationFilterMillis: 500}, "0 [] [idle 500 Empty]"},
	} {
		resp := call[*kmsg.ListTransactionsResponse](c, tc.version, &tc.req)
		got := fmt.Sprint(resp.ErrorCode, " ", resp.UnknownStateFilters)
		for _, s := range resp.TransactionStates {
			got += fmt.Sprintf(" [%s %d %s]", s.TransactionalID, s.ProducerID, s.TransactionState)
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	txns.code = protocol.CoordinatorLoadInProgress
	if resp := call[*kmsg.ListTransactionsResponse](c, 1, kmsg.NewPtrListTransactionsRequest()); resp.ErrorCode != int16(protocol.CoordinatorLoadInProgress) || len(resp.TransactionStates) != 0 {
		t.Errorf("%+v", resp)
	}
}

// withoutTags removes the empty tags of kmsg from text.
func withoutTags(lines []string) (all []string) {
	for _, l := range lines {
		all = append(all, strings.NewReplacer(" {map[]}", "", " {[]}", "", " {<nil>}", "").Replace(l))
	}
	return all
}
