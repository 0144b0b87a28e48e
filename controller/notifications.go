package controller

import (
	"errors"

	"github.com/monedula/monedula/internal/javatext"
)

// logDirEventNotification notifies that brokers reported failed log directories.
type logDirEventNotification struct{}

func (logDirEventNotification) String() string { return "LogDirEventNotification" }

// process sends the leaderships of their replicas to the brokers again. The answers, processed by
// leaderAndISRAnswered, show which replicas they cannot serve.
func (logDirEventNotification) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	nodes, err := m.store.LogDirEvents(m.ctx)
	if err != nil || len(nodes) == 0 {
		return err
	}
	brokers, err := m.store.LogDirEventBrokers(m.ctx, nodes)
	if err == nil {
		m.log.Infof("Handling log directory failure for brokers %s", javatext.Join(brokers, ","))
		m.replicas.enter(m.c.replicasOnBrokers(brokers...), onlineReplica)
	}
	if err != nil && fatal(err) {
		return err
	}
	return errors.Join(err, m.store.DeleteLogDirEvents(m.ctx, m.c.fence(), nodes))
}

// isrChangeNotification notifies that leaders with an old protocol version changed in-sync sets in
// ZooKeeper.
type isrChangeNotification struct{}

func (isrChangeNotification) String() string { return "IsrChangeNotification" }

func (isrChangeNotification) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	nodes, err := m.store.ISRChanges(m.ctx)
	if err != nil || len(nodes) == 0 {
		return err
	}
	err = m.takeOverISRs(nodes)
	if err != nil && fatal(err) {
		return err
	}
	return errors.Join(err, m.store.DeleteISRChanges(m.ctx, m.c.fence(), nodes))
}

func (m *Machine) takeOverISRs(nodes []string) error {
	tps, err := m.store.ISRChangePartitions(m.ctx, nodes)
	if err != nil || len(tps) == 0 {
		return err
	}
	if err := m.leaderships.read(m.ctx, tps); err != nil {
		return err
	}
	m.dispatcher.updateMetadata(m.c.registeredIDs(), tps...)
	for _, tp := range tps {
		if !m.c.reassigning[tp] {
			continue
		}
		if err := m.reassignments.maybeComplete(m.ctx, tp); err != nil {
			return err
		}
	}
	return nil
}
