package zkconsumer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// subscription says which topics a member reads, in how many streams.
type subscription struct {
	topics  map[string]int // static
	pattern *regexp.Regexp // else
	exclude bool           // pattern is of the topics not to read
	streams int
	skip    bool // internal topics are not read through a pattern
}

// tidyPattern is what Kafka makes of a pattern that a user gave: commas are
// alternatives, blanks and outer quotes go.
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

// of returns the topics that are read, of all that there are, with their streams.
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

// group is what every member sees of its group; all compute the same from it.
type group struct {
	topics     map[string]map[string]int // member -> topic -> streams
	partitions map[string][]int32        // topic -> its partitions, ascending
}

// thread is one stream of a member, in Kafka's words a consumer thread.
type thread struct {
	member string
	number int
}

// String is how an owner node names it.
func (t thread) String() string { return t.member + "-" + strconv.Itoa(t.number) }

func byName(a, b thread) int { return cmp.Compare(a.String(), b.String()) }

// readers are the threads that read a topic, in the order of their names.
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

// assign returns who reads each partition of what member reads (range), or of
// the whole group (roundrobin).
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

// assignRange cuts the partitions of one topic into ranges, the first ones
// longer by one where they do not come out even.
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

// roundRobin deals all partitions of the group to all its threads in turn, those
// left out that do not read the topic. The order of the partitions is that of
// the hashes of their names, as in Kafka 1.0 and 1.1 (before, names were written
// in another way, so such members would disagree).
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

// hashOf is Java's hash code of topic-partition.
func hashOf(tp TopicPartition) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(fmt.Sprintf("%s-%d", tp.Topic, tp.Partition))) {
		h = 31*h + int32(unit)
	}
	return h
}
