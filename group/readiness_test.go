package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// answers sends every request of a group once and returns the codes, such as
// "Join NOT_COORDINATOR, Sync NOT_COORDINATOR".
func answers(c *Coordinator, group string) string {
	txn := &Txn{ID: "x", ProducerID: 1}
	partition := TopicPartition{Topic: "t"}
	commit := []Commit{commitOf("t", 0, 5)}
	join := joinAs("a")
	join.MemberID = "unknown"
	_, fetch := c.Fetch(group, []TopicPartition{partition}, false)
	_, describe := c.Describe(group)
	members, leave := c.Leave(group, []Leaving{{MemberID: "unknown"}})
	_, remove := c.DeleteOffsets(group, []TopicPartition{partition})
	var texts []string
	for _, a := range []struct {
		request string
		code    protocol.ErrorCode
	}{
		{"Join", c.Join(group, join, nil).Err},
		{"Sync", c.Sync(group, SyncRequest{MemberID: "unknown", Generation: 1}, nil).Err},
		{"Heartbeat", c.Heartbeat(group, "unknown", nil, 1)},
		{"Leave", slices.Max(append(members, leave))},
		{"Fetch", fetch},
		{"Describe", describe},
		{"Delete", c.Delete(group)},
		{"DeleteOffsets", remove},
		{"Commit in generation 0", c.Commit(group, CommitRequest{MemberID: "unknown", Commits: commit})[0]},
		{"Commit without a generation", c.Commit(group, CommitRequest{Generation: -1, Commits: commit})[0]},
		{"TxnCommit", c.Commit(group, CommitRequest{Generation: -1, Txn: txn, Commits: commit})[0]},
	} {
		texts = append(texts, fmt.Sprintf("%s %s", a.request, a.code.Name()))
	}
	return strings.Join(texts, ", ")
}

// The order of the checks is Kafka's (GroupCoordinator.validateGroupStatus). Sync and Heartbeat
// treat a partition that is being loaded in ways of their own.
func TestRequestsAreRefusedWhileTheGroupsAreNotReady(t *testing.T) {
	partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
	for _, test := range []struct {
		name, group string
		change      func(c *Coordinator, topic *topictest.Topic)
		code        protocol.ErrorCode
		except      map[string]protocol.ErrorCode
	}{
		{name: "the coordinator has stopped", group: "g",
			change: func(c *Coordinator, _ *topictest.Topic) { c.Stop() }, code: protocol.CoordinatorNotAvailable},
		{name: "another broker leads", group: "g",
			change: func(c *Coordinator, _ *topictest.Topic) { c.Resigned(partition, 1) }, code: protocol.NotCoordinator},
		{name: "the partition is being loaded", group: "g",
			change: func(c *Coordinator, topic *topictest.Topic) {
				c.Commit("other", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 5)}})
				c.Resigned(partition, 1)
				topic.Reading = make(chan struct{})
				c.BecameLeader(partition, 2)
				synctest.Wait()
			}, code: protocol.CoordinatorLoadInProgress,
			except: map[string]protocol.ErrorCode{"Sync": protocol.RebalanceInProgress, "Heartbeat": protocol.None}},
		{name: "the group does not exist", group: "g",
			change: func(*Coordinator, *topictest.Topic) {}, code: protocol.None,
			except: map[string]protocol.ErrorCode{"Join": protocol.UnknownMemberID, "Sync": protocol.UnknownMemberID,
				"Heartbeat": protocol.UnknownMemberID, "Leave": protocol.UnknownMemberID, "Delete": protocol.GroupIDNotFound,
				"DeleteOffsets": protocol.GroupIDNotFound, "Commit in generation 0": protocol.IllegalGeneration}},
		{name: "the group has no name", group: "",
			change: func(*Coordinator, *topictest.Topic) {}, code: protocol.InvalidGroupID,
			except: map[string]protocol.ErrorCode{"Fetch": protocol.None, "Describe": protocol.None, "Delete": protocol.GroupIDNotFound,
				"Commit in generation 0": protocol.IllegalGeneration, "Commit without a generation": protocol.None}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				topic := topictest.New()
				c, _ := leading(t, topic, testOptions())
				test.change(c, topic)
				for answer := range strings.SplitSeq(answers(c, test.group), ", ") {
					at := strings.LastIndexByte(answer, ' ')
					want, excepted := test.except[answer[:at]]
					if !excepted {
						want = test.code
					}
					if answer[at+1:] != want.Name() {
						t.Errorf("%s, want %s", answer, want.Name())
					}
				}
				if topic.Reading != nil {
					close(topic.Reading)
				}
				c.Stop()
			})
		})
	}
}
