package zkshell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/zkserver/jute"
)

const lsUsage = "[-s] [-w] [-R] path"

var nodeCommands = []command{
	{name: "create", usage: "[-s] [-e] [-c] [-t ttl] path [data] [acl]", options: "e s c t:", least: 2, run: (*shell).create},
	{name: "delete", usage: "[-v version] path", options: "v:", least: 2, run: (*shell).delete},
	{name: "deleteall", usage: "path [-b batch size]", options: "b:", least: 2, run: (*shell).deleteAll},
	{name: "get", usage: "[-s] [-w] path", options: "s w", least: 2, run: (*shell).get},
	{name: "getAllChildrenNumber", usage: "path", least: 2, run: (*shell).allChildrenNumber},
	{name: "getEphemerals", usage: "path", least: 1, run: (*shell).ephemerals},
	{name: "ls", usage: lsUsage, options: "? s w R", least: 1, run: (*shell).ls},
	{name: "set", usage: "[-s] [-v version] path data", options: "s v:", least: 3, run: (*shell).set},
	{name: "stat", usage: "[-w] path", options: "w", least: 2, run: (*shell).stat},
	{name: "sync", usage: "path", least: 2, run: (*shell).sync},
}

// openACL permits everything to all clients.
var openACL = []jute.ACL{{Perms: 31, ID: jute.ID{Scheme: "world", ID: "anyone"}}}

func (sh *shell) create(l *commandLine) error {
	request, op, err := creation(l)
	if err != nil {
		return err
	}
	path := l.args[1]
	if len(l.args) > 2 {
		request.Data = []byte(l.args[2])
	}
	request.ACL = openACL
	if len(l.args) > 3 {
		request.ACL = sh.parseACL(l.args[3])
	}
	checked := path
	if l.has("s") { // the server appends a number
		checked += "1"
	}
	if err := checkPath(checked); err != nil {
		return err
	}
	request.Path = sh.session.chroot.to(path)
	var record jute.Record = &request.CreateRequest
	if op == jute.OpCreateTTL {
		record = request
	}
	var created jute.PathRequest
	var response jute.Record = &created
	var with jute.Create2Response
	if op != jute.OpCreate {
		response = &with
	}
	err = failure{code: invalidACL}
	if len(request.ACL) > 0 {
		err = sh.session.do(op, path, record, response, nil)
	}
	if err != nil {
		switch codeOf(err) {
		case ephemeralOnLocalSession:
			sh.complain("Unable to create ephemeral node on a local session")
		case invalidACL:
			sh.complain(err.Error())
		}
		return err
	}
	sh.complain("Created " + sh.session.chroot.from(created.Path+with.Path))
	return nil
}

// creation returns the request that the options of create ask for, without path, data and ACL.
func creation(l *commandLine) (request *jute.CreateTTLRequest, op jute.Op, err error) {
	e, s, c, t := l.has("e"), l.has("s"), l.has("c"), l.has("t")
	request = &jute.CreateTTLRequest{}
	if c && (e || s) {
		return nil, 0, malformed("-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.")
	}
	if t {
		if request.TTL, err = strconv.ParseInt(l.values["t"], 10, 64); err != nil {
			return nil, 0, malformed("-t argument must be a long value")
		}
	}
	switch {
	case t && e:
		return nil, 0, malformed("TTLs cannot be used with Ephemeral znodes")
	case t && c:
		return nil, 0, malformed("TTLs cannot be used with Container znodes")
	case e && s:
		request.Flags, op = jute.EphemeralSequential, jute.OpCreate
	case e:
		request.Flags, op = jute.Ephemeral, jute.OpCreate
	case s && t:
		request.Flags, op = jute.PersistentSequentialTTL, jute.OpCreateTTL
	case s:
		request.Flags, op = jute.PersistentSequential, jute.OpCreate
	case c:
		request.Flags, op = jute.Container, jute.OpCreateContainer
	case t:
		request.Flags, op = jute.PersistentTTL, jute.OpCreateTTL
	default:
		op = jute.OpCreate
	}
	if t && (request.TTL <= 0 || request.TTL > mostTTLMs) {
		return nil, 0, malformed(fmt.Sprintf("ttl must be positive and cannot be larger than: %d", mostTTLMs))
	}
	return request, op, nil
}

const mostTTLMs = 0xffffffffff // the longest time to live of a node

func (sh *shell) delete(l *commandLine) error {
	if len(l.args) > 2 {
		sh.complain("'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.")
	}
	version, err := l.version()
	if err != nil {
		return err
	}
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	return sh.session.do(jute.OpDelete, path, &jute.PathVersionRequest{Path: sh.session.chroot.to(path), Version: version}, nil, nil)
}

func (sh *shell) deleteAll(l *commandLine) error {
	batch := int64(1000)
	if text, given := l.values["b"]; given {
		var err error
		if batch, err = strconv.ParseInt(text, 10, 32); err != nil {
			return malformed("-b argument must be an int value")
		}
	}
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	all := []string{path}
	for i := 0; i < len(all); i++ {
		var response jute.GetChildren2Response
		if err := sh.read(jute.OpGetChildren2, all[i], &response, false, childWatch); err != nil {
			return err
		}
		for _, child := range response.Children {
			all = append(all, below(all[i], child))
		}
	}
	slices.Reverse(all) // children before their parents
	if batch <= 0 {
		batch = int64(len(all))
	}
	for paths := range slices.Chunk(all, int(batch)) {
		if !sh.deleteBatch(paths) {
			sh.complain("Failed to delete some node(s) in the subtree!")
			break
		}
	}
	return nil
}

// deleteBatch deletes nodes, all or none.
func (sh *shell) deleteBatch(paths []string) (deleted bool) {
	var request jute.MultiRequest
	for _, path := range paths {
		request.Ops = append(request.Ops, jute.MultiOp{Type: jute.OpDelete, Body: &jute.PathVersionRequest{Path: sh.session.chroot.to(path), Version: anyVersion}})
	}
	var response jute.MultiResponse
	if err := sh.session.do(jute.OpMulti, "", &request, &response, nil); err != nil {
		return false
	}
	return !slices.ContainsFunc(response.Results, func(r jute.MultiResult) bool { return r.Type == jute.OpError })
}

// below returns the path of a child.
func below(path, child string) string { return strings.TrimSuffix(path, "/") + "/" + child }

// read makes a request that reads a node and perhaps sets a watch of a kind.
func (sh *shell) read(op jute.Op, path string, response jute.Record, watch bool, kind watchKind) error {
	if err := checkPath(path); err != nil {
		return err
	}
	s := sh.session
	return s.do(op, path, &jute.PathWatchRequest{Path: s.chroot.to(path), Watch: watch}, response, func(result code) {
		switch {
		case !watch:
		case result == ok:
			s.watch(kind, path)
		case result == noNode && op == jute.OpExists:
			s.watch(existWatch, path)
		}
	})
}

// data returns the data of a node.
func (sh *shell) data(path string, watch bool) ([]byte, *jute.Stat, error) {
	var response jute.GetDataResponse
	err := sh.read(jute.OpGetData, path, &response, watch, dataWatch)
	return response.Data, &response.Stat, err
}

// children returns the names of the children of a node, sorted.
func (sh *shell) children(path string, watch bool) ([]string, *jute.Stat, error) {
	var response jute.GetChildren2Response
	err := sh.read(jute.OpGetChildren2, path, &response, watch, childWatch)
	slices.Sort(response.Children)
	return response.Children, &response.Stat, err
}

// exists returns the metadata of a node, or nil if it does not exist.
func (sh *shell) exists(path string, watch bool) (*jute.Stat, error) {
	var stat jute.Stat
	err := sh.read(jute.OpExists, path, &stat, watch, dataWatch)
	if codeOf(err) == noNode {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &stat, nil
}

// deprecatedWatch handles the obsolete form of a command with a word after the path, which stands
// for the option w.
func (sh *shell) deprecatedWatch(l *commandLine, old, now string) {
	if len(l.args) > 2 {
		sh.complain("'" + old + "' has been deprecated. Please use '" + now + "' instead.")
		l.values["w"] = ""
	}
}

func (sh *shell) get(l *commandLine) error {
	sh.deprecatedWatch(l, "get path [watch]", "get [-s] [-w] path")
	data, stat, err := sh.data(l.args[1], l.has("w"))
	if err != nil {
		return err
	}
	sh.println(text(data))
	if l.has("s") {
		sh.printStat(stat)
	}
	return nil
}

// text returns data as the shell prints it.
func text(data []byte) string {
	if data == nil {
		return "null"
	}
	return javatext.Decode(data)
}

func (sh *shell) ls(l *commandLine) error {
	if l.has("?") {
		sh.print("usage: ls [options] path\n -?   help\n -R   recurse\n -s   stat\n -w   watch\n")
	}
	sh.deprecatedWatch(l, "ls path [watch]", "ls [-w] path")
	if len(l.args) < 2 {
		return malformed("ls " + lsUsage)
	}
	path := l.args[1]
	if l.has("R") {
		if _, _, err := sh.data(path, l.has("w")); err != nil {
			return err
		}
		sh.println(path)
		return sh.eachBelow(path, l.has("w"), sh.println)
	}
	children, stat, err := sh.children(path, l.has("w"))
	if err != nil {
		return err
	}
	sh.println(javatext.List(children))
	if l.has("s") {
		sh.printStat(stat)
	}
	return nil
}

// eachBelow calls visit for all nodes below a path, children before grandchildren.
func (sh *shell) eachBelow(path string, watch bool, visit func(path string)) error {
	children, _, err := sh.children(path, watch)
	if codeOf(err) == noNode { // deleted meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	for _, child := range children {
		visit(below(path, child))
	}
	for _, child := range children {
		if err := sh.eachBelow(below(path, child), watch, visit); err != nil {
			return err
		}
	}
	return nil
}

func (sh *shell) set(l *commandLine) error {
	version, err := l.version()
	if err != nil {
		return err
	}
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	var stat jute.Stat
	if err := sh.session.do(jute.OpSetData, path, &jute.SetDataRequest{Path: sh.session.chroot.to(path), Data: []byte(l.args[2]), Version: version}, &stat, nil); err != nil {
		return err
	}
	if l.has("s") {
		sh.printStat(&stat)
	}
	return nil
}

func (sh *shell) stat(l *commandLine) error {
	sh.deprecatedWatch(l, "stat path [watch]", "stat [-w] path")
	stat, err := sh.exists(l.args[1], l.has("w"))
	if err != nil {
		return err
	}
	if stat == nil {
		return failure{noNode, l.args[1]}
	}
	sh.printStat(stat)
	return nil
}

// printStat prints the metadata of a node.
func (sh *shell) printStat(s *jute.Stat) {
	sh.print(fmt.Sprintf("cZxid = 0x%x\nctime = %s\nmZxid = 0x%x\nmtime = %s\npZxid = 0x%x\ncversion = %d\ndataVersion = %d\naclVersion = %d\nephemeralOwner = 0x%x\ndataLength = %d\nnumChildren = %d\n",
		uint64(s.Czxid), javaTime(s.Ctime, time.Local), uint64(s.Mzxid), javaTime(s.Mtime, time.Local), uint64(s.Pzxid), s.Cversion, s.Version, s.Aversion, uint64(s.EphemeralOwner), s.DataLength, s.NumChildren))
}

// javaTime formats a time in ms as Java's Date.toString does.
func javaTime(ms int64, in *time.Location) string {
	t := time.UnixMilli(ms).In(in)
	zone, _ := t.Zone()
	if zone == "" || zone[0] == '+' || zone[0] == '-' { // the zone has no name
		zone = "GMT" + t.Format("-07:00")
	}
	return t.Format("Mon Jan 02 15:04:05 ") + zone + t.Format(" 2006")
}

func (sh *shell) ephemerals(l *commandLine) error {
	path := "/"
	if len(l.args) > 1 {
		path = l.args[1]
	}
	if err := checkPath(path); err != nil {
		return err
	}
	var response jute.PathsResponse
	if err := sh.session.do(jute.OpGetEphemerals, path, &jute.PathRequest{Path: sh.session.chroot.to(path)}, &response, nil); err != nil {
		return err
	}
	for i, path := range response.Paths {
		response.Paths[i] = sh.session.chroot.from(path)
	}
	sh.println(javatext.List(response.Paths))
	return nil
}

func (sh *shell) allChildrenNumber(l *commandLine) error {
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	var response jute.NumberResponse
	if err := sh.session.do(jute.OpGetAllChildrenNumber, path, &jute.PathRequest{Path: sh.session.chroot.to(path)}, &response, nil); err != nil {
		return err
	}
	sh.println(fmt.Sprint(response.Number))
	return nil
}

func (sh *shell) sync(l *commandLine) error {
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	var response jute.PathRequest
	if err := sh.session.do(jute.OpSync, path, &jute.PathRequest{Path: sh.session.chroot.to(path)}, &response, nil); err != nil {
		sh.println(fmt.Sprintf("Sync has failed. rc=%d", codeOf(err)))
		return nil
	}
	sh.println("Sync is OK")
	return nil
}
