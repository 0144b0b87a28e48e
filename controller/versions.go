package controller

import "github.com/monedula/monedula/settings"

// versions are the protocol versions and abilities that inter.broker.protocol.version determines
// for the controller. Control requests are sent with exactly these versions, without negotiation.
type versions struct {
	leaderAndISR, stopReplica, updateMetadata int16

	topicIDs       bool // topics without an id get one
	alterPartition bool // leaders change in-sync sets with AlterPartition, not in ZooKeeper
	recovery       bool // a leader that was out of sync is marked as recovering
	features       bool // finalized features are enabled
	featureJSON    int  // version of /feature's JSON
}

func versionsOf(ibp settings.IBP) versions {
	return versions{
		leaderAndISR:   reached(ibp, "1.0-IV0", "2.2-IV0", "2.4-IV0", "2.4-IV1", "2.8-IV1", "3.2-IV0", "3.4-IV0"),
		stopReplica:    reached(ibp, "2.2-IV0", "2.4-IV1", "2.6-IV0", "3.4-IV0"),
		updateMetadata: reached(ibp, "0.9.0", "0.10.0-IV1", "0.10.2-IV0", "1.0-IV0", "2.2-IV0", "2.4-IV1", "2.8-IV1", "3.4-IV0"),
		topicIDs:       ibp.AtLeast("2.8-IV0"),
		alterPartition: ibp.AtLeast("2.7-IV2"),
		recovery:       ibp.AtLeast("3.2-IV0"),
		features:       ibp.AtLeast("2.7-IV0"),
		featureJSON:    1 + int(reached(ibp, "3.3-IV0")),
	}
}

// reached returns the number of steps that ibp has reached, which is the request version to use.
func reached(ibp settings.IBP, steps ...string) (version int16) {
	for _, step := range steps {
		if ibp.AtLeast(step) {
			version++
		}
	}
	return version
}
