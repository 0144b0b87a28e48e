package controller

import (
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// controlledShutdown is the ControlledShutdown request of a broker that is about to stop.
type controlledShutdown struct {
	broker metadata.BrokerID
	epoch  int64 // unknownBrokerEpoch for an old request without one
	done   func([]TopicPartition, error)
}

const unknownBrokerEpoch = -1

func (controlledShutdown) String() string { return "ControlledShutdown" }
func (e controlledShutdown) preempt()     { e.done(nil, protocol.StaleControllerEpoch) }

func (e controlledShutdown) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	if err := m.checkControlledShutdown(e); err != nil {
		e.done(nil, err)
		return nil
	}
	m.log.Infof("Shutting down broker %d", e.broker)
	m.c.shuttingDown[e.broker] = true
	if err := m.moveAwayFrom(e.broker); err != nil {
		if moved(err) {
			e.preempt()
		} else {
			e.done(nil, protocol.UnknownServerError)
		}
		return err
	}
	e.done(m.stillLedBy(e.broker), nil)
	return nil
}

func (m *Machine) checkControlledShutdown(e controlledShutdown) error {
	b, known := m.c.brokers[e.broker]
	switch {
	case !known && e.epoch == unknownBrokerEpoch:
		return protocol.Errorf(protocol.BrokerNotAvailable, "Broker id %d does not exist.", e.broker)
	case !known:
		return protocol.UnknownServerError
	case e.epoch != unknownBrokerEpoch && e.epoch < b.Epoch:
		err := protocol.Errorf(protocol.StaleBrokerEpoch, "Received controlled shutdown request from an old broker epoch %d for broker %d. Current broker epoch is %d.", e.epoch, e.broker, b.Epoch)
		m.log.Infof("%s", err)
		return err
	}
	return nil
}

// moveAwayFrom elects other leaders for the partitions that the broker leads and removes its other
// replicas from the in-sync sets. It leaves partitions with a single replica as they are.
func (m *Machine) moveAwayFrom(broker metadata.BrokerID) error {
	var led, followed []TopicPartition
	m.c.each(func(tp TopicPartition, p *partitionContext) {
		switch {
		case !slices.Contains(p.assignment.Replicas, broker) || len(p.assignment.Replicas) < 2 || p.leadership == nil || m.c.queuedForDeletion(tp.Topic):
		case p.leadership.Leader == broker:
			led = append(led, tp)
		default:
			followed = append(followed, tp)
		}
	})
	if _, err := m.partitions.bringOnline(m.ctx, led, electControlledShutdown); err != nil {
		return err
	}
	b := newBatch(m.c)
	var replicas []replicaID
	for _, tp := range followed {
		b.addStopReplica([]metadata.BrokerID{broker}, tp, false)
		replicas = append(replicas, replicaID{tp, broker})
	}
	m.dispatcher.send(b)
	return m.replicas.takeOffline(m.ctx, replicas)
}

// stillLedBy returns the partitions with more than one replica that the broker still leads.
func (m *Machine) stillLedBy(broker metadata.BrokerID) []TopicPartition {
	return m.c.partitionsWhere(func(tp TopicPartition, p *partitionContext) bool {
		return p.leadership != nil && p.leadership.Leader == broker && len(p.assignment.Replicas) > 1 && !m.c.queuedForDeletion(tp.Topic)
	})
}
