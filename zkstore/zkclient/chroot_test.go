package zkclient

import (
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
)

// serveReadOnly starts a server that opens a session on each connection, has no nodes, and refuses
// to create any.
func serveReadOnly(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go refuse(c)
		}
	}()
	return l.Addr().String()
}

// refuse serves one connection of serveReadOnly.
func refuse(c net.Conn) {
	defer c.Close()
	const noNode, noAuth = -101, -102
	if _, err := testkit.ReadZooKeeperPacket(c); err != nil {
		return
	}
	opened := binary.BigEndian.AppendUint32(nil, 4+4+8+4+16)
	opened = binary.BigEndian.AppendUint32(opened, 0)    // protocol version
	opened = binary.BigEndian.AppendUint32(opened, 6000) // timeout, ms
	opened = binary.BigEndian.AppendUint64(opened, 1)    // session
	opened = binary.BigEndian.AppendUint32(opened, 16)   // size of the password
	opened = append(opened, make([]byte, 16)...)
	for answer := opened; ; {
		if _, err := c.Write(answer); err != nil {
			return
		}
		request, err := testkit.ReadZooKeeperPacket(c)
		if err != nil {
			return
		}
		code := int32(noNode)
		if binary.BigEndian.Uint32(request[8:]) == testkit.ZooKeeperCreate {
			code = noAuth
		}
		answer = binary.BigEndian.AppendUint32(nil, 4+8+4)
		answer = append(answer, request[4:8]...) // xid
		answer = binary.BigEndian.AppendUint64(answer, 0)
		answer = binary.BigEndian.AppendUint32(answer, uint32(code))
	}
}

func TestOpenFailsIfTheChrootCannotBeCreated(t *testing.T) {
	server := serveReadOnly(t)
	s, err := Open(background(t), Config{Connect: server + "/kafka", CreateChroot: true})
	if !errors.Is(err, zk.ErrNoAuth) || !strings.Contains(err.Error(), "chroot") {
		t.Errorf("error %v", err)
	}
	if err == nil {
		s.Close()
	}
}
