package tools

import (
	"bufio"
	"context"
	"io"
)

// untilSignal returns a context that ends when the user asks to stop.
func (e *Env) untilSignal() (context.Context, context.CancelFunc) {
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

// untilUnread is untilSignal for a tool that only shows what it reads: its
// context also ends when its output goes nowhere, as after "| head".
func (e *Env) untilUnread() (context.Context, context.CancelFunc) {
	ctx, cancel := e.untilSignal()
	e.Stdout = watchedOutput{e.Stdout, cancel}
	return ctx, cancel
}

// watchedOutput is a writer that reports that a write failed.
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

// unread reports whether something could not be written to out.
func unread(out *bufio.Writer) bool {
	_, err := out.Write(nil)
	return err != nil
}

// interruptible is a reader that ends with io.EOF when a context does, also while
// a Read waits for input.
type interruptible struct {
	ctx    context.Context
	pieces chan piece
	last   piece // what is left of the piece read last
}

// piece is what one Read gave.
type piece struct {
	data []byte
	err  error
}

// newInterruptible reads in from now on; the goroutine for that ends with the
// input's end, or with the first piece read after ctx's.
func newInterruptible(ctx context.Context, in io.Reader) *interruptible {
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
