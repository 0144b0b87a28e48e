package coordinator

// Work is background work in two forms, so that a program without goroutines can drive it step by
// step. The simulation does so: it has one goroutine and simulates time and network.
type Work struct {
	Run func() // does all of it; may block
	// Step does what can be done now, without blocking, and reports whether more is left to do, now or
	// later.
	Step func() (left bool)
}

// Begin begins background work: in a goroutine for which Stop waits or, if there is Config.Drive,
// step by step. It does nothing and returns false once Stop has been called.
func (r *Runtime[E]) Begin(w Work) bool {
	if r.cfg.Drive == nil {
		return r.Go(w.Run)
	}
	r.cfg.Drive(w.Step)
	return true
}
