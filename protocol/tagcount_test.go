package protocol

import (
	"testing"
	"time"
)

// A body with a count of tagged fields larger than its size is refused at once.
func TestAFalseCountOfTagsCostsNoTime(t *testing.T) {
	body := []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}
	done := make(chan error, 1)
	go func() {
		_, err := DecodeRequest(RenewDelegationToken, 2, body)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the body was accepted")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("decoding 14 bytes takes longer than 10 s")
	}
}
