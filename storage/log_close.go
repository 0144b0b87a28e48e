package storage

import "path/filepath"

// close ends the log in order: everything is made durable, the indexes get
// their true sizes, and a producer snapshot is written at the end.
func (l *Log) close() error {
	if l.givenUp.Load() {
		err := l.check()
		l.abandon()
		return err
	}
	if err := l.flushTopicID(); err != nil {
		return err
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	defer l.unlock()
	err := l.closeLocked()
	if err != nil {
		err = l.ioError("Error while closing %s in dir %s", err)
	}
	l.closed.Store(true)
	l.dropSegments()
	return err
}

func (l *Log) closeLocked() error {
	if err := l.active().finish(); err != nil {
		return err
	}
	if _, err := l.producers.takeSnapshot(false); err != nil {
		return err
	}
	if err := l.producers.syncLatest(); err != nil {
		return err // "closed in order, and no snapshot" would mean that there are no producers
	}
	l.positions.mu.Lock()
	v, from := l.positions.v, l.positions.recoveryPoint
	l.positions.mu.Unlock()
	if _, err := l.syncSegments(&v, from, v.LogEnd, true); err != nil {
		return err
	}
	l.positions.mu.Lock()
	defer l.positions.mu.Unlock()
	l.positions.recoveryPoint = v.LogEnd
	return nil
}

// abandon ends a log that was replaced or whose directory has failed: nothing is
// written.
func (l *Log) abandon() {
	l.closed.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropSegments()
}

// dropSegments gives up the log's use of its segments; their files close with
// the last reader. mu is held.
func (l *Log) dropSegments() {
	if l.dropped {
		return
	}
	l.dropped = true
	v := l.positions.load()
	for _, s := range v.segments {
		s.drop()
	}
}

// rename gives the partition's directory another name in the same log
// directory. Open files stay good. The new name is durable after the next flush,
// or settleName.
func (l *Log) rename(name string) error {
	l.mu.Lock()
	defer l.unlock()
	err := l.renameLocked(filepath.Join(l.dir.path, name))
	l.dirName.note()
	return l.ioError("Error while renaming dir for %s in log dir %s", err)
}

// renameLocked is rename for callers that hold mu and see to the sync. What
// the background writes by its path without mu, the topic id and the leader
// epochs, is written before or after: in between it would find no directory.
func (l *Log) renameLocked(path string) error {
	l.topicIDWrite.Lock()
	defer l.topicIDWrite.Unlock()
	err := l.epochs.move(path, func() error {
		if err := l.env.fs.Rename(l.Path(), path); err != nil {
			return err
		}
		l.path.Store(&path)
		return nil
	})
	if err != nil {
		return err
	}
	v := l.positions.load()
	for _, s := range v.segments {
		s.moved(path)
	}
	l.producers.moved(path)
	p := &l.positions
	p.mu.Lock()
	p.v.moves++
	p.mu.Unlock()
	return nil
}

// moved tells the segment that its directory has another name.
func (s *segment) moved(dir string) {
	stem := segmentPath(dir, s.base, "")
	for _, f := range s.files() {
		f.moved(stem)
	}
}

// retire takes the log out of use and moves it aside, to be removed from disk
// later. Whoever reads it still may go on. The new name is durable once the log
// directory has been synced.
func (l *Log) retire(name string) error {
	l.closed.Store(true) // a flush that stumbles over the rename is no error
	l.mu.Lock()
	defer l.unlock()
	err := l.renameLocked(filepath.Join(l.dir.path, name))
	l.dropSegments()
	if err != nil {
		return l.dir.fail("Error while renaming dir for "+l.name+" in log dir "+l.dir.path, err)
	}
	return nil
}
