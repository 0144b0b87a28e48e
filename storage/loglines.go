package storage

import (
	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
)

// logLines writes log lines with the prefix that Kafka's class uses, such as "[LogLoader
// partition=t-0, dir=/data] ".
type logLines struct {
	entry *logrus.Entry
	ident string
}

func newLogLines(l *logrus.Logger, class, ident string) logLines {
	return logLines{kafkalog.For(l, class), ident}
}

func (l logLines) Debugf(format string, args ...any) { l.entry.Debugf(l.ident+format, args...) }
func (l logLines) Infof(format string, args ...any)  { l.entry.Infof(l.ident+format, args...) }
func (l logLines) Warnf(format string, args ...any)  { l.entry.Warnf(l.ident+format, args...) }
func (l logLines) Errorf(format string, args ...any) { l.entry.Errorf(l.ident+format, args...) }
