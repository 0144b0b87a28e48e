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
	count := int32(len(snapshot.Sessions))
	write(&jute.FileHeader{Magic: snapshotMagic, Version: fileVersion, DbID: snapshotDbID}, ints{&count})
	for _, id := range slices.Sorted(maps.Keys(snapshot.Sessions)) {
		timeout := int32(snapshot.Sessions[id])
		write(longs{&id}, ints{&timeout})
	}
	numbers, lists := numberACLs(snapshot.Nodes)
	count = int32(len(lists))
	write(ints{&count})
	for i, acl := range lists {
		number := int64(i + 1)
		write(longs{&number}, (*jute.ACLs)(&acl))
	}
	for i, n := range snapshot.Nodes {
		path := n.Path
		if path == "/" {
			path = rootPath
		}
		write(&jute.PathRequest{Path: path}, &jute.DataNode{Data: n.Data, ACL: numbers[i], Stat: n.Stat})
	}
	write(&jute.PathRequest{Path: endOfNodes})
	value := int64(sum.Sum32())
	write(longs{&value}, &jute.PathRequest{Path: endOfNodes})
	if err != nil {
		return err
	}
	return out.Flush()
}

// numberACLs returns the number of the ACL of each node, and the lists with the numbers 1, 2, ...
func numberACLs(nodes []tree.SavedNode) (numbers []int64, lists [][]jute.ACL) {
	known := map[string]int64{string(encodeACL(tree.OpenACL)): openACL}
	for _, n := range nodes {
		key := string(encodeACL(n.ACL))
		if known[key] == 0 {
			lists = append(lists, n.ACL)
			known[key] = int64(len(lists))
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
	var count int32
	read(&header, ints{&count})
	if err == nil && (header.Magic != snapshotMagic || header.Version != fileVersion) {
		err = fmt.Errorf("it begins with 0x%x, version %d", header.Magic, header.Version)
	}
	saved := &tree.Snapshot{Sessions: map[int64]int64{}}
	for range count {
		var id int64
		var timeout int32
		if read(longs{&id}, ints{&timeout}); err != nil {
			break
		}
		saved.Sessions[id] = int64(timeout)
	}
	lists := map[int64][]jute.ACL{openACL: tree.OpenACL}
	count = 0
	read(ints{&count})
	for range count {
		var number int64
		var acl jute.ACLs
		if read(longs{&number}, &acl); err != nil {
			break
		}
		lists[number] = acl
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
	sum := int64(adler32.Checksum(buf[:len(buf)-len(rest)]))
	var value int64
	read(longs{&value})
	if err == nil && value != sum {
		err = errors.New("its checksum does not match")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return saved, nil
}
