package kafkalog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// routes maps prefixes of logger names to log files, as in Kafka's log4j.properties. The first
// match counts. All other loggers write to server.log and stdout.
var routes = []struct{ logger, file string }{
	{"kafka.controller", "controller.log"},
	{"state.change.logger", "state-change.log"},
	{"kafka.request.logger", "kafka-request.log"},
	{"kafka.network.RequestChannel$", "kafka-request.log"},
	{"kafka.log.LogCleaner", "log-cleaner.log"},
	{"kafka.authorizer.logger", "kafka-authorizer.log"},
}

const serverLog = "server.log"

// NewServer returns a broker's logger. Loggers without a file of their own write to stdout and
// dir/server.log. Files are rolled every hour; a closed file gets the suffix .yyyy-MM-dd-HH. If dir
// is empty everything goes to stdout.
func NewServer(stdout io.Writer, dir string) (*logrus.Logger, error) {
	l := New(stdout)
	if dir == "" {
		return l, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the directory for log files (LOG_DIR): %w", err)
	}
	l.SetOutput(io.Discard)
	l.AddHook(&router{stdout: stdout, dir: dir, levels: LevelsOf(l), files: map[string]*hourly{}})
	return l, nil
}

// router is a logrus hook that writes each line to the file of its logger.
type router struct {
	stdout io.Writer
	dir    string
	levels *Levels

	mu    sync.Mutex // guards files and the order of lines
	files map[string]*hourly
}

func (r *router) Levels() []logrus.Level { return logrus.AllLevels }

func (r *router) Fire(e *logrus.Entry) error {
	if !r.levels.wants(e) {
		return nil
	}
	line, err := formatter{}.Format(&logrus.Entry{Time: e.Time, Level: e.Level, Message: e.Message, Data: e.Data})
	if err != nil {
		return err
	}
	name, _ := e.Data[loggerField].(string)
	file := fileOf(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if file == serverLog {
		_, _ = r.stdout.Write(line) // on a broken terminal or pipe the line still goes to the file
	}
	f := r.files[file]
	if f == nil {
		f = &hourly{path: filepath.Join(r.dir, file)}
		r.files[file] = f
	}
	return f.write(e.Time, line)
}

func fileOf(logger string) string {
	for _, r := range routes {
		if strings.HasPrefix(logger, r.logger) {
			return r.file
		}
	}
	return serverLog
}

// hourly is an append-only file that is renamed when its hour is over.
type hourly struct {
	path string
	hour string
	file *os.File
}

const hourLayout = "2006-01-02-15"

func (h *hourly) write(now time.Time, line []byte) error {
	hour := now.Format(hourLayout)
	if h.file == nil {
		if old, err := os.Stat(h.path); err == nil {
			h.roll(old.ModTime().Format(hourLayout), hour)
		}
	} else if hour != h.hour {
		h.file.Close()
		h.file = nil
		h.roll(h.hour, hour)
	}
	if h.file == nil {
		f, err := os.OpenFile(h.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		h.file, h.hour = f, hour
	}
	_, err := h.file.Write(line)
	return err
}

func (h *hourly) roll(from, to string) {
	if from != to {
		_ = os.Rename(h.path, h.path+"."+from)
	}
}
