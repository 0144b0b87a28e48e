package controller

import (
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore"
)

// The functions below format data for log lines and messages as Kafka does.

// liveText returns the ids of live brokers like Kafka's set of them, which is made from the keys of
// a mutable map. ids is in ascending order.
func liveText(ids []int32) string {
	return javatext.ImmutableSet(javatext.MutableOrder(ids, javatext.IntHash), javatext.IntHash)
}

func recoveryText(recovering bool) string {
	if recovering {
		return "RECOVERING"
	}
	return "RECOVERED"
}

// stateText returns a partition's state as in Kafka's "Changed partition ... with state".
func stateText(s zkstore.PartitionState) string {
	members := make([]string, len(s.ISR))
	for i, id := range s.ISR {
		members[i] = fmt.Sprintf("BrokerState(brokerId=%d, brokerEpoch=-1)", id)
	}
	return fmt.Sprintf("LeaderAndIsr(leader=%d, leaderEpoch=%d, isrWithBrokerEpoch=%s, leaderRecoveryState=%s, partitionEpoch=%d)",
		s.Leader, s.LeaderEpoch, javatext.Collection("List", members), recoveryText(s.Recovering), s.Version)
}

// leadershipText returns a partition's state with the epoch of the controller that wrote it.
func leadershipText(s zkstore.PartitionState) string {
	return fmt.Sprintf("(Leader:%d,ISR:%s,LeaderRecoveryState:%s,LeaderEpoch:%d,ZkVersion:%d,ControllerEpoch:%d)",
		s.Leader, javatext.Join(s.ISR, ","), recoveryText(s.Recovering), s.LeaderEpoch, s.Version, s.ControllerEpoch)
}

func assignmentText(a zkstore.Assignment) string {
	return fmt.Sprintf("ReplicaAssignment(replicas=%s, addingReplicas=%s, removingReplicas=%s)",
		javatext.Join(a.Replicas, ","), javatext.Join(a.Adding, ","), javatext.Join(a.Removing, ","))
}

// epochsText returns the brokers and their epochs in the notation of a Scala map.
func epochsText(c *controllerContext) string {
	var texts []string
	for _, id := range javatext.MutableOrder(c.registeredIDs(), javatext.IntHash) {
		texts = append(texts, fmt.Sprintf("%d -> %d", id, c.brokers[id].Epoch))
	}
	return javatext.Collection("HashMap", texts)
}

// logger writes log lines with a prefix that names the component, as Kafka's classes do.
type logger struct {
	entry  *logrus.Entry
	prefix string
}

func newLogger(l *logrus.Logger, name, prefix string, args ...any) logger {
	return logger{kafkalog.For(l, name), fmt.Sprintf(prefix, args...)}
}

func (l logger) traced() bool { return l.entry.Logger.IsLevelEnabled(logrus.TraceLevel) }

func (l logger) Tracef(format string, args ...any) { l.write(logrus.TraceLevel, format, args) }
func (l logger) Debugf(format string, args ...any) { l.write(logrus.DebugLevel, format, args) }
func (l logger) Infof(format string, args ...any)  { l.write(logrus.InfoLevel, format, args) }
func (l logger) Warnf(format string, args ...any)  { l.write(logrus.WarnLevel, format, args) }
func (l logger) Errorf(format string, args ...any) { l.write(logrus.ErrorLevel, format, args) }

// Failed logs what failed. The reason follows on the next line, where Kafka prints the exception.
func (l logger) Failed(err error, format string, args ...any) {
	l.entry.WithError(err).Error(l.prefix + fmt.Sprintf(format, args...))
}

func (l logger) write(level logrus.Level, format string, args []any) {
	if l.entry.Logger.IsLevelEnabled(level) {
		l.entry.Log(level, l.prefix+fmt.Sprintf(format, args...))
	}
}
