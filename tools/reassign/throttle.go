package reassign

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/client"
)

// This file sets the throttles of reassignments. The rates are broker configurations; the replicas
// that they apply to are topic configurations.

var (
	leaderThrottled   = settings.TopicLeaderReplicationThrottledReplicas.Name
	followerThrottled = settings.TopicFollowerReplicationThrottledReplicas.Name
	leaderRate        = settings.LeaderReplicationThrottledRate.Name
	followerRate      = settings.FollowerReplicationThrottledRate.Name
	dirRate           = settings.ReplicaAlterLogDirsIOMaxBytesPerSecond.Name
)

// throttleMoves sets the throttles that the options request.
func (r *reassigner) throttleMoves(p plan, all map[client.TopicPartition]move) error {
	if r.throttleRate >= 0 {
		lists := throttles(all)
		var topics []client.Resource
		for _, topic := range slices.Sorted(maps.Keys(lists)) {
			topics = append(topics, client.Resource{Kind: kmsg.ConfigResourceTypeTopic, Name: topic})
		}
		err := r.ChangeConfigs(topics, func(t client.Resource) []client.ConfigChange {
			return []client.ConfigChange{client.Setting(leaderThrottled, lists[t.Name][0]), client.Setting(followerThrottled, lists[t.Name][1])}
		})
		if err != nil {
			return client.Execution(err)
		}
		rate := strconv.FormatInt(r.throttleRate, 10)
		if err := r.setRates(moving(all), client.Setting(leaderRate, rate), client.Setting(followerRate, rate)); err != nil {
			return err
		}
		r.say("The inter-broker throttle limit was set to %d B/s\n", r.throttleRate)
	}
	if r.dirRate >= 0 {
		var brokers []metadata.BrokerID
		for replica := range p.dirs {
			brokers = append(brokers, replica.broker)
		}
		slices.Sort(brokers)
		if err := r.setRates(slices.Compact(brokers), client.Setting(dirRate, strconv.FormatInt(r.dirRate, 10))); err != nil {
			return err
		}
		r.say("The replica-alter-dir throttle limit was set to %d B/s\n", r.dirRate)
	}
	return nil
}

func (r *reassigner) setRates(brokers []metadata.BrokerID, rates ...client.ConfigChange) error {
	var resources []client.Resource
	for _, id := range brokers {
		resources = append(resources, brokerResource(id))
	}
	return client.Execution(r.ChangeConfigs(resources, func(client.Resource) []client.ConfigChange { return rates }))
}

// clearThrottles removes the throttles of all brokers and of the plan's topics.
func (r *reassigner) clearThrottles(p plan) error {
	nodes, err := r.Nodes()
	if err != nil {
		return client.Execution(err)
	}
	var ids []metadata.BrokerID
	for _, node := range nodes {
		ids = append(ids, metadata.BrokerID(node.NodeID))
	}
	for _, t := range p.targets {
		ids = append(ids, t.replicas...)
	}
	ids = javatext.HashMapOrder(client.Distinct(ids), javatext.IntHash)
	r.say("Clearing broker-level throttles on broker%s %s\n", plural(len(ids)), javatext.Join(ids, ","))
	if err := r.setRates(ids, removal(leaderRate), removal(followerRate), removal(dirRate)); err != nil {
		return err
	}
	topics := p.topics()
	var resources []client.Resource
	for _, topic := range topics {
		resources = append(resources, client.Resource{Kind: kmsg.ConfigResourceTypeTopic, Name: topic})
	}
	r.say("Clearing topic-level throttles on topic%s %s\n", plural(len(topics)), strings.Join(topics, ","))
	return client.Execution(r.ChangeConfigs(resources, func(client.Resource) []client.ConfigChange {
		return []client.ConfigChange{removal(leaderThrottled), removal(followerThrottled)}
	}))
}

func removal(name string) client.ConfigChange { return client.ConfigChange{Name: name, Delete: true} }

func randomPlacement(brokers int) admin.Placement {
	if brokers == 0 {
		return admin.Placement{}
	}
	return admin.Placement{Start: rand.IntN(brokers), Shift: rand.IntN(brokers)}
}
