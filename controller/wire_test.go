package controller

import (
	"encoding/binary"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// readRequest reads one request frame from a controller.
func readRequest(r io.Reader) (req kmsg.Request, correlation int32, err error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, 0, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, 0, err
	}
	header, body, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		return nil, 0, err
	}
	req, err = protocol.DecodeRequest(header.Key, header.Version, body)
	return req, header.CorrelationID, err
}

func writeResponse(conn net.Conn, correlation int32, resp kmsg.Response) error {
	answer := protocol.AppendResponse(make([]byte, 4), correlation, resp)
	binary.BigEndian.PutUint32(answer, uint32(len(answer)-4))
	_, err := conn.Write(answer)
	return err
}
