package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// docs/formats.md names every file that the package writes.
func TestTheFormatsPageNamesEveryFile(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(testkit.Root(), "docs", "formats.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{lockFile, metaPropertiesFile, cleanShutdownFile, recoveryPointFile, logStartFile, highWatermarkFile,
		cleanerOffsetFile, leaderEpochFile, partitionMetadataFile, logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix,
		snapshotSuffix, deletedSuffix, cleanedSuffix, swapSuffix, tempSuffix}
	for _, name := range append(names, dirSuffixes[1:]...) {
		if !strings.Contains(string(page), name) {
			t.Errorf("docs/formats.md does not mention %s", name)
		}
	}
}
