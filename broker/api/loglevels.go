package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// LogLevels gives clients access to the levels of the broker's loggers (KIP-412).
type LogLevels struct{ levels *kafkalog.Levels }

// NewLogLevels returns the levels of a logger that was made by kafkalog.
func NewLogLevels(log *logrus.Logger) *LogLevels { return &LogLevels{kafkalog.LevelsOf(log)} }

var levels = []string{"DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"}

func (l *LogLevels) describe() []settings.Entry {
	var entries []settings.Entry
	for _, name := range l.levels.Names() {
		text := strings.ToUpper(l.levels.Level(name).String())
		if text == "WARNING" {
			text = "WARN"
		}
		entries = append(entries, settings.Entry{Name: name, Value: &text, Source: settings.SourceDynamicBrokerLogger})
	}
	return entries
}

// alter checks the alterations and applies them unless validateOnly is set.
func (l *LogLevels) alter(alterations []admin.Alteration, validateOnly bool) error {
	for _, a := range alterations {
		if err := l.check(a); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, a := range alterations {
		if a.Op == admin.Delete {
			l.levels.Unset(a.Name)
			continue
		}
		level, err := logrus.ParseLevel(a.Value)
		if err != nil {
			return err
		}
		l.levels.Set(a.Name, level)
	}
	return nil
}

func (l *LogLevels) check(a admin.Alteration) error {
	switch a.Op {
	case admin.Set:
		if !l.levels.Known(a.Name) {
			return noLogger(a.Name)
		}
		if !slices.Contains(levels, a.Value) {
			return protocol.Errorf(protocol.InvalidConfig, "Cannot set the log level of %s to %s as it is not a supported log level. "+
				"Valid log levels are %s", a.Name, a.Value, strings.Join(levels, ", "))
		}
		return nil
	case admin.Delete:
		switch {
		case !l.levels.Known(a.Name):
			return noLogger(a.Name)
		case a.Name == kafkalog.Root:
			return protocol.Errorf(protocol.InvalidRequest, "Removing the log level of the %s logger is not allowed", kafkalog.Root)
		}
		return nil
	case admin.Append:
		return protocol.Errorf(protocol.InvalidRequest, "APPEND operation is not allowed for the BROKER_LOGGER resource")
	case admin.Subtract:
		return protocol.Errorf(protocol.InvalidRequest, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
	}
	return fmt.Errorf("unknown operation %d on logger %s", a.Op, a.Name)
}

func noLogger(name string) error {
	return protocol.Errorf(protocol.InvalidConfig, "Logger %s does not exist!", name)
}
