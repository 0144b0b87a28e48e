package cli

import (
	"bufio"
	"context"
	"io"
)

// UntilSignal returns a context that is canceled when the user asks the tool to stop.
func (e *Env) UntilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if e.Interrupted == nil {
		return ctx, cancel
	}
	interrupted := e.Interrupted()
	go func() {
		select {
		case <-interrupted:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// UntilUnread is like UntilSignal, for a tool that only prints what it reads. Its context is also
// canceled when its output can no longer be written, as after "| head".
func (e *Env) UntilUnread() (context.Context, context.CancelFunc) {
	ctx, cancel := e.UntilSignal()
	e.Stdout = watchedOutput{e.Stdout, cancel}
	return ctx, cancel
}

// watchedOutput is a writer that calls failed if a write fails.
type watchedOutput struct {
	io.Writer
	failed func()
}

func (w watchedOutput) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.failed()
	}
	return n, err
}

// OutputFailed reports whether a write to out has failed.
func OutputFailed(out *bufio.Writer) bool {
	_, err := out.Write(nil)
	return err != nil
}

// interruptible is a reader that returns io.EOF once a context is done, even while a Read is
// waiting for input.
type interruptible struct {
	ctx    context.Context
	pieces chan piece
	last   piece // unread rest of the last piece
}

// piece is the result of one Read.
type piece struct {
	data []byte
	err  error
}

// NewInterruptible starts a goroutine that reads in. The goroutine ends at the end of the input, or
// with the first piece that it reads after ctx is done.
func NewInterruptible(ctx context.Context, in io.Reader) io.Reader {
	r := &interruptible{ctx: ctx, pieces: make(chan piece)}
	go func() {
		for {
			buf := make([]byte, 64<<10)
			n, err := in.Read(buf)
			select {
			case r.pieces <- piece{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return r
}

func (r *interruptible) Read(b []byte) (int, error) {
	for len(r.last.data) == 0 {
		if r.last.err != nil {
			return 0, r.last.err
		}
		select {
		case r.last = <-r.pieces:
		case <-r.ctx.Done():
			r.last.err = io.EOF
		}
	}
	n := copy(b, r.last.data)
	r.last.data = r.last.data[n:]
	return n, nil
}
