package peerlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"syscall"

	"github.com/monedula/monedula/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// appendRequest appends the whole frame: size, header, body.
func appendRequest(dst []byte, req kmsg.Request, correlation int32, clientID string) ([]byte, error) {
	if len(clientID) > math.MaxInt16 {
		return nil, fmt.Errorf("client id of %d bytes is too long", len(clientID))
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = protocol.AppendRequestHeader(dst, protocol.RequestHeader{
		Key:           protocol.APIKey(req.Key()),
		Version:       req.GetVersion(),
		CorrelationID: correlation,
		ClientID:      &clientID,
	})
	dst = protocol.AppendRequest(dst, req)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst, nil
}

// readFrame reads one size-prefixed response into buf, or into a larger buffer if it does not fit.
// The buffer grows with the bytes that arrive, not with the announced size.
func readFrame(r io.Reader, sizeMax int, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 || size > sizeMax {
		return nil, &FrameSizeError{Head: head, most: sizeMax}
	}
	const step = 64 << 10
	for buf = buf[:0]; len(buf) < size; {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(size, max(step, 4*cap(buf)))), buf...)
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), size)])
		buf = buf[:len(buf)+n]
		if err != nil && len(buf) < size {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

// FrameSizeError is the error for a response whose size is not possible. The other side is probably
// not a broker.
type FrameSizeError struct {
	Head [4]byte // the first bytes of the response
	most int
}

func (e *FrameSizeError) Error() string {
	return fmt.Sprintf("answer of %d bytes; at most %d are accepted", int32(binary.BigEndian.Uint32(e.Head[:])), e.most)
}

// decodeResponse decodes the response to req.
func decodeResponse(frame []byte, req kmsg.Request, correlation int32) (kmsg.Response, error) {
	key := protocol.APIKey(req.Key())
	got, body, err := protocol.ParseResponseHeader(frame, key, req.GetVersion())
	if err != nil {
		return nil, err
	}
	if got != correlation {
		return nil, fmt.Errorf("answer to correlation id %d, expected %d", got, correlation)
	}
	resp := emptyAnswer(req)
	if key == protocol.ApiVersions {
		return resp, readAPIVersions(resp, body)
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("answer to %s v%d: %w", key, req.GetVersion(), err)
	}
	return resp, nil
}

// readAPIVersions decodes the response at the requested version, or at version 0 if it says
// UNSUPPORTED_VERSION, because such a refusal always has version 0.
func readAPIVersions(resp kmsg.Response, body []byte) error {
	if len(body) >= 2 && protocol.ErrorCode(binary.BigEndian.Uint16(body)) == protocol.UnsupportedVersion {
		resp.SetVersion(0)
		if len(body) == 2 { // some brokers leave the list out
			body = append(body[:2:2], 0, 0, 0, 0)
		}
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("answer to ApiVersions: %w", err)
	}
	return nil
}

func emptyAnswer(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp
}

// stale reports, without blocking, whether the peer closed an idle connection or sent bytes on it
// that were not requested. So no request fails only because the broker closed an idle connection.
// Connections that are not sockets are never stale.
func stale(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	bad := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		bad = n >= 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return bad || err != nil
}
