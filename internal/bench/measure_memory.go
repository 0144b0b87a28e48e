package main

import "context"

// memoryGoal is the goal for our resident memory as a share of the original's.
var memoryGoal = goal{ratio: 0.1}

// measureIdleMemory reads the resident memory of a broker some seconds after a new start, with one
// small topic and no connections. The memory under load is measured by measureThroughput.
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
