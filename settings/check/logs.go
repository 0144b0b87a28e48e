package check

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// directories returns the key that gives the log directories, and the directories.
func (d *document) directories() (key string, dirs []string) {
	if d.isGiven("log.dirs") && d.text("log.dirs") != "" {
		return "log.dirs", d.list("log.dirs")
	}
	return "log.dir", d.list("log.dir")
}

var drive = regexp.MustCompile(`^[A-Za-z]:`)

// checkDirectories checks the log directories.
func (d *document) checkDirectories() {
	if d.isGiven("log.dir") && d.isGiven("log.dirs") && d.text("log.dir") != d.text("log.dirs") {
		d.warn("log.dir", note{"log-dir-ignored", "log.dir has no effect, because log.dirs is set", "Remove one of them."})
	}
	key, dirs := d.directories()
	var seen []string
	for _, dir := range dirs {
		clean := path.Clean(dir)
		switch {
		case strings.ContainsAny(dir, "\"'{}$<>#"): // another finding is about the quotes, the placeholder or the comment
		case drive.MatchString(dir):
			// the raw line may have had backslashes, which another finding reports
			if !strings.Contains(rawLines(d.Data)[d.given[key].Line], `:\`) {
				d.error(key, note{"windows-path", fmt.Sprintf("%s: %s is a path of Windows", key, dir), "Write a path of this system, such as /var/lib/kafka."})
			}
		case strings.Contains(dir, "://") || strings.HasPrefix(dir, "file:"):
			d.error(key, note{"not-a-path", fmt.Sprintf("%s: %s is a URL, not a path", key, dir), "Write the path alone."})
		case strings.HasPrefix(dir, "~"):
			d.error(key, note{"relative-path", fmt.Sprintf("%s: ~ is not the home directory here, but a directory with this name", key), "Write the whole path."})
		case !strings.HasPrefix(dir, "/"):
			d.warn(key, note{"relative-path", fmt.Sprintf("%s: %s depends on the directory in which the broker is started", key, dir), "Write the whole path."})
		case isTemporary(clean) && !d.isDevelopment():
			d.warn(key, note{"temporary-directory", fmt.Sprintf("%s: the data in %s is lost when the system clears its temporary files, as at a restart", key, dir), "Choose a lasting place, such as /var/lib/kafka."})
		case isTemporary(clean):
			d.remark(key, note{"temporary-directory", fmt.Sprintf("%s: the data in %s is lost when the system clears its temporary files, as at a restart", key, dir), "Choose a lasting place for data that matters."})
		case clean == "/":
			d.warn(key, note{"root-directory", fmt.Sprintf("%s: the root directory is no place for logs", key), "Choose a directory of its own, such as /var/lib/kafka."})
		}
		for _, other := range seen {
			switch {
			case other == clean:
				d.error(key, note{"directory-twice", fmt.Sprintf("%s names %s twice", key, dir), "Remove it once. A broker locks each directory, and a second lock fails."})
			case inside(other, clean) || inside(clean, other):
				d.error(key, note{"directory-nested", fmt.Sprintf("%s: one of %s and %s contains the other", key, other, clean), "Choose directories that do not contain one another."})
			}
		}
		seen = append(seen, clean)
	}
}

func inside(outer, inner string) bool {
	return strings.HasPrefix(inner, strings.TrimSuffix(outer, "/")+"/")
}

func isTemporary(dir string) bool {
	for _, root := range []string{"/tmp", "/var/tmp", "/dev/shm", "/run"} {
		if dir == root || inside(root, dir) {
			return true
		}
	}
	return false
}

// checkRetention finds contradictions between the keys of retention and segments.
func (d *document) checkRetention() {
	d.checkFinerUnits("log.retention.ms", "log.retention.minutes", "log.retention.hours")
	d.checkFinerUnits("log.roll.ms", "log.roll.hours")
	retention, limited := d.retentionMs()
	bytes, _ := d.number("log.retention.bytes")
	interval, _ := d.number("log.retention.check.interval.ms")
	segment, _ := d.number("log.segment.bytes")
	if limited && d.givenRetention() != "" && retention > 0 && retention < interval && retention >= inMinutes {
		d.remark(d.givenRetention(), note{"retention-check", fmt.Sprintf("records are kept for %s, but expired ones are looked for every %s only", duration(float64(retention)), duration(float64(interval))),
			"Lower log.retention.check.interval.ms if that matters."})
	}
	if d.isGiven("log.retention.bytes") && bytes > 0 && bytes < segment && bytes >= 1<<20 {
		d.warn("log.retention.bytes", note{"retention-segment", fmt.Sprintf("log.retention.bytes is %s, but a segment has %s (log.segment.bytes), and only whole segments that are no longer written are deleted",
			size(float64(bytes)), size(float64(segment))), "Set log.segment.bytes to a fraction of log.retention.bytes."})
	}
	if !limited && d.givenRetention() != "" && bytes < 0 && !strings.Contains(d.text("log.cleanup.policy"), "compact") {
		d.remark(d.givenRetention(), note{"retention-forever", "neither the time nor the size of logs is limited, so nothing is ever deleted", "Set log.retention.bytes if disks are not to fill up."})
	}
	if policy := d.text("log.cleanup.policy"); strings.Contains(policy, "compact") && d.isGiven("log.cleanup.policy") {
		d.warn("log.cleanup.policy", note{"compact-by-default", "log.cleanup.policy=" + policy + " applies to all topics without a policy of their own: they refuse records without a key",
			"Set cleanup.policy=compact for the topics that need it with bin/kafka-configs.sh, and leave the default at delete."})
	}
	if d.is("log.cleaner.enable", false) {
		d.warn("log.cleaner.enable", note{"cleaner-off", "without the log cleaner __consumer_offsets and __transaction_state grow without limit", "Remove the line."})
	}
	if n, ok := d.number("log.flush.interval.messages"); ok && n < 1000 {
		d.remark("log.flush.interval.messages", note{"flush-often", fmt.Sprintf("each partition is forced to disk after %d records, which is slow", n), "Rely on replication, which Kafka recommends, or on log.flush.interval.ms."})
	}
}

// retentionMs returns how long records are kept; limited is false if they are kept without limit.
func (d *document) retentionMs() (ms int64, limited bool) {
	factors := map[string]int64{"log.retention.ms": inMs, "log.retention.minutes": inMinutes, "log.retention.hours": inHours}
	for _, key := range []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"} {
		if n, ok := d.number(key); ok {
			return n * factors[key], n >= 0
		}
	}
	return 0, false
}

// givenRetention returns the key of the file that limits the age of records, or "".
func (d *document) givenRetention() string {
	for _, key := range []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"} {
		if d.isGiven(key) {
			return key
		}
	}
	return ""
}

// checkFinerUnits finds keys that have no effect because a key with a finer unit is given. keys
// begin with the finest.
func (d *document) checkFinerUnits(keys ...string) {
	winner := ""
	for _, key := range keys {
		switch {
		case !d.isGiven(key):
		case winner == "":
			winner = key
		default:
			d.warn(key, note{"finer-unit", fmt.Sprintf("%s=%s has no effect, because %s=%s is set, which takes precedence", key, d.text(key), winner, d.text(winner)), "Remove one of them."})
		}
	}
}

// checkSizes finds contradictions between the limits of sizes.
func (d *document) checkSizes() {
	n, ok := d.numbers("message.max.bytes", "log.segment.bytes", "socket.request.max.bytes", "replica.fetch.max.bytes", "fetch.max.bytes")
	if !ok {
		return
	}
	message, segment, request, replica, fetch := n[0], n[1], n[2], n[3], n[4]
	key := "message.max.bytes"
	batch := size(float64(message))
	if message > segment {
		d.error(d.lastOf(key, "log.segment.bytes"), note{"message-segment", fmt.Sprintf("message.max.bytes allows batches of %s, but a batch must fit into a segment of %s (log.segment.bytes), so larger ones are refused", batch, size(float64(segment))),
			"Raise log.segment.bytes, or lower message.max.bytes."})
	}
	if message > request {
		d.error(d.lastOf(key, "socket.request.max.bytes"), note{"message-request", fmt.Sprintf("message.max.bytes allows batches of %s, but requests of more than %s (socket.request.max.bytes) close the connection", batch, size(float64(request))),
			"Raise socket.request.max.bytes above message.max.bytes."})
	}
	if message > replica && d.isGiven(key) {
		d.remark(key, note{"message-replica", fmt.Sprintf("batches may have %s, more than the %s that followers fetch from a partition at once (replica.fetch.max.bytes); larger ones are fetched one at a time", batch, size(float64(replica))),
			fmt.Sprintf("Set replica.fetch.max.bytes=%d if there are many of them.", message)})
	}
	if message > fetch && d.isGiven(key) {
		d.remark(key, note{"message-fetch", fmt.Sprintf("batches may have %s, more than a fetch response (fetch.max.bytes, %s); larger ones are sent one at a time", batch, size(float64(fetch))),
			fmt.Sprintf("Set fetch.max.bytes=%d if there are many of them.", message)})
	}
}

// lastOf returns the given one of two keys; the first if both are given or none.
func (d *document) lastOf(one, other string) string {
	if !d.isGiven(one) && d.isGiven(other) {
		return other
	}
	return one
}
