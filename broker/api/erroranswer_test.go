package api

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/protocol"
)

// answerable returns the handlers of all API keys by key. They can make error answers only.
func answerable() map[protocol.APIKey]*Handler {
	all := map[protocol.APIKey]*Handler{}
	for _, h := range append(unserved(),
		Produce(nil), Fetch(nil), ListOffsets(nil), MetadataOf(nil, nil, nil, ""), LeaderAndIsr(nil), StopReplica(nil),
		UpdateMetadata(nil, nil), ControlledShutdown(nil), OffsetCommit(nil, nil, nil, nil), OffsetFetch(nil, nil, nil),
		FindCoordinator(nil, nil, nil, nil), JoinGroup(nil, nil), Heartbeat(nil, nil), LeaveGroup(nil), SyncGroup(nil, nil),
		DescribeGroups(nil), ListGroups(nil), SaslHandshake(), ApiVersions(nil, nil), CreateTopics(nil, nil, nil, nil),
		DeleteTopics(nil, nil, nil, nil), DeleteRecords(nil), InitProducerId(nil, nil), OffsetForLeaderEpoch(nil),
		AddPartitionsToTxn(nil, nil), AddOffsetsToTxn(nil, nil), EndTxn(nil),
		WriteTxnMarkers(nil, nil, nil), TxnOffsetCommit(nil, nil), DescribeTransactions(nil), ListTransactions(nil), DescribeAcls(), CreateAcls(), DeleteAcls(),
		DescribeConfigs(0, nil, nil, nil, nil), AlterConfigs(nil), AlterReplicaLogDirs(nil), DescribeLogDirs(nil),
		SaslAuthenticate(), CreatePartitions(nil, nil, nil), CreateDelegationToken(nil), RenewDelegationToken(nil),
		ExpireDelegationToken(nil), DescribeDelegationToken(nil), DeleteGroups(nil), ElectLeaders(nil, nil),
		IncrementalAlterConfigs(nil), AlterPartitionReassignments(nil), ListPartitionReassignments(nil), OffsetDelete(nil, nil),
		AlterPartition(nil), UpdateFeatures(nil, nil), DescribeCluster(nil, ""), DescribeProducers(nil, nil),
		AllocateProducerIds(nil), ConsumerGroupHeartbeat(), ConsumerGroupDescribe(),
	) {
		all[h.Key] = &h
	}
	return all
}

var causes = map[string]error{
	"generic":  fmt.Errorf("creating topic: %w", protocol.NotController),
	"specific": protocol.Errorf(protocol.InvalidRequest, "what was wrong"),
	"unknown":  errors.New("secret"),
}

// unorderedAnswers are the types whose entries come from a hash map in Kafka, so their order is not
// compared.
var unorderedAnswers = map[protocol.APIKey]bool{protocol.Produce: true, protocol.OffsetFetch: true,
	protocol.WriteTxnMarkers: true, protocol.AddPartitionsToTxn: true}

func TestFailedRequestsAreAnsweredAsKafkaDoes(t *testing.T) {
	handlers := answerable()
	lines := golden.Lines(t, "testdata/error-answers-3.9.1.txt.gz")
	checked := map[protocol.APIKey]bool{}
	for i, line := range lines {
		f := strings.Split(line, " ")
		key, version := protocol.APIKey(golden.Int16(t, f[0])), golden.Int16(t, f[2])
		if !key.Known() || handlers[key] == nil {
			continue
		}
		checked[key] = true
		req, err := protocol.DecodeRequest(key, version, golden.Bytes(t, f[4]))
		if err != nil {
			t.Errorf("line %d: %v", i+1, err)
			continue
		}
		resp := handlers[key].errorAnswer(req, causes[f[3]], 7)
		if resp == nil {
			if f[5] != "none" {
				t.Errorf("line %d: %s v%d: no answer", i+1, key, version)
			}
			continue
		}
		got, want := resp.AppendTo(nil), golden.Bytes(t, f[5])
		if !bytes.Equal(got, want) && !(unorderedAnswers[key] && sameBytesInAnotherOrder(got, want)) {
			t.Errorf("line %d: %s v%d %s:\n got %x\nwant %x", i+1, key, version, f[3], got, want)
		}
	}
	for key := range protocol.APIKey(1000) {
		if key.Known() && !checked[key] {
			t.Errorf("%s is not checked", key)
		}
	}
}

func sameBytesInAnotherOrder(a, b []byte) bool {
	var counts [256]int
	for _, c := range a {
		counts[c]++
	}
	for _, c := range b {
		counts[c]--
	}
	return counts == [256]int{}
}

func TestRequestsOfAnUnknownTypeAreNotRefused(t *testing.T) {
	for _, key := range []protocol.APIKey{-1, 999} {
		h := Handler{Key: key}
		if resp := h.refusal(0, protocol.PolicyViolation); resp != nil {
			t.Errorf("type %d: %+v", key, resp)
		}
	}
}

func TestFailedProduceWithoutAcksHasNoAnswer(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = 0
	h := Produce(nil)
	if h.errorAnswer(req, protocol.NotController, 0) != nil {
		t.Error("acks=0 is answered")
	}
	if _, ok := (&protocol.ProduceRequest{}).ErrorResponse(protocol.NotController, 0); ok {
		t.Error("acks=0 is answered")
	}
}

func TestFailedProduceAndFetchAreAnsweredTheSameByBothCodecs(t *testing.T) {
	handlers := answerable()
	for _, v := range golden.WireVectors(t) {
		key := protocol.APIKey(v.Key)
		if v.Response || (key != protocol.Produce && key != protocol.Fetch) || v.Version > 11 && key == protocol.Produce {
			continue
		}
		req, err := protocol.DecodeRequest(key, v.Version, v.Body)
		must(t, err)
		for _, cause := range causes {
			want := handlers[key].errorAnswer(req, cause, 9)
			var got []byte
			if key == protocol.Produce {
				var p protocol.ProduceRequest
				must(t, p.ReadFrom(v.Version, v.Body))
				resp, ok := p.ErrorResponse(cause, 9)
				if ok != (want != nil) {
					t.Fatalf("line %d: answered %v and %v", v.Line, ok, want != nil)
				}
				if !ok {
					continue
				}
				got = resp.AppendTo(nil)
			} else {
				var f protocol.FetchRequest
				must(t, f.ReadFrom(v.Version, v.Body))
				got, _ = f.ErrorResponse(cause, 9).AppendTo(nil, nil)
			}
			if !bytes.Equal(got, want.AppendTo(nil)) {
				t.Errorf("line %d: %s v%d:\n got %x\nwant %x", v.Line, key, v.Version, got, want.AppendTo(nil))
			}
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzErrorAnswer(f *testing.F) {
	handlers := answerable()
	for _, v := range golden.WireVectors(f) {
		if handlers[protocol.APIKey(v.Key)] != nil && !v.Response && v.Line%12 == 0 {
			f.Add(v.Key, v.Version, v.Body)
		}
	}
	f.Fuzz(func(t *testing.T, number, version int16, body []byte) {
		key := protocol.APIKey(number)
		req, err := protocol.DecodeRequest(key, version, body)
		if err != nil || handlers[key] == nil {
			return
		}
		if resp := handlers[key].errorAnswer(req, protocol.InvalidRequest, 0); resp != nil {
			resp.AppendTo(nil)
		}
	})
}
