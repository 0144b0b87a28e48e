package coordinator

import (
	"testing"
	"time"
)

func TestLoadTimesAreOfTheLastMinute(t *testing.T) {
	var l loadTimes
	now := time.Unix(1000, 0)
	if n, _, _ := l.of(now); n != 0 {
		t.Errorf("%d loads", n)
	}
	l.add(now, 4*time.Millisecond)
	l.add(now.Add(time.Second), 2*time.Millisecond)
	if n, most, avg := l.of(now.Add(50 * time.Second)); n != 2 || most != 4*time.Millisecond || avg != 3*time.Millisecond {
		t.Errorf("%d loads, maximum %v, average %v", n, most, avg)
	}
	l.add(now.Add(40*time.Second), 9*time.Millisecond)
	if n, most, _ := l.of(now.Add(50 * time.Second)); n != 3 || most != 9*time.Millisecond {
		t.Errorf("%d loads, maximum %v", n, most)
	}
	if n, most, _ := l.of(now.Add(70 * time.Second)); n != 1 || most != 9*time.Millisecond {
		t.Errorf("%d loads, maximum %v", n, most)
	}
	if n, _, _ := l.of(now.Add(5 * time.Minute)); n != 0 {
		t.Errorf("%d loads", n)
	}
}
