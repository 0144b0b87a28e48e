package network

// Software names a client library and its version, as clients report them in ApiVersions v3 and
// later (KIP-511).
type Software struct{ Name, Version string }

// unknownSoftware is what Kafka reports for clients that have not said what they are.
var unknownSoftware = Software{"unknown", "unknown"}

// OtherSoftware counts the connections of all libraries beyond the first softwareMax.
var OtherSoftware = Software{"other", "other"}

// softwareMax is the largest number of libraries that are counted separately, because clients
// choose the names.
const softwareMax = 50

// noteSoftware makes the peer's software visible to other goroutines. It runs in the goroutine that
// serves the connection.
func (c *conn) noteSoftware() {
	if c.peer.SoftwareName == "" {
		return
	}
	now := Software{c.peer.SoftwareName, c.peer.SoftwareVersion}
	if last := c.software.Load(); last == nil || *last != now {
		c.software.Store(&now)
	}
}

// SoftwareCounts returns the number of open connections by listener and by the software of the
// client.
func (s *Server) SoftwareCounts() map[string]map[Software]int {
	counts, known := map[string]map[Software]int{}, map[Software]bool{}
	s.each(func(c *conn) {
		software := unknownSoftware
		if reported := c.software.Load(); reported != nil {
			software = *reported
		}
		if !known[software] && len(known) >= softwareMax {
			software = OtherSoftware
		}
		known[software] = true
		if counts[c.listener.Name] == nil {
			counts[c.listener.Name] = map[Software]int{}
		}
		counts[c.listener.Name][software]++
	})
	return counts
}
