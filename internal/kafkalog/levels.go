package kafkalog

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
)

// Root is the name of the logger whose level holds for all that have none.
const Root = "root"

// Levels are the levels of a logger's names: a line is written if its level is
// that of its name, or of the nearest name above it at a dot that has one, or
// the root's. All methods are safe for concurrent use.
type Levels struct {
	log   *logrus.Logger // its level is the most talkative of all, so that lines get here
	names sync.Map       // string -> *logrus.Entry: of the names that were asked for

	mu   sync.RWMutex
	root logrus.Level            // guarded by mu
	own  map[string]logrus.Level // guarded by mu
}

func newLevels(l *logrus.Logger) *Levels {
	v := &Levels{log: l, root: l.GetLevel(), own: map[string]logrus.Level{}}
	for _, r := range routes { // the names that Kafka's log4j.properties has
		v.entry(strings.TrimSuffix(r.logger, "."))
	}
	return v
}

// LevelsOf returns the levels of a logger that New made, nil for any other.
func LevelsOf(l *logrus.Logger) *Levels {
	if f, ok := l.Formatter.(formatter); ok {
		return f.levels
	}
	return nil
}

// entry is what writes lines under the name; a name asked for is known from
// then on.
func (v *Levels) entry(name string) *logrus.Entry {
	e, known := v.names.Load(name)
	if !known {
		e, _ = v.names.LoadOrStore(name, v.log.WithField(loggerField, name))
	}
	return e.(*logrus.Entry)
}

// Names lists the root and all names known, sorted.
func (v *Levels) Names() []string {
	names := map[string]bool{Root: true}
	v.names.Range(func(name, _ any) bool {
		names[name.(string)] = true
		return true
	})
	return slices.Sorted(maps.Keys(names))
}

// Known says whether there is such a logger.
func (v *Levels) Known(name string) bool {
	_, known := v.names.Load(name)
	return known || name == Root
}

// Level is the level in force for a name.
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

// Set sets a name's level.
func (v *Levels) Set(name string, level logrus.Level) {
	v.change(func() {
		if name == Root {
			v.root = level
		} else {
			v.own[name] = level
		}
	})
}

// Unset lets a name have the level of what is above it again.
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

// wants says whether a line is to be written.
func (v *Levels) wants(e *logrus.Entry) bool {
	if v == nil {
		return true
	}
	name, _ := e.Data[loggerField].(string)
	return e.Level <= v.Level(name)
}
