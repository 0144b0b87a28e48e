package storage

import (
	"maps"
	"slices"
	"sync"

	"github.com/monedula/monedula/metadata"
)

// topicIDWriter writes partition.metadata for the logs of one log directory:
// whoever needs one on disk writes all that are due. Those of one topic have the
// same content, so one file is made durable and gets a name in each partition's
// directory; where the volume cannot do that they are written one by one. Then
// the directories are synced. Nobody writes into such a file, it is only ever
// replaced.
type topicIDWriter struct {
	writing sync.Mutex // held by who writes; taken before the logs' topicIDWrite

	mu  sync.Mutex // guards due
	due []*Log
}

// add notes a log that its file is due of; first says that no other was noted.
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

// writeTopicIDs writes all that are due in the directory, durably. An I/O error
// takes it offline; logs that were closed meanwhile are left out.
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
				d.topicIDs.add(l) // not an error of the disk: for the next call
			}
		}
	}
}

// placeTopicID puts the file of a topic into the directories of its logs, where
// the name is not durable yet, and returns the logs where that was done.
func (d *logDir) placeTopicID(env *environment, id metadata.TopicID, logs []*Log) (written []*Log) {
	content, source := partitionMetadata(id), d.file(partitionMetadataFile+tempSuffix)
	shared := len(logs) > 1
	if shared {
		// What a crash left there may be a name of files in use: not to be written into.
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

// putTopicID runs a step of writing the log's file, while its directory keeps
// the name, and says whether it was done.
func (l *Log) putTopicID(step func() error) (done bool) {
	l.topicIDWrite.Lock()
	defer l.topicIDWrite.Unlock()
	return l.check() == nil && l.ioError("Error while writing partition metadata file for %s in dir %s", step()) == nil
}
