package storage

import (
	"time"

	"github.com/monedula/monedula/internal/vfs"
)

// metaProperties is the content of meta.properties: whose the directory is.
type metaProperties struct {
	version     int    // 0 (ZooKeeper mode) or 1
	brokerID    int32  // broker.id in version 0, node.id in version 1; -1 none
	clusterID   string // "" none
	directoryID string // "" none
	others      map[string]string
}

// readMetaProperties reads a directory's file; fs.ErrNotExist when it has none.
func readMetaProperties(fs vfs.FS, dir string) (metaProperties, error) { panic("unwritten") }

// equal says whether there is nothing to rewrite.
func (m metaProperties) equal(o metaProperties) bool { panic("unwritten") }

// writeMetaProperties replaces a directory's file as Java writes it, dated now.
func writeMetaProperties(fs vfs.FS, dir string, m metaProperties, now time.Time) error {
	panic("unwritten")
}
