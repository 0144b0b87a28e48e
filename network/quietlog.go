package network

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// linesPerSecond is how many lines about misbehaving peers are logged per second. More lines would
// add little information.
const linesPerSecond = 10

// quietLog limits the log lines that peers can cause.
type quietLog struct {
	mu         sync.Mutex
	second     int64 // guarded by mu
	lines      int   // guarded by mu: in this second
	suppressed int   // guarded by mu: since the last line
}

// take reports whether a line may be logged, and how many lines were suppressed before it.
func (q *quietLog) take(now time.Time) (ok bool, suppressed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := now.Unix(); s != q.second {
		q.second, q.lines = s, 0
	}
	if q.lines >= linesPerSecond {
		q.suppressed++
		return false, 0
	}
	q.lines++
	suppressed, q.suppressed = q.suppressed, 0
	return true, suppressed
}

func (q *quietLog) logf(level logrus.Level, log *logrus.Entry, format string, args ...any) {
	ok, suppressed := q.take(time.Now())
	if !ok {
		return
	}
	if suppressed > 0 {
		log.Warnf("%d more lines about closed connections were not logged", suppressed)
	}
	log.Logf(level, format, args...)
}

func (q *quietLog) warnf(log *logrus.Entry, format string, args ...any) {
	q.logf(logrus.WarnLevel, log, format, args...)
}

func (q *quietLog) errorf(log *logrus.Entry, format string, args ...any) {
	q.logf(logrus.ErrorLevel, log, format, args...)
}

func (q *quietLog) infof(log *logrus.Entry, format string, args ...any) {
	q.logf(logrus.InfoLevel, log, format, args...)
}
