package kafkalog

import (
	"fmt"

	"github.com/sirupsen/logrus"
)

// Prefixed writes log lines that begin with the name of an object, such as "[Controller id=1] ", as
// those of Kafka's classes do.
type Prefixed struct {
	entry  *logrus.Entry
	prefix string
}

// WithPrefix returns a Prefixed for the logger with this name. The prefix is formatted once.
func WithPrefix(l *logrus.Logger, name, prefix string, args ...any) Prefixed {
	return Prefixed{For(l, name), fmt.Sprintf(prefix, args...)}
}

// Traced reports whether lines at TRACE are written.
func (p Prefixed) Traced() bool { return p.entry.Logger.IsLevelEnabled(logrus.TraceLevel) }

// Tracef writes a line at TRACE.
func (p Prefixed) Tracef(format string, args ...any) { p.write(logrus.TraceLevel, format, args) }

// Debugf writes a line at DEBUG.
func (p Prefixed) Debugf(format string, args ...any) { p.write(logrus.DebugLevel, format, args) }

// Infof writes a line at INFO.
func (p Prefixed) Infof(format string, args ...any) { p.write(logrus.InfoLevel, format, args) }

// Warnf writes a line at WARN.
func (p Prefixed) Warnf(format string, args ...any) { p.write(logrus.WarnLevel, format, args) }

// Errorf writes a line at ERROR.
func (p Prefixed) Errorf(format string, args ...any) { p.write(logrus.ErrorLevel, format, args) }

// Failed writes what failed at ERROR. The reason follows on the next line, where Kafka prints the
// exception.
func (p Prefixed) Failed(err error, format string, args ...any) {
	p.entry.WithError(err).Error(p.prefix + fmt.Sprintf(format, args...))
}

func (p Prefixed) write(level logrus.Level, format string, args []any) {
	if p.entry.Logger.IsLevelEnabled(level) {
		p.entry.Log(level, p.prefix+fmt.Sprintf(format, args...))
	}
}
