package transaction

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/scenarios"
	"github.com/monedula/monedula/protocol"
)

// TestScenarios runs testdata/*.txt, the life of the transactional id "tx" on partition 7 of
// __transaction_state in leader epoch 3. An entry is a command, a line ----, and the effects of the
// command, up to an empty line. Producer ids are 1000, 1001 and so on. The commands are:
//
//	init [timeout=MS] [id=N epoch=N]       InitProducerId; creates the id if it is unknown
//	add id=N epoch=N TOPIC-P...            AddPartitionsToTxn
//	verify id=N epoch=N TOPIC-P...         AddPartitionsToTxn with verify_only
//	end commit|abort id=N epoch=N          EndTxn
//	stored [ERROR]                         the last record is stored, or storing it failed
//	markers [TOPIC-P...]                   markers are written, of all partitions if none is named
//	outdated TOPIC-P...                    markers of another round are written
//	abandon                                the markers are given up
//	after MS                               time passes, and open transactions time out
//	expire after=MS                        the id is removed if it has been idle for that long
//	set NAME=VALUE...                      change what is in memory: state, epoch, id
//	load                                   the last stored record is loaded on another broker
//	list [ids=N,N] [states=S,S] [duration=MS]   ListTransactions
//	cells                                  what each request would get now
//	txn                                    print the id
func TestScenarios(t *testing.T) {
	scenarios.Files(t, "testdata/*.txt", func(t *testing.T) func(string) []string {
		s := &scenario{t: t, now: time.UnixMilli(1_000_000), nextID: 1000, asked: map[chan<- Result]string{}}
		return func(line string) []string {
			s.out = nil
			s.run(line)
			return s.out
		}
	})
}

type scenario struct {
	t      *testing.T
	now    time.Time
	nextID int64
	txn    *Transaction
	record *Transition // to be stored
	value  []byte      // of the last stored record
	asked  map[chan<- Result]string
	out    []string
}

func (s *scenario) print(format string, args ...any) {
	s.out = append(s.out, fmt.Sprintf(format, args...))
}

func (s *scenario) number(o map[string]string, key string, otherwise int64) int64 {
	text, given := o[key]
	if !given {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *scenario) producer(o map[string]string) ProducerIDAndEpoch {
	return ProducerIDAndEpoch{s.number(o, "id", noProducerID), int16(s.number(o, "epoch", noEpoch))}
}

func (s *scenario) partitions(names []string) (all []TopicPartition) {
	for _, name := range names {
		at := strings.LastIndexByte(name, '-')
		p, err := strconv.Atoi(name[at+1:])
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, TopicPartition{Topic: name[:at], Partition: int32(p)})
	}
	return all
}

func names(partitions []TopicPartition) string {
	all := make([]string, len(partitions))
	for i, p := range partitions {
		all[i] = fmt.Sprintf("%s-%d", p.Topic, p.Partition)
	}
	return "[" + strings.Join(all, " ") + "]"
}

func (s *scenario) ask(what string) chan<- Result {
	to := make(chan Result, 1)
	s.asked[to] = what
	return to
}

var home = Home{Partition: 7, Epoch: 3}

func (s *scenario) run(line string) {
	bare, o := scenarios.Words(line)
	switch command := strings.Fields(line)[0]; command {
	case "init":
		s.initialize(o)
	case "add":
		s.effects(s.txn.AddPartitions(s.now, s.producer(o), s.partitions(bare), s.ask("add")))
	case "verify":
		for _, p := range s.partitions(bare) {
			s.print("%s-%d: %s", p.Topic, p.Partition, s.txn.Verify(s.producer(o), p).Name())
		}
	case "end":
		s.effects(s.txn.EndTxn(s.now, s.producer(o), bare[0] == "commit", s.ask("end")))
	case "stored":
		s.stored(bare)
	case "markers":
		done := s.partitions(bare)
		if len(bare) == 0 {
			done = s.txn.markers.Partitions
		}
		s.effects(s.txn.MarkersWritten(s.txn.markers, done))
	case "outdated":
		other := *s.txn.markers
		s.effects(s.txn.MarkersWritten(&other, s.partitions(bare)))
	case "abandon":
		s.txn.MarkersAbandoned(s.txn.markers)
	case "after":
		ms, err := strconv.Atoi(bare[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(time.Duration(ms) * time.Millisecond)
		s.effects(s.txn.AbortIfTimedOut(s.now))
	case "expire":
		s.effects(s.txn.ExpireIfIdle(s.now, time.Duration(s.number(o, "after", 0))*time.Millisecond))
	case "set":
		s.set(o)
	case "load":
		s.load()
	case "list":
		s.list(o)
	case "cells":
		s.cells()
	case "txn":
		s.print("%s", s.txn)
		s.print("lastProducerId=%d lastProducerEpoch=%d fenceFailed=%t", s.txn.lastProducerID, s.txn.lastEpoch, s.txn.fenceFailed)
	default:
		s.t.Fatalf("unknown command %q", line)
	}
}

func (s *scenario) initialize(o map[string]string) {
	req := InitRequest{TimeoutMs: int32(s.number(o, "timeout", 60000)), NewProducerID: noProducerID}
	if p := s.producer(o); p.ID != noProducerID {
		req.Expected = &p
	}
	if s.txn == nil {
		s.txn = New("tx", home, s.newID(), req.TimeoutMs, s.now)
	}
	to := s.ask("init")
	e := s.txn.InitProducerID(s.now, req, to)
	if e.NeedProducerID {
		req.NewProducerID = s.newID()
		s.print("a new producer id: %d", req.NewProducerID)
		e = s.txn.InitProducerID(s.now, req, to)
	}
	s.effects(e)
}

func (s *scenario) newID() int64 {
	s.nextID++
	return s.nextID - 1
}

func (s *scenario) stored(bare []string) {
	code := protocol.None
	if len(bare) > 0 {
		code = codeNamed(s.t, bare[0])
	}
	tr := s.record
	s.record = nil
	if code == protocol.None && !tr.Tombstone() {
		s.value = tr.AppendValue(nil)
	}
	s.effects(s.txn.Appended(s.now, tr, code))
}

func codeNamed(t *testing.T, name string) protocol.ErrorCode {
	for code := protocol.ErrorCode(-1); code < 130; code++ {
		if code.Name() == name {
			return code
		}
	}
	t.Fatalf("no code %s", name)
	return 0
}

func (s *scenario) set(o map[string]string) {
	for name, value := range o {
		n, _ := strconv.Atoi(value)
		switch name {
		case "state":
			s.txn.state, _ = StateNamed(value)
		case "epoch":
			s.txn.epoch = int16(n)
		case "id":
			s.txn.producerID = int64(n)
		default:
			s.t.Fatalf("unknown value %s", name)
		}
	}
}

func (s *scenario) load() {
	txn, err := new(Parser).Parse("tx", Home{home.Partition, home.Epoch + 1}, s.value)
	if err != nil {
		s.t.Fatal(err)
	}
	s.txn, s.record = &txn, nil
	s.effects(txn.Loaded(s.now))
}

func (s *scenario) list(o map[string]string) {
	f := Filter{ProducerIDs: map[int64]bool{}, DurationMs: s.number(o, "duration", -1)}
	for _, id := range strings.FieldsFunc(o["ids"], func(r rune) bool { return r == ',' }) {
		n, _ := strconv.ParseInt(id, 10, 64)
		f.ProducerIDs[n] = true
	}
	if states, given := o["states"]; given {
		f.States = map[State]bool{}
		for _, name := range strings.Split(states, ",") {
			if state, known := StateNamed(name); known {
				f.States[state] = true
			} else {
				s.print("unknown state %s", name)
			}
		}
	}
	if entry, ok := s.txn.List(s.now, &f); ok {
		s.print("%s %d %s", entry.ID, entry.ProducerID, entry.State)
	}
	if d, code := s.txn.Describe(); code != protocol.None {
		s.print("described: %s", code.Name())
	} else {
		s.print("described: %s timeout=%d start=%d id=%d epoch=%d %s", d.State, d.TimeoutMs, d.StartMs, d.ProducerID, d.Epoch, names(d.Partitions))
	}
}

// cells takes each step on a copy of the id and prints its first effects.
func (s *scenario) cells() {
	saved := *s.txn
	current := fmt.Sprintf("id=%d epoch=%d", saved.producerID, saved.epoch)
	former := fmt.Sprintf("id=%d epoch=%d", saved.producerID, saved.epoch-1)
	requests := []string{
		"init", "init " + current, "init " + former, "init id=1 epoch=0",
		"add " + current + " t-0", "add " + current + " u-9", "add " + former + " t-0", "add id=1 epoch=0 t-0",
		"verify " + current + " t-0 u-9", "verify " + former + " t-0", "verify id=1 epoch=0 t-0",
		"end commit " + current, "end abort " + current, "end commit " + former, "end commit id=1 epoch=0",
		"after 60001", "expire after=60000", "list",
	}
	now, record, id := s.now, s.record, s.nextID
	out := s.out
	for _, request := range requests {
		txn := saved
		s.txn, s.now, s.record, s.nextID, s.out = &txn, now, record, id, nil
		if strings.HasPrefix(request, "expire") {
			s.now = now.Add(time.Minute)
		}
		s.run(request)
		out = append(out, fmt.Sprintf("%-32s %s", request, strings.Join(s.out, "; ")))
	}
	s.txn, s.now, s.record, s.nextID, s.out = &saved, now, record, id, out
}

func (s *scenario) effects(e *Effects) {
	if e == nil {
		return
	}
	if tr := e.Append; tr != nil {
		again := ""
		if e.Retry {
			again = " again, after a pause"
		}
		s.record = tr
		if tr.Tombstone() {
			s.print("append a tombstone%s", again)
		} else {
			s.print("append %s id=%d epoch=%d timeout=%d %s start=%d updated=%d%s", tr.state, tr.producerID, tr.epoch, tr.timeoutMs, names(tr.partitions), tr.startMs, tr.updatedMs, again)
		}
	}
	if m := e.Markers; m != nil {
		s.print("markers id=%d epoch=%d coordinator=%d commit=%t %s", m.ProducerID, m.Epoch, m.CoordinatorEpoch, m.Commit, names(m.Partitions))
	}
	for _, a := range e.Answers {
		what, waits := s.asked[a.To]
		if !waits {
			s.t.Fatalf("%v is an answer to no request", a.Result)
		}
		delete(s.asked, a.To)
		if a.Result.ProducerID == noProducerID && a.Result.Epoch == noEpoch {
			s.print("%s: %s", what, a.Result.Code.Name())
		} else {
			s.print("%s: %s id=%d epoch=%d", what, a.Result.Code.Name(), a.Result.ProducerID, a.Result.Epoch)
		}
	}
	for _, l := range e.Lines {
		s.print("%s %s", [...]string{"INFO", "WARN", "ERROR"}[l.Level], l.Text)
	}
	if e.Remove {
		s.print("remove")
	}
}

// Every state may be reached only from the states that Kafka allows.
func TestStatesFollowOneAnotherAsInKafka(t *testing.T) {
	allowed := map[string]string{
		"Empty": "Empty CompleteCommit CompleteAbort", "Ongoing": "Empty Ongoing CompleteCommit CompleteAbort",
		"PrepareCommit": "Ongoing", "PrepareAbort": "Ongoing PrepareEpochFence", "CompleteCommit": "PrepareCommit",
		"CompleteAbort": "PrepareAbort", "Dead": "Empty CompleteCommit CompleteAbort", "PrepareEpochFence": "Ongoing",
	}
	if len(allowed) != len(stateNames) {
		t.Fatal("a state is missing")
	}
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		state, known := StateNamed(name)
		if !known || state.String() != name {
			t.Fatalf("%s has the name %s", name, state)
		}
		var from []string
		for before := Empty; before <= PrepareEpochFence; before++ {
			if state.follows(before) {
				from = append(from, before.String())
			}
		}
		if got := strings.Join(from, " "); got != allowed[name] {
			t.Errorf("%s follows %s, want %s", name, got, allowed[name])
		}
	}
	if _, known := StateNamed("empty"); known {
		t.Error("names of states ignore case")
	}
}

// The outcome of a change that is not the pending one has no effect.
func TestAnOutcomeOfAnotherChangeIsIgnored(t *testing.T) {
	now := time.UnixMilli(1)
	txn := New("tx", home, 1000, 60000, now)
	former := txn.InitProducerID(now, InitRequest{TimeoutMs: 60000, NewProducerID: noProducerID}, make(chan Result, 1)).Append
	txn.Appended(now, former, protocol.None)
	later := txn.InitProducerID(now, InitRequest{TimeoutMs: 60000, NewProducerID: noProducerID}, make(chan Result, 1)).Append
	for _, code := range []protocol.ErrorCode{protocol.None, protocol.NotEnoughReplicas} {
		if e := txn.Appended(now, former, code); len(e.Answers) > 0 || txn.pending != later {
			t.Errorf("%s: %+v", code.Name(), e)
		}
	}
}
