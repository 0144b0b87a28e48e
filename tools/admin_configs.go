package tools

import (
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// resource is an entity that has configurations.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// broker returns the broker that a resource belongs to. own is false if it does not belong to one.
func (r resource) broker() (id int32, own bool) {
	if r.kind != kmsg.ConfigResourceTypeBroker && r.kind != kmsg.ConfigResourceTypeBrokerLogger {
		return 0, false
	}
	n, err := strconv.ParseInt(r.name, 10, 32)
	return int32(n), err == nil
}

// place selects the broker that a resource's requests are sent to.
func (r resource) place() brokerSelector {
	if id, own := r.broker(); own {
		return brokerNamed(id)
	}
	return anyBroker
}

// describeConfig returns the configuration entries of a resource.
func (c *adminClient) describeConfig(r resource, synonyms bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	one := kmsg.NewDescribeConfigsRequestResource()
	one.ResourceType, one.ResourceName = r.kind, r.name
	req.Resources = append(req.Resources, one)
	resp, err := c.call("describeConfigs", r.place(), req, 4, nil)
	if err != nil {
		return nil, err
	}
	for _, answer := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if answer.ErrorCode != 0 {
			return nil, refusal(answer.ErrorCode, answer.ErrorMessage)
		}
		return answer.Configs, nil
	}
	return nil, nil
}

// configChange sets or deletes a key of a resource.
type configChange struct {
	name   string
	value  *string
	delete bool
}

func setting(name, value string) configChange { return configChange{name: name, value: &value} }

// changeConfigs alters resources. Each broker gets the request for its own resources and any broker
// that for all others, concurrently. It returns the first error after all have answered.
func (c *adminClient) changeConfigs(resources []resource, changes func(resource) []configChange) error {
	var requests []*kmsg.IncrementalAlterConfigsRequest
	var places []brokerSelector
	var others *kmsg.IncrementalAlterConfigsRequest
	for _, r := range resources {
		one := kmsg.NewIncrementalAlterConfigsRequestResource()
		one.ResourceType, one.ResourceName = r.kind, r.name
		for _, change := range changes(r) {
			entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			entry.Name, entry.Value = change.name, change.value
			if change.delete {
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
		requests, places = append(requests, req), append(places, r.place())
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

func (c *adminClient) changeAt(to brokerSelector, req *kmsg.IncrementalAlterConfigsRequest) error {
	resp, err := c.call("incrementalAlterConfigs", to, req, 1, nil)
	if err != nil {
		return err
	}
	for _, answer := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if answer.ErrorCode != 0 {
			return refusal(answer.ErrorCode, answer.ErrorMessage)
		}
	}
	return nil
}
