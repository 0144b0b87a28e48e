package check

import (
	"fmt"
	"strings"
)

// usual is the range of values of a key that make sense. Values outside it are accepted, but were
// probably meant in another unit.
type usual struct {
	key       string
	low, high float64 // 0: no bound
	ifLow     meaning // what a smaller value was probably meant as
	ifHigh    meaning
	why       string // what happens with the value; may be empty
}

// meaning is a unit in which a value was probably meant, the factor that converts it to the unit of
// the key, and the largest value that was probably meant so; 0 for no limit. The zero value is none.
type meaning struct {
	unit   string
	factor float64
	most   int64
}

var (
	asSeconds = meaning{"seconds", 1000, 0}
	asHours   = meaning{"hours", inHours, 1000}
	asMiB     = meaning{"MiB", 1 << 20, 4096}
	asGiB     = meaning{"GiB", 1 << 30, 10000}
)

const tenYears = 10 * 365 * inDays

var usualValues = []usual{
	{key: "log.retention.ms", low: inMinutes, high: tenYears, ifLow: asHours, why: "older records are deleted"},
	{key: "log.retention.minutes", high: tenYears / inMinutes, ifHigh: meaning{"ms", 1. / inMinutes, 0}, why: "records are practically never deleted"},
	{key: "log.retention.hours", high: tenYears / inHours, ifHigh: meaning{"ms", 1. / inHours, 0}, why: "records are practically never deleted"},
	{key: "log.retention.bytes", low: 1 << 20, ifLow: asGiB, why: "almost all of each partition is deleted"},
	{key: "log.roll.ms", low: inMinutes, high: tenYears, ifLow: asHours, why: "every partition gets a new segment that often"},
	{key: "log.roll.hours", high: tenYears / inHours, ifHigh: meaning{"ms", 1. / inHours, 0}},
	{key: "log.segment.bytes", low: 1 << 20, ifLow: asMiB, why: "a partition has very many small files"},
	{key: "log.retention.check.interval.ms", low: inSeconds, high: inDays, ifLow: asSeconds},
	{key: "log.segment.delete.delay.ms", high: inDays, why: "deleted files occupy the disk for that long"},
	{key: "log.cleaner.delete.retention.ms", low: inMinutes, ifLow: asHours, why: "a consumer that is slower than that misses deletions"},
	{key: "log.index.size.max.bytes", low: 10 << 10, why: "segments are rolled whenever their index is full"},
	{key: "zookeeper.session.timeout.ms", low: 2 * inSeconds, high: 2 * inMinutes, ifLow: asSeconds, why: "brokers lose their session at short pauses, or stay registered long after they have died"},
	{key: "zookeeper.connection.timeout.ms", low: inSeconds, high: 10 * inMinutes, ifLow: asSeconds},
	{key: "request.timeout.ms", low: inSeconds, high: 10 * inMinutes, ifLow: asSeconds},
	{key: "controller.socket.timeout.ms", low: inSeconds, high: 10 * inMinutes, ifLow: asSeconds},
	{key: "replica.socket.timeout.ms", low: inSeconds, high: 10 * inMinutes, ifLow: asSeconds},
	{key: "replica.lag.time.max.ms", low: 2 * inSeconds, high: 10 * inMinutes, ifLow: asSeconds, why: "followers leave the in-sync replicas at short pauses, or stay in it while they lag"},
	{key: "connections.max.idle.ms", low: 10 * inSeconds, ifLow: asSeconds, why: "clients have to connect again all the time"},
	{key: "group.initial.rebalance.delay.ms", high: inMinutes, why: "a new group waits that long before it reads anything"},
	{key: "offsets.retention.minutes", low: inDays / inMinutes, high: tenYears / inMinutes, ifLow: meaning{"days", inDays / inMinutes, 400}, why: "a group that is stopped for longer loses its position"},
	{key: "transaction.max.timeout.ms", low: inMinutes, high: inDays, ifLow: asSeconds, why: "producers with the default transaction.timeout.ms of 60000 are refused if it is below that"},
	{key: "transactional.id.expiration.ms", low: inHours, ifLow: asHours},
	{key: "message.max.bytes", low: 10 << 10, high: 100 << 20, ifLow: asMiB},
	{key: "socket.request.max.bytes", low: 1 << 20, ifLow: asMiB, why: "larger requests close the connection"},
	{key: "fetch.max.bytes", low: 1 << 20, ifLow: asMiB},
	{key: "replica.fetch.max.bytes", low: 10 << 10, ifLow: asMiB},
	{key: "num.partitions", high: 1000, why: "every topic that is created automatically gets that many partitions"},
	{key: "default.replication.factor", high: 10, why: "every topic needs that many brokers"},
	{key: "offsets.topic.replication.factor", high: 10, why: "the topic needs that many brokers"},
	{key: "offsets.topic.num.partitions", high: 1000},
	{key: "num.replica.fetchers", high: 64, why: "a broker opens that many connections to each other broker"},
	{key: "num.recovery.threads.per.data.dir", high: 256},
	{key: "max.connections.per.ip", low: 10, why: "a client opens several connections, and clients behind one address share the limit"},
	{key: "max.connections", low: 100},
	{key: "leader.imbalance.check.interval.seconds", high: inDays / inSeconds, ifHigh: meaning{"ms", 1. / inSeconds, 0}},
}

// checkPlausible finds values that are accepted but outside the usual range. Only given values are
// examined; -1 and other negative values mean no limit.
func (d *document) checkPlausible() {
	for _, u := range usualValues {
		if !d.isGiven(u.key) {
			continue
		}
		n, ok := d.number(u.key)
		if !ok || n < 0 || n == 0 && u.key != "log.retention.bytes" {
			continue
		}
		value := float64(n)
		switch {
		case value < u.low:
			d.warn(u.key, u.note(n, "less than the usual least of "+human(u.key, u.low), u.ifLow))
		case u.high > 0 && value > u.high:
			d.warn(u.key, u.note(n, "more than the usual most of "+human(u.key, u.high), u.ifHigh))
		}
	}
}

func (u usual) note(n int64, comparison string, meant meaning) note {
	text := fmt.Sprintf("%s=%d is %s, %s", u.key, n, human(u.key, float64(n)), comparison)
	if text = strings.Replace(text, fmt.Sprintf(" is %d,", n), " is", 1); u.why != "" {
		text += ": " + u.why
	}
	remedy := "Check the unit and the value, or remove the line" + orDefault(u.key) + "."
	converted := float64(n) * meant.factor
	instead := fmt.Sprintf("%.0f", converted)
	_, err := known(u.key).Parse(instead)
	if err == nil && (meant.most == 0 || n <= meant.most) && converted >= max(1, u.low) && (u.high == 0 || converted <= u.high) {
		remedy = fmt.Sprintf("If %d %s were meant, write %s=%s.", n, meant.unit, u.key, instead)
	}
	return note{"unlikely-value", text, remedy}
}

// orDefault ends a sentence about the removal of a line with the default of the key.
func orDefault(key string) string {
	if text, ok := known(key).DefaultText(); ok {
		return " for the default " + text
	}
	return ""
}

// human formats the value of a key with its unit, which follows from the end of its name.
func human(key string, n float64) string {
	for _, unit := range []struct {
		suffix string
		ms     float64
	}{{".ms", inMs}, {".seconds", inSeconds}, {".minutes", inMinutes}, {".hours", inHours}} {
		if strings.HasSuffix(key, unit.suffix) {
			return duration(n * unit.ms)
		}
	}
	if strings.HasSuffix(key, ".bytes") {
		return size(n)
	}
	return fmt.Sprintf("%.0f", n)
}
