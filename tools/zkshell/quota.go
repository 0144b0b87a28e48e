package zkshell

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// A quota of a path is kept in the node limitsName below quotaRoot and the path; the server counts in
// the node statsName next to it.
const (
	quotaRoot  = "/zookeeper/quota"
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"
)

var quotaCommands = []command{
	{name: "delquota", usage: "[-n|-b|-N|-B] path", options: "n b N B", least: 2, run: (*shell).deleteQuota, oneOf: true},
	{name: "listquota", usage: "path", least: 2, run: (*shell).listQuota},
	{name: "setquota", usage: "-n|-b|-N|-B val path", options: "n: b: N: B:", least: 2, run: (*shell).setQuota, oneOf: true,
		missing: "Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]"},
}

// limits are the values of a quota, or counts. A missing value is -1, which means no limit.
type limits map[string]int64

// limitKeys are the keys of the options of setquota and delquota.
var limitKeys = map[string]string{"n": "count", "b": "bytes", "N": "countHardLimit", "B": "byteHardLimit"}

func (l limits) value(key string) int64 {
	if value, found := l[key]; found {
		return value
	}
	return -1
}

// String returns the data of a node: count and bytes first, as before there were hard limits. The
// sign after bytes makes older clients ignore the rest.
func (l limits) String() string {
	text := fmt.Sprintf("count=%d,bytes=%d", l.value("count"), l.value("bytes"))
	rest := maps.Clone(l)
	delete(rest, "count")
	delete(rest, "bytes")
	if len(rest) > 0 {
		text += "="
	}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		text += fmt.Sprintf(";%s=%d", key, rest[key])
	}
	return text
}

// parseLimits reads the data of a node.
func parseLimits(data []byte) (limits, error) {
	l := limits{}
	for pair := range strings.FieldsFuncSeq(string(data), func(r rune) bool { return r == ',' || r == ';' }) {
		fields := strings.Split(pair, "=")
		if len(fields) < 2 || fields[1] == "" {
			l[fields[0]] = -1
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, notANumber(fields[1])
		}
		l[fields[0]] = n
	}
	return l, nil
}

// quotaPath returns the path of a node that belongs to the quota of a path.
func quotaPath(path, name string) string {
	return quotaRoot + path + "/" + name
}

func (sh *shell) setQuota(l *commandLine) error {
	path := l.args[1]
	if strings.HasPrefix(path, quotaRoot) {
		sh.complain("cannot set a quota under the path: " + quotaRoot)
		return nil
	}
	quota := limits{"count": -1, "bytes": -1, "countHardLimit": -1, "byteHardLimit": -1}
	for name, text := range l.values { // there is one
		n, problem := parseLimit(name, text)
		if problem != "" {
			sh.complain(problem)
			return nil
		}
		quota[limitKeys[name]] = n
	}
	if err := sh.checkQuotaPath(path); err != nil {
		return err
	}
	if err := sh.writeQuota(path, quota); err != nil {
		return err
	}
	return sh.warnAboutQuota(path)
}

// warnAboutQuota warns if a quota is exceeded already.
func (sh *shell) warnAboutQuota(path string) error {
	quota, err := sh.limits(quotaPath(path, limitsName))
	if err != nil {
		return err
	}
	used, err := sh.limits(quotaPath(path, statsName))
	if err != nil {
		return err
	}
	for _, kind := range []struct{ soft, hard string }{{"count", "countHardLimit"}, {"bytes", "byteHardLimit"}} {
		now := used.value(kind.soft)
		for _, key := range []string{kind.soft, kind.hard} {
			if limit := quota.value(key); limit > -1 && limit < now {
				sh.println(fmt.Sprintf("[Warning]: the %s quota you create is less than the existing %s:%d", kind.soft, kind.soft, now))
				break
			}
		}
	}
	return nil
}

// limits reads a node with limits or counts.
func (sh *shell) limits(path string) (limits, error) {
	data, _, err := sh.data(path, false)
	if err != nil {
		return nil, err
	}
	return parseLimits(data)
}

// parseLimit parses the argument of an option of setquota.
func parseLimit(option, text string) (n int64, problem string) {
	bits, least, refused := 32, int64(1), "the num quota must be greater than zero"
	if option == "b" || option == "B" {
		bits, least, refused = 64, 0, "the bytes quota must be greater than or equal to zero"
	}
	n, err := strconv.ParseInt(text, 10, bits)
	switch {
	case err != nil:
		return 0, "NumberFormatException happens when parsing the option value"
	case n < least:
		return 0, refused
	}
	return n, ""
}

// checkQuotaPath returns an error if a path cannot have a quota: it does not exist, or a node above or
// below it has one.
func (sh *shell) checkQuotaPath(path string) error {
	stat, err := sh.exists(path, false)
	if err != nil {
		return err
	}
	if stat == nil {
		return malformed(path + " does not exist.")
	}
	conflict := ""
	if err := checkPath(quotaRoot + path); err != nil {
		return err
	}
	err = sh.eachBelow(quotaRoot+path, false, func(found string) {
		if at, is := strings.CutSuffix(found, "/"+limitsName); is && conflict == "" && at != quotaRoot+path {
			conflict = path + " has a child " + strings.TrimPrefix(at, quotaRoot) + " which has a quota"
		}
	})
	if err != nil {
		return err
	}
	if conflict != "" {
		return malformed(conflict)
	}
	for above := parentOf(path); above != "/"; above = parentOf(above) {
		stat, err := sh.exists(quotaPath(above, limitsName), false)
		if err != nil {
			return err
		}
		if stat != nil {
			return malformed(path + " has a parent " + above + " which has a quota")
		}
	}
	return nil
}

// writeQuota creates the nodes of a quota, or changes the limits that are given.
func (sh *shell) writeQuota(path string, quota limits) error {
	for at := 1; at <= len(path); at++ {
		if at < len(path) && path[at] != '/' {
			continue
		}
		if err := sh.createNode(quotaRoot+path[:at], nil); err != nil && codeOf(err) != nodeExists {
			return err
		}
	}
	err := sh.createNode(quotaPath(path, limitsName), []byte(quota.String()))
	if err == nil {
		return sh.createNode(quotaPath(path, statsName), []byte(limits{"count": 0, "bytes": 0}.String()))
	}
	if codeOf(err) != nodeExists {
		return err
	}
	return sh.changeLimits(path, func(old limits) {
		for key, value := range quota {
			if value > -1 {
				old[key] = value
			}
		}
	})
}

// createNode creates a persistent node that all may change.
func (sh *shell) createNode(path string, data []byte) error {
	return sh.session.do(jute.OpCreate, path, &jute.CreateRequest{Path: sh.session.chroot.to(path), Data: data, ACL: openACL}, &jute.PathRequest{}, nil)
}

func (sh *shell) changeLimits(path string, change func(limits)) error {
	node := quotaPath(path, limitsName)
	quota, err := sh.limits(node)
	if err != nil {
		return err
	}
	change(quota)
	return sh.session.do(jute.OpSetData, node, &jute.SetDataRequest{Path: sh.session.chroot.to(node), Data: []byte(quota.String()), Version: anyVersion}, &jute.Stat{}, nil)
}

func (sh *shell) listQuota(l *commandLine) error {
	path := l.args[1]
	sh.println("absolute path is " + quotaPath(path, limitsName))
	for _, node := range []struct{ what, name string }{{"quota", limitsName}, {"stat", statsName}} {
		values, err := sh.limits(quotaPath(path, node.name))
		if codeOf(err) == noNode {
			sh.complain("quota for " + path + " does not exist.")
			return nil
		}
		if err != nil {
			return err
		}
		sh.println("Output " + node.what + " for " + path + " " + values.String())
	}
	return nil
}

func (sh *shell) deleteQuota(l *commandLine) error {
	path := l.args[1]
	if stat, err := sh.exists(quotaPath(path, limitsName), false); err != nil || stat == nil {
		if err == nil {
			sh.println("Quota does not exist for " + path)
		}
		return err
	}
	if len(l.values) == 0 {
		return sh.deleteQuotaNodes(path)
	}
	return sh.changeLimits(path, func(quota limits) {
		for _, name := range []string{"b", "n", "B", "N"} {
			if l.has(name) {
				quota[limitKeys[name]] = -1
			}
		}
	})
}

// deleteQuotaNodes deletes the nodes of a quota, and those above that nothing else needs.
func (sh *shell) deleteQuotaNodes(path string) error {
	parent := quotaRoot + path
	children, _, err := sh.children(parent, false)
	for _, child := range children {
		err = errors.Join(err, sh.deleteNode(below(parent, child)))
	}
	for err == nil && parent != quotaRoot {
		if children, _, err = sh.children(parent, false); err != nil || len(children) > 0 {
			break
		}
		err = sh.deleteNode(parent)
		parent = parentOf(parent)
	}
	return err
}

func (sh *shell) deleteNode(path string) error {
	return sh.session.do(jute.OpDelete, path, &jute.PathVersionRequest{Path: sh.session.chroot.to(path), Version: anyVersion}, nil, nil)
}
