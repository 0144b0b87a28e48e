package testkit

import (
	"encoding/binary"
	"math"
	"sync"
)

// frames finds the frames in a stream of Kafka's protocol. A frame is a size of four bytes and that
// many bytes.
type frames struct {
	head []byte // of the current frame, with its size, until it is complete
	rest int    // bytes of the current frame after its head
}

// How many bytes a head has at most: enough for the correlation id of an answer, and for the client
// id of a request.
const (
	answerHead  = 8
	requestHead = 128
)

// scan passes the head of each frame to begin, when it has size bytes or is the whole frame. It ends
// if begin returns false, and returns how many bytes of data precede that frame, otherwise all.
func (f *frames) scan(data []byte, size int, begin func(head []byte) bool) (before int, ended bool) {
	for at := 0; at < len(data); {
		if f.rest > 0 {
			skipped := min(f.rest, len(data)-at)
			at, f.rest = at+skipped, f.rest-skipped
			continue
		}
		taken := min(f.missing(size), len(data)-at)
		f.head = append(f.head, data[at:at+taken]...)
		if at += taken; f.missing(size) > 0 {
			continue
		}
		if !begin(f.head) {
			return max(at-len(f.head), 0), true
		}
		if f.rest = f.length() - len(f.head); f.rest < 0 { // not Kafka's protocol
			f.rest = math.MaxInt
		}
		f.head = f.head[:0]
	}
	return len(data), false
}

// length returns the length of the current frame with its size, which must be known.
func (f *frames) length() int { return 4 + int(int32(binary.BigEndian.Uint32(f.head))) }

// missing returns how many bytes the current head still lacks as far as that is known.
func (f *frames) missing(size int) int {
	if len(f.head) < 4 {
		return 4 - len(f.head)
	}
	return min(size, f.length()) - len(f.head)
}

// calls is what is known of the requests on one connection.
type calls struct {
	mu     sync.Mutex // guards the fields below
	any    bool       // there was a request
	client string     // the client id of the first request
	keys   map[uint32]int16
}

// begin notes a request by its head.
func (c *calls) begin(head []byte) bool {
	if len(head) < 12 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = map[uint32]int16{}
	}
	c.keys[binary.BigEndian.Uint32(head[8:])] = int16(binary.BigEndian.Uint16(head[4:]))
	if !c.any && len(head) >= 14 {
		if end := 14 + int(int16(binary.BigEndian.Uint16(head[12:]))); end >= 14 && end <= len(head) {
			c.client = string(head[14:end])
		}
	}
	c.any = true
	return true
}

// end returns the key of the request that an answer belongs to, by the head of the answer. It
// returns -1 if there is none.
func (c *calls) end(head []byte) int16 {
	if len(head) < answerHead {
		return -1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := binary.BigEndian.Uint32(head[4:])
	key, known := c.keys[id]
	if !known {
		return -1
	}
	delete(c.keys, id)
	return key
}

// clientID returns the client id of the first request.
func (c *calls) clientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client
}
