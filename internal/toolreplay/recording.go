package toolreplay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// recording is what one command line of a tool does: what the real tool printed, and the exchange
// of our tool with a real broker. Its file has a line for each request and one for its response.
type recording struct {
	command string
	output  string // of the real tool, as masked by testkit.ToolResult

	mu        sync.Mutex
	exchanges []*exchange // in the order of the responses
}

// exchange is a request and its response, as text.
type exchange struct {
	broker            int32 // that answered
	key               protocol.APIKey
	version           int16
	request, response string
	wanted            string // what identifies the request
	used              int    // how often it was answered
}

const (
	commandMark, requestMark, responseMark, brokerMark = "$ ", "> ", "< ", "@"
)

func recordingPath(name string) string { return filepath.Join("testdata", name+".txt") }

// write stores the recording in a file.
func (r *recording) write(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	fmt.Fprintf(&out, "%s%s\n%s", commandMark, r.command, r.output)
	for _, e := range r.exchanges {
		fmt.Fprintf(&out, "%s%s v%d ", requestMark, kmsg.NameForKey(int16(e.key)), e.version)
		if e.broker != 0 {
			fmt.Fprintf(&out, "%s%d ", brokerMark, e.broker)
		}
		fmt.Fprintf(&out, "%s\n%s%s\n", e.request, responseMark, e.response)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		return err
	}
	return os.WriteFile(recordingPath(name), []byte(out.String()), 0o644)
}

// readRecording reads the file that write wrote.
func readRecording(name string) (*recording, error) {
	text, err := os.ReadFile(recordingPath(name))
	if err != nil {
		return nil, err
	}
	r := &recording{}
	for line := range strings.Lines(string(text)) {
		mark, rest := line[:min(2, len(line))], strings.TrimSuffix(line[min(2, len(line)):], "\n")
		switch mark {
		case commandMark:
			r.command = rest
		case requestMark:
			e, err := parseExchange(rest)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", recordingPath(name), err)
			}
			r.exchanges = append(r.exchanges, e)
		case responseMark:
			r.exchanges[len(r.exchanges)-1].response = rest
		default:
			r.output += line
		}
	}
	return r, nil
}

func parseExchange(line string) (*exchange, error) {
	name, rest, _ := strings.Cut(line, " v")
	version, text, _ := strings.Cut(rest, " ")
	e := &exchange{}
	if rest, marked := strings.CutPrefix(text, brokerMark); marked {
		var id string
		id, text, _ = strings.Cut(rest, " ")
		if _, err := fmt.Sscan(id, &e.broker); err != nil {
			return nil, err
		}
	}
	e.request = text
	if _, err := fmt.Sscan(version, &e.version); err != nil {
		return nil, err
	}
	key, found := keyNamed(name)
	if !found {
		return nil, fmt.Errorf("no API is called %q", name)
	}
	e.key = key
	req := kmsg.RequestForKey(int16(key))
	req.SetVersion(e.version)
	if err := parseMessage(text, req); err != nil {
		return nil, err
	}
	e.wanted = identity(req)
	return e, nil
}

func keyNamed(name string) (protocol.APIKey, bool) {
	for key := protocol.APIKey(0); key < 128; key++ {
		if kmsg.RequestForKey(int16(key)) != nil && kmsg.NameForKey(int16(key)) == name {
			return key, true
		}
	}
	return 0, false
}

// add appends an exchange.
func (r *recording) add(broker int32, req kmsg.Request, resp kmsg.Response) {
	setAddresses(resp, recordedAddress)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exchanges = append(r.exchanges, &exchange{broker: broker, key: protocol.APIKey(req.Key()), version: req.GetVersion(), request: messageText(req),
		response: listener.ReplaceAllString(messageText(resp), "127.0.0.1:9092")})
}

// listener is an address in the configuration of a recorded broker.
var listener = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// respond returns the recorded response to a request: that of the first equal request that has not
// been used yet, or, if all have been, that of the last one. A client that repeats requests while
// it waits thus sees the cluster change as it did when it was recorded. The responses of the same
// broker come first; a client chooses the broker for some requests at random.
func (r *recording) respond(t testing.TB, broker int32, req kmsg.Request) kmsg.Response {
	wanted := identity(req)
	r.mu.Lock()
	var found *exchange
	better := func(e *exchange) bool {
		switch {
		case found == nil:
			return true
		case (e.broker == broker) != (found.broker == broker):
			return e.broker == broker
		}
		return found.used > 0
	}
	for _, e := range r.exchanges {
		if e.key == protocol.APIKey(req.Key()) && e.version == req.GetVersion() && e.wanted == wanted && better(e) {
			found = e
		}
	}
	repeated := false
	if found != nil {
		repeated = found.used > 0
		found.used++
	}
	r.mu.Unlock()
	if fetch, is := req.(*kmsg.FetchRequest); is && found == nil {
		return r.fetched(t, fetch)
	}
	if found == nil {
		t.Errorf("no such request was recorded: %s v%d %s", kmsg.NameForKey(req.Key()), req.GetVersion(), wanted)
		return nil
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	text := found.response
	if group := randomGroup.FindString(messageText(req)); group != "" {
		text = randomGroup.ReplaceAllString(text, group)
	}
	if err := parseMessage(text, resp); err != nil {
		t.Errorf("the response to %s: %v", found.request, err)
		return nil
	}
	if repeated && req.Key() == int16(protocol.Fetch) {
		pause(t)
	}
	return resp
}

// fetched returns the response to a fetch that was not recorded: a consumer that is faster or slower asks
// for other partitions together, or ended before it asked. Each partition has the records that were
// recorded for its offset, or none.
func (r *recording) fetched(t testing.TB, req *kmsg.FetchRequest) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = req.Version
	empty := true
	for _, asked := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
		for _, p := range asked.Partitions {
			one := kmsg.NewFetchResponseTopicPartition()
			one.Partition, one.HighWatermark, one.LastStableOffset = p.Partition, p.FetchOffset, p.FetchOffset
			if known := r.fetchedAt(asked, p); known != nil {
				one, empty = *known, empty && len(known.RecordBatches) == 0
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if empty {
		pause(t)
	}
	return resp
}

// fetchedAt returns what was recorded for an offset, or nil.
func (r *recording) fetchedAt(topic kmsg.FetchRequestTopic, partition kmsg.FetchRequestTopicPartition) *kmsg.FetchResponseTopicPartition {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.exchanges {
		if e.key != protocol.Fetch {
			continue
		}
		req, resp := &kmsg.FetchRequest{Version: e.version}, &kmsg.FetchResponse{Version: e.version}
		if parseMessage(e.request, req) != nil || parseMessage(e.response, resp) != nil {
			continue
		}
		asked := slices.ContainsFunc(req.Topics, func(t kmsg.FetchRequestTopic) bool {
			return t.Topic == topic.Topic && t.TopicID == topic.TopicID && slices.ContainsFunc(t.Partitions, func(p kmsg.FetchRequestTopicPartition) bool {
				return p.Partition == partition.Partition && p.FetchOffset == partition.FetchOffset
			})
		})
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if asked && t.Topic == topic.Topic && t.TopicID == topic.TopicID && p.Partition == partition.Partition {
					return &p
				}
			}
		}
	}
	return nil
}

// pause lets a consumer wait, as a broker without new records does.
func pause(t testing.TB) {
	select {
	case <-t.Context().Done():
	case <-time.After(repeatedFetchPause):
	}
}

// serve starts peers that answer as the recorded brokers did, and returns the address of broker 0.
func (r *recording) serve(t testing.TB, brokers int) string {
	var peers []*Peer
	for id := range brokers {
		peers = append(peers, Serve(t, func(req kmsg.Request) kmsg.Response { return r.respond(t, int32(id), req) }))
	}
	for _, p := range peers {
		p.named = func(broker int32) (string, int32) { return hostAndPort(peers[broker].listener.Addr()) }
	}
	return peers[0].Address()
}

// repeatedFetchPause is how long a fetch waits if it gets the same response as the one before it.
const repeatedFetchPause = 10 * time.Millisecond

// unused returns the recorded requests that were not sent, except for those that depend on the time
// that a client has.
func (r *recording) unused() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var left []string
	for _, e := range r.exchanges {
		if e.used == 0 && !slices.Contains(timed, e.key) && !r.repeats(e) {
			left = append(left, fmt.Sprintf("%s v%d %s", kmsg.NameForKey(int16(e.key)), e.version, e.request))
		}
	}
	return left
}

// repeats reports whether an exchange repeats a query that was sent, for which a client may have had
// no time.
func (r *recording) repeats(e *exchange) bool {
	return e.key == protocol.ListOffsets && slices.ContainsFunc(r.exchanges, func(other *exchange) bool {
		return other.used > 0 && other.key == e.key && other.wanted == e.wanted
	})
}

var timed = []protocol.APIKey{protocol.Fetch, protocol.Metadata, protocol.FindCoordinator, protocol.Heartbeat, protocol.OffsetCommit}

// varying are fields of requests whose value depends on the time or is random.
var varying = []string{"TimeoutMillis", "SessionID", "SessionEpoch", "Salt", "SaltedPassword"}

// identity returns the text that equal requests have in common.
func identity(req kmsg.Request) string {
	value := tree(reflect.ValueOf(req).Elem())
	if produce, ok := req.(*kmsg.ProduceRequest); ok {
		value.(map[string]any)["Records"] = produced(produce)
		for _, topic := range value.(map[string]any)["Topics"].([]any) {
			for _, partition := range topic.(map[string]any)["Partitions"].([]any) {
				delete(partition.(map[string]any), "Records")
			}
		}
	}
	text, err := json.Marshal(stable(value))
	if err != nil {
		panic(err) // as in messageText
	}
	return randomGroup.ReplaceAllString(string(text), "$1-consumer-*")
}

// randomGroup is the group of a consumer that was given none.
var randomGroup = regexp.MustCompile(`\b(console|perf)-consumer-\d+`)

// produced lists the records of a request, without their timestamps.
func produced(req *kmsg.ProduceRequest) []any {
	var list []any
	for _, topic := range req.Topics {
		for _, partition := range topic.Partitions {
			for set := partition.Records; len(set) > 0; {
				batch, rest, err := record.Next(set)
				if err != nil {
					return append(list, err.Error())
				}
				err = batch.Each(func(r *record.Record) error {
					list = append(list, fmt.Sprintf("%q=%q %q", r.Key, r.Value, r.Headers))
					return nil
				})
				if err != nil {
					return append(list, err.Error())
				}
				set = rest
			}
		}
	}
	return list
}

// recent and future limit the times, in ms, that depend on when a command runs: 2026 and 2040.
const recent, future = 1767225600000, 2208988800000

// stable removes varying fields, and sorts lists of structs, which clients send in any order.
func stable(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			v[name] = stable(field)
		}
		for _, name := range varying {
			delete(v, name)
		}
		if at, is := v["Timestamp"].(int64); is && at > recent && at < future {
			v["Timestamp"] = "recent"
		}
	case []any:
		texts := make([]json.RawMessage, len(v))
		structs := false
		for i, item := range v {
			_, isStruct := item.(map[string]any)
			structs = structs || isStruct
			texts[i], _ = json.Marshal(stable(item))
		}
		if structs {
			slices.SortFunc(texts, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
		}
		return texts
	}
	return value
}
