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
	writing sync.Mutex // held while files are written; taken before topicIDFile.writing

	mu  sync.Mutex // guards due
	due []*topicIDFile
}

// add adds a log whose file is due; first reports whether it is the only one.
func (w *topicIDWriter) add(f *topicIDFile) (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = append(w.due, f)
	return len(w.due) == 1
}

func (w *topicIDWriter) takeByTopic() map[metadata.TopicID][]*topicIDFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	topics := map[metadata.TopicID][]*topicIDFile{}
	for _, f := range w.due {
		topics[f.get()] = append(topics[f.get()], f)
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
	var written []*topicIDFile
	for _, id := range slices.SortedFunc(maps.Keys(topics), func(a, b metadata.TopicID) int { return slices.Compare(a[:], b[:]) }) {
		written = append(written, d.placeTopicID(env, id, topics[id])...)
	}
	env.schedule.inParallel(len(written), smallWriters, func(i int) {
		f := written[i]
		if f.put(func() error { return env.fs.SyncDir(f.home.Path()) }) {
			f.pending.Store(false)
		}
	})
	for _, files := range topics {
		for _, f := range files {
			if f.pending.Load() && f.home.check() == nil {
				d.topicIDs.add(f) // not a disk error: left for the next call
			}
		}
	}
}

// placeTopicID puts the file of a topic into the directories of its logs, without making its name
// durable, and returns the logs that have it.
func (d *logDir) placeTopicID(env *environment, id metadata.TopicID, files []*topicIDFile) (written []*topicIDFile) {
	content, source := partitionMetadata(id), d.file(partitionMetadataFile+tempSuffix)
	shared := len(files) > 1
	if shared {
		// A file left here by a crash may be linked to files in use and must not be written to.
		_ = env.fs.Remove(source)
		shared = writeFileSynced(env.fs, source, content) == nil
	}
	for _, f := range files {
		done := f.put(func() error {
			name := f.home.file(partitionMetadataFile)
			if shared && env.fs.Link(source, name) == nil {
				return nil
			}
			return replaceFile(env.fs, name, content)
		})
		if done {
			written = append(written, f)
		}
	}
	if len(files) > 1 {
		_ = env.fs.Remove(source)
	}
	return written
}
