package kafkalog

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
)

// Root is the logger whose level applies to loggers without one.
const Root = "root"

// Levels holds the levels of the named loggers of a logrus.Logger. The level of a name is its own,
// or that of the nearest ancestor (names are separated by dots) that has one, or the root's. All
// methods are safe for concurrent use.
type Levels struct {
	log   *logrus.Logger // its level is the most verbose of all levels, so that every line reaches the formatter
	names sync.Map       // string -> *logrus.Entry: the names that were passed to entry

	mu   sync.RWMutex
	root logrus.Level            // guarded by mu
	own  map[string]logrus.Level // guarded by mu
}

func newLevels(l *logrus.Logger) *Levels {
	v := &Levels{log: l, root: l.GetLevel(), own: map[string]logrus.Level{}}
	for _, r := range routes { // the names in Kafka's log4j.properties
		v.entry(strings.TrimSuffix(r.logger, "."))
	}
	return v
}

// LevelsOf returns the levels of a logger that New made, and nil for any other logger.
func LevelsOf(l *logrus.Logger) *Levels {
	if f, ok := l.Formatter.(formatter); ok {
		return f.levels
	}
	return nil
}

// entry returns the entry that logs under the name. From then on the name is known.
func (v *Levels) entry(name string) *logrus.Entry {
	e, known := v.names.Load(name)
	if !known {
		e, _ = v.names.LoadOrStore(name, v.log.WithField(loggerField, name))
	}
	return e.(*logrus.Entry)
}

// Names returns the root and all known names, sorted.
func (v *Levels) Names() []string {
	names := map[string]bool{Root: true}
	v.names.Range(func(name, _ any) bool {
		names[name.(string)] = true
		return true
	})
	return slices.Sorted(maps.Keys(names))
}

// Known reports whether there is a logger with this name.
func (v *Levels) Known(name string) bool {
	_, known := v.names.Load(name)
	return known || name == Root
}

// Level returns the effective level of a name.
func (v *Levels) Level(name string) logrus.Level {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for len(v.own) > 0 && name != "" {
		if level, set := v.own[name]; set {
			return level
		}
		name = name[:max(strings.LastIndexByte(name, '.'), 0)]
	}
	return v.root
}

// Set sets the level of a name.
func (v *Levels) Set(name string, level logrus.Level) {
	v.change(func() {
		if name == Root {
			v.root = level
		} else {
			v.own[name] = level
		}
	})
}

// Unset removes the level of a name, which then inherits that of its ancestors again.
func (v *Levels) Unset(name string) {
	v.change(func() { delete(v.own, name) })
}

func (v *Levels) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
	most := v.root
	for _, level := range v.own {
		most = max(most, level)
	}
	v.log.SetLevel(most)
}

// wants reports whether a line is to be written.
func (v *Levels) wants(e *logrus.Entry) bool {
	if v == nil {
		return true
	}
	name, _ := e.Data[loggerField].(string)
	return e.Level <= v.Level(name)
}
