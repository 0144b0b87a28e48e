package storage

import "sync/atomic"

// unsynced tracks whether something on disk has changed since it was last made durable. It counts
// changes. A successful sync settles those that were counted before it began, so everything that is
// not pending is durable even while another sync runs.
type unsynced struct{ changes, durable atomic.Int64 }

// note counts a change. It must be called after the change and before anything that relies on the
// change is published.
func (u *unsynced) note() { u.changes.Add(1) }

// pending reports whether a change is not known to be durable.
func (u *unsynced) pending() bool { return u.durable.Load() != u.changes.Load() }

// settle runs sync if a change is pending. Only one call may run at a time.
func (u *unsynced) settle(sync func() error) error {
	upTo := u.changes.Load()
	if u.durable.Load() == upTo {
		return nil
	}
	if err := sync(); err != nil {
		return err
	}
	u.durable.Store(upTo)
	return nil
}
