package storage

import "sync/atomic"

// unsynced remembers whether something on disk has changed since it was last
// made durable. Changes are counted. A sync settles those that were counted
// before it began, and only once it has succeeded, so that what is not pending
// is durable even while another sync runs.
type unsynced struct{ changes, durable atomic.Int64 }

// note counts a change. The caller calls it after the change and before
// publishing what rests on it.
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
