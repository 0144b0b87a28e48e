package txnlog

import (
	"bufio"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
)

// A snapshot is a header, the sessions, the lists of ACLs, the nodes, and a seal: the checksum of all
// that, and the path "/". Apache ZooKeeper may append a digest of the tree, which is not read.
const (
	snapshotMagic int32 = 'Z'<<24 | 'K'<<16 | 'S'<<8 | 'N'
	snapshotDbID  int64 = -1
	openACL       int64 = -1 // the number of the ACL that is open to all
	rootPath            = "" // of the root in a snapshot; "/" ends the list of nodes
	endOfNodes          = "/"
)

// savedSessions are the sessions in a snapshot.
type savedSessions []savedSession

type savedSession struct {
	id        int64
	timeoutMs int32
}

// Fields implements jute.Record.
func (r *savedSessions) Fields(c *jute.Codec) {
	jute.Vector(c, (*[]savedSession)(r), 12, func(s *savedSession) { c.Long(&s.id); c.Int(&s.timeoutMs) })
}

// savedACLs are the ACLs in a snapshot, with the numbers that nodes refer to them by.
type savedACLs []savedACL

type savedACL struct {
	number int64
	list   jute.ACLs
}

// Fields implements jute.Record.
func (r *savedACLs) Fields(c *jute.Codec) {
	jute.Vector(c, (*[]savedACL)(r), 12, func(a *savedACL) { c.Long(&a.number); a.list.Fields(c) })
}

// Save writes a snapshot and returns when it is durable. Until then it has another name. The
// transactions that it contains must be durable already.
func (s *Store) Save(snapshot *tree.Snapshot) error {
	name := fmt.Sprintf("%s%x", snapshotPrefix, snapshot.Zxid)
	temporary := filepath.Join(s.snaps, "."+name+temporaryMark)
	file, err := s.fs.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	err = writeSnapshot(file, snapshot)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = s.fs.Rename(temporary, filepath.Join(s.snaps, name))
	}
	if err != nil {
		_ = s.fs.Remove(temporary)
		return fmt.Errorf("saving the snapshot of 0x%x: %w", snapshot.Zxid, err)
	}
	return s.fs.SyncDir(s.snaps)
}

func writeSnapshot(file vfs.File, snapshot *tree.Snapshot) error {
	snapshot.Sort()
	sum := adler32.New()
	out := bufio.NewWriterSize(io.NewOffsetWriter(file, 0), 1<<20)
	both := io.MultiWriter(out, sum)
	var buf []byte
	var err error
	write := func(records ...jute.Record) {
		if buf = jute.Append(buf[:0], records...); err == nil {
			_, err = both.Write(buf)
		}
	}
	var sessions savedSessions
	for _, id := range slices.Sorted(maps.Keys(snapshot.Sessions)) {
		sessions = append(sessions, savedSession{id, int32(snapshot.Sessions[id])})
	}
	numbers, lists := numberACLs(snapshot.Nodes)
	write(&jute.FileHeader{Magic: snapshotMagic, Version: fileVersion, DbID: snapshotDbID}, &sessions, &lists)
	for i, n := range snapshot.Nodes {
		path := n.Path
		if path == "/" {
			path = rootPath
		}
		write(&jute.PathRequest{Path: path}, &jute.DataNode{Data: n.Data, ACL: numbers[i], Stat: n.Stat})
	}
	write(&jute.PathRequest{Path: endOfNodes})
	seal := checksum(sum.Sum32())
	write(&seal, &jute.PathRequest{Path: endOfNodes})
	if err != nil {
		return err
	}
	return out.Flush()
}

// numberACLs returns the number of the ACL of each node, and the lists with the numbers 1, 2, ...
func numberACLs(nodes []tree.SavedNode) (numbers []int64, lists savedACLs) {
	known := map[string]int64{string(encodeACL(tree.OpenACL)): openACL}
	for _, n := range nodes {
		key := string(encodeACL(n.ACL))
		if known[key] == 0 {
			known[key] = int64(len(lists) + 1)
			lists = append(lists, savedACL{known[key], n.ACL})
		}
		numbers = append(numbers, known[key])
	}
	return numbers, lists
}

func encodeACL(acl []jute.ACL) []byte { return jute.Append(nil, (*jute.ACLs)(&acl)) }

// newest returns the newest snapshot that is whole.
func (s *Store) newest(snapshots []numbered) (*tree.Snapshot, error) {
	var failures []error
	for _, n := range slices.Backward(snapshots) {
		path := filepath.Join(s.snaps, n.name)
		saved, err := s.readSnapshot(path)
		if err == nil {
			saved.Zxid = n.zxid
			return saved, nil
		}
		err = fmt.Errorf("%s: %w", path, err)
		if !errors.Is(err, ErrCorrupt) {
			return nil, err
		}
		s.warn("the snapshot is not used, an earlier one is: %v", err)
		failures = append(failures, err)
	}
	return nil, fmt.Errorf("no snapshot can be read: %w", errors.Join(failures...))
}

func (s *Store) readSnapshot(path string) (*tree.Snapshot, error) {
	file, err := s.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	buf, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return nil, err
	}
	return decodeSnapshot(buf)
}

// decodeSnapshot reads a snapshot. The error wraps ErrCorrupt.
func decodeSnapshot(buf []byte) (*tree.Snapshot, error) {
	rest := buf
	var err error
	read := func(records ...jute.Record) {
		for _, r := range records {
			if err == nil {
				rest, err = jute.Decode(rest, r)
			}
		}
	}
	var header jute.FileHeader
	read(&header)
	if err == nil && (header.Magic != snapshotMagic || header.Version != fileVersion) {
		err = fmt.Errorf("it begins with 0x%x, version %d", header.Magic, header.Version)
	}
	saved := &tree.Snapshot{Sessions: map[int64]int64{}}
	var sessions savedSessions
	var acls savedACLs
	read(&sessions, &acls)
	for _, session := range sessions {
		saved.Sessions[session.id] = int64(session.timeoutMs)
	}
	lists := map[int64][]jute.ACL{openACL: tree.OpenACL}
	for _, acl := range acls {
		lists[acl.number] = acl.list
	}
	for err == nil {
		var path jute.PathRequest
		if read(&path); err != nil || path.Path == endOfNodes {
			break
		}
		var n jute.DataNode
		if read(&n); path.Path == rootPath {
			path.Path = "/"
		}
		saved.Nodes = append(saved.Nodes, tree.SavedNode{Path: path.Path, Data: n.Data, ACL: lists[n.ACL], Stat: n.Stat})
	}
	sum := checksum(adler32.Checksum(buf[:len(buf)-len(rest)]))
	var value checksum
	read(&value)
	if err == nil && value != sum {
		err = errors.New("its checksum does not match")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return saved, nil
}
