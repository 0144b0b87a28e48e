package storage

import (
	"maps"
	"slices"
	"sync"

	"github.com/monedula/monedula/metadata"
)

// topicIDWriter writes partition.metadata for the logs of one log directory. A caller that needs
// one on disk writes all that are due. The files of one topic have the same content, so one file is
// made durable and linked into each partition's directory; if the volume does not support that, the
// files are written one by one. Then the directories are synced. Such a file is only ever replaced,
// never written to.
type topicIDWriter struct {
	writing sync.Mutex // held while files are written; taken before the logs' topicIDWrite

	mu  sync.Mutex // guards due
	due []*Log
}

// add adds a log whose file is due; first reports whether it is the only one.
func (w *topicIDWriter) add(l *Log) (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = append(w.due, l)
	return len(w.due) == 1
}

func (w *topicIDWriter) takeByTopic() map[metadata.TopicID][]*Log {
	w.mu.Lock()
	defer w.mu.Unlock()
	topics := map[metadata.TopicID][]*Log{}
	for _, l := range w.due {
		topics[l.TopicID()] = append(topics[l.TopicID()], l)
	}
	w.due = nil
	return topics
}

// writeTopicIDs writes all files that are due in the directory, durably. An I/O error takes the
// directory offline; logs that were closed in the meantime are skipped.
func (d *logDir) writeTopicIDs(env *environment) {
	d.topicIDs.writing.Lock()
	defer d.topicIDs.writing.Unlock()
	topics := d.topicIDs.takeByTopic()
	var written []*Log
	for _, id := range slices.SortedFunc(maps.Keys(topics), func(a, b metadata.TopicID) int { return slices.Compare(a[:], b[:]) }) {
		written = append(written, d.placeTopicID(env, id, topics[id])...)
	}
	env.schedule.inParallel(len(written), smallWriters, func(i int) {
		l := written[i]
		if l.putTopicID(func() error { return env.fs.SyncDir(l.Path()) }) {
			l.topicIDPending.Store(false)
		}
	})
	for _, logs := range topics {
		for _, l := range logs {
			if l.topicIDPending.Load() && l.check() == nil {
				d.topicIDs.add(l) // not a disk error: left for the next call
			}
		}
	}
}

// placeTopicID puts the file of a topic into the directories of its logs, without making its name
// durable, and returns the logs that have it.
func (d *logDir) placeTopicID(env *environment, id metadata.TopicID, logs []*Log) (written []*Log) {
	content, source := partitionMetadata(id), d.file(partitionMetadataFile+tempSuffix)
	shared := len(logs) > 1
	if shared {
		// A file left here by a crash may be linked to files in use and must not be written to.
		_ = env.fs.Remove(source)
		shared = writeFileSynced(env.fs, source, content) == nil
	}
	for _, l := range logs {
		done := l.putTopicID(func() error {
			file := l.file(partitionMetadataFile)
			if shared && env.fs.Link(source, file) == nil {
				return nil
			}
			return replaceFile(env.fs, file, content)
		})
		if done {
			written = append(written, l)
		}
	}
	if len(logs) > 1 {
		_ = env.fs.Remove(source)
	}
	return written
}

// putTopicID runs a step of writing the log's file while the directory cannot be renamed, and
// reports whether the step succeeded.
func (l *Log) putTopicID(step func() error) (done bool) {
	l.topicIDWrite.Lock()
	defer l.topicIDWrite.Unlock()
	return l.check() == nil && l.ioError("Error while writing partition metadata file for %s in dir %s", step()) == nil
}
