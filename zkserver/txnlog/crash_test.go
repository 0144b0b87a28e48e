package txnlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
)

// server is a tree that is kept in a store, as the server does.
type server struct {
	store   *Store
	tree    *tree.Tree
	batch   Batch
	now     int64
	states  map[int64]*tree.Snapshot // after each transaction, by zxid
	durable int64                    // zxid that was acknowledged
	session int64
}

func config(fsys vfs.FS) Config {
	return Config{FS: fsys, DataDir: "/data", LogDir: "/logs", Preallocate: 8 << 10}
}

// open opens the store. states has the states of the history before.
func open(fsys vfs.FS, states map[int64]*tree.Snapshot) (*server, error) {
	store, tr, err := Open(config(fsys))
	if err != nil {
		return nil, err
	}
	s := &server{store: store, tree: tr, now: 1000, states: states, durable: tr.Zxid()}
	s.states[tr.Zxid()] = state(tr)
	tr.Record = func(h jute.TxnHeader, txn jute.Record) {
		h.Time = s.now
		s.batch.Add(&h, txn)
	}
	return s, nil
}

func state(tr *tree.Tree) *tree.Snapshot {
	s := tr.Snapshot()
	s.Sort()
	for i := range s.Nodes {
		if len(s.Nodes[i].Data) == 0 {
			s.Nodes[i].Data = nil // null and empty differ only on the wire
		}
	}
	return s
}

// write runs random operations and commits them together.
func (s *server) write(random *rand.Rand) error {
	if s.session == 0 {
		s.session = s.tree.Open(s.now, 6000)
		s.states[s.tree.Zxid()] = state(s.tree)
	}
	for range 1 + random.IntN(3) {
		s.now++
		path := fmt.Sprintf("/%c", 'a'+random.IntN(4))
		var ops []tree.Op
		switch random.IntN(4) {
		case 0:
			ops = []tree.Op{tree.Delete{Path: path, Version: tree.AnyVersion}}
		case 1:
			ops = []tree.Op{tree.Set{Path: path, Data: make([]byte, random.IntN(5000)), Version: tree.AnyVersion}}
		case 2:
			ops = []tree.Op{tree.Create{Path: path, Ephemeral: true}, tree.Check{Path: path, Version: 0}}
		default:
			ops = []tree.Op{tree.Create{Path: path, Data: []byte(path), Sequential: random.IntN(2) == 0}}
		}
		if len(ops) > 1 {
			_, _, _ = s.tree.Multi(s.session, s.now, ops...)
		} else {
			_, _, _ = s.tree.Do(s.session, s.now, ops[0])
		}
		s.states[s.tree.Zxid()] = state(s.tree)
	}
	return s.commit()
}

func (s *server) commit() error {
	err := s.store.Commit(&s.batch)
	s.batch = Batch{}
	if err == nil {
		s.durable = s.tree.Zxid()
	}
	return err
}

// save takes a snapshot and deletes old files.
func (s *server) save() error {
	if err := s.store.Roll(); err != nil {
		return err
	}
	return errors.Join(s.store.Save(s.tree.Snapshot()), s.store.Purge(2))
}

// saves is how often each of the two servers of a history takes a snapshot.
var saves = 2

// run is the history: it starts, writes, saves, stops and starts again.
func run(s **server, fsys vfs.FS, seed uint64, states map[int64]*tree.Snapshot) error {
	random := rand.New(rand.NewPCG(seed, 3))
	for range 2 {
		var err error
		var opened *server
		if opened, err = open(fsys, states); err != nil {
			return err
		}
		*s = opened
		for range saves {
			for range 2 {
				if err := opened.write(random); err != nil {
					return err
				}
			}
			if err := opened.save(); err != nil {
				return err
			}
		}
		if err := opened.write(random); err != nil {
			return err
		}
		if err := opened.store.Close(); err != nil {
			return err
		}
	}
	return nil
}

var errStopped = errors.New("the machine has stopped")

// stopAt returns a file system on which the machine stops instead of its nth change.
func stopAt(mem *vfs.Mem, n int, stopped func()) vfs.FS {
	changes := 0
	return vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind.Changes() {
			changes++
		}
		if changes < n {
			return nil
		}
		if changes == n && op.Kind.Changes() {
			changes++
			stopped()
		}
		if op.Kind == vfs.OpWrite && changes == n+1 {
			return &vfs.ShortWrite{N: op.Size / 2, Err: errStopped}
		}
		return errStopped
	})
}

// TestNoAcknowledgedTransactionIsLostWhereverTheMachineStops stops a history before each change of
// the disk. Each state that the crash may leave is opened: it must be the one after a transaction
// that was not followed by an acknowledged one. The opening is stopped in the same way. Then the
// state is used further.
func TestNoAcknowledgedTransactionIsLostWhereverTheMachineStops(t *testing.T) {
	seeds, variants := uint64(1), uint64(2)
	if testkit.FullMatrices() {
		seeds, variants, saves = 20, 10, 4
	}
	for seed := range seeds {
		for n := 1; ; n++ {
			mem := vfs.NewMem()
			states := map[int64]*tree.Snapshot{}
			var s *server
			crashed := false
			err := run(&s, stopAt(mem, n, func() { crashed = true }), seed, states)
			if !crashed {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			durable := int64(0)
			if s != nil {
				durable = s.durable
			}
			for variant := range variants + 2 {
				image := mem.CrashClone(vfs.Random, variant)
				switch variant {
				case 0:
					image = mem.CrashClone(vfs.SyncedOnly, 0)
				case 1:
					image = mem.CrashClone(vfs.Everything, 0)
				}
				if err := look(image, durable, states, variant); err != nil {
					t.Fatalf("seed %d, stopped at change %d, variant %d: %v", seed, n, variant, err)
				}
			}
		}
	}
}

// look opens what a crash left, also with further crashes while it opens, and continues.
func look(image *vfs.Mem, durable int64, states map[int64]*tree.Snapshot, variant uint64) error {
	for n := 1; variant == 2 || testkit.FullMatrices(); n++ {
		before := image.CrashClone(vfs.Everything, 0)
		crashed := false
		if _, _, err := Open(config(stopAt(before, n, func() { crashed = true }))); !crashed {
			if err != nil {
				return err
			}
			break
		}
		if err := check(before.CrashClone(vfs.Random, variant), durable, states); err != nil {
			return fmt.Errorf("stopped at change %d of the start: %w", n, err)
		}
	}
	return check(image, durable, states)
}

func check(image *vfs.Mem, durable int64, states map[int64]*tree.Snapshot) error {
	further := map[int64]*tree.Snapshot{}
	s, err := open(image, further)
	if err != nil {
		return err
	}
	zxid := s.tree.Zxid()
	if zxid < durable {
		return fmt.Errorf("the last transaction is 0x%x, and 0x%x was acknowledged", zxid, durable)
	}
	want := states[zxid]
	if want == nil && zxid == 0 {
		want = state(tree.New())
	}
	if got := state(s.tree); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("after 0x%x: %+v, want %+v", zxid, got, want)
	}
	random := rand.New(rand.NewPCG(uint64(zxid), 4))
	for range 2 {
		if err := s.write(random); err != nil {
			return err
		}
	}
	if err := s.store.Close(); err != nil {
		return err
	}
	again, err := open(image.CrashClone(vfs.SyncedOnly, 0), map[int64]*tree.Snapshot{})
	if err != nil {
		return fmt.Errorf("the second start: %w", err)
	}
	if got, want := state(again.tree), further[s.durable]; !reflect.DeepEqual(got, want) {
		return fmt.Errorf("after the second start, 0x%x: %+v, want %+v", again.tree.Zxid(), got, want)
	}
	return again.store.Close()
}
