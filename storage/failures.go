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

// What an error costs depends on its kind. An error of the disk takes the log
// directory offline, as in Kafka. Any other error, such as an index entry that
// does not fit, and a panic fail the request. If they interrupt a change of the
// log's data, that log is given up until a restart recovers it. Too many open
// files fail the request alone, since the next one may find a free descriptor.

// ErrTooManyFiles is wrapped by the KAFKA_STORAGE_ERROR of a call that found no
// free file descriptor. The log and its directory stay in use: try again later.
var ErrTooManyFiles = errors.New("too many open files")

// isDiskError reports whether an error is one of the disk or the file system.
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

// storageError is the answer to a call that failed with cause.
func storageError(what string, cause error) error {
	err := protocol.Errorf(protocol.KafkaStorageError, "%s: %v", what, cause)
	if isTooManyFiles(cause) {
		return tooManyFiles{err}
	}
	return err
}

type tooManyFiles struct{ error }

func (e tooManyFiles) Unwrap() []error { return []error{e.error, ErrTooManyFiles} }

// fail is called with the error that ended something in the directory. An error
// of the disk takes the directory offline. It returns what callers answer, a
// KAFKA_STORAGE_ERROR.
func (d *logDir) fail(what string, cause error) error {
	if isDiskError(cause) {
		return d.takeOffline(what, cause)
	}
	d.log.Errorf("%s: %v", what, cause)
	return storageError(what, cause)
}

// takeOffline ends the use of the directory and returns a KAFKA_STORAGE_ERROR.
func (d *logDir) takeOffline(what string, cause error) error {
	if d.offline.CompareAndSwap(false, true) {
		d.log.Errorf("%s: %v", what, cause)
		if d.onFailure != nil {
			d.onFailure(d)
		}
	}
	return storageError(what, cause)
}

// ioError makes an error that is no protocol code the answer of a call on the
// log: KAFKA_STORAGE_ERROR for one of the disk, which fails the directory, or
// of a log that was closed meanwhile; UNKNOWN_SERVER_ERROR for any other.
// format names the partition and the directory.
func (l *Log) ioError(format string, err error) error {
	if err == nil || isProtocolError(err) {
		return err
	}
	what := fmt.Sprintf(format, l.name, l.dir.path)
	switch {
	case l.closed.Load():
		// A file of a log that is being deleted or closed is no sign of a bad disk.
		return storageError(what, err)
	case isDiskError(err), isTooManyFiles(err):
		return l.dir.fail(what, err)
	}
	l.log().Errorf("%s: %v", what, err)
	return protocol.Errorf(protocol.UnknownServerError, "%s: %v", what, err)
}

func isProtocolError(err error) bool {
	var code protocol.ErrorCode
	return errors.As(err, &code)
}

// ignoreMissing drops the error of a file that is missing.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// unlock releases mu. A change of the data that an error or a panic interrupted
// leaves the log in an unknown state: it is given up.
func (l *Log) unlock() {
	if l.changing {
		l.giveUp()
	}
	l.mu.Unlock()
}

// giveUp ends the use of the log until a restart recovers it. The caller must
// hold mu.
func (l *Log) giveUp() {
	l.closed.Store(true)
	if l.dir.offline.Load() || l.givenUp.Swap(true) {
		return
	}
	l.log().Errorf("A change of the log was interrupted. The log is out of use until a restart of the broker recovers it.")
	if l.env.onLogFailure != nil {
		l.env.onLogFailure(l)
	}
}

// check is nil while the log may be used.
func (l *Log) check() error {
	if l.givenUp.Load() {
		return protocol.Errorf(protocol.KafkaStorageError,
			"The log for partition %s is out of use since a change of it was interrupted; restart the broker to recover it", l.name)
	}
	if l.closed.Load() {
		return protocol.Errorf(protocol.KafkaStorageError, "The log for partition %s is already closed", l.name)
	}
	return l.dir.check()
}
