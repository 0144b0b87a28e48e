package check

import (
	"fmt"
	"slices"

	"github.com/monedula/monedula/internal/findings"
)

// replicationFactors are the keys of replication factors, with what fails if there are too few
// brokers, and with what is lost with a single replica.
var replicationFactors = []struct{ key, topic, fails string }{
	{"offsets.topic.replication.factor", "__consumer_offsets", "consumers with a group wait without an end"},
	{"transaction.state.log.replication.factor", "__transaction_state", "transactional producers wait without an end"},
	{"default.replication.factor", "a topic with the default number of replicas", ""},
}

// checkReplication finds contradictions between replication factors, in-sync replicas and the
// number of brokers.
func (d *document) checkReplication() {
	d.checkFactors()
	if n, ok := d.numbers("min.insync.replicas", "default.replication.factor", "offsets.topic.replication.factor"); ok {
		d.checkInSync(n[0], n[1], n[2])
	}
	if n, ok := d.numbers("transaction.state.log.min.isr", "transaction.state.log.replication.factor"); ok && n[0] > n[1] {
		d.error(d.lastOf("transaction.state.log.min.isr", "transaction.state.log.replication.factor"), note{"min-isr-transactions",
			fmt.Sprintf("transaction.state.log.min.isr=%d is above transaction.state.log.replication.factor=%d, so no transaction can begin", n[0], n[1]),
			fmt.Sprintf("Set transaction.state.log.min.isr to at most %d.", max(1, n[1]-1))})
	}
	if d.is("unclean.leader.election.enable", true) {
		d.warn("unclean.leader.election.enable", note{"unclean-election", "with unclean.leader.election.enable=true acknowledged records can be lost, because a replica that is behind may become leader",
			"Remove the line, and set it only for topics whose availability matters more than their data."})
	}
	if d.is("controlled.shutdown.enable", false) {
		d.warn("controlled.shutdown.enable", note{"uncontrolled-shutdown", "with controlled.shutdown.enable=false every restart interrupts the partitions that the broker leads", "Remove the line."})
	}
	if d.is("delete.topic.enable", false) {
		d.remark("delete.topic.enable", note{"no-deletion", "topics cannot be deleted (delete.topic.enable=false)", ""})
	}
	if n, ok := d.number("offsets.commit.required.acks"); ok && n != -1 {
		d.warn("offsets.commit.required.acks", note{"commit-acks", fmt.Sprintf("with offsets.commit.required.acks=%d committed offsets can be lost", n), "Remove the line for the default -1."})
	}
}

// checkFactors compares the replication factors with the number of brokers. If it is unknown, a
// broker whose ZooKeeper and listeners are on its own machine counts as the only one.
func (d *document) checkFactors() {
	for _, f := range replicationFactors {
		n, ok := d.number(f.key)
		switch {
		case !ok:
		case d.brokers > 0 && n > int64(d.brokers):
			text := fmt.Sprintf("%s=%d needs more brokers than the cluster has (%d): %s cannot be created", f.key, n, d.brokers, f.topic)
			if f.fails != "" {
				text += ", and " + f.fails
			}
			remedy := fmt.Sprintf("Set %s=%d, or start more brokers.", f.key, d.brokers)
			if d.counted {
				remedy += " If there are more brokers than files, give their number with --brokers."
			}
			d.error(f.key, note{"replication-factor", text, remedy})
		case d.brokers == 0 && n > 1 && d.isDevelopment() && f.key != "default.replication.factor":
			severity, text := findings.Remark, fmt.Sprintf("%s=%d needs %d brokers; with fewer %s cannot be created, and %s", f.key, n, n, f.topic, f.fails)
			d.report(severity, f.key, note{"replication-factor", text, fmt.Sprintf("Set %s=1 for a single broker.", f.key)})
		case d.brokers > 1 && n == 1 && d.isGiven(f.key):
			d.warn(f.key, note{"single-replica", fmt.Sprintf("%s=1 in a cluster of %d brokers: the loss of one broker loses data of %s", f.key, d.brokers, f.topic),
				fmt.Sprintf("Set %s=%d. Topics that exist keep their replicas; add some with bin/kafka-reassign-partitions.sh.", f.key, min(3, d.brokers))})
		}
	}
}

// checkInSync compares min.insync.replicas with replication factors.
func (d *document) checkInSync(least, usual, offsets int64) {
	key := "min.insync.replicas"
	switch {
	case least > usual && usual > 0:
		d.warn(d.lastOf(key, "default.replication.factor"), note{"min-isr", fmt.Sprintf("min.insync.replicas=%d is above default.replication.factor=%d: topics with the default number of replicas refuse every record with acks=all", least, usual),
			fmt.Sprintf("Set default.replication.factor=%d, or min.insync.replicas to at most %d.", least+1, max(1, usual-1))})
	case least == usual && least > 1:
		d.warn(key, note{"min-isr-equal", fmt.Sprintf("min.insync.replicas equals default.replication.factor (%d): with one broker down, topics refuse every record with acks=all", least),
			fmt.Sprintf("Set min.insync.replicas=%d.", least-1)})
	}
	if least > offsets {
		d.error(d.lastOf(key, "offsets.topic.replication.factor"), note{"min-isr-offsets", fmt.Sprintf("min.insync.replicas=%d is above offsets.topic.replication.factor=%d: __consumer_offsets accepts no record, and consumers cannot join a group", least, offsets),
			fmt.Sprintf("Set offsets.topic.replication.factor=%d, or min.insync.replicas to at most %d.", least+1, offsets)})
	}
}

// checkGroups finds contradictions between the limits of groups.
func (d *document) checkGroups() {
	if n, ok := d.numbers("group.min.session.timeout.ms", "group.max.session.timeout.ms"); ok {
		const consumers = 45 * inSeconds // session.timeout.ms of Java consumers since 3.0
		switch {
		case n[0] > n[1]:
			d.error("group.min.session.timeout.ms", note{"session-timeouts", fmt.Sprintf("group.min.session.timeout.ms=%d is above group.max.session.timeout.ms=%d, so no consumer can join a group", n[0], n[1]),
				"Exchange the values, or remove the lines for the defaults 6000 and 1800000."})
		case n[0] > consumers || n[1] < consumers:
			key := "group.max.session.timeout.ms"
			if n[0] > consumers {
				key = "group.min.session.timeout.ms"
			}
			d.warn(key, note{"session-timeouts", fmt.Sprintf("consumers with the default session.timeout.ms=45000 are refused, because they may have %d to %d", n[0], n[1]),
				"Remove the line for the default, or set session.timeout.ms in the consumers."})
		}
	}
	retention, limited := d.retentionMs()
	minutes, ok := d.number("offsets.retention.minutes")
	if ok && d.isGiven("offsets.retention.minutes") && minutes >= inDays/inMinutes && (!limited || minutes*inMinutes < retention) {
		d.remark("offsets.retention.minutes", note{"offsets-retention", "records are kept longer than the offsets of stopped groups: such a group begins again at auto.offset.reset, and may read all records again or miss some",
			"Set offsets.retention.minutes at least as long as the retention of logs."})
	}
}

// across compares the files of several brokers of one cluster.
func across(documents []*document) {
	for i, d := range documents {
		for _, other := range documents[:i] {
			d.compare(other)
		}
	}
	racks := map[bool][]*document{}
	for _, d := range documents {
		with := d.text("broker.rack") != ""
		racks[with] = append(racks[with], d)
	}
	if len(racks[true]) > 0 && len(racks[false]) > 0 {
		for _, d := range racks[false] {
			d.warn("broker.rack", note{"rack-missing", "broker.rack is not set, but the other brokers have racks: topics cannot be created unless their replicas are named",
				"Set broker.rack on all brokers, or on none."})
		}
	}
}

// sameEverywhere are keys that must have the same value on all brokers of a cluster, with the
// reason.
var sameEverywhere = []struct{ key, why string }{
	{"zookeeper.connect", "brokers with different values form different clusters"},
	{"offsets.topic.num.partitions", "brokers compute the coordinator of a group from it"},
	{"transaction.state.log.num.partitions", "brokers compute the coordinator of a transactional id from it"},
	{"inter.broker.protocol.version", "it must differ only during an upgrade"},
	{"inter.broker.listener.name", "a broker connects to the others by the listener that it names itself"},
	{"message.max.bytes", "a batch that the leader accepts may be refused elsewhere after a change of the leader"},
	{"unclean.leader.election.enable", "it depends on the controller then"},
	{"auto.create.topics.enable", "it depends on the broker that a client asks"},
	{"min.insync.replicas", "it depends on the leader of a partition then"},
	{"default.replication.factor", "it depends on the broker that creates a topic then"},
}

// compare adds to d what its file has in common with another one and should not, or should have and
// has not.
func (d *document) compare(other *document) {
	const id = "broker.id"
	if mine, theirs := d.text(id), other.text(id); d.isGiven(id) && other.isGiven(id) && mine == theirs && mine != "-1" {
		d.error(id, note{"same-id", fmt.Sprintf("broker.id=%s is also that of %s; the broker that starts second is refused", mine, other.Name), "Give each broker an id of its own."})
	}
	for _, same := range sameEverywhere {
		if mine, theirs := d.text(same.key), other.text(same.key); mine != theirs {
			d.warn(same.key, note{"differs", fmt.Sprintf("%s differs from %s (%s): %s", same.key, other.Name, quoted(theirs), same.why), "Set the same value on all brokers."})
		}
	}
	certain := d.sharesMachine(other)
	report := func(key string, n note) {
		switch {
		case certain:
			d.error(key, n)
		case !d.isElsewhere(other):
			n.remedy += " If the brokers run on different machines, nothing is wrong."
			d.remark(key, n)
		}
	}
	for _, mine := range d.bound() {
		for _, theirs := range other.bound() {
			if mine.port == theirs.port && mine.port != 0 {
				report("listeners", note{"same-port", fmt.Sprintf("port %d is also that of %s", mine.port, other.Name), "Give each broker on a machine ports of its own."})
			}
		}
	}
	key, mine := d.directories()
	_, theirs := other.directories()
	for _, dir := range mine {
		if slices.Contains(theirs, dir) {
			report(key, note{"same-directory", fmt.Sprintf("%s is also a log directory of %s", dir, other.Name), "Give each broker on a machine directories of its own."})
		}
	}
}

func quoted(text string) string {
	if text == "" {
		return "not set"
	}
	return text
}

// hosts returns the hosts that the broker binds or advertises, without those that do not name a
// machine.
func (d *document) hosts() (hosts []string) {
	for _, e := range slices.Concat(d.bound(), d.advertised()) {
		if e.host != "" && e.host != "0.0.0.0" && e.host != "::" {
			hosts = append(hosts, e.host)
		}
	}
	return hosts
}

// sharesMachine reports whether two brokers are certainly on one machine: they have a host in
// common, or their ZooKeeper is on their own machine and not with any other broker's.
func (d *document) sharesMachine(other *document) bool {
	theirs := other.hosts()
	return slices.ContainsFunc(d.hosts(), func(host string) bool { return slices.Contains(theirs, host) }) ||
		d.isDevelopment() && other.isDevelopment()
}

// isElsewhere reports whether two brokers are certainly on different machines: both name hosts, and
// have none in common.
func (d *document) isElsewhere(other *document) bool {
	return len(d.hosts()) > 0 && len(other.hosts()) > 0 && !d.sharesMachine(other)
}
