package main

import "context"

// memoryGoal is what of the original's resident memory ours may take.
var memoryGoal = goal{ratio: 0.1}

// measureIdleMemory reads how much of a broker is resident some seconds after
// a fresh start with one small topic and nobody connected. The figure under
// load is taken where the load is.
func measureIdleMemory(ctx context.Context, b *bench) error {
	idle := b.report.metric("resident memory, idle", "MiB", memoryGoal)
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.newBroker(s)
		if err != nil {
			return err
		}
		defer br.remove()
		if _, _, err := br.startServing(ctx, "memory", 1); err != nil {
			return err
		}
		if err := pause(ctx, b.sizes.idle); err != nil {
			return err
		}
		now, _, err := residentMiB(br.pid())
		if err != nil {
			return err
		}
		idle.add(s, now)
		b.progress("  %s: %.1f MiB", s.name, now)
		return nil
	})
}
