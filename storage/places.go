package storage

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/monedula/monedula/protocol"
)

// places chooses the log directories in which current logs are created, one creation of a partition
// at a time.
type places struct {
	dirs logDirs
	logs *logTable

	mu        sync.Mutex // guards the fields below
	preferred map[TopicPartition]*logDir
	making    map[TopicPartition]*making
}

// making is a log that is being created.
type making struct {
	dir  *logDir       // the directory where it will probably be created
	done chan struct{} // closed when the creation has ended, with or without success
}

func newPlaces(dirs logDirs, logs *logTable) *places {
	return &places{dirs: dirs, logs: logs, preferred: map[TopicPartition]*logDir{}, making: map[TopicPartition]*making{}}
}

// prefer sets the directory in which the partition's log is to be created, unless it already has a
// current or future log there.
func (p *places) prefer(tp TopicPartition, d *logDir) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, future := range [...]bool{false, true} {
		if l := p.logs.get(tp, future); l != nil && l.dir == d {
			return
		}
	}
	p.preferred[tp] = d
}

// forget removes the preference of a partition.
func (p *places) forget(tp TopicPartition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.preferred, tp)
}

// reserve chooses the directories for a new log, in order of preference, and marks the log as being
// created. dirs is nil if the log exists (no error), if it may be in an offline directory (an
// error), or if another caller is creating it; others is closed when that caller is done. A caller
// that got dirs must call created.
func (p *places) reserve(tp TopicPartition, isNew bool) (dirs []*logDir, others <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.logs.get(tp, false) != nil {
		return nil, nil, nil
	}
	if other, making := p.making[tp]; making {
		return nil, other.done, nil
	}
	if err := p.logs.checkServed(tp, false); err != nil {
		return nil, nil, err
	}
	if offline := p.dirs.offlinePaths(); len(offline) > 0 && !isNew {
		return nil, nil, protocol.Errorf(protocol.KafkaStorageError,
			"Can not create log for %s because log directories %s are offline", currentDirName(tp), strings.Join(offline, ","))
	}
	dirs = p.byLogCount()
	if d := p.preferred[tp]; d != nil {
		dirs = []*logDir{d}
	}
	made := &making{done: make(chan struct{})}
	if len(dirs) > 0 {
		made.dir = dirs[0]
	} else {
		dirs = []*logDir{}
	}
	p.making[tp] = made
	return dirs, nil, nil
}

// created ends a creation that reserve began. If it succeeded, the preference is no longer needed.
func (p *places) created(tp TopicPartition, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok {
		delete(p.preferred, tp)
	}
	close(p.making[tp].done)
	delete(p.making, tp)
}

// byLogCount returns the online directories, the one with the fewest logs first. The caller must
// hold mu.
func (p *places) byLogCount() []*logDir {
	dirs := p.dirs.online()
	if len(dirs) > 1 {
		counts := make(map[*logDir]int, len(dirs))
		for _, d := range dirs {
			counts[d] = p.logs.count(d)
		}
		for _, made := range p.making {
			counts[made.dir]++
		}
		slices.SortStableFunc(dirs, func(a, b *logDir) int { return cmp.Compare(counts[a], counts[b]) })
	}
	return dirs
}
