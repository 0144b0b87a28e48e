package reassign

import (
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/client"
)

// The document of --list with --output json. docs/json.md describes its fields.
type (
	reassignmentsDocument struct {
		Reassignments []listedReassignment `json:"reassignments"`
	}
	listedReassignment struct {
		Topic            string              `json:"topic"`
		Partition        int32               `json:"partition"`
		Replicas         []metadata.BrokerID `json:"replicas"`
		AddingReplicas   []metadata.BrokerID `json:"addingReplicas"`
		RemovingReplicas []metadata.BrokerID `json:"removingReplicas"`
	}
)

func listDocument(running map[client.TopicPartition]client.Reassignment) reassignmentsDocument {
	ids := func(list []metadata.BrokerID) []metadata.BrokerID { return append([]metadata.BrokerID{}, list...) } // not nil
	all := []listedReassignment{}
	for _, tp := range client.SortedPartitions(running) {
		r := running[tp]
		all = append(all, listedReassignment{tp.Topic, tp.Partition, ids(r.Replicas), ids(r.Adding), ids(r.Removing)})
	}
	return reassignmentsDocument{all}
}
