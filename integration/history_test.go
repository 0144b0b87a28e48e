package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/peerlink"
)

// outcome is the outcome of a send.
type outcome int

const (
	unknown      outcome = iota // no answer: the record may be stored once, or not at all
	acknowledged                // the record is stored at the offset in the answer
	refused                     // the broker refused the record: it must not be stored
)

// send is one record passed to a producer.
type send struct {
	outcome outcome
	offset  int64 // if acknowledged
}

// history holds every send of one idempotent producer, per partition in the order of sending. The
// value of a record encodes its index in that order.
type history struct {
	mu      sync.Mutex
	sends   map[int32][]send
	acks    map[int32]int
	givenUp map[string]int // number of records givenUp up, by error
}

func newHistory() *history {
	return &history{sends: map[int32][]send{}, acks: map[int32]int{}, givenUp: map[string]int{}}
}

// begin notes a send and returns its number within the partition.
func (h *history) begin(partition int32) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sends[partition] = append(h.sends[partition], send{})
	return len(h.sends[partition]) - 1
}

// end notes the outcome of a send.
func (h *history) end(partition int32, number int, o outcome, offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sends[partition][number] = send{outcome: o, offset: offset}
	if o == acknowledged {
		h.acks[partition]++
	}
}

// giveUp notes the error with which the producer gave up on a send, whose outcome is unknown.
func (h *history) giveUp(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.givenUp[why.Error()]++
}

// acknowledgedOf returns the number of acknowledged sends to the partition so far.
func (h *history) acknowledgedOf(partition int32) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acks[partition]
}

func (h *history) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[outcome]int{}
	for _, sends := range h.sends {
		for _, s := range sends {
			counts[s.outcome]++
		}
	}
	text := fmt.Sprintf("%d acknowledged, %d refused, %d unknown", counts[acknowledged], counts[refused], counts[unknown])
	if len(h.givenUp) > 0 {
		text += fmt.Sprintf(", givenUp up %v", h.givenUp)
	}
	return text
}

// stored is one record as read from the broker.
type stored struct {
	offset int64
	value  string
}

func valueOf(partition int32, number int) string {
	return fmt.Sprintf("%d/%d/%s", partition, number, strings.Repeat("x", number%97))
}

func numberOf(partition int32, value string) (int, bool) {
	p, rest, _ := strings.Cut(value, "/")
	n, _, _ := strings.Cut(rest, "/")
	number, err := strconv.Atoi(n)
	return number, err == nil && p == strconv.Itoa(int(partition)) && value == valueOf(partition, number)
}

// check returns the errors in the records read from a partition, from its start to its end:
// acknowledged records that are lost, moved or duplicated, refused records that are stored, records
// out of order, and records that were never sent.
func (h *history) check(partition int32, read []stored) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var wrong []string
	sends := h.sends[partition]
	seen := make([]bool, len(sends))
	last, lastOffset := -1, int64(-1)
	for _, r := range read {
		if r.offset <= lastOffset {
			wrong = append(wrong, fmt.Sprintf("partition %d: offset %d follows offset %d", partition, r.offset, lastOffset))
		}
		lastOffset = r.offset
		n, ok := numberOf(partition, r.value)
		switch {
		case !ok || n >= len(sends):
			wrong = append(wrong, fmt.Sprintf("partition %d, offset %d: %.40q was never sent", partition, r.offset, r.value))
			continue
		case seen[n]:
			wrong = append(wrong, fmt.Sprintf("partition %d, offset %d: record %d is stored twice", partition, r.offset, n))
			continue
		case sends[n].outcome == refused:
			wrong = append(wrong, fmt.Sprintf("partition %d, offset %d: record %d was refused", partition, r.offset, n))
		case sends[n].outcome == acknowledged && sends[n].offset != r.offset:
			wrong = append(wrong, fmt.Sprintf("partition %d, offset %d: record %d was acknowledged at offset %d", partition, r.offset, n, sends[n].offset))
		}
		if n < last {
			wrong = append(wrong, fmt.Sprintf("partition %d, offset %d: record %d follows record %d", partition, r.offset, n, last))
		}
		seen[n], last = true, n
	}
	for n, s := range sends {
		if s.outcome == acknowledged && !seen[n] {
			wrong = append(wrong, fmt.Sprintf("partition %d: record %d, acknowledged at offset %d, is lost", partition, n, s.offset))
		}
	}
	return wrong
}

func TestTheHistoryDetectsLossDuplicatesDisorderAndUnsentRecords(t *testing.T) {
	h := newHistory()
	for i, s := range []send{{acknowledged, 0}, {acknowledged, 1}, {unknown, 0}, {refused, 0}, {acknowledged, 3}} {
		h.begin(0)
		h.end(0, i, s.outcome, s.offset)
	}
	at := func(offset int64, number int) stored { return stored{offset, valueOf(0, number)} }
	for _, c := range []struct {
		read []stored
		want string // "": no error
	}{
		{[]stored{at(0, 0), at(1, 1), at(2, 2), at(3, 4)}, ""},
		{[]stored{at(0, 0), at(1, 1), at(3, 4)}, ""},
		{[]stored{at(0, 0), at(3, 4)}, "record 1, acknowledged at offset 1, is lost"},
		{[]stored{at(0, 0), at(1, 1), at(2, 1), at(3, 4)}, "record 1 is stored twice"},
		{[]stored{at(0, 0), at(1, 1), at(3, 4), at(4, 2)}, "record 2 follows record 4"},
		{[]stored{at(0, 0), at(1, 1), at(2, 3), at(3, 4)}, "record 3 was refused"},
		{[]stored{at(0, 0), at(2, 1), at(3, 4)}, "record 1 was acknowledged at offset 1"},
		{[]stored{at(0, 0), at(1, 1), {2, "y"}, at(3, 4)}, "was never sent"},
		{[]stored{at(0, 0), at(1, 1), at(2, 5), at(3, 4)}, "was never sent"},
		{[]stored{at(1, 1), at(0, 0), at(3, 4)}, "offset 0 follows offset 1"},
	} {
		wrong := strings.Join(h.check(0, c.read), "; ")
		if c.want == "" && wrong != "" || !strings.Contains(wrong, c.want) {
			t.Errorf("%v: found %q, want %q", c.read, wrong, c.want)
		}
	}
}

// load is an idempotent producer with acks=all that writes to every partition of a topic until it
// is stopped.
type load struct {
	*history
	t          testing.TB
	topic      string
	partitions int32
	client     *kgo.Client
	pause      func()
	wg         sync.WaitGroup
	gate       sync.RWMutex       // read-locked while sending; locked to keep the load idle
	read       map[int32][]stored // the records that verifySoFar has read
}

// loadInFlight limits the number of unanswered records per partition.
const loadInFlight = 40

// startLoad starts to write about perSecond records per second to each partition.
func (c *cluster) startLoad(t testing.TB, topic string, partitions int32, perSecond int) *load {
	t.Helper()
	client, err := kgo.NewClient(c.patient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(2*time.Millisecond), kgo.ProduceRequestTimeout(4*time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background())
	l := &load{history: newHistory(), t: t, topic: topic, partitions: partitions, client: client, pause: cancel}
	for p := range partitions {
		l.wg.Go(func() { l.write(ctx, p, time.Second/time.Duration(perSecond)) })
	}
	t.Cleanup(func() { cancel(); client.Close(); l.wg.Wait() })
	return l
}

// patient returns options for a client that survives failures and finds new leaders quickly.
func patient(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(5 * time.Second), kgo.DialTimeout(2 * time.Second),
		kgo.RequestTimeoutOverhead(3 * time.Second), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.RequestRetries(1000), kgo.RetryTimeout(2 * time.Minute),
	}, more...)
}

// patient returns such options for a client of the cluster.
func (c *cluster) patient(more ...kgo.Opt) []kgo.Opt {
	opts := patient(kgo.SeedBrokers(c.addresses()...))
	if slices.ContainsFunc(c.members, func(m *member) bool { return m.real != nil }) {
		opts = append(opts, kgo.UnknownTopicRetries(-1)) // a real broker that has just started knows no topics
	}
	return append(opts, more...)
}

func (l *load) write(ctx context.Context, partition int32, every time.Duration) {
	slots := make(chan struct{}, loadInFlight)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		l.gate.RLock()
		n := l.begin(partition)
		l.client.Produce(background(), &kgo.Record{Topic: l.topic, Partition: partition, Value: []byte(valueOf(partition, n))}, func(r *kgo.Record, err error) {
			if err == nil {
				l.end(partition, n, acknowledged, r.Offset)
			} else {
				l.giveUp(err)
			}
			<-slots
		})
		l.gate.RUnlock()
	}
}

// awaitProgress waits until every partition has acknowledged more records, that is, until writing
// continues or has resumed.
func (l *load) awaitProgress(limit time.Duration) {
	l.t.Helper()
	before := make([]int, l.partitions)
	for p := range l.partitions {
		before[p] = l.acknowledgedOf(p)
	}
	for p := range l.partitions {
		testkit.Eventually(l.t, limit, fmt.Sprintf("writing to %s-%d to continue", l.topic, p), func() bool {
			return l.acknowledgedOf(p) >= before[p]+2*loadInFlight
		})
	}
}

// stop ends the load once every send has been answered.
func (l *load) stop() {
	l.t.Helper()
	l.pause()
	l.wg.Wait()
	l.awaitAnswers()
	l.client.Close()
}

// awaitAnswers waits until every send has been answered.
func (l *load) awaitAnswers() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := l.client.Flush(ctx); err != nil {
		l.t.Errorf("some sends to %s were not answered within a minute: %s", l.topic, l)
	}
}

// whileIdle runs f while nothing is being sent and every send has been answered.
func (l *load) whileIdle(f func()) {
	l.t.Helper()
	l.gate.Lock()
	defer l.gate.Unlock()
	l.awaitAnswers()
	f()
}

// verify reads the topic from its start through a broker and fails the test if the records do not
// match the history.
func (l *load) verify(address string) {
	l.t.Helper()
	l.checkAll(address, readStored(l.t, address, l.topic, l.partitions))
}

// verifySoFar is like verify, for a load that is idle but not ended. It reads only the records
// since its last call, and checks all records.
func (l *load) verifySoFar(address string) {
	l.t.Helper()
	l.read = readOn(l.t, address, l.topic, l.partitions, l.read)
	l.checkAll(address, l.read)
}

func (l *load) checkAll(address string, read map[int32][]stored) {
	l.t.Helper()
	shown := 0
	for p := range l.partitions {
		for _, wrong := range l.check(p, read[p]) {
			if shown++; shown <= 20 {
				l.t.Errorf("%s through %s: %s", l.topic, address, wrong)
			}
		}
	}
	if shown > 0 {
		l.t.Errorf("%d errors in %s; %s", shown, l.topic, l)
	}
}

// readStored reads all partitions of a topic from their starts to their ends.
func readStored(t testing.TB, address, topic string, partitions int32) map[int32][]stored {
	t.Helper()
	return readOn(t, address, topic, partitions, nil)
}

// readOn is like readStored, but continues after the records in before, and returns both.
func readOn(t testing.TB, address, topic string, partitions int32, before map[int32][]stored) map[int32][]stored {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	starts := map[int32]kgo.Offset{}
	read := map[int32][]stored{}
	for p := range partitions {
		starts[p] = kgo.NewOffset().AtStart()
		if read[p] = before[p]; len(read[p]) > 0 {
			starts[p] = kgo.NewOffset().At(read[p][len(read[p])-1].offset + 1)
		}
	}
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(address), kgo.FetchMaxWait(100*time.Millisecond), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	left := partitionEnds(ctx, t, client, topic, partitions)
	for p, all := range read {
		if len(all) > 0 && all[len(all)-1].offset >= left[p]-1 {
			delete(left, p)
		}
	}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("reading %s through %s did not reach the ends %v within a minute", topic, address, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read[r.Partition] = append(read[r.Partition], stored{r.Offset, string(r.Value)})
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
		})
	}
	return read
}

// partitionEnds returns the end offset of every partition that has records.
func partitionEnds(ctx context.Context, t testing.TB, client *kgo.Client, topic string, partitions int32) map[int32]int64 {
	t.Helper()
	ends := map[int32]int64{}
	testkit.Eventually(t, 30*time.Second, "the ends of "+topic, func() bool {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		for p := range partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		answered := int32(0)
		for _, shard := range client.RequestSharded(ctx, req) {
			if shard.Err != nil {
				return false
			}
			for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
				for _, p := range topic.Partitions {
					if p.ErrorCode != 0 {
						return false
					}
					answered++
					if p.Offset > 0 {
						ends[p.Partition] = p.Offset
					}
				}
			}
		}
		return answered == partitions
	})
	return ends
}

// leaderWatch repeatedly asks every broker for the leaders, and records which brokers were reported
// as leader in each leader epoch.
type leaderWatch struct {
	mu      sync.Mutex
	leaders map[string]map[int32]bool // "topic-partition epoch" -> leaders
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func watchLeaders(t testing.TB, addresses ...string) *leaderWatch {
	ctx, cancel := context.WithCancel(background())
	w := &leaderWatch{leaders: map[string]map[int32]bool{}, cancel: cancel}
	for _, address := range addresses {
		w.wg.Go(func() { w.follow(ctx, address) })
	}
	t.Cleanup(func() { cancel(); w.wg.Wait() })
	return w
}

func (w *leaderWatch) follow(ctx context.Context, address string) {
	l := peerlink.New(peerlink.Config{Address: address, ClientID: "leader-watch", RequestTimeout: 2 * time.Second, ConnectTimeout: time.Second})
	defer l.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(9)
		if resp, err := l.Do(ctx, req); err == nil {
			w.note(resp.(*kmsg.MetadataResponse))
		} else if errors.Is(err, context.Canceled) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *leaderWatch) note(resp *kmsg.MetadataResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if p.Leader < 0 || p.LeaderEpoch < 0 {
				continue
			}
			key := fmt.Sprintf("%s-%d in leader epoch %d", *topic.Topic, p.Partition, p.LeaderEpoch)
			if w.leaders[key] == nil {
				w.leaders[key] = map[int32]bool{}
			}
			w.leaders[key][p.Leader] = true
		}
	}
}

// stop ends the watch and fails the test if an epoch had two leaders.
func (w *leaderWatch) stop(t testing.TB) {
	t.Helper()
	w.cancel()
	w.wg.Wait()
	var keys []string
	for key, leaders := range w.leaders {
		if len(leaders) > 1 {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		t.Errorf("%s had the leaders %v", key, sortedKeys(w.leaders[key]))
	}
	if len(w.leaders) == 0 {
		t.Error("the watch saw no leader at all")
	}
}

func sortedKeys(set map[int32]bool) []int32 {
	var keys []int32
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
