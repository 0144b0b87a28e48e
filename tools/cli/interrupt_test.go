package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnInterruptibleReaderEndsWhileItWaits(t *testing.T) {
	in, keyboard := io.Pipe()
	ctx, interrupt := context.WithCancel(context.Background())
	r := NewInterruptible(ctx, in)
	go io.WriteString(keyboard, "typed\n")
	buf := make([]byte, 100)
	if n, err := r.Read(buf); string(buf[:n]) != "typed\n" || err != nil {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	interrupt()
	for range 2 {
		if n, err := r.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("after the interrupt: %d bytes, %v", n, err)
		}
	}
}

func TestAnInterruptibleReaderReturnsAllDataAndTheError(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000)
	broken := errors.New("broken")
	got, err := io.ReadAll(NewInterruptible(context.Background(), io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))))
	if string(got) != text || err != broken {
		t.Errorf("%d bytes of %d, %v", len(got), len(text), err)
	}
}
