package storage

import (
	"strings"
	"testing"

	"github.com/monedula/monedula/protocol"
)

func paths(dirs []*logDir) string {
	var list []string
	for _, d := range dirs {
		list = append(list, d.path)
	}
	return strings.Join(list, " ")
}

// The first choice is the directory with the fewest logs. Logs that are being created count, too.
func TestADirectoryWithFewLogsIsChosenFirst(t *testing.T) {
	a, b := &logDir{path: "a"}, &logDir{path: "b"}
	logs := newLogTable()
	p := newPlaces(logDirs{a, b}, &logs)
	reserved := func(partition int32) string {
		t.Helper()
		dirs, _, err := p.reserve(TopicPartition{Topic: "t", Partition: partition}, false)
		noError(t, err)
		return paths(dirs)
	}
	wantEqual(t, "without logs", reserved(0), "a b")
	wantEqual(t, "while one is created", reserved(1), "b a")
	l := &Log{}
	l.tp, l.dir = TopicPartition{Topic: "t", Partition: 1}, b
	logs.put(l, false)
	p.created(l.tp, true)
	wantEqual(t, "with one in each", reserved(2), "a b")
	p.prefer(TopicPartition{Topic: "t", Partition: 3}, a)
	wantEqual(t, "with a preference", reserved(3), "a")
	p.prefer(l.tp, a)
	wantEqual(t, "if the log exists", reserved(1), "")

	a.offline.Store(true)
	if _, _, err := p.reserve(TopicPartition{Topic: "u"}, false); protocol.CodeOf(err) != protocol.KafkaStorageError {
		t.Errorf("the log may be in the offline directory, but the error is %v", err)
	}
	dirs, _, err := p.reserve(TopicPartition{Topic: "u"}, true)
	noError(t, err)
	wantEqual(t, "for a new log", paths(dirs), "b")
}

// A log is created by one caller at a time; others wait until it is done. A preference is kept until
// a creation succeeds.
func TestALogIsCreatedByOneCallerAtATime(t *testing.T) {
	a, b := &logDir{path: "a"}, &logDir{path: "b"}
	logs := newLogTable()
	p := newPlaces(logDirs{a, b}, &logs)
	tp := TopicPartition{Topic: "t"}
	p.prefer(tp, b)
	for _, step := range []struct {
		want string
		ok   bool
	}{{"b", false}, {"b", true}, {"a b", true}} {
		dirs, others, err := p.reserve(tp, false)
		noError(t, err)
		if paths(dirs) != step.want || others != nil {
			t.Errorf("the directories are %q, want %q", paths(dirs), step.want)
		}
		dirs, others, err = p.reserve(tp, false)
		if dirs != nil || others == nil || err != nil {
			t.Fatalf("a second caller gets %q and the error %v", paths(dirs), err)
		}
		select {
		case <-others:
			t.Error("the second caller does not wait")
		default:
		}
		p.created(tp, step.ok)
		<-others
	}
	p.prefer(tp, b)
	p.forget(tp)
	dirs, _, err := p.reserve(tp, false)
	noError(t, err)
	wantEqual(t, "without the preference", paths(dirs), "a b")
}
