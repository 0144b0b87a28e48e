package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// LogLevels is the broker's log level, which clients may look at and change
// (KIP-412). There is one logger, named root.
type LogLevels struct{ log *logrus.Logger }

// NewLogLevels returns the levels of the logger.
func NewLogLevels(log *logrus.Logger) *LogLevels { return &LogLevels{log} }

const rootLogger = "root"

var levels = []string{"DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"}

func (l *LogLevels) describe() []settings.Entry {
	text := strings.ToUpper(l.log.GetLevel().String())
	if text == "WARNING" {
		text = "WARN"
	}
	return []settings.Entry{{Name: rootLogger, Value: &text, Source: settings.SourceDynamicBrokerLogger}}
}

// alter checks the alterations, and unless they are only validated sets the level.
func (l *LogLevels) alter(alterations []admin.Alteration, validateOnly bool) error {
	for _, a := range alterations {
		if err := checkLevel(a); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, a := range alterations {
		level, err := logrus.ParseLevel(a.Value)
		if err != nil {
			return err
		}
		l.log.SetLevel(level)
	}
	return nil
}

func checkLevel(a admin.Alteration) error {
	switch a.Op {
	case admin.Set:
		if a.Name != rootLogger {
			return noLogger(a.Name)
		}
		if !slices.Contains(levels, a.Value) {
			return protocol.Errorf(protocol.InvalidConfig, "Cannot set the log level of %s to %s as it is not a supported log level. "+
				"Valid log levels are %s", a.Name, a.Value, strings.Join(levels, ", "))
		}
		return nil
	case admin.Delete:
		if a.Name != rootLogger {
			return noLogger(a.Name)
		}
		return protocol.Errorf(protocol.InvalidRequest, "Removing the log level of the %s logger is not allowed", rootLogger)
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
