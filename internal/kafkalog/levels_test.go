package kafkalog

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
)

func TestEveryNameHasItsLevel(t *testing.T) {
	var out bytes.Buffer
	l := New(&out)
	levels := LevelsOf(l)
	controller, request, other := For(l, "kafka.controller.KafkaController"), For(l, "kafka.request.logger"), For(l, "kafka.server.KafkaServer")
	say := func() string {
		out.Reset()
		for name, e := range map[string]*logrus.Entry{"c": controller, "r": request, "o": other} {
			e.Debug(name + "-debug")
			e.Warn(name + "-warn")
		}
		var said []string
		for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if f := strings.Fields(line); len(f) > 3 {
				said = append(said, f[3])
			}
		}
		slices.Sort(said)
		return strings.Join(said, " ")
	}
	want := func(when, lines string) {
		t.Helper()
		if got := say(); got != lines {
			t.Errorf("%s: %s, want %s", when, got, lines)
		}
	}
	want("at first", "c-warn o-warn r-warn")
	levels.Set("kafka.controller", logrus.DebugLevel)
	want("debug for an ancestor", "c-debug c-warn o-warn r-warn")
	levels.Set("kafka.request.logger", logrus.ErrorLevel)
	want("another name is less verbose", "c-debug c-warn o-warn")
	levels.Set("kafka.controller.KafkaController", logrus.ErrorLevel)
	want("the nearest ancestor counts", "o-warn")
	levels.Set(Root, logrus.DebugLevel)
	want("the root's", "o-debug o-warn")
	levels.Unset("kafka.controller.KafkaController")
	levels.Unset("kafka.controller")
	levels.Unset("kafka.request.logger")
	levels.Set(Root, logrus.InfoLevel)
	want("as at the beginning", "c-warn o-warn r-warn")
	if !levels.Known("kafka.server.KafkaServer") || !levels.Known("state.change.logger") || !levels.Known(Root) || levels.Known("no.such") {
		t.Errorf("names: %v", levels.Names())
	}
	if l.GetLevel() != logrus.InfoLevel {
		t.Errorf("the logger lets %s through", l.GetLevel())
	}
}
