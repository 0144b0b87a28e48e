package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestLoggersPrintWarningsOnly(t *testing.T) {
	var errs bytes.Buffer
	log := (&Env{Stderr: &errs}).Logger("org.apache.kafka.Test")
	log.Info("all is well")
	log.Warn("something is odd")
	log.WithError(errors.New("java.io.IOException: no space")).Error("it failed")
	lines := strings.Split(errs.String(), "\n")
	if len(lines) < 3 || !strings.HasSuffix(lines[0], "] WARN something is odd (org.apache.kafka.Test)") || !strings.Contains(errs.String(), "ERROR it failed") || strings.Contains(errs.String(), "all is well") {
		t.Errorf("%s", errs.String())
	}
}

func TestMillisecondsBecomeDurations(t *testing.T) {
	for ms, want := range map[int64]time.Duration{0: 0, 5: 5 * time.Millisecond, -1: -time.Millisecond, math.MaxInt64: math.MaxInt64 / time.Millisecond * time.Millisecond} {
		if have := Millis(ms); have != want {
			t.Errorf("%d ms: %v, want %v", ms, have, want)
		}
	}
}

func TestContextsEndWithTheInterrupt(t *testing.T) {
	interrupt := make(chan struct{})
	env := &Env{Interrupted: func() <-chan struct{} { return interrupt }}
	ctx, cancel := env.UntilSignal()
	defer cancel()
	if ctx.Err() != nil {
		t.Error("the context has ended at once")
	}
	close(interrupt)
	<-ctx.Done()
	free, stop := (&Env{}).UntilSignal()
	if free.Err() != nil {
		t.Error("without interrupts, the context has ended")
	}
	stop()
	<-free.Done()
}

// brokenPipe fails after some bytes.
type brokenPipe struct{ left int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// A tool that only prints must end when nothing reads its output any longer.
func TestContextsEndWithTheOutput(t *testing.T) {
	env := &Env{Stdout: &brokenPipe{left: 4}}
	ctx, cancel := env.UntilUnread()
	defer cancel()
	env.Printf("abcd")
	if ctx.Err() != nil {
		t.Error("the context has ended before the output")
	}
	env.Println("more")
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error(ctx.Err())
	}
	out := bufio.NewWriterSize(&brokenPipe{}, 16)
	if OutputFailed(out) {
		t.Error("an unused output has failed")
	}
	out.WriteString(strings.Repeat("x", 100))
	if !OutputFailed(out) {
		t.Error("the failure is not noticed")
	}
}
