package peerlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"syscall"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// appendRequest appends the whole frame: size, header, body.
func appendRequest(dst []byte, req kmsg.Request, correlation int32, clientID string) ([]byte, error) {
	if len(clientID) > math.MaxInt16 {
		return nil, fmt.Errorf("client id of %d bytes is too long", len(clientID))
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	if req.Key() != int16(kmsg.ControlledShutdown) || req.GetVersion() > 0 { // that one's header has no client id
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(clientID)))
		dst = append(dst, clientID...)
	}
	if req.IsFlexible() {
		dst = append(dst, 0) // no tags
	}
	dst = appendBody(dst, req)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst, nil
}

// appendBody appends the request as Kafka reads it. kmsg writes the flag that
// KRaft added to StopReplica v4 one field too late.
func appendBody(dst []byte, req kmsg.Request) []byte {
	stop, ok := req.(*kmsg.StopReplicaRequest)
	if !ok || stop.Version < 4 {
		return req.AppendTo(dst)
	}
	at := len(dst)
	dst = stop.AppendTo(dst)
	// kmsg: controller id (4), controller epoch (4), flag (1); Kafka: id, flag, epoch.
	flag := dst[at+8]
	copy(dst[at+5:at+9], dst[at+4:at+8])
	dst[at+4] = flag
	return dst
}

// readFrame reads one size-prefixed answer; memory grows as bytes arrive, not
// as the size claims.
func readFrame(r io.Reader, sizeMax int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 || size > int64(sizeMax) {
		return nil, fmt.Errorf("answer of %d bytes; at most %d are accepted", size, sizeMax)
	}
	const step = 64 << 10
	var buf bytes.Buffer
	buf.Grow(int(min(size, step)))
	if _, err := io.CopyN(&buf, r, size); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf.Bytes(), nil
}

// decodeResponse reads the answer to req; the header's version follows the
// request's, but for ApiVersions, whose header never has tags.
func decodeResponse(frame []byte, req kmsg.Request, correlation int32) (kmsg.Response, error) {
	got := int32(binary.BigEndian.Uint32(frame))
	if got != correlation {
		return nil, fmt.Errorf("answer to correlation id %d, expected %d", got, correlation)
	}
	body := frame[4:]
	resp := emptyAnswer(req)
	if req.Key() == int16(kmsg.ApiVersions) {
		return resp, readAPIVersions(resp, body)
	}
	if resp.IsFlexible() {
		var err error
		if body, err = skipTags(body); err != nil {
			return nil, err
		}
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("answer to %s v%d: %w", kmsg.Key(req.Key()).Name(), req.GetVersion(), err)
	}
	return resp, nil
}

// readAPIVersions reads the answer at the version asked, or at version 0 if
// that says UNSUPPORTED_VERSION: such a refusal always comes in version 0.
func readAPIVersions(resp kmsg.Response, body []byte) error {
	const unsupportedVersion = 35
	if len(body) >= 2 && binary.BigEndian.Uint16(body) == unsupportedVersion {
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

var errTags = errors.New("answer header: bad tagged fields")

func skipTags(b []byte) ([]byte, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, errTags
	}
	b = b[n:]
	for ; count > 0; count-- {
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errTags
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errTags
		}
		b = b[n+int(size):]
	}
	return b, nil
}

// stale says whether an idle connection was closed by the far side, or has
// bytes on it that nobody asked for, without blocking. So a request is not
// lost only because the broker closed an idle connection. Connections that are
// no sockets are taken as good.
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
