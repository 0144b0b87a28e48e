package zkstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// docs/znodes.md names each path that a broker creates or reads.
func TestTheZnodesPageNamesEveryPath(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(testkit.Root(), "docs", "znodes.md"))
	if err != nil {
		t.Fatal(err)
	}
	paths := append(startupPaths(), ControllerPath, ControllerEpochPath, ReassignPartitionsPath, PreferredElectionPath, FeaturePath,
		clusterIDPath, "/"+configChangePrefix, "/"+isrChangePrefix, "/"+logDirEventPrefix)
	for _, path := range paths {
		if !strings.Contains(string(page), path) {
			t.Errorf("docs/znodes.md does not name %s", path)
		}
	}
}
