package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/monedula/monedula/protocol"
)

// The scope of an error depends on its kind. A disk error takes the log directory offline, as in
// Kafka. Any other error, such as an index entry that does not fit, and a panic fail only the
// request, unless they interrupt a change of the log's data: then that log is closed until a
// restart recovers it. Too many open files do not count as a disk error, since the next request may
// find a free descriptor.

// ErrTooManyFiles is wrapped by the KAFKA_STORAGE_ERROR of a call that found no free file
// descriptor. The log and its directory stay in use; the call may be retried later.
var ErrTooManyFiles = errors.New("too many open files")

// isDiskError reports whether an error comes from the disk or the file system.
func isDiskError(err error) bool {
	if isTooManyFiles(err) || errors.Is(err, fs.ErrClosed) {
		return false
	}
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	var number syscall.Errno
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &number) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrShortWrite)
}

func isTooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// storageError returns the KAFKA_STORAGE_ERROR of a call that failed with cause.
func storageError(what string, cause error) error {
	err := protocol.Errorf(protocol.KafkaStorageError, "%s: %v", what, cause)
	if isTooManyFiles(cause) {
		return kindOf{err, ErrTooManyFiles}
	}
	return err
}

// kindOf is an error that also wraps the exported error of its kind, which its text does not show.
type kindOf struct {
	error
	kind error
}

func (e kindOf) Unwrap() []error { return []error{e.error, e.kind} }

// fail handles an error that ended an operation in the directory. A disk error takes the directory
// offline. It returns the KAFKA_STORAGE_ERROR for the callers.
func (d *logDir) fail(what string, cause error) error {
	if isDiskError(cause) {
		return d.takeOffline(what, cause)
	}
	d.log.Errorf("%s: %v", what, cause)
	return storageError(what, cause)
}

// takeOffline takes the directory offline and returns a KAFKA_STORAGE_ERROR.
func (d *logDir) takeOffline(what string, cause error) error {
	if d.offline.CompareAndSwap(false, true) {
		d.log.Errorf("%s: %v", what, cause)
		if d.onFailure != nil {
			d.onFailure(d)
		}
	}
	return storageError(what, cause)
}

// ioError turns an error that is not a protocol code into the error of a call on the log:
// KAFKA_STORAGE_ERROR for a disk error, which fails the directory, for too many open files, and if
// the log was closed in the meantime; UNKNOWN_SERVER_ERROR for any other. format takes the
// partition and the directory.
func (d *partitionDir) ioError(format string, err error) error {
	if err == nil || isProtocolError(err) {
		return err
	}
	what := fmt.Sprintf(format, d.name, d.dir.path)
	switch {
	case d.closed.Load():
		// An error on a file of a log that is being deleted or closed does not mean that the disk
		// is bad.
		return storageError(what, err)
	case isDiskError(err), isTooManyFiles(err):
		return d.dir.fail(what, err)
	}
	d.log().Errorf("%s: %v", what, err)
	return protocol.Errorf(protocol.UnknownServerError, "%s: %v", what, err)
}

func isProtocolError(err error) bool {
	var code protocol.ErrorCode
	return errors.As(err, &code)
}

// ignoreMissing returns nil for the error of a missing file, and other errors unchanged.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// change runs a step that changes the log's data, and treats its error as ioError does. If an error
// or a panic interrupts the step, the state of the log is unknown, so change closes the log. The
// caller must hold the log's mu.
func (d *partitionDir) change(format string, step func() error) (err error) {
	done := false
	defer func() {
		if !done {
			d.giveUp()
		}
	}()
	err = d.ioError(format, step())
	done = err == nil
	return err
}

// giveUp closes the log until a restart recovers it. The caller must hold the log's mu.
func (d *partitionDir) giveUp() {
	d.closed.Store(true)
	if d.dir.offline.Load() || d.givenUp.Swap(true) {
		return
	}
	d.log().Errorf("A change to the log was interrupted. The log is unavailable until a restart of the broker recovers it.")
	if d.env.onLogFailure != nil {
		d.env.onLogFailure(d)
	}
}

// check returns nil while the log may be used.
func (d *partitionDir) check() error {
	if d.givenUp.Load() {
		return protocol.Errorf(protocol.KafkaStorageError,
			"The log for partition %s is unavailable because a change to it was interrupted; restart the broker to recover it", d.name)
	}
	if d.closed.Load() {
		return protocol.Errorf(protocol.KafkaStorageError, "The log for partition %s is already closed", d.name)
	}
	return d.dir.check()
}
