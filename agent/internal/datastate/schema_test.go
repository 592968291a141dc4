package datastate

import (
	"reflect"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

const (
	changing = cluster.FirstObject + 1 // a collection whose table changes
	beside   = cluster.FirstObject + 2
)

func by(version uint64) []cluster.SchemaVersion {
	return []cluster.SchemaVersion{{Collection: changing, Version: version}}
}

// raise asks once, and a second time if the first has set the fence.
func (h *half) raise(version uint64) *Result {
	h.t.Helper()
	req := &Raise{From: h.desc.Start, Schemas: []cluster.SchemaFence{{SchemaVersion: by(version)[0]}}}
	r, _ := h.ask(req)
	if r.Outcome == Applied && r.Until == "" { // it was set
		r, _ = h.ask(req)
	}
	return r
}

// TestOlderSchemasAreRefused: behind a fence nothing is written by who knows an older
// version or none, whatever asks; others are, and other collections are.
func TestOlderSchemasAreRefused(t *testing.T) {
	a, b := halves(t)
	row, other := rowOf(changing, 16, 1), rowOf(beside, 16, 1)
	record := keys.TxnRecord(row, txnA)
	elsewhere := keys.TxnRecord(rowOf(beside, 17, 1), txnA)
	if r, _ := a.batch(put(row, "none"), put(other, "x")); r.Outcome != Applied {
		t.Fatalf("before there is a fence: %+v", r)
	}
	if r := a.raise(4); r.Outcome != Applied || r.Until != a.desc.End {
		t.Fatalf("raise: %+v", r)
	}
	asks := func(version uint64) map[string]encoder {
		return map[string]encoder{
			"batch":    &Batch{Schemas: by(version), Ops: []Op{put(other, "y"), put(row, "y")}},
			"of a txn": &Batch{Schemas: by(version), Ops: []Op{put(other, "y"), put(row, "y")}, Txn: txnB},
			"prewrite": &Prewrite{Schemas: by(version), Ops: []Op{put(rowOf(changing, 16, 2), "y")}, Txn: txnA, Record: elsewhere},
			"commit":   &Commit{Schemas: by(version), Ops: []Op{put(rowOf(changing, 16, 3), "y")}, Txn: txnA, Record: record},
		}
	}
	for name, req := range asks(3) {
		if r, ts := a.ask(req); r.Outcome != StaleSchema || r.Schema != by(4)[0] || ts != 0 {
			t.Errorf("%s by version 3: %+v at %s", name, r, ts)
		}
	}
	if r, _ := a.batch(put(row, "none")); r.Outcome != StaleSchema {
		t.Errorf("by no version: %+v", r)
	}
	for name, req := range asks(4) {
		if r, _ := a.ask(req); r.Outcome != Applied {
			t.Errorf("%s by version 4: %+v", name, r)
		}
	}
	if r, _ := a.batch(put(other, "z")); r.Outcome != Applied {
		t.Errorf("of another collection: %+v", r)
	}
	if r, _ := a.ask(&Lock{Txn: txnB, Record: keys.TxnRecord(row, txnB), Rows: [][]byte{row}, Strength: lock.Update}); r.Outcome != Applied {
		t.Errorf("a lock: %+v", r)
	}
	if f := a.m.Fence().Schema(changing); f.Version != 4 {
		t.Errorf("the fence is %+v", f)
	}
	if r := a.raise(3); r.Outcome != Blocked || a.m.Fence().Schema(changing).Version != 4 {
		// the intent of the prewrite above is not from before
		if r.Outcome != Applied {
			t.Errorf("a lower one: %+v", r)
		}
	}
	batch := b.e.NewBatch()
	if err := a.m.Bequeath(batch, b.desc.ID); err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(false); err != nil {
		t.Fatal(err)
	}
	if err := b.m.Reload(b.e, b.desc); err != nil || !reflect.DeepEqual(b.m.Fence(), a.m.Fence()) {
		t.Errorf("a half has the fence %+v, %v", b.m.Fence(), err)
	}
}

// TestAFenceWaitsForOlderIntents: it is said to be there when what was laid before is gone,
// whatever becomes of it; what was laid by the new version is of no matter.
func TestAFenceWaitsForOlderIntents(t *testing.T) {
	a, _ := halves(t)
	old, late, other := rowOf(changing, 16, 1), rowOf(changing, 16, 2), rowOf(beside, 16, 3)
	recordA, recordB := keys.TxnRecord(rowOf(beside, 17, 1), txnA), keys.TxnRecord(rowOf(beside, 17, 1), txnB)
	for _, row := range [][]byte{old, other} {
		if r, _ := a.ask(&Prewrite{Schemas: by(3), Ops: []Op{put(row, "old")}, Txn: txnA, Record: recordA}); r.Outcome != Applied {
			t.Fatalf("prewrite: %+v", r)
		}
	}
	blocked := []Blocker{{Txn: txnA, Record: recordA, Row: old}}
	if r := a.raise(4); r.Outcome != Blocked || !reflect.DeepEqual(r.By, blocked) {
		t.Fatalf("raise over an intent: %+v", r)
	}
	if r, _ := a.ask(&Prewrite{Schemas: by(4), Ops: []Op{put(late, "new")}, Txn: txnB, Record: recordB}); r.Outcome != Applied {
		t.Fatalf("prewrite by the new version: %+v", r)
	}
	if r := a.raise(4); r.Outcome != Blocked || !reflect.DeepEqual(r.By, blocked) {
		t.Fatalf("raise again: %+v", r)
	}
	if r, _ := a.ask(&Resolve{Txn: txnA, Record: recordA, CommitTS: *a.now, Rows: [][]byte{old}}); r.Outcome != Applied {
		t.Fatalf("resolve: %+v", r)
	}
	if r := a.raise(4); r.Outcome != Applied || r.Until != a.desc.End {
		t.Errorf("raise when it is gone: %+v", r)
	}
	if r := a.raise(5); r.Outcome != Blocked || len(r.By) != 1 || r.By[0].Txn != txnB {
		t.Errorf("raise to the next: %+v", r)
	}
}

// TestRaiseOfAnotherRange: a range answers for what it owns.
func TestRaiseOfAnotherRange(t *testing.T) {
	a, b := halves(t)
	for name, req := range map[string]*Raise{
		"the next one": {From: b.desc.Start}, "another pool": {Pool: 3, From: a.desc.Start}, "before": {From: cluster.VShard(15).Key()},
	} {
		req.Schemas = []cluster.SchemaFence{{SchemaVersion: by(1)[0]}}
		if r, ts := a.ask(req); r.Outcome != WrongRange || ts != 0 {
			t.Errorf("%s: %+v at %s", name, r, ts)
		}
	}
}

// TestADropTakesTheFenceOfItsSchema: what is no more needs no version, and is not forgotten
// to be no more.
func TestADropTakesTheFenceOfItsSchema(t *testing.T) {
	a, _ := halves(t)
	a.raise(4)
	a.ask(&Raise{From: a.desc.Start, Schemas: []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: beside, Version: 7}}}})
	if !a.own(a.m.SetFence(&cluster.Fence{Through: 9, UpTo: changing, Doomed: []cluster.CollectionID{changing}}, 1)) {
		t.Fatal("the fence is not there")
	}
	f := a.m.Fence()
	if len(f.Schemas) != 1 || f.Schema(beside).Version != 7 || !f.Bars(changing) {
		t.Errorf("the fence is %+v", f)
	}
	if r := a.raise(9); r.Outcome != Applied || len(a.m.Fence().Schemas) != 1 {
		t.Errorf("raise of what is no more: %+v, %+v", r, a.m.Fence())
	}
	a.clear(9)
	if f := a.m.Fence(); len(f.Schemas) != 1 || f.Cleared != 9 {
		t.Errorf("cleared, the fence is %+v", f)
	}
}

// TestRaisedTakesNothingBack holds what two fences come to, in any order.
func TestRaisedTakesNothingBack(t *testing.T) {
	at := func(version uint64, reads bool) []cluster.SchemaFence {
		return []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: changing, Version: version}, Reads: reads}}
	}
	f := (&cluster.Fence{}).Raised(at(4, true), 10).Raised(at(6, false), 20)
	if s := f.Schema(changing); s.Version != 6 || !s.Reads || s.At != 20 {
		t.Errorf("%+v", s)
	}
	if same := f.Raised(at(5, true), 30); !reflect.DeepEqual(same.Schemas, f.Schemas) || !f.Covers(at(5, true)) || f.Covers(at(7, false)) {
		t.Errorf("%+v", same)
	}
}
