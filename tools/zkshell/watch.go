package zkshell

import (
	"strings"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/zkserver/jute"
)

const addWatchUsage = "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE"

var watchCommands = []command{
	{name: "addWatch", usage: addWatchUsage, options: "m:", least: 2, run: (*shell).addWatch},
	{name: "removewatches", usage: "path [-c|-d|-a] [-l]", options: "c d a l", least: 2, run: (*shell).removeWatches},
}

func (sh *shell) addWatch(l *commandLine) error {
	modes := map[string]int32{"PERSISTENT": jute.WatchPersistent, "PERSISTENT_RECURSIVE": jute.WatchPersistentRecursive}
	mode, known := jute.WatchPersistentRecursive, true
	if text, given := l.values["m"]; given {
		mode, known = modes[strings.ToUpper(text)]
	}
	if len(l.args) != 2 || !known {
		return malformed("addWatch " + addWatchUsage)
	}
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return cli.IllegalArgument(err.Error()) // ends the shell, as it does Apache's
	}
	s := sh.session
	return s.do(jute.OpAddWatch, path, &jute.PathNumberRequest{Path: s.chroot.to(path), Number: mode}, nil, func(result code) {
		if result == ok {
			s.watch(persistentWatch+watchKind(mode), path)
		}
	})
}

// removed is what the removal of watches of a kind is called in events.
var removed = map[watchKind]string{dataWatch: "DataWatchRemoved", existWatch: "DataWatchRemoved", childWatch: "ChildWatchRemoved",
	persistentWatch: "PersistentWatchRemoved", recursiveWatch: "PersistentWatchRemoved"}

func (sh *shell) removeWatches(l *commandLine) error {
	kinds, number := []watchKind{dataWatch, existWatch, childWatch, persistentWatch, recursiveWatch}, jute.WatchesOfAnyKind
	switch {
	case l.has("c"):
		kinds, number = []watchKind{childWatch}, jute.WatchesOfChildren
	case l.has("d"):
		kinds, number = []watchKind{dataWatch, existWatch}, jute.WatchesOfData
	}
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	s := sh.session
	if !s.watched(kinds, path) {
		return failure{noWatcher, path}
	}
	return s.do(jute.OpRemoveWatches, path, &jute.PathNumberRequest{Path: s.chroot.to(path), Number: number}, nil, func(result code) {
		if result == ok || l.has("l") && result == connectionLoss {
			s.unwatch(kinds, path)
		}
	})
}
