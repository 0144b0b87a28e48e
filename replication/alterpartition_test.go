package replication

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// controllerStub answers AlterPartition requests one by one with the answers of the test.
type controllerStub struct {
	requests chan *kmsg.AlterPartitionRequest
	answers  chan func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error)
	versions []int16
	moved    int
}

func newControllerStub() *controllerStub {
	return &controllerStub{requests: make(chan *kmsg.AlterPartitionRequest, 10),
		answers: make(chan func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error), 10)}
}

func (c *controllerStub) Call(ctx context.Context, req kmsg.Request, maxVersion int16) (kmsg.Response, error) {
	c.versions = append(c.versions, maxVersion)
	r := req.(*kmsg.AlterPartitionRequest)
	r.Version = maxVersion
	c.requests <- r
	select {
	case answer := <-c.answers:
		return answer(r)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *controllerStub) Moved() { c.moved++ }

// agree answers every partition with the requested replicas and the next partition epoch.
func agree(req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	for _, t := range req.Topics {
		a := kmsg.NewAlterPartitionResponseTopic()
		a.Topic, a.TopidID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			q := kmsg.NewAlterPartitionResponseTopicPartition()
			q.Partition, q.LeaderEpoch, q.ISR, q.PartitionEpoch = p.Partition, p.LeaderEpoch, p.NewISR, p.PartitionEpoch+1
			a.Partitions = append(a.Partitions, q)
		}
		resp.Topics = append(resp.Topics, a)
	}
	return resp, nil
}

func refuseAll(code protocol.ErrorCode) func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	return func(req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
		resp.ErrorCode = int16(code)
		return resp, nil
	}
}

func change(topic string, partition int32, isr ...int32) ISRChange {
	return ISRChange{Partition: TopicPartition{Topic: topic, Partition: partition}, TopicID: TopicID{1, topic[0]},
		LeaderEpoch: 3, PartitionEpoch: 7, ISR: metadata.BrokerIDs(isr)}
}

func withAlterPartition(t *testing.T, test func(*testing.T, *AlterPartition, *controllerStub)) {
	synctest.Test(t, func(t *testing.T) {
		stub := newControllerStub()
		a := NewAlterPartition(1, func() int64 { return 99 }, stub, kafkalog.Discard())
		defer a.Close()
		test(t, a, stub)
	})
}

func TestAlterPartitionSendsQueuedChangesInOneRequest(t *testing.T) {
	withAlterPartition(t, func(t *testing.T, a *AlterPartition, stub *controllerStub) {
		answers := map[string]ISRAnswer{}
		submit := func(c ISRChange) bool {
			return a.Submit(c, func(got ISRAnswer) { answers[c.Partition.String()] = got })
		}
		submit(change("a", 0, 1, 2))
		first := <-stub.requests
		// The first request is in flight: these two wait and are sent together.
		submit(change("a", 1, 1))
		submit(change("b", 0, 1, 3))
		if submit(change("b", 0, 1)) {
			t.Error("a second change of a queued partition was accepted")
		}
		synctest.Wait()
		if len(stub.requests) != 0 {
			t.Error("two requests are in flight")
		}
		if len(first.Topics) != 1 || first.BrokerID != 1 || first.BrokerEpoch != 99 {
			t.Errorf("first request %+v", first)
		}
		stub.answers <- agree
		second := <-stub.requests
		stub.answers <- agree
		synctest.Wait()
		partitions := 0
		for _, topic := range second.Topics {
			partitions += len(topic.Partitions)
		}
		if partitions < 2 {
			t.Errorf("the second request has %d partitions, want both queued ones", partitions)
		}
		if got := answers["b-0"]; got.Err != protocol.None || !slices.Equal(got.ISR, []metadata.BrokerID{1, 3}) || got.PartitionEpoch != 8 {
			t.Errorf("answer for b-0: %+v", got)
		}
		if len(answers) != 3 {
			t.Errorf("%d answers, want 3", len(answers))
		}
		if !submit(change("b", 0, 1)) {
			t.Error("a change after the answer was refused")
		}
		<-stub.requests
	})
}

func TestAlterPartitionRetriesAfterATopLevelError(t *testing.T) {
	withAlterPartition(t, func(t *testing.T, a *AlterPartition, stub *controllerStub) {
		answered := 0
		start := time.Now()
		a.Submit(change("a", 0, 1), func(ISRAnswer) { answered++ })
		for _, answer := range []func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error){
			func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
				return nil, errors.New("connection lost")
			},
			refuseAll(protocol.StaleBrokerEpoch),
			refuseAll(protocol.NotController),
			refuseAll(protocol.None), // does not name the partition
		} {
			<-stub.requests
			stub.answers <- answer
			synctest.Wait()
			if answered != 0 {
				t.Fatal("the change was answered")
			}
		}
		<-stub.requests
		if waited := time.Since(start); waited != 4*alterPartitionPause {
			t.Errorf("four repetitions took %v, want 50 ms each", waited)
		}
		if stub.moved != 1 {
			t.Errorf("Moved was called %d times, want once", stub.moved)
		}
		stub.answers <- agree
		synctest.Wait()
		if answered != 1 {
			t.Errorf("%d answers", answered)
		}
	})
}

// refuseEach answers every partition with a code.
func refuseEach(code protocol.ErrorCode) func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	return func(req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		resp, err := agree(req)
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				resp.Topics[i].Partitions[j].ErrorCode = int16(code)
			}
		}
		return resp, err
	}
}

// A partition submits its change again at once after an unexpected error. The controller must not
// be asked again without a pause.
func TestAlterPartitionPausesAfterAnUnexpectedErrorOfOneChange(t *testing.T) {
	withAlterPartition(t, func(t *testing.T, a *AlterPartition, stub *controllerStub) {
		start := time.Now()
		var again func(ISRAnswer)
		again = func(got ISRAnswer) {
			if got.Err == protocol.UnknownServerError && !a.Submit(change("a", 0, 1), again) {
				t.Error("the change was not queued again")
			}
		}
		a.Submit(change("a", 0, 1), again)
		for range 3 {
			<-stub.requests
			stub.answers <- refuseEach(protocol.UnknownServerError)
		}
		<-stub.requests
		if waited := time.Since(start); waited != 3*alterPartitionPause {
			t.Errorf("three repetitions took %v, want 50 ms each", waited)
		}
		stub.answers <- refuseEach(protocol.IneligibleReplica)
		synctest.Wait()
		a.Submit(change("a", 0, 1), again)
		<-stub.requests
		if waited := time.Since(start); waited != 3*alterPartitionPause {
			t.Errorf("after a refusal the next change waited: %v in total", waited)
		}
		stub.answers <- agree
	})
}

func TestAlterPartitionLogsOnlyFailures(t *testing.T) {
	var lines bytes.Buffer
	a := NewAlterPartition(1, func() int64 { return 99 }, nil, kafkalog.New(&lines))
	defer a.Close() // without a controller there is no sender to stop
	for _, c := range []struct {
		answer func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error)
		line   string
	}{
		{agree, ""},
		{refuseEach(protocol.IneligibleReplica), ""},
		{refuseAll(protocol.NotController), "INFO AlterPartition request of 1 partitions did not reach the controller, sending it again"},
		{func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
			return nil, errors.New("connection refused")
		},
			"INFO AlterPartition request of 1 partitions did not reach the controller, sending it again: connection refused"},
		{refuseAll(protocol.StaleBrokerEpoch), "WARN Broker had a stale broker epoch (99), retrying."},
		{refuseAll(protocol.ClusterAuthorizationFailed), "ERROR Broker is not authorized to send AlterPartition to controller"},
		{refuseAll(protocol.UnknownServerError), "WARN Controller returned an unexpected top-level error when handling AlterPartition request: UNKNOWN_SERVER_ERROR"},
	} {
		a.Submit(change("a", 0, 1), func(ISRAnswer) {})
		next := a.Next()
		next.Request.Version = next.MaxVersion
		resp, err := c.answer(next.Request)
		lines.Reset()
		next.Answered(resp, err)
		if got := lines.String(); c.line == "" && got != "" || !strings.Contains(got, c.line) {
			t.Errorf("logged %q, want %q", got, c.line)
		}
	}
}

func TestAlterPartitionWithoutTopicIDsStaysBelowVersionTwo(t *testing.T) {
	withAlterPartition(t, func(t *testing.T, a *AlterPartition, stub *controllerStub) {
		c := change("a", 0, 1)
		c.TopicID = TopicID{}
		answered := false
		a.Submit(c, func(got ISRAnswer) { answered = got.Err == protocol.None })
		<-stub.requests
		stub.answers <- agree
		synctest.Wait()
		if stub.versions[0] != 1 || !answered {
			t.Errorf("version %d, answered %t", stub.versions[0], answered)
		}
	})
}
