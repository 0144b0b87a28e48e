package storage

import (
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/monedula/monedula/record"
)

// finishSwaps removes temporary files, and finishes or undoes a replacement of segments that a
// crash interrupted: a complete set of .swap files replaces the segments it was made from; an
// incomplete one (a .cleaned file is left) is removed.
func (ld *loader) finishSwaps() error {
	names, err := ld.list()
	if err != nil {
		return err
	}
	swaps, err := ld.removeTemporary(names)
	if err != nil || len(swaps) == 0 {
		return err
	}
	first, next := record.Offset(math.MaxInt64), record.Offset(math.MinInt64)
	for _, name := range swaps {
		if strings.HasSuffix(name, logSuffix+swapSuffix) {
			base, _, _ := parseOffsetFileName(name)
			ld.log.Infof("Found log file %s from interrupted swap operation, which is recoverable from .swap files by renaming.", filepath.Join(ld.path, name))
			end, err := ld.swapEnd(base)
			if err != nil {
				return err
			}
			first, next = min(first, base), max(next, end, base+1)
		}
	}
	for _, name := range names {
		base, _, ok := parseOffsetFileName(name)
		if ok && base >= first && base < next && !strings.HasSuffix(name, swapSuffix) {
			ld.log.Infof("Deleting segment files %s that is compacted but has not been deleted yet.", name)
			if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, name))); err != nil {
				return err
			}
		}
	}
	for _, name := range swaps {
		from := filepath.Join(ld.path, name)
		ld.log.Infof("Recovering file %s by renaming from .swap files.", name)
		if err := ld.env.fs.Rename(from, strings.TrimSuffix(from, swapSuffix)); err != nil {
			return err
		}
	}
	return ld.env.fs.SyncDir(ld.path)
}

// removeTemporary removes .deleted and .cleaned files, and the .swap files of an interrupted split.
// It returns the remaining .swap files.
func (ld *loader) removeTemporary(names []string) (swaps []string, err error) {
	firstCleaned := record.Offset(math.MaxInt64)
	for _, name := range names {
		if base, _, ok := parseOffsetFileName(name); ok && strings.HasSuffix(name, cleanedSuffix) {
			firstCleaned = min(firstCleaned, base)
		}
	}
	var strays, strayParts []string
	for _, name := range names {
		base, _, ok := parseOffsetFileName(name)
		swap := ok && strings.HasSuffix(name, swapSuffix)
		switch {
		case swap && base < firstCleaned:
			swaps = append(swaps, name)
		case swap:
			strayParts = append(strayParts, name)
		case strings.HasSuffix(name, cleanedSuffix), strings.HasSuffix(name, deletedSuffix):
			strays = append(strays, name)
		}
	}
	if len(strayParts) > 0 {
		// Without the .cleaned files they would count as complete.
		if err := ld.removeStrays(strayParts); err != nil {
			return nil, err
		}
		if err := ld.env.fs.SyncDir(ld.path); err != nil {
			return nil, err
		}
	}
	return swaps, ld.removeStrays(strays)
}

func (ld *loader) removeStrays(names []string) error {
	for _, name := range names {
		ld.log.Debugf("Deleting stray temporary file %s", filepath.Join(ld.path, name))
		if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, name))); err != nil {
			return err
		}
	}
	return nil
}

// swapEnd returns the offset after the last batch of a .log.swap file.
func (ld *loader) swapEnd(base record.Offset) (record.Offset, error) {
	name := segmentPath(ld.path, base, logSuffix+swapSuffix)
	info, err := ld.env.fs.Stat(name)
	if err != nil {
		return 0, err
	}
	f, err := ld.env.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var scan batchScan
	scan.begin(f, 0, info.Size(), false, &ld.env.buffers)
	defer scan.close()
	next := base
	for {
		b, _, err := scan.next()
		if err != nil || b == nil {
			return next, err
		}
		next = b.NextOffset()
	}
}
