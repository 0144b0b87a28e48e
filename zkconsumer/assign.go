package zkconsumer

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// subscription describes which topics a member reads, and with how many streams.
type subscription struct {
	topics  map[string]int // topic -> streams; used if pattern is nil
	pattern *regexp.Regexp // selects topics by name; nil: topics
	exclude bool           // pattern selects the topics not to read
	streams int
	skip    bool // a pattern does not select internal topics
}

// tidyPattern normalizes a pattern like Kafka: commas become alternatives, and spaces and outer
// quotes are dropped.
func tidyPattern(raw string) string {
	text := strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(raw), ",", "|"), " ", "")
	return strings.Trim(text, `"'`)
}

func subscriptionOf(r zkstore.ConsumerRegistration, excludeInternal bool) (subscription, error) {
	if len(r.Subscription) == 0 || r.Pattern != zkstore.SubscribeWhitelist && r.Pattern != zkstore.SubscribeBlacklist {
		return subscription{topics: r.Subscription}, nil
	}
	for text, streams := range r.Subscription {
		pattern, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			return subscription{}, refuse("%s is an invalid regex.", text)
		}
		return subscription{pattern: pattern, exclude: r.Pattern == zkstore.SubscribeBlacklist, streams: streams, skip: excludeInternal}, nil
	}
	return subscription{}, nil
}

// of returns those of all topics that are read, with their number of streams.
func (s subscription) of(all []string) map[string]int {
	if s.pattern == nil {
		return s.topics
	}
	topics := map[string]int{}
	for _, topic := range all {
		if s.pattern.MatchString(topic) != s.exclude && !(s.skip && internal(topic)) {
			topics[topic] = s.streams
		}
	}
	return topics
}

func internal(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state"
}

// group is the state of a group. All members see the same state and compute the same assignment
// from it.
type group struct {
	topics     map[string]map[string]int // member -> topic -> streams
	partitions map[string][]int32        // topic -> its partitions, ascending
}

// thread is one stream of a member, which Kafka calls a consumer thread.
type thread struct {
	member string
	number int
}

// String returns the name of the thread in an owner node.
func (t thread) String() string { return t.member + "-" + strconv.Itoa(t.number) }

func byName(a, b thread) int { return cmp.Compare(a.String(), b.String()) }

// readers returns the threads that read a topic, sorted by name.
func (g group) readers(topic string) []thread {
	var threads []thread
	for member, topics := range g.topics {
		for n := range topics[topic] {
			threads = append(threads, thread{member, n})
		}
	}
	slices.SortFunc(threads, byName)
	return threads
}

// assign returns the owner of each partition: of the topics that member reads (range), or of all
// topics of the group (roundrobin).
func (g group) assign(assignor, member string) map[TopicPartition]thread {
	if assignor == RoundRobinAssignor {
		return g.roundRobin()
	}
	owners := map[TopicPartition]thread{}
	for topic := range g.topics[member] {
		g.assignRange(topic, owners)
	}
	return owners
}

// assignRange splits the partitions of one topic into ranges. If they do not divide evenly, the
// first ranges have one partition more.
func (g group) assignRange(topic string, owners map[TopicPartition]thread) {
	partitions, readers := g.partitions[topic], g.readers(topic)
	each, more := len(partitions)/len(readers), len(partitions)%len(readers)
	for i, t := range readers {
		start := each*i + min(i, more)
		size := each
		if i < more {
			size++
		}
		for _, p := range partitions[start : start+size] {
			owners[TopicPartition{Topic: topic, Partition: p}] = t
		}
	}
}

// roundRobin assigns the partitions of the group to its threads in turn and skips threads that do
// not read the topic. Partitions are ordered by the hash of their names, as in Kafka 1.0 and 1.1.
// Earlier versions formatted the names differently, so members of both kinds would compute
// different assignments.
func (g group) roundRobin() map[TopicPartition]thread {
	var threads []thread
	var all []TopicPartition
	reads := map[string]map[thread]bool{}
	for topic, partitions := range g.partitions {
		reads[topic] = map[thread]bool{}
		for _, t := range g.readers(topic) {
			threads = append(threads, t)
			reads[topic][t] = true
		}
		if len(reads[topic]) == 0 {
			continue
		}
		for _, p := range partitions {
			all = append(all, TopicPartition{Topic: topic, Partition: p})
		}
	}
	slices.SortFunc(threads, byName)
	threads = slices.Compact(threads)
	slices.SortFunc(all, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(hashOf(a), hashOf(b)), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	owners := map[TopicPartition]thread{}
	next := 0
	for _, tp := range all {
		for !reads[tp.Topic][threads[next%len(threads)]] {
			next++
		}
		owners[tp] = threads[next%len(threads)]
		next++
	}
	return owners
}

// hashOf returns Java's hash code of the string topic-partition.
func hashOf(tp TopicPartition) int32 { return javatext.StringHash(tp.String()) }
