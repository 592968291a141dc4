package datastate

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// shut asks to close the place of changing, and once more if that has set the fence.
func (h *half) shut() *Result {
	h.t.Helper()
	req := &Raise{From: h.desc.Start, Schemas: []cluster.SchemaFence{cluster.Closing(changing)}}
	r, _ := h.ask(req)
	if r.Outcome == Applied && r.Until == "" {
		r, _ = h.ask(req)
	}
	return r
}

// TestAClosedPlaceIsNeitherWrittenNorLocked: by no version, by no kind of lock; other
// places of the range are.
func TestAClosedPlaceIsNeitherWrittenNorLocked(t *testing.T) {
	a, _ := halves(t)
	row, other := rowOf(changing, 16, 1), rowOf(beside, 16, 1)
	if r, _ := a.batch(put(row, "x"), put(other, "x")); r.Outcome != Applied {
		t.Fatalf("before it is closed: %+v", r)
	}
	if r := a.shut(); r.Outcome != Applied || r.Until != a.desc.End {
		t.Fatalf("close: %+v", r)
	}
	newest := []cluster.SchemaVersion{{Collection: changing, Version: 1 << 40}}
	if r, _ := a.ask(&Batch{Schemas: newest, Ops: []Op{put(row, "y")}}); r.Outcome != StaleSchema {
		t.Errorf("a write by a late version: %+v", r)
	}
	for _, durable := range []bool{false, true} {
		for _, s := range []lock.Strength{lock.KeyShare, lock.Update} {
			of := func(row []byte) *Lock {
				return &Lock{Txn: txnB, Record: keys.TxnRecord(row, txnB), Rows: [][]byte{row}, Strength: s, Durable: durable}
			}
			if r, _ := a.ask(of(row)); r.Outcome != StaleSchema || r.Schema.Collection != changing {
				t.Errorf("lock %v, durable %v: %+v", s, durable, r)
			}
			if r, _ := a.ask(of(other)); r.Outcome != Applied {
				t.Errorf("lock %v, durable %v, of another place: %+v", s, durable, r)
			}
		}
	}
}

// TestClosingWaitsForHolders: who holds a durable lock there is not met by who comes later
// elsewhere, so that closing waits for its end; a fence that does not close does not.
func TestClosingWaitsForHolders(t *testing.T) {
	a, _ := halves(t)
	row := rowOf(changing, 16, 1)
	record := keys.TxnRecord(rowOf(beside, 17, 1), txnA)
	if r, _ := a.batch(put(row, "x")); r.Outcome != Applied {
		t.Fatalf("put: %+v", r)
	}
	if r, _ := a.ask(&Lock{Txn: txnA, Record: record, Rows: [][]byte{row}, Strength: lock.KeyShare, Durable: true}); r.Outcome != Applied {
		t.Fatalf("lock: %+v", r)
	}
	if r := a.raise(4); r.Outcome != Applied {
		t.Errorf("a fence that does not close: %+v", r)
	}
	if r := a.shut(); r.Outcome != Blocked || len(r.By) != 1 || r.By[0].Txn != txnA || string(r.By[0].Row) != string(row) {
		t.Fatalf("close over a lock: %+v", r)
	}
	if r, _ := a.ask(&Resolve{Txn: txnA, Record: record, Rows: [][]byte{row}}); r.Outcome != Applied {
		t.Fatalf("resolve: %+v", r)
	}
	if r := a.shut(); r.Outcome != Applied || r.Until != a.desc.End {
		t.Errorf("close when it is gone: %+v", r)
	}
}

// TestReadersSeeThatAPlaceIsClosed: from the command on, whatever comes after it, when the
// range is loaded again, and in a range that is split off.
func TestReadersSeeThatAPlaceIsClosed(t *testing.T) {
	a, b := halves(t)
	if _, closed := a.m.Mirror().Closed(changing); closed {
		t.Fatal("it is closed at the beginning")
	}
	if a.raise(4); a.m.Mirror() != noLocks {
		t.Error("a fence that does not close is among what readers look at")
	}
	a.shut()
	want := hlc.Timestamp(a.m.Fence().Schema(changing).At)
	check := func(when string, m *Machine) {
		t.Helper()
		if at, closed := m.Mirror().Closed(changing); !closed || at != want || want == 0 {
			t.Errorf("%s: %v, at %s, want %s", when, closed, at, want)
		}
		if _, closed := m.Mirror().Closed(beside); closed {
			t.Errorf("%s: another place is closed", when)
		}
	}
	check("when it is", a.m)
	row := rowOf(beside, 16, 1)
	record := keys.TxnRecord(row, txnA)
	if r, _ := a.ask(&Lock{Txn: txnA, Record: record, Rows: [][]byte{row}, Strength: lock.Update, Durable: true}); r.Outcome != Applied {
		t.Fatalf("lock: %+v", r)
	}
	check("with a lock beside", a.m)
	if r, _ := a.ask(&Resolve{Txn: txnA, Record: record, Rows: [][]byte{row}}); r.Outcome != Applied {
		t.Fatalf("resolve: %+v", r)
	}
	check("without one again", a.m)
	again := New()
	if err := again.Reload(a.e, a.desc); err != nil {
		t.Fatal(err)
	}
	check("loaded again", again)
	batch := b.e.NewBatch()
	if err := a.m.Bequeath(batch, b.desc.ID); err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(false); err != nil {
		t.Fatal(err)
	}
	if err := b.m.Reload(b.e, b.desc); err != nil {
		t.Fatal(err)
	}
	check("split off", b.m)
}
