package memnet

import (
	"encoding/binary"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// Answering returns a connection to a broker that answers each request with the response that answer
// returns. If that is nil, the broker closes the connection. It panics if a request does not parse.
func Answering(answer func(kmsg.Request) kmsg.Response) net.Conn {
	client, server := net.Pipe()
	go serve(server, answer)
	return client
}

func serve(conn net.Conn, answer func(kmsg.Request) kmsg.Response) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		h, body, err := protocol.ParseRequestHeader(frame)
		if err != nil {
			panic(err)
		}
		req, err := protocol.DecodeRequest(h.Key, h.Version, body)
		if err != nil {
			panic(err)
		}
		resp := answer(req)
		if resp == nil {
			return
		}
		resp.SetVersion(h.Version)
		out := protocol.AppendResponse(make([]byte, 4), h.CorrelationID, resp)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}
