package storage

import (
	"slices"

	"github.com/monedula/monedula/protocol"
)

// logDirs are the directories of log.dirs, in order.
type logDirs []*logDir

// at returns the online directory with the given path. A directory that is not configured is
// LOG_DIR_NOT_FOUND, an offline one KAFKA_STORAGE_ERROR.
func (ds logDirs) at(path string) (*logDir, error) {
	for _, d := range ds {
		if d.path == path {
			return d, d.check()
		}
	}
	return nil, protocol.Errorf(protocol.LogDirNotFound, "Log dir %s is not found in the config.", path)
}

func (ds logDirs) online() logDirs {
	return slices.DeleteFunc(slices.Clone(ds), func(d *logDir) bool { return d.offline.Load() })
}

// offlinePaths returns the paths of the directories that are offline.
func (ds logDirs) offlinePaths() []string {
	var paths []string
	for _, d := range ds {
		if d.offline.Load() {
			paths = append(paths, d.path)
		}
	}
	return paths
}

func (ds logDirs) unlock() {
	for _, d := range ds {
		d.unlock()
	}
}
