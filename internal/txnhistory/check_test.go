package txnhistory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	x    = Partition{"x", 0}
	in   = Partition{"in", 0}
	zero = time.Unix(1_000_000, 0)
)

// after returns the time some seconds after the start of a history.
func after(seconds int) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }

// play builds a history from text. A line is one of
//
//	txn a1 committed: x/p x/q? y/r@7   a transaction of producer a: values, not acknowledged (?), acknowledged at another offset (@)
//	log x: p q +a r -b                 a log from offset 0: values, commit and abort markers of producers
//	read c x: 0/p 1/q                  a read_committed (c) or read_uncommitted (u) reader: offsets and values
//	all c x: 0/p                       the same, of whole logs
//
// Numbered transactions of one producer have one transactional id and one instance. Each asks for
// its end 10 seconds after the one before, and every marker has the time of its offset in seconds
// plus 100.
func play(t *testing.T, text string) *History {
	t.Helper()
	h := &History{Logs: map[Partition][]Entry{}, Groups: map[string]map[Partition]int64{}}
	places := map[string]int64{}
	by := map[string]int64{}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		head, body, _ := strings.Cut(strings.TrimSpace(line), ":")
		words := strings.Fields(head)
		switch words[0] {
		case "txn":
			h.Transactions = append(h.Transactions, transaction(t, words[1], words[2], strings.Fields(body)))
		case "log":
			for i, entry := range strings.Fields(body) {
				places[words[1]+"/"+entry] = int64(i)
			}
		}
	}
	for _, txn := range h.Transactions {
		for i := range txn.Writes {
			w := &txn.Writes[i]
			by[w.Value] = int64(txn.ID[0])
			if w.Offset < 0 {
				w.Offset = places[w.Partition.Topic+"/"+w.Value]
			}
		}
	}
	for _, line := range lines {
		head, body, _ := strings.Cut(strings.TrimSpace(line), ":")
		words := strings.Fields(head)
		switch words[0] {
		case "log":
			var log []Entry
			for i, text := range strings.Fields(body) {
				e := Entry{Offset: int64(i), Value: text, Producer: by[text]}
				if kind := strings.IndexByte("+-", text[0]); kind >= 0 {
					e = Entry{Offset: int64(i), Producer: int64(text[1]), Marker: CommitMarker + Marker(kind), Time: after(100 + i)}
				}
				log = append(log, e)
			}
			h.Logs[Partition{words[1], 0}] = log
		case "read", "all":
			r := Reading{Reader: "reader", Committed: words[1] == "c", Complete: words[0] == "all", Records: map[Partition][]Entry{{words[2], 0}: nil}}
			for _, text := range strings.Fields(body) {
				offset, value, _ := strings.Cut(text, "/")
				n, err := strconv.ParseInt(offset, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				p := Partition{words[2], 0}
				r.Records[p] = append(r.Records[p], Entry{Offset: n, Value: value})
			}
			h.Readings = append(h.Readings, r)
		}
	}
	return h
}

func transaction(t *testing.T, name, outcome string, writes []string) *Transaction {
	t.Helper()
	number, err := strconv.Atoi(name[1:])
	if err != nil {
		t.Fatal(err)
	}
	txn := &Transaction{ID: name[:1], Number: number, EndAsked: after(10 * number), Ended: after(10*number + 5)}
	txn.Outcome = Outcome(slices.Index([]string{"unknown", "committed", "aborted"}, outcome))
	for _, text := range writes {
		topic, value, _ := strings.Cut(text, "/")
		w := Write{Partition: Partition{topic, 0}, Acknowledged: true, Offset: -1}
		if w.Value = strings.TrimSuffix(value, "?"); w.Value != value {
			w.Acknowledged = false
		}
		if before, at, found := strings.Cut(value, "@"); found {
			w.Value = before
			if w.Offset, err = strconv.ParseInt(at, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		txn.Writes = append(txn.Writes, w)
	}
	return txn
}

// expect checks that exactly the findings in want are found, each given as the start of its text.
func expect(t *testing.T, r *Report, want ...string) {
	t.Helper()
	good := len(r.Findings) == len(want)
	for i := 0; good && i < len(want); i++ {
		good = strings.HasPrefix(r.Findings[i].String(), want[i])
	}
	if !good {
		t.Errorf("found:\n%s\nwant the findings:\n%s", r, strings.Join(want, "\n"))
	}
}

func TestEveryAnomalyIsFound(t *testing.T) {
	for _, c := range []struct{ name, history, want string }{
		{"nothing wrong", `
			txn a1 committed: x/p y/q
			txn b1 aborted: x/r
			txn a2 aborted: x/s? y/t
			txn b2 unknown: x/u y/v
			txn c1 unknown: x/w
			log x: p r +a -b u s -a +b w -c
			log y: q v +b +a t -a
			read c x: 0/p 4/u
			all c x: 0/p 4/u
			all u y: 0/q 1/v 4/t
			read u x: 1/r 4/u 5/s`, ""},
		{"an acknowledged record is missing", `
			txn a1 committed: x/p x/q
			log x: p +a`, "lost write: \"q\" of a/0/1 (committed), acknowledged at x-0@0, is not stored"},
		{"an acknowledged record of an aborted transaction is missing", `
			txn a1 aborted: x/p x/q
			log x: p -a`, "lost write: \"q\""},
		{"an acknowledged commit was aborted", `
			txn a1 committed: x/p y/q
			log x: p -a
			log y: q -a`, "lost write: a/0/1 (committed), but these records are not visible: [x-0@0 y-0@0]"},
		{"an aborted transaction is visible", `
			txn a1 aborted: x/p
			log x: p +a`, "aborted read: a/0/1 (aborted), but these records are visible: [x-0@0]"},
		{"a record without an acknowledgement of an aborted transaction is visible", `
			txn a1 aborted: x/p?
			log x: p +a`, "aborted read: a/0/1"},
		{"a reader saw an aborted record", `
			txn a1 aborted: x/p
			log x: p -a
			read c x: 0/p`, "aborted read: reader read \"p\" of a/0/1 (aborted) at x-0@0"},
		{"a reader saw a record of a transaction that never ended", `
			txn a1 aborted: x/p
			log x: p
			read c x: 0/p`, "transaction never ended: \"p\"\naborted read: reader read \"p\""},
		{"a committed transaction is torn between partitions", `
			txn a1 committed: x/p y/q
			log x: p +a
			log y: q -a`, "torn transaction: a/0/1 (committed): these records are visible: [x-0@0]; these are not: [y-0@0]"},
		{"a committed transaction is torn in a partition", `
			txn a1 committed: x/p x/q
			log x: p +a q -a`, "torn transaction: a/0/1"},
		{"a transaction of unknown outcome is torn", `
			txn a1 unknown: x/p y/q
			log x: p +a
			log y: q -a`, "torn transaction: a/0/1 (unknown)"},
		{"a transaction of unknown outcome is torn because a marker is missing", `
			txn a1 unknown: x/p y/q
			log x: p +a
			log y: q`, "transaction never ended: \"q\"\ntorn transaction: a/0/1 (unknown)"},
		{"a record is stored twice", `
			txn a1 committed: x/p@0
			log x: p p +a`, "duplicate: \"p\" of a/0/1 (committed) is at x-0@0 and at x-0@1"},
		{"a record is stored again by a later transaction", `
			txn a1 committed: x/p@0
			txn a2 committed: x/q
			log x: p +a p q +a`, "duplicate: \"p\""},
		{"records of a transaction are not in order", `
			txn a1 committed: x/p x/q
			log x: q p +a`, "reordering: write 0 of a/0/1 (committed) at x-0@1 follows write 1 of transaction 1"},
		{"transactions of a producer are not in order", `
			txn a1 committed: x/p
			txn a2 committed: x/q
			log x: q +a p +a`, "reordering: write 0 of a/0/1 (committed) at x-0@2 follows write 0 of transaction 2"},
		{"a record is elsewhere than acknowledged", `
			txn a1 committed: x/p@3
			log x: p +a`, "moved record: \"p\" of a/0/1 (committed) is at x-0@0 but was acknowledged at offset 3"},
		{"a record that a reader saw is gone", `
			txn a1 unknown: x/p? x/q?
			log x: q +a
			read u x: 0/p`, "moved record: reader read \"p\" at x-0@0, which now contains \"q\""},
		{"a record was never sent", `
			txn a1 committed: x/p
			log x: p z +a`, "unsent record: \"z\" at x-0@1"},
		{"a record is in another partition", `
			txn a1 committed: x/p?
			log y: p +a`, "unsent record: \"p\" at y-0@0"},
		{"a reader skipped a record", `
			txn a1 committed: x/p x/q x/r
			log x: p q r +a
			read c x: 0/p 2/r`, "skipped record: reader did not return \"q\" at x-0@1"},
		{"a reader of everything missed the end", `
			txn a1 committed: x/p x/q
			log x: p q +a
			all c x: 0/p`, "skipped record: reader did not return \"q\" at x-0@1"},
		{"a reader of everything read nothing", `
			txn a1 committed: x/p
			log x: p +a
			all c x:`, "skipped record: reader did not return \"p\" at x-0@0"},
		{"a reader of open transactions skipped a record", `
			txn a1 aborted: x/p x/q
			txn b1 committed: x/r
			log x: p q r -a +b
			read u x: 0/p 2/r`, "skipped record: reader did not return \"q\" at x-0@1"},
		{"a reader went back", `
			txn a1 committed: x/p x/q
			log x: p q +a
			read c x: 0/p 1/q 0/p`, "reordering: reader read x-0@0 after offset 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			if c.want != "" {
				want = strings.Split(c.want, "\n")
			}
			r := Check(play(t, c.history))
			expect(t, r, want...)
			if len(r.Holes()) != 0 {
				t.Errorf("excused by a known hole: %v", r.Holes())
			}
		})
	}
}

func TestUnknownOutcomesMayBeEitherButAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		log     string
		visible int
	}{{"p q +a", 1}, {"p q -a", 0}} {
		r := Check(play(t, "txn a1 unknown: x/p x/q\nlog x: "+c.log))
		expect(t, r)
		if r.Counts.UnknownVisible != c.visible {
			t.Errorf("log %s: %d transactions of unknown outcome are visible, want %d", c.log, r.Counts.UnknownVisible, c.visible)
		}
	}
}

// copied is a history in which group g copies topic in, two records in each transaction, and has
// committed the given offset.
func copied(t *testing.T, next int64, log string, change func(first, second *Transaction)) *Report {
	t.Helper()
	h := play(t, `
		txn i1 committed: in/0 in/1 in/2 in/3
		txn a1 committed: x/p x/q
		txn a2 committed: x/r x/s
		log in: 0 1 2 3 +i
		log x: `+log)
	for i, txn := range h.Transactions[1:] {
		txn.Group, txn.Offsets = "g", map[Partition]int64{in: int64(2*i + 2)}
		for j := range txn.Writes {
			txn.Writes[j].Source = &Position{in, int64(2*i + j)}
		}
	}
	change(h.Transactions[1], h.Transactions[2])
	h.Groups["g"] = map[Partition]int64{in: next}
	return Check(h)
}

func TestOffsetsOutOfStepWithTheOutputAreFound(t *testing.T) {
	unknown := func(_, second *Transaction) { second.Outcome = Unknown }
	aborted := func(_, second *Transaction) { second.Outcome = Aborted }
	for _, c := range []struct {
		name   string
		next   int64
		log    string
		change func(first, second *Transaction)
		want   []string
	}{
		{"in step", 4, "p q +a r s +a", func(_, _ *Transaction) {}, nil},
		{"the second unknown and visible", 4, "p q +a r s +a", unknown, nil},
		{"the second unknown and hidden", 2, "p q +a r s -a", unknown, nil},
		{"the second aborted", 2, "p q +a r s -a", aborted, nil},
		{"output without offsets", 2, "p q +a r s +a", unknown, []string{
			"offsets out of step: group g committed offset 2 of in-0, but a/0/2 (unknown) contains the output of offset 2",
			"offsets out of step: group g committed offset 2 of in-0, but a/0/2 (unknown) contains the output of offset 3"}},
		{"offsets without output", 4, "p q +a r s -a", aborted, []string{
			"offsets out of step: group g committed offset 4 of in-0, but offset 2 has no output",
			"offsets out of step: group g committed offset 4 of in-0, but offset 3 has no output"}},
		{"an acknowledged commit of offsets is lost", 2, "p q +a r s +a", func(_, _ *Transaction) {}, []string{
			"offsets out of step: a/0/2 (committed) committed offset 4 of in-0 for group g, which has 2",
			"offsets out of step: group g committed offset 2", "offsets out of step: group g committed offset 2"}},
		{"input copied twice", 4, "p q +a r s +a", func(_, second *Transaction) { second.Writes[0].Source.Offset = 1 }, []string{
			"offsets out of step: group g copied in-0@1 twice, in a/0/1 (committed) and a/0/2 (committed)",
			"offsets out of step: group g committed offset 4 of in-0, but offset 2 has no output"}},
		{"input copied that is not committed", 4, "p q +a r s +a", func(_, second *Transaction) {
			second.Writes = append(second.Writes, Write{Value: "s", Partition: x, Source: &Position{in, 7}, Acknowledged: true, Offset: 4})
		}, []string{"aborted read: group g copied in-0@7, which no transaction has committed, in a/0/2"}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, copied(t, c.next, c.log, c.change), c.want...) })
	}
}

// The second transaction of a producer ends before its producer asks for it, because a request of
// the first arrives late.
func TestALateEndTxnIsDistinguishedFromOtherErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(first, second *Transaction, marker *Entry)
		hole   Hole
	}{
		{"late EndTxn", func(_, _ *Transaction, _ *Entry) {}, LateEndTxn},
		{"every EndTxn was answered", func(first, _ *Transaction, _ *Entry) { first.Unanswered.EndTxn = 0 }, NoHole},
		{"the producer had asked for the end", func(_, second *Transaction, _ *Entry) { second.EndAsked = after(50) }, NoHole},
		{"a marker of another epoch", func(_, _ *Transaction, marker *Entry) { marker.Epoch = 1 }, NoHole},
		{"the late request has the other result", func(first, _ *Transaction, _ *Entry) {
			first.Outcome, first.Writes[0].Acknowledged = Aborted, false
		}, NoHole},
		{"another producer with the same id", func(first, _ *Transaction, _ *Entry) { first.Instance = 7 }, NoHole},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := play(t, `
				txn a1 committed: x/p
				txn a2 aborted: x/q x/r
				log x: p +a q +a r -a`)
			first, second := h.Transactions[0], h.Transactions[1]
			first.Unanswered.EndTxn, second.EndAsked, second.Ended = 1, after(110), after(111)
			c.change(first, second, &h.Logs[x][3])
			r := Check(h)
			kind := AbortedRead
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == kind && f.Hole == c.hole }) {
				t.Errorf("found:\n%s\nwant %s by hole %q", r, kind, c.hole)
			}
		})
	}
}

func TestALateProduceIsDistinguishedFromOtherErrors(t *testing.T) {
	history := func(change func(*Transaction)) *Report {
		h := play(t, `
			txn a1 aborted: x/p x/q?
			txn a2 committed: x/r
			log x: p -a q r +a`)
		h.Transactions[0].Unanswered.Produce = 1
		change(h.Transactions[0])
		return Check(h)
	}
	expect(t, history(func(*Transaction) {}), "aborted read: a/0/1 (aborted), but these records are visible: [x-0@2]; these are not: [x-0@0] (known hole: late Produce)")
	for name, change := range map[string]func(*Transaction){
		"every Produce was answered":         func(first *Transaction) { first.Unanswered.Produce = 0 },
		"the record was acknowledged":        func(first *Transaction) { first.Writes[1].Acknowledged, first.Writes[1].Offset = true, 2 },
		"committed before its producer knew": func(first *Transaction) { first.Ended = after(200) },
		"the producer never ended it":        func(first *Transaction) { first.Ended = time.Time{} },
	} {
		if r := history(change); len(r.Holes()) != 0 || len(r.Violations()) == 0 {
			t.Errorf("%s: found:\n%s", name, r)
		}
	}
}

func TestALateAddPartitionsIsDistinguishedFromOtherErrors(t *testing.T) {
	for unanswered, want := range []string{"", " (known hole: late AddPartitionsToTxn)"} {
		h := play(t, `
			txn a1 committed: x/p
			txn a2 aborted: x/q
			log x: p +a q`)
		h.Transactions[0].Unanswered.AddPartitions = unanswered
		r := Check(h)
		expect(t, r, "transaction never ended: \"q\" of a/0/2 (aborted) at x-0@2 has no marker"+want)
	}
}

func TestAReportCountsWhatWasChecked(t *testing.T) {
	h := play(t, `
		txn a1 committed: x/p y/q
		txn b1 aborted: x/r
		txn c1 unknown: x/s
		log x: p r s +a -b +c
		log y: q +a
		read c x: 0/p 2/s`)
	h.Transactions[1].Unanswered = Requests{Produce: 1, AddPartitions: 2, EndTxn: 3}
	want := "1 transactions committed, 1 aborted, 1 unknown (1 of them visible); 3 records visible, 1 not, 2 read, 0 copied; " +
		"unanswered: 1 Produce, 2 AddPartitionsToTxn, 3 EndTxn; 0 violations, 0 by known holes"
	if got := fmt.Sprint(Check(h)); got != want {
		t.Errorf("the report is\n%s\nwant\n%s", got, want)
	}
}
