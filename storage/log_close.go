package storage

import "path/filepath"

// close closes the log cleanly: it makes everything durable, trims the indexes to their true sizes,
// and writes a producer snapshot at the log end.
func (l *Log) close() error {
	if l.givenUp.Load() {
		err := l.check()
		l.abandon()
		return err
	}
	if err := l.topicID.flush(); err != nil {
		return err
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.closeLocked()
	if err != nil {
		err = l.ioError("Error while closing %s in dir %s", err)
	}
	l.closed.Store(true)
	l.dropSegments()
	return err
}

func (l *Log) closeLocked() error {
	if err := l.positions.active().finish(); err != nil {
		return err
	}
	if _, err := l.producers.takeSnapshot(false); err != nil {
		return err
	}
	if err := l.producers.syncLatest(); err != nil {
		return err // a clean close without a snapshot would mean that the log has no producers
	}
	v, from := l.positions.loadUnflushed()
	if _, err := l.syncSegments(&v, from, v.LogEnd, true); err != nil {
		return err
	}
	l.positions.mu.Lock()
	defer l.positions.mu.Unlock()
	l.positions.recoveryPoint = v.LogEnd
	return nil
}

// abandon closes a log that was replaced or whose directory has failed, without writing anything.
func (l *Log) abandon() {
	l.closed.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropSegments()
}

// dropSegments releases the log's references to its segments; their files close with the last
// reader. The caller must hold mu.
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

// rename gives the partition's directory another name in the same log directory. Open files stay
// valid. The new name is durable after the next flush, or settleName.
func (l *Log) rename(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.renameLocked(filepath.Join(l.dir.path, name))
	l.dirName.note()
	return l.ioError("Error while renaming dir for %s in log dir %s", err)
}

// renameLocked renames the directory without syncing it. The caller must hold mu and take care of
// the sync. The topic id and the leader epochs are written in the background by path and without
// mu; their locks are held here, so that such a write happens before or after the rename and never
// finds the directory missing.
func (l *Log) renameLocked(path string) error {
	l.topicID.writing.Lock()
	defer l.topicID.writing.Unlock()
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

// moved updates the segment's file names after its directory was renamed to dir.
func (s *segment) moved(dir string) {
	stem := segmentPath(dir, s.base, "")
	for _, f := range s.files() {
		f.moved(stem)
	}
}

// retire closes the log and renames its directory, to be removed from disk later. Reads in progress
// can finish. The new name is durable once the log directory has been synced.
func (l *Log) retire(name string) error {
	l.closed.Store(true) // an error that the rename causes in a flush must not count
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.renameLocked(filepath.Join(l.dir.path, name))
	l.dropSegments()
	if err != nil {
		return l.dir.fail("Error while renaming dir for "+l.name+" in log dir "+l.dir.path, err)
	}
	return nil
}
