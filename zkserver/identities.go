package zkserver

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// passwordLength is the length of the password of a session in bytes.
const passwordLength = 16

// passwordOf returns the password with which a client proves that a session is its own. As in Apache
// ZooKeeper it is computed from the id, with java.util.Random, so sessions survive a change of the
// program.
func passwordOf(session int64) []byte {
	const secret, multiplier, mask = 0xB3415C00, 0x5DEECE66D, 1<<48 - 1
	seed := (uint64(session) ^ secret ^ multiplier) & mask
	password := make([]byte, 0, passwordLength)
	for range passwordLength / 4 {
		seed = (seed*multiplier + 0xB) & mask
		password = binary.LittleEndian.AppendUint32(password, uint32(seed>>16))
	}
	return password
}

func isPassword(password []byte, session int64) bool {
	return subtle.ConstantTimeCompare(password, passwordOf(session)) == 1
}

// addressID returns the identity that a client has because of its address.
func addressID(addr net.Addr) jute.ID {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		host = addr.String()
	}
	return jute.ID{Scheme: "ip", ID: host}
}

// digestOf returns the identity of a user with a password: user:base64(sha1(user:password)).
func digestOf(userAndPassword string) string {
	user, _, _ := strings.Cut(userAndPassword, ":")
	sum := sha1.Sum([]byte(userAndPassword))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

// authenticate adds the identity of an AuthPacket to a client. It reports whether the scheme exists.
func (m *machine) authenticate(c *client, packet *jute.AuthPacket) bool {
	switch packet.Scheme {
	case "digest":
		digest := digestOf(string(packet.Auth))
		if digest == m.config.SuperDigest {
			c.addID(jute.ID{Scheme: "super"})
		}
		c.addID(jute.ID{Scheme: "digest", ID: digest})
	case "ip":
		c.addID(c.address)
	default:
		return false
	}
	m.tree.Identify(c.session, c.ids)
	return true
}

func (c *client) addID(id jute.ID) {
	for _, known := range c.ids {
		if known == id {
			return
		}
	}
	c.ids = append(c.ids, id)
}

// userOf returns what is shown of an identity.
func userOf(id jute.ID) jute.ID {
	if id.Scheme == "digest" {
		id.ID, _, _ = strings.Cut(id.ID, ":")
	}
	return id
}
