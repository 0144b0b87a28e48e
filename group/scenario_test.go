package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/scenarios"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// TestScenarios runs testdata/*.txt. An entry is a command, a line ----, and the effects of the
// command, up to an empty line. Members have the names of their clients; their ids are NAME-1,
// NAME-2 and so on. The commands are:
//
//	rules delay=MS size=N             first in a file
//	join NAME [id=ID] [v=VERSION] [static=INSTANCE] [protocols=a,b] [meta=M] [topics=t,u] [session=MS] [rebalance=MS] [type=T]
//	sync ID gen=G [ID=ASSIGNMENT...] [static=I] [protocol=P]
//	heartbeat ID gen=G [static=I]
//	leave ID|static=I...
//	commit [id=ID] [gen=G] [txn] [check] TOPIC-P=OFFSET...   staged and stored at once; check: only checked
//	stage, done, failed TOPIC-P=OFFSET...      the single steps of a commit
//	fetch [stable] [TOPIC-P...]       print committed offsets, all of them if none is named
//	stored [ERROR]                    the last record is stored, or storing it failed
//	after MS                          time passes, and Expire is called at the deadlines
//	expire retention=MS               old offsets are removed, and an idle group without offsets dies
//	reload [size=N]                   the group is written and loaded again, with group.max.size N
//	deletable TOPIC                   print whether offsets of the topic may be deleted
//	kill                              the group dies, and its members get an error
//	group                             print the group
func TestScenarios(t *testing.T) {
	scenarios.Files(t, "testdata/*.txt", func(t *testing.T) func(string) []string {
		s := newScenario(t)
		return func(line string) []string {
			s.out = nil
			s.run(line)
			return s.out
		}
	})
}

type scenario struct {
	t     *testing.T
	now   time.Time
	rules Rules
	group *Group
	ids   map[string]int
	joins map[chan<- JoinResult]string
	syncs map[chan<- SyncResult]string
	store *Store
	stage uint64
	out   []string
}

func newScenario(t *testing.T) *scenario {
	s := &scenario{t: t, now: time.UnixMilli(1_000_000), rules: Rules{InitialDelay: 3 * time.Second, MaxSize: 1000}, ids: map[string]int{},
		joins: map[chan<- JoinResult]string{}, syncs: map[chan<- SyncResult]string{}}
	s.group = New("g", s.rules, s.now)
	return s
}

func (s *scenario) print(format string, args ...any) {
	s.out = append(s.out, fmt.Sprintf(format, args...))
}

func (s *scenario) run(line string) {
	bare, o := scenarios.Words(line)
	switch command := strings.Fields(line)[0]; command {
	case "rules":
		s.rules = Rules{InitialDelay: time.Duration(s.number(o, "delay", 3000)) * time.Millisecond, MaxSize: int(s.number(o, "size", 1000))}
		s.group = New("g", s.rules, s.now)
	case "join":
		s.join(bare[0], o)
	case "sync":
		s.sync(bare[0], o)
	case "heartbeat":
		s.print("%s", s.group.Heartbeat(s.now, bare[0], instance(o), int32(s.number(o, "gen", 0))).Name())
	case "leave":
		var leaving []Leaving
		for _, id := range bare {
			leaving = append(leaving, Leaving{MemberID: id})
		}
		if i := instance(o); i != nil {
			leaving = append(leaving, Leaving{InstanceID: i})
		}
		codes, dead, e := s.group.Leave(s.now, leaving)
		if dead {
			s.print("dead")
		}
		for _, c := range codes {
			s.print("%s", c.Name())
		}
		s.effects(e)
	case "commit", "stage", "done", "failed":
		s.commit(command, bare, o)
	case "fetch":
		s.fetch(bare)
	case "stored":
		code := protocol.None
		if len(bare) > 0 {
			code = s.code(bare[0])
		}
		store := s.store
		s.store = nil
		s.effects(s.group.Stored(s.now, store, code))
	case "after":
		s.after(bare[0])
	case "expire":
		expired := s.group.ExpireOffsets(s.now.UnixMilli(), s.number(o, "retention", 0))
		slices.SortFunc(expired, func(a, b TopicPartition) int { return strings.Compare(name(a), name(b)) })
		for _, p := range expired {
			s.print("expired %s", name(p))
		}
		if s.group.DieIfIdle(s.now) {
			s.print("dead")
		}
	case "reload":
		s.rules.MaxSize = int(s.number(o, "size", int64(s.rules.MaxSize)))
		s.reload()
	case "deletable":
		s.print("%s", s.group.undeletable(bare[0]).Name())
	case "kill":
		s.effects(s.group.Kill(s.now))
	case "group":
		s.describe()
	default:
		s.t.Fatalf("unknown command %q", line)
	}
}

func (s *scenario) number(o map[string]string, key string, otherwise int64) int64 {
	text, given := o[key]
	if !given {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatalf("%s=%s: %v", key, text, err)
	}
	return n
}

func (s *scenario) code(text string) protocol.ErrorCode {
	for c := protocol.ErrorCode(-1); c < 130; c++ {
		if c.Name() == text {
			return c
		}
	}
	s.t.Fatalf("unknown code %s", text)
	return 0
}

func instance(o map[string]string) *string {
	if i, given := o["static"]; given {
		return &i
	}
	return nil
}

// subscription returns the metadata of a consumer that is subscribed to the topics.
func subscription(topics string) []byte {
	b := []byte{0, 0, 0, 0, 0, 0}
	for _, topic := range strings.Split(topics, ",") {
		b[5]++
		b = append(b, 0, byte(len(topic)))
		b = append(b, topic...)
	}
	return append(b, 0, 0, 0, 0)
}

func (s *scenario) join(client string, o map[string]string) {
	version := s.number(o, "v", 9)
	req := JoinRequest{MemberID: o["id"], InstanceID: instance(o), ClientID: client, ClientHost: "/127.0.0.1",
		RebalanceTimeoutMs: int32(s.number(o, "rebalance", 60000)), SessionTimeoutMs: int32(s.number(o, "session", 10000)), ProtocolType: "consumer",
		MaySkipAssignment: version >= 9}
	req.IDFirst = version >= 4 && req.InstanceID == nil
	if kind, given := o["type"]; given {
		req.ProtocolType = kind
	}
	if req.MemberID == "" {
		s.ids[client]++
		req.NewMemberID = fmt.Sprintf("%s-%d", client, s.ids[client])
	}
	protocols := "range"
	if p, given := o["protocols"]; given {
		protocols = p
	}
	topics := "t"
	if given, ok := o["topics"]; ok {
		topics = given
	}
	for _, p := range strings.Split(protocols, ",") {
		metadata := subscription(topics)
		if m, given := o["meta"]; given {
			metadata = []byte(m)
		}
		req.Protocols = append(req.Protocols, Protocol{p, metadata})
	}
	to := make(chan JoinResult, 1)
	s.joins[to] = client
	s.effects(s.group.Join(s.now, req, to))
}

func (s *scenario) sync(id string, o map[string]string) {
	req := SyncRequest{MemberID: id, InstanceID: instance(o), Generation: int32(s.number(o, "gen", 0)), Assignments: map[string][]byte{}}
	if p, given := o["protocol"]; given {
		req.Protocol = &p
	}
	for k, v := range o {
		if k != "gen" && k != "static" && k != "protocol" {
			req.Assignments[k] = []byte(v)
		}
	}
	to := make(chan SyncResult, 1)
	s.syncs[to] = id
	s.effects(s.group.Sync(s.now, req, to))
}

// effects prints the effects of a step and sends the answers.
func (s *scenario) effects(e *Effects) {
	for _, l := range e.Lines {
		s.print("%s %s", [...]string{"INFO", "WARN", "ERROR"}[l.Level], l.Text)
	}
	for _, a := range e.Joins {
		r := a.Result
		text := fmt.Sprintf("join of %s: %s id=%s gen=%d leader=%s", s.joins[a.To], r.Err.Name(), r.MemberID, r.Generation, r.Leader)
		if r.Protocol != nil {
			text += " protocol=" + *r.Protocol
		}
		if r.SkipAssignment {
			text += " skip"
		}
		for _, m := range r.Members {
			text += " member=" + m.ID
			if m.InstanceID != nil {
				text += "(" + *m.InstanceID + ")"
			}
		}
		s.print("%s", text)
		a.To <- r // blocks the test if a request is answered twice
	}
	for _, a := range e.Syncs {
		s.print("sync of %s: %s %q", s.syncs[a.To], a.Result.Err.Name(), a.Result.Assignment)
		a.To <- a.Result
	}
	if e.Store != nil {
		s.store = e.Store
		s.print("store generation %d of %v %q", e.Store.generation, e.Store.members, e.Store.assignments)
	}
}

func (s *scenario) after(text string) {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	until := s.now.Add(time.Duration(n) * time.Millisecond)
	for {
		at, any := s.group.Deadline()
		if !any || at.After(until) {
			break
		}
		began := s.now
		s.now = at
		before := len(s.out)
		s.effects(s.group.Expire(s.now))
		if len(s.out) > before && at.After(began) {
			s.out = slices.Insert(s.out, before, fmt.Sprintf("at %d ms:", at.UnixMilli()-1_000_000))
		}
	}
	s.now = until
}

func name(p TopicPartition) string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

func (s *scenario) partition(text string) TopicPartition {
	topic, index, ok := strings.Cut(text, "-")
	n, err := strconv.Atoi(index)
	if !ok || err != nil {
		s.t.Fatalf("%q is not a partition", text)
	}
	return TopicPartition{Topic: topic, Partition: int32(n)}
}

func (s *scenario) commit(command string, bare []string, o map[string]string) {
	var commits []Commit
	expires := s.number(o, "expires", -1)
	for _, k := range sortedKeys(o) {
		if strings.Contains(k, "-") {
			commits = append(commits, Commit{s.partition(k), CommittedOffset{Offset: record.Offset(s.number(o, k, 0)), LeaderEpoch: -1, CommittedMs: s.now.UnixMilli(), ExpiresMs: expires}})
		}
	}
	at := s.number(o, "at", s.now.UnixMilli())
	switch command {
	case "commit":
		code := s.group.CheckCommit(s.now, o["id"], instance(o), int32(s.number(o, "gen", -1)), slices.Contains(bare, "txn"))
		s.print("%s", code.Name())
		if code == protocol.None && !slices.Contains(bare, "check") {
			s.group.offsets.settle(commits, s.group.offsets.stage(commits), record.Offset(at), true)
		}
	case "stage":
		s.stage = s.group.offsets.stage(commits)
	default:
		s.group.offsets.settle(commits, s.stage, record.Offset(at), command == "done")
	}
}

func (s *scenario) fetch(bare []string) {
	stable := len(bare) > 0 && bare[0] == "stable"
	if stable {
		bare = bare[1:]
	}
	var partitions []TopicPartition
	for _, b := range bare {
		partitions = append(partitions, s.partition(b))
	}
	list := s.group.offsets.fetch(partitions, stable)
	slices.SortFunc(list, func(a, b Fetched) int { return strings.Compare(name(a.Partition), name(b.Partition)) })
	for _, f := range list {
		s.print("%s %d %s", name(f.Partition), f.Offset.Offset, f.Err.Name())
	}
}

func (s *scenario) reload() {
	record := formats{3, 3}.appendGroup(nil, s.group, s.group.store(assignment))
	g, err := parseGroup("g", s.rules, record)
	if err != nil {
		s.t.Fatal(err)
	}
	g.offsets.committed = s.group.offsets.committed
	s.group = g
	s.effects(g.Loaded(s.now))
}

func (s *scenario) describe() {
	g := s.group
	protocol := "-"
	if g.protocol != nil {
		protocol = *g.protocol
	}
	s.print("%s generation=%d type=%s protocol=%s leader=%s pending=%v subscribed=%v", g.state, g.generation, g.protocolType, protocol, g.members.leader, sortedKeys(g.members.pending), g.subscribed)
	for _, m := range g.members.all() {
		s.print("  %s assignment=%q", m.ID, m.assignment)
	}
}
