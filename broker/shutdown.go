package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// closeTimeout is how long requests in progress may take when the broker stops.
const closeTimeout = 10 * time.Second

// Stop shuts the broker down cleanly: it moves the leaderships away, ends requests, flushes and
// closes the logs, and then closes the ZooKeeper session and the metrics page.
func (b *Broker) Stop() { b.stop(true) }

// StopLast is like Stop for the last broker of a cluster, whose leaderships no other one can take.
func (b *Broker) StopLast() { b.stop(false) }

// stop shuts the broker down. If there are others, it moves the leaderships to them.
func (b *Broker) stop(others bool) {
	b.starting.Lock()
	defer b.starting.Unlock()
	b.log.Infof("%sshutting down", b.prefix())
	if others && b.started && settings.ControlledShutdownEnable.Of(b.cfg) {
		b.metrics.become(stateControlledShutdown)
		b.controlledShutdown()
	}
	b.metrics.become(stateShuttingDown)
	if b.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		_ = b.server.StopProcessing(ctx)
		cancel()
	}
	b.cancel()
	for i := len(b.undo) - 1; i >= 0; i-- {
		b.undo[i]()
	}
	b.undo = nil
	b.wg.Wait()
	b.metrics.become(stateNotRunning)
	b.log.Infof("%sshut down completed", b.prefix())
}

// controlledShutdown asks the controller to move this broker's leaderships away. It retries up to
// controlled.shutdown.max.retries times in all and then gives up.
func (b *Broker) controlledShutdown() {
	b.log.Infof("[KafkaServer id=%d] Starting controlled shutdown", b.id.brokerID)
	cfg := b.dynamic.Current()
	link := newControllerLink(b.id.brokerID, cfg.InterBrokerListener(), b.cache, ms(cfg, settings.ControllerSocketTimeoutMs), nil)
	defer link.close()
	retries := settings.ControlledShutdownMaxRetries.Of(cfg)
	for attempt := int32(0); attempt < retries; attempt++ {
		asked := b.cache.Snapshot().ControllerID
		if b.askToLeave(link) {
			b.log.Infof("[KafkaServer id=%d] Controlled shutdown succeeded", b.id.brokerID)
			return
		}
		if attempt+1 < retries {
			b.log.Infof("[KafkaServer id=%d] Retrying controlled shutdown (%d retries remaining)", b.id.brokerID, retries-attempt-1)
			awaitOtherController(b.cache, asked, ms(cfg, settings.ControlledShutdownRetryBackoffMs))
		}
	}
	b.log.Warnf("[KafkaServer id=%d] Proceeding to do an unclean shutdown as all the controlled shutdown attempts failed", b.id.brokerID)
}

// awaitOtherController waits until a controller other than asked is known, for at most most. If
// brokers are stopped one after the other, the previous one may have been the controller.
func awaitOtherController(cache *metadata.Cache, asked metadata.BrokerID, most time.Duration) {
	cache.Await(context.Background(), most, func(s *metadata.Snapshot) bool {
		return s.ControllerID != asked && s.Brokers[s.ControllerID] != nil
	})
}

// askToLeave sends one ControlledShutdown request and reports whether no partition remains to be
// moved.
func (b *Broker) askToLeave(link *controllerLink) bool {
	req := kmsg.NewPtrControlledShutdownRequest()
	req.BrokerID, req.BrokerEpoch = int32(b.id.brokerID), b.registration.epoch.Load()
	req.SetVersion(controlledShutdownVersion(b.cfg.IBP().AtLeast))
	ctx, cancel := context.WithTimeout(context.Background(), ms(b.cfg, settings.ControllerSocketTimeoutMs))
	defer cancel()
	began := time.Now()
	resp, err := link.do(ctx, req)
	took := time.Since(began).Milliseconds()
	if err != nil {
		b.log.Warnf("[KafkaServer id=%d] Error during controlled shutdown, possibly because leader movement took longer than the configured controller.socket.timeout.ms and/or request.timeout.ms: %v", b.id.brokerID, err)
		return false
	}
	answer := resp.(*kmsg.ControlledShutdownResponse)
	switch code := protocol.ErrorCode(answer.ErrorCode); {
	case code != protocol.None:
		b.log.Infof("[KafkaServer id=%d] Controlled shutdown request returned after %dms with error %s", b.id.brokerID, took, code.Name())
	case len(answer.PartitionsRemaining) > 0:
		b.log.Infof("[KafkaServer id=%d] Controlled shutdown request returned after %dms with %d partitions remaining to move", b.id.brokerID, took, len(answer.PartitionsRemaining))
	default:
		b.log.Infof("[KafkaServer id=%d] Controlled shutdown request returned successfully after %dms", b.id.brokerID, took)
		return true
	}
	return false
}

func controlledShutdownVersion(atLeast func(string) bool) int16 {
	switch {
	case atLeast("2.4-IV1"):
		return 3
	case atLeast("2.2-IV0"):
		return 2
	default:
		return 1
	}
}
