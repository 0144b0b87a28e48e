package transaction

import (
	"fmt"

	"github.com/monedula/monedula/metadata"
)

// prefixOf returns the prefix of a class's log lines.
func prefixOf(format string, id metadata.BrokerID) string {
	if format == "" {
		return ""
	}
	return fmt.Sprintf(format, id)
}

func (c *Coordinator) logf(level Level, from Source, format string, args ...any) {
	c.log(level, from, fmt.Sprintf(format, args...))
}

func (c *Coordinator) log(level Level, from Source, text string) {
	l := &c.logs[from]
	switch text = l.prefix + text; level {
	case Info:
		l.Info(text)
	case Warn:
		l.Warn(text)
	default:
		l.Error(text)
	}
}
