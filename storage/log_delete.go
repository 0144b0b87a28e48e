package storage

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// deleteSegments deletes the files of segments that left the log: it renames them at once and
// removes them from disk after file.delete.delay.ms. The caller must hold mu, and the segments must
// no longer be in the log's view.
func (l *Log) deleteSegments(removed []*segment) error {
	if len(removed) == 0 {
		return nil
	}
	l.log().Infof("Deleting segment files %s", segmentList(removed))
	for _, s := range removed {
		if err := l.markDeleted(s); err != nil {
			return err
		}
		l.removeLater(s)
		if err := l.deleteSnapshot(s.base); err != nil {
			return err
		}
	}
	return nil
}

// removeLater releases the log's reference to a segment, and removes its marked files after
// file.delete.delay.ms.
func (l *Log) removeLater(s *segment) {
	base := s.base
	s.drop()
	l.later(func() {
		for i, suffix := range segmentSuffixes {
			name := l.file(offsetFileName(base, suffix) + deletedSuffix)
			if l.removeFile(name) && i < len(segmentFileKinds) {
				l.log().Infof("Deleted %s %s.", segmentFileKinds[i], name)
			}
		}
	})
}

// deleteSnapshot deletes the producer snapshot at an offset, as deleteSegments does with segments.
func (l *Log) deleteSnapshot(offset record.Offset) error {
	name, err := l.producers.markSnapshotDeleted(offset)
	if err != nil || name == "" {
		return err
	}
	l.names.note()
	base := filepath.Base(name)
	l.later(func() {
		if l.removeFile(l.file(base)) {
			l.log().Infof("Deleted producer state snapshot %s", l.file(base))
		}
	})
	return nil
}

// later runs f after file.delete.delay.ms.
func (l *Log) later(f func()) {
	delay := settings.Milliseconds(l.Config().FileDeleteDelayMs)
	l.env.schedule.after(max(delay, time.Millisecond), l.dir.background, func() {
		if l.check() == nil {
			f()
		}
	})
}

func segmentList(segments []*segment) string {
	var b strings.Builder
	for i, s := range segments {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.String())
	}
	return b.String()
}
