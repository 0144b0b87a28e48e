package client

import (
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
)

// Resource is an entity that has configurations.
type Resource struct {
	Kind kmsg.ConfigResourceType
	Name string
}

// broker returns the broker that a resource belongs to. own is false if it does not belong to one.
func (r Resource) broker() (id metadata.BrokerID, own bool) {
	if r.Kind != kmsg.ConfigResourceTypeBroker && r.Kind != kmsg.ConfigResourceTypeBrokerLogger {
		return 0, false
	}
	n, err := strconv.ParseInt(r.Name, 10, 32)
	return metadata.BrokerID(n), err == nil
}

// Place selects the broker that a resource's requests are sent to.
func (r Resource) Place() BrokerSelector {
	if id, own := r.broker(); own {
		return BrokerNamed(id)
	}
	return AnyBroker
}

// DescribeConfig returns the configuration entries of a resource.
func (c *Admin) DescribeConfig(r Resource, synonyms bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	one := kmsg.NewDescribeConfigsRequestResource()
	one.ResourceType, one.ResourceName = r.Kind, r.Name
	req.Resources = append(req.Resources, one)
	resp, err := c.Send("describeConfigs", r.Place(), req, 4, nil)
	if err != nil {
		return nil, err
	}
	answers := resp.(*kmsg.DescribeConfigsResponse).Resources
	if len(answers) == 0 {
		return nil, nil
	}
	if first := answers[0]; first.ErrorCode != 0 {
		return nil, Refusal(first.ErrorCode, first.ErrorMessage)
	}
	return answers[0].Configs, nil
}

// ConfigChange sets or deletes a key of a resource.
type ConfigChange struct {
	Name   string
	Value  *string
	Delete bool
}

// Setting returns the change that sets a key to a value.
func Setting(name, value string) ConfigChange { return ConfigChange{Name: name, Value: &value} }

// ChangeConfigs alters resources. Each broker gets the request for its own resources and any broker
// that for all others, concurrently. It returns the first error after all have answered.
func (c *Admin) ChangeConfigs(resources []Resource, changes func(Resource) []ConfigChange) error {
	var requests []*kmsg.IncrementalAlterConfigsRequest
	var places []BrokerSelector
	var others *kmsg.IncrementalAlterConfigsRequest
	for _, r := range resources {
		one := kmsg.NewIncrementalAlterConfigsRequestResource()
		one.ResourceType, one.ResourceName = r.Kind, r.Name
		for _, change := range changes(r) {
			entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			entry.Name, entry.Value = change.Name, change.Value
			if change.Delete {
				entry.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			one.Configs = append(one.Configs, entry)
		}
		if _, own := r.broker(); !own && others != nil {
			others.Resources = append(others.Resources, one)
			continue
		}
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = append(req.Resources, one)
		requests, places = append(requests, req), append(places, r.Place())
		if _, own := r.broker(); !own {
			others = req
		}
	}
	failures := make([]error, len(requests))
	var all sync.WaitGroup
	for i, req := range requests {
		all.Add(1)
		go func() {
			defer all.Done()
			failures[i] = c.changeAt(places[i], req)
		}()
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Admin) changeAt(to BrokerSelector, req *kmsg.IncrementalAlterConfigsRequest) error {
	resp, err := c.Send("incrementalAlterConfigs", to, req, 1, nil)
	if err != nil {
		return err
	}
	for _, answer := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if answer.ErrorCode != 0 {
			return Refusal(answer.ErrorCode, answer.ErrorMessage)
		}
	}
	return nil
}
