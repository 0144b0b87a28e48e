package tree

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/zkserver/jute"
)

// logged is a transaction that was recorded.
type logged struct {
	header jute.TxnHeader
	txn    jute.Record
}

// randomHistory runs random operations of several sessions and returns the tree, the transactions,
// and a snapshot after each transaction.
func randomHistory(seed uint64) (tr *Tree, log []logged, snapshots []*Snapshot) {
	random := rand.New(rand.NewPCG(seed, 1))
	now := int64(1000)
	tr = New()
	tr.Record = func(h jute.TxnHeader, txn jute.Record) {
		h.Time = now
		log = append(log, logged{h, txn})
	}
	sessions := []int64{tr.Open(now, 6000), tr.Open(now, 7000)}
	path := func() string {
		path := ""
		for range 1 + random.IntN(3) {
			path += fmt.Sprintf("/%c", 'a'+random.IntN(3))
		}
		return path
	}
	version := func() int32 { return int32(random.IntN(4)) - 1 }
	op := func() Op {
		switch random.IntN(6) {
		case 0:
			return Delete{Path: path(), Version: AnyVersion}
		case 1:
			return Set{Path: path(), Data: fmt.Append(nil, random.IntN(100)), Version: version()}
		case 2:
			return SetACL{Path: path(), ACL: []jute.ACL{{Perms: random.Int32N(32), ID: anyone}}, Version: AnyVersion}
		}
		o := Create{Path: path(), Data: []byte{byte(random.IntN(9))}, Sequential: random.IntN(4) == 0}
		switch random.IntN(6) {
		case 0:
			o.Ephemeral = true
		case 1:
			o.Container = true
		case 2:
			o.TTLMs = 500
		}
		return o
	}
	for range 150 {
		now += random.Int64N(100)
		i := random.IntN(len(sessions))
		switch n := random.IntN(20); {
		case n == 0:
			tr.End(sessions[i])
			sessions[i] = tr.Open(now, 6000)
		case n < 4:
			for _, path := range tr.Expired(now) {
				tr.Expire(path, now)
			}
		case n < 8:
			_, _, _ = tr.Multi(sessions[i], now, op(), op(), op())
		default:
			_, _, _ = tr.Do(sessions[i], now, op())
		}
		for len(snapshots) < len(log) {
			snapshots = append(snapshots, sorted(tr))
		}
	}
	return tr, log, snapshots
}

func sorted(tr *Tree) *Snapshot {
	s := tr.Snapshot()
	s.Sort()
	return s
}

// Replaying the transactions gives the same tree: all of them on a new tree, or those after a
// snapshot, or those after an earlier change, because a snapshot that Apache ZooKeeper took while it
// served contains some of the transactions that follow it.
func TestReplayedTransactionsGiveTheSameTree(t *testing.T) {
	seeds := uint64(4)
	if testkit.FullMatrices() {
		seeds = 200
	}
	for seed := range seeds {
		tr, log, snapshots := randomHistory(seed)
		want := sorted(tr)
		check := func(what string, restored *Tree, from int) {
			t.Helper()
			for _, l := range log[from:] {
				// Through the encoding, as it is read from a file.
				header, txn, err := jute.DecodeTxn(jute.Append(nil, &l.header, l.txn))
				if err != nil {
					t.Fatal(err)
				}
				restored.Replay(header, txn)
			}
			restored.Loaded()
			got := sorted(restored)
			for _, s := range []*Snapshot{got, want} {
				for i := range s.Nodes {
					if len(s.Nodes[i].Data) == 0 {
						s.Nodes[i].Data = nil
					}
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, %s: %+v, want %+v", seed, what, got, want)
			}
			for _, id := range tr.Sessions() {
				ours, _ := tr.Ephemerals(id, "")
				theirs, err := restored.Ephemerals(id, "")
				if err != nil || !reflect.DeepEqual(ours, theirs) {
					t.Fatalf("seed %d, %s: session %d owns %v, want %v", seed, what, id, theirs, ours)
				}
			}
		}
		check("from the start", New(), 0)
		for i := 0; i < len(log); i += 11 {
			for _, overlap := range []int{0, 5} {
				restored, ok := Restore(snapshots[i])
				if !ok {
					t.Fatal("a node has no parent")
				}
				check(fmt.Sprintf("from the snapshot at %d, %d transactions back", i, overlap), restored, max(0, i+1-overlap))
			}
		}
	}
}

func TestEphemeralNodesOfUnknownSessionsAreDropped(t *testing.T) {
	tr := New()
	s := tr.Open(0, 1000)
	if _, _, err := tr.Do(s, 0, Create{Path: "/e", Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	saved := sorted(tr)
	delete(saved.Sessions, s)
	restored, ok := Restore(saved)
	if !ok {
		t.Fatal("not restored")
	}
	restored.Loaded()
	if paths := restored.Paths(); len(paths) != 0 {
		t.Errorf("left: %v", paths)
	}
}

func TestASnapshotWithoutAParentIsRefused(t *testing.T) {
	if _, ok := Restore(&Snapshot{Nodes: []SavedNode{{Path: "/"}, {Path: "/a/b"}}}); ok {
		t.Error("restored")
	}
	if _, ok := Restore(&Snapshot{}); ok {
		t.Error("restored without a root")
	}
}
