package controller

import (
	"fmt"
	"strconv"
	"strings"
)

// protocolVersion is inter.broker.protocol.version as numbers that compare:
// major, minor, patch and internal version. Releases before 1.0 have three
// parts in front ("0.10.2-IV0"), later ones two ("3.9-IV0").
type protocolVersion [4]int

// releaseOnly stands for the internal version of a release named without one:
// it means the release's last, so it compares above all of them.
const releaseOnly = 1 << 20

func parseProtocolVersion(text string) (protocolVersion, error) {
	release, internal, named := strings.Cut(text, "-IV")
	v := protocolVersion{3: releaseOnly}
	parts := strings.Split(release, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return v, badProtocolVersion(text)
	}
	for i, part := range parts[:min(3, len(parts))] {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return v, badProtocolVersion(text)
		}
		v[i] = n
	}
	if v[0] > 0 {
		v[2] = 0 // "2.8.1" is 2.8
	}
	if named {
		n, err := strconv.Atoi(internal)
		if err != nil || n < 0 {
			return v, badProtocolVersion(text)
		}
		v[3] = n
	}
	return v, nil
}

func badProtocolVersion(text string) error {
	return fmt.Errorf("inter.broker.protocol.version %q is not a version such as 3.9-IV0 or 2.8", text)
}

func (v protocolVersion) atLeast(major, minor, patch, internal int) bool {
	for i, n := range [...]int{major, minor, patch, internal} {
		if v[i] != n {
			return v[i] > n
		}
	}
	return true
}

// versions is what inter.broker.protocol.version decides for the controller.
// Control requests are sent at exactly these versions, never negotiated.
type versions struct {
	leaderAndISR, stopReplica, updateMetadata int16

	topicIDs       bool // topics without an id get one (2.8-IV0)
	alterPartition bool // leaders change in-sync sets by AlterPartition (2.7-IV2), not in ZooKeeper
	recovery       bool // leader recovery state (3.2-IV0)
	features       bool // finalized features are in force (2.7-IV0)
	featureJSON    int  // version of /feature's JSON: 2 from 3.3-IV0
}

func versionsOf(v protocolVersion) versions {
	return versions{
		leaderAndISR: highest(v, []threshold{{7, 3, 4, 0, 0}, {6, 3, 2, 0, 0}, {5, 2, 8, 0, 1}, {4, 2, 4, 0, 1},
			{3, 2, 4, 0, 0}, {2, 2, 2, 0, 0}, {1, 1, 0, 0, 0}}),
		stopReplica: highest(v, []threshold{{4, 3, 4, 0, 0}, {3, 2, 6, 0, 0}, {2, 2, 4, 0, 1}, {1, 2, 2, 0, 0}}),
		updateMetadata: highest(v, []threshold{{8, 3, 4, 0, 0}, {7, 2, 8, 0, 1}, {6, 2, 4, 0, 1}, {5, 2, 2, 0, 0},
			{4, 1, 0, 0, 0}, {3, 0, 10, 2, 0}, {2, 0, 10, 0, 1}, {1, 0, 9, 0, 0}}),
		topicIDs:       v.atLeast(2, 8, 0, 0),
		alterPartition: v.atLeast(2, 7, 0, 2),
		recovery:       v.atLeast(3, 2, 0, 0),
		features:       v.atLeast(2, 7, 0, 0),
		featureJSON:    int(1 + highest(v, []threshold{{1, 3, 3, 0, 0}})),
	}
}

// threshold says from which protocol version on a request version is used.
type threshold struct {
	version                       int16
	major, minor, patch, internal int
}

// highest returns the version of the first threshold that v reaches, else 0.
func highest(v protocolVersion, thresholds []threshold) int16 {
	for _, t := range thresholds {
		if v.atLeast(t.major, t.minor, t.patch, t.internal) {
			return t.version
		}
	}
	return 0
}
