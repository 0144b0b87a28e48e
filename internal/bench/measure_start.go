package main

import (
	"context"
	"time"
)

// measureStart measures how long it takes until a broker acknowledges a record: the first start on
// an empty directory; a restart after SIGKILL when ZooKeeper has removed the dead broker's
// registration; and an immediate restart, which first has to wait for that.
func measureStart(ctx context.Context, b *bench) error {
	const topic = "start"
	tenth := goal{ratio: 0.1}
	fresh := b.report.metric("start on an empty directory to first acknowledged record", "ms", tenth)
	after := b.report.metric("restart after kill -9, registration gone, to first acknowledged record", "ms", tenth)
	atOnce := b.report.metric("kill -9 and restart at once, to first acknowledged record", "ms", goal{})
	b.report.note("Session timeout of both brokers: %v. Restarted at once after kill -9, the original exits as long as its registration exists. A supervisor that restarts it at once is assumed, and the time is measured from the kill.", b.sizes.session)
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.newBroker(s)
		if err != nil {
			return err
		}
		defer br.remove()
		took, _, err := br.startServing(ctx, topic, 1)
		if err != nil {
			return err
		}
		fresh.add(s, milliseconds(took))

		br.kill()
		if err := br.awaitDeregistered(ctx); err != nil {
			return err
		}
		if took, _, err = br.startServing(ctx, topic, 1); err != nil {
			return err
		}
		after.add(s, milliseconds(took))

		if err := pause(ctx, time.Second); err != nil { // time for a heartbeat or two
			return err
		}
		br.kill()
		took, restarts, err := br.startServing(ctx, topic, 1)
		if err != nil {
			return err
		}
		atOnce.add(s, milliseconds(took))
		b.progress("  %s: fresh %.0f ms, registration gone %.0f ms, at once %.0f ms (%d further starts)", s.name,
			last(fresh.samples[s.name]), last(after.samples[s.name]), last(atOnce.samples[s.name]), restarts)
		return nil
	})
}
