package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The probe finds out, to within some milliseconds, when a starting broker acknowledges its first
// record. It speaks the protocol itself, because client libraries wait far longer between attempts.
// It asks rarely enough not to slow down the start that it measures.
const (
	probeInterval = 5 * time.Millisecond
	probePatience = 5 * time.Second // for one response; a broker may accept connections long before it serves
)

// produceOnce waits until one record is acknowledged on every partition of the topic. It creates
// the topic, if necessary, by requesting its metadata.
func produceOnce(ctx context.Context, br *broker, topic string, partitions int) error {
	var last error
	for {
		err := probeConnection(ctx, br, topic, partitions)
		if err == nil {
			return nil
		}
		if !errors.Is(err, context.Canceled) {
			last = err
		}
		if pause(ctx, probeInterval) != nil {
			return fmt.Errorf("no record was acknowledged by %s: %w", br.address(), last)
		}
	}
}

// probeConnection does the same over one connection and gives up when the connection breaks.
func probeConnection(ctx context.Context, br *broker, topic string, partitions int) error {
	conn, err := br.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for {
		state, err := topicState(conn, topic)
		if err != nil {
			return err
		}
		var led []int32
		for id, p := range state {
			if p.ErrorCode == 0 && p.Leader >= 0 {
				led = append(led, id)
			}
		}
		if len(led) >= partitions {
			acknowledged, err := produceEach(conn, topic, led)
			if err != nil || len(acknowledged) >= partitions {
				return err
			}
		}
		if err := pause(ctx, probeInterval); err != nil {
			return err
		}
	}
}

// exchange sends a request of a version without tagged fields and reads the response.
func exchange(conn net.Conn, request kmsg.Request, response kmsg.Response) error {
	return exchangeWithin(2*probePatience, conn, request, response)
}

// exchangeWithin does the same with another limit for the whole exchange.
func exchangeWithin(limit time.Duration, conn net.Conn, request kmsg.Request, response kmsg.Response) error {
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench-probe")).AppendRequest(nil, request, 1)
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint32(head[:4])) - 4
	if size < 0 || size > 64<<20 {
		return fmt.Errorf("an answer of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	response.SetVersion(request.GetVersion())
	return response.ReadFrom(body)
}
