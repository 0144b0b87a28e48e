package storage

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// topicIDFile is the topic id of a log and its file, partition.metadata.
type topicIDFile struct {
	home    *partitionDir
	pending atomic.Bool // the file is still to be written
	// writing is held while the file is put into the directory or the directory is renamed. Taken
	// before mu.
	writing sync.Mutex
	mu      sync.Mutex // guards id
	id      metadata.TopicID
}

// get returns the topic id, zero while none is known.
func (f *topicIDFile) get() metadata.TopicID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id
}

// assign records the topic's id and schedules the write of the file. See Log.AssignTopicID.
func (f *topicIDFile) assign(id metadata.TopicID) error {
	if err := f.home.check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	none := metadata.TopicID{}
	switch {
	case id == none || id == f.id:
		return nil
	case f.id != none:
		return protocol.Errorf(protocol.InconsistentTopicID,
			"Tried to assign topic ID %s to log for topic partition %s,but log already contained topic ID %s", javatext.UUID(id), f.home.name, javatext.UUID(f.id))
	case !f.home.env.keepTopicIDs:
		return nil
	}
	f.id = id
	f.pending.Store(true)
	if f.home.dir.topicIDs.add(f) {
		f.home.env.schedule.after(topicIDDelay, f.home.dir.small, func() { f.home.dir.writeTopicIDs(f.home.env) })
	}
	return nil
}

// topicIDDelay is how long partition.metadata may lag behind if nothing is appended. The delay lets
// all logs of a topic be created first and their ids be written together.
const topicIDDelay = time.Second

// flush writes the file if that is pending, together with those of all other logs of the log
// directory for which it is pending.
func (f *topicIDFile) flush() error {
	if !f.pending.Load() {
		return nil
	}
	if err := f.home.check(); err != nil {
		return err
	}
	f.home.dir.writeTopicIDs(f.home.env)
	if !f.pending.Load() {
		return nil
	}
	if err := f.home.check(); err != nil { // the write failed, or the log was closed in the meantime
		return err
	}
	// The disk is not at fault; see isDiskError.
	return kindOf{protocol.Errorf(protocol.KafkaStorageError, "The topic id of partition %s could not be written", f.home.name), ErrTooManyFiles}
}

// put runs a step of writing the file while the directory cannot be renamed, and reports whether the
// step succeeded.
func (f *topicIDFile) put(step func() error) (done bool) {
	f.writing.Lock()
	defer f.writing.Unlock()
	return f.home.check() == nil && f.home.ioError("Error while writing partition metadata file for %s in dir %s", step()) == nil
}
