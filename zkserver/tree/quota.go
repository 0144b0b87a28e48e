package tree

import (
	"fmt"
	"strconv"
	"strings"
)

// A quota of a node P is the node /zookeeper/quota/P/zookeeper_limits. While it exists,
// /zookeeper/quota/P/zookeeper_stats counts P and the nodes below it, and the bytes of their data. A
// change counts only for the nearest quota above it. As in ZooKeeper, counting is no transaction: it
// changes neither the version nor the zxid of the statistics, and fires no watch.
const (
	quotaPath  = "/zookeeper/quota"
	limitsName = "/zookeeper_limits"
	statsName  = "/zookeeper_stats"
)

// usage is the content of limits and statistics: count=N,bytes=N and hard limits.
type usage struct{ count, bytes, countHardLimit, byteHardLimit int64 }

// parseUsage reads limits or statistics. What is missing or malformed is -1: no limit.
func parseUsage(data []byte) usage {
	u := usage{-1, -1, -1, -1}
	fields := map[string]*int64{"count": &u.count, "bytes": &u.bytes, "countHardLimit": &u.countHardLimit, "byteHardLimit": &u.byteHardLimit}
	for _, pair := range strings.FieldsFunc(string(data), func(r rune) bool { return r == ',' || r == ';' }) {
		key, value, _ := strings.Cut(pair, "=")
		n, err := strconv.ParseInt(strings.TrimSuffix(value, "="), 10, 64)
		if field := fields[key]; field != nil && err == nil {
			*field = n
		}
	}
	return u
}

// withQuota returns the nearest node with a quota, the path itself or one above it, or "".
func (t *Tree) withQuota(path string) string {
	if root := t.nodes[quotaPath]; root == nil || len(root.children) == 0 {
		return ""
	}
	for ; path != "/"; path, _ = split(path) {
		if t.nodes[quotaPath+path+limitsName] != nil {
			return path
		}
	}
	return ""
}

// count adds nodes and bytes of data to the statistics of the quota that a path is under.
func (t *Tree) count(path string, nodes, bytes int) {
	limited := t.withQuota(path)
	if limited == "" {
		return
	}
	if stats := t.nodes[quotaPath+limited+statsName]; stats != nil {
		u := parseUsage(stats.data)
		stats.set(u.count+int64(nodes), u.bytes+int64(bytes))
	}
}

func (n *node) set(count, bytes int64) { n.data = fmt.Appendf(nil, "count=%d,bytes=%d", count, bytes) }

// countAll sets the statistics of a node with a quota, if they exist, to all that is at and below the
// node.
func (t *Tree) countAll(path string) {
	stats := t.nodes[quotaPath+path+statsName]
	if stats == nil {
		return
	}
	var count, bytes int64
	for other, n := range t.nodes {
		if below, found := strings.CutPrefix(other, path); found && (below == "" || below[0] == '/') {
			count++
			bytes += int64(len(n.data))
		}
	}
	stats.set(count, bytes)
}

// countNew counts a node that was created. If the node is the statistics of a quota, it begins with
// all that exists.
func (t *Tree) countNew(path string, n *node) {
	if limited, found := quotaOf(path, statsName); found {
		t.countAll(limited)
	}
	t.count(path, 1, len(n.data))
}

// quotaOf returns the node that limits or statistics are about.
func quotaOf(path, name string) (limited string, found bool) {
	limited, found = strings.CutSuffix(path, name)
	if found {
		limited, found = strings.CutPrefix(limited, quotaPath)
	}
	return limited, found && limited != ""
}

// withinQuota returns QuotaExceeded if a hard limit forbids to add nodes and bytes at a path and
// EnforceQuotas is set.
func (t *Tree) withinQuota(path string, nodes, bytes int) error {
	if !t.EnforceQuotas {
		return nil
	}
	limited := t.withQuota(path)
	stats := t.nodes[quotaPath+limited+statsName]
	if limited == "" || stats == nil {
		return nil
	}
	limits, used := parseUsage(t.nodes[quotaPath+limited+limitsName].data), parseUsage(stats.data)
	if nodes != 0 && limits.countHardLimit > -1 && used.count+int64(nodes) > limits.countHardLimit ||
		bytes != 0 && limits.byteHardLimit > -1 && used.bytes+int64(bytes) > limits.byteHardLimit {
		return QuotaExceeded
	}
	return nil
}
