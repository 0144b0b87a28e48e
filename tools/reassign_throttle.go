package tools

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
)

// This file sets the throttles of reassignments. The rates are broker configurations; the replicas
// that they apply to are topic configurations.

const (
	leaderThrottled   = "leader.replication.throttled.replicas"
	followerThrottled = "follower.replication.throttled.replicas"
	leaderRate        = "leader.replication.throttled.rate"
	followerRate      = "follower.replication.throttled.rate"
	dirRate           = "replica.alter.log.dirs.io.max.bytes.per.second"
)

// throttleMoves sets the throttles that the options request.
func (r *reassigner) throttleMoves(p plan, all map[topicPartition]move) error {
	if r.throttleRate >= 0 {
		lists := throttles(all)
		var topics []resource
		for _, topic := range slices.Sorted(maps.Keys(lists)) {
			topics = append(topics, resource{kmsg.ConfigResourceTypeTopic, topic})
		}
		err := r.changeConfigs(topics, func(t resource) []configChange {
			return []configChange{setting(leaderThrottled, lists[t.name][0]), setting(followerThrottled, lists[t.name][1])}
		})
		if err != nil {
			return execution(err)
		}
		rate := strconv.FormatInt(r.throttleRate, 10)
		if err := r.setRates(moving(all), setting(leaderRate, rate), setting(followerRate, rate)); err != nil {
			return err
		}
		r.say("The inter-broker throttle limit was set to %d B/s\n", r.throttleRate)
	}
	if r.dirRate >= 0 {
		var brokers []int32
		for replica := range p.dirs {
			brokers = append(brokers, replica.broker)
		}
		slices.Sort(brokers)
		if err := r.setRates(slices.Compact(brokers), setting(dirRate, strconv.FormatInt(r.dirRate, 10))); err != nil {
			return err
		}
		r.say("The replica-alter-dir throttle limit was set to %d B/s\n", r.dirRate)
	}
	return nil
}

func (r *reassigner) setRates(brokers []int32, rates ...configChange) error {
	var resources []resource
	for _, id := range brokers {
		resources = append(resources, brokerResource(id))
	}
	return execution(r.changeConfigs(resources, func(resource) []configChange { return rates }))
}

// clearThrottles removes the throttles of all brokers and of the plan's topics.
func (r *reassigner) clearThrottles(p plan) error {
	nodes, err := r.nodes()
	if err != nil {
		return execution(err)
	}
	var ids []int32
	for _, node := range nodes {
		ids = append(ids, node.NodeID)
	}
	for _, t := range p.targets {
		ids = append(ids, t.replicas...)
	}
	ids = hashOrder(distinct(ids), intHash)
	r.say("Clearing broker-level throttles on broker%s %s\n", plural(len(ids)), joined(ids))
	if err := r.setRates(ids, removal(leaderRate), removal(followerRate), removal(dirRate)); err != nil {
		return err
	}
	topics := p.topics()
	var resources []resource
	for _, topic := range topics {
		resources = append(resources, resource{kmsg.ConfigResourceTypeTopic, topic})
	}
	r.say("Clearing topic-level throttles on topic%s %s\n", plural(len(topics)), strings.Join(topics, ","))
	return execution(r.changeConfigs(resources, func(resource) []configChange {
		return []configChange{removal(leaderThrottled), removal(followerThrottled)}
	}))
}

func removal(name string) configChange { return configChange{name: name, delete: true} }

func randomPlacement(brokers int) admin.Placement {
	if brokers == 0 {
		return admin.Placement{}
	}
	return admin.Placement{Start: rand.IntN(brokers), Shift: rand.IntN(brokers)}
}
