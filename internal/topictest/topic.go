// Package topictest is an internal topic in memory, for tests of coordinators.
package topictest

import (
	"os"
	"slices"
	"sync"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// Topic is an internal topic in memory: a log for each partition.
type Topic struct {
	sync.Mutex // guards the fields below

	Logs       map[int32][]byte // concatenated batches
	Ends       map[int32]record.Offset
	AppendErr  error
	Refusal    error                   // returned by Verify
	Replicated error                   // returned by AwaitReplicated
	Hold       chan struct{}           // if not nil, AwaitReplicated waits until it is closed
	Slow       time.Duration           // batches are replicated this long after they were appended
	Behind     chan struct{}           // if not nil, the end of a log is not replicated until it is closed
	EndErr     error                   // returned by AwaitReplicated for the end of a log
	Reading    chan struct{}           // if not nil, reads wait until it is closed
	Stalled    map[int32]chan struct{} // by partition: appends wait until it is closed

	appended map[position]time.Time
}

// position is the end of a batch.
type position struct {
	partition int32
	end       record.Offset
}

// New returns a topic with empty logs.
func New() *Topic {
	return &Topic{Logs: map[int32][]byte{}, Ends: map[int32]record.Offset{}, appended: map[position]time.Time{}}
}

// Verify returns Refusal. It implements group.OffsetsTopic.
func (t *Topic) Verify(*replication.Transaction, <-chan struct{}) (*storage.Verification, error) {
	return nil, t.Refusal
}

// Append implements coordinator.Topic.
func (t *Topic) Append(partition int32, batch []byte, _ *storage.Verification, _ int16) (replication.Written, error) {
	t.Lock()
	stalled := t.Stalled[partition]
	t.Unlock()
	if stalled != nil {
		<-stalled
	}
	t.Lock()
	defer t.Unlock()
	if t.AppendErr != nil {
		return replication.Written{}, t.AppendErr
	}
	first := t.Ends[partition]
	b := record.Batch(slices.Clone(batch))
	b.SetLastOffset(first + b.LastOffset() - b.BaseOffset())
	t.Logs[partition] = append(t.Logs[partition], b...)
	t.Ends[partition] = b.NextOffset()
	t.appended[position{partition, b.NextOffset()}] = time.Now()
	return replication.Written{First: first, End: b.NextOffset()}, nil
}

// AwaitReplicated implements coordinator.Topic.
func (t *Topic) AwaitReplicated(partition int32, w replication.Written, timeout time.Duration, done <-chan struct{}) error {
	t.Lock()
	hold, err := t.Hold, t.Replicated
	slow := t.Slow
	if w.First == w.End { // of End
		hold, err, slow = t.Behind, t.EndErr, 0
	}
	left := slow - time.Since(t.appended[position{partition, w.End}])
	t.Unlock()
	if slow > 0 && left > timeout {
		time.Sleep(timeout)
		return protocol.RequestTimedOut
	}
	time.Sleep(left)
	if hold == nil {
		if err == protocol.RequestTimedOut {
			select {
			case <-time.After(timeout):
			case <-done:
			}
		}
		return err
	}
	select {
	case <-hold:
		return err
	default:
	}
	select {
	case <-hold:
		return err
	case <-time.After(timeout):
	case <-done:
	}
	return protocol.RequestTimedOut
}

// End implements coordinator.Topic.
func (t *Topic) End(partition int32) (replication.Written, error) {
	t.Lock()
	defer t.Unlock()
	return replication.Written{First: t.Ends[partition], End: t.Ends[partition]}, nil
}

// Log implements coordinator.Topic.
func (t *Topic) Log(partition int32) coordinator.Log { return &memLog{t, partition} }

type memLog struct {
	topic     *Topic
	partition int32
}

func (l *memLog) Offsets() storage.Offsets {
	l.topic.Lock()
	defer l.topic.Unlock()
	return storage.Offsets{LogEnd: l.topic.Ends[l.partition]}
}

// Read returns about MaxBytes from the start of the batch with the offset.
func (l *memLog) Read(r storage.Read) (storage.Data, error) {
	if l.topic.Reading != nil {
		<-l.topic.Reading
	}
	l.topic.Lock()
	set := slices.Clone(l.topic.Logs[l.partition])
	l.topic.Unlock()
	at := 0
	for rest := set; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil || b == nil || b.NextOffset() > r.Offset {
			break
		}
		at, rest = at+len(b), next
	}
	length := min(len(set)-at, max(int(r.MaxBytes), firstSize(set[at:])))
	fs := vfs.NewMem()
	file, err := fs.OpenFile("/log", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return storage.Data{}, err
	}
	if _, err := file.WriteAt(set, 0); err != nil {
		return storage.Data{}, err
	}
	return storage.Data{File: file, Position: int64(at), Length: int32(length)}, nil
}

func firstSize(set []byte) int {
	b, _, err := record.Next(set)
	if err != nil || b == nil {
		return len(set)
	}
	return len(b)
}
