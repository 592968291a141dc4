package datastate

import (
	"errors"
	"reflect"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// own does what every replica does with a command of the leader's own.
func (h *half) own(command []byte) (applied bool) {
	h.t.Helper()
	*h.now++
	b := h.e.NewBatch()
	_, applied, err := h.m.Write(b, h.desc, *h.now, command)
	if err = errors.Join(err, b.Commit(false), b.Close()); err != nil {
		h.t.Fatal(err)
	}
	h.m.Show(h.m.Mirror())
	h.sum = h.sum.Plus(h.m.TakeCounts())
	h.check()
	again := New()
	if err := again.Reload(h.e, h.desc); err != nil {
		h.t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Fence(), h.m.Fence()) {
		h.t.Fatalf("stored is the fence %+v, in memory %+v", again.Fence(), h.m.Fence())
	}
	return applied
}

// clear clears what the fence dooms, and returns the commands that it took.
func (h *half) clear(limit int) (commands [][]byte) {
	h.t.Helper()
	var after []byte
	for {
		view := h.e.NewSnapshot()
		f, err := h.m.Clear(view, h.desc, h.m.Fence(), after, limit, nil)
		if err = errors.Join(err, view.Close()); err != nil {
			h.t.Fatal(err)
		}
		if !h.own(f.Command) {
			h.t.Fatal("it was not applied")
		}
		commands = append(commands, f.Command)
		if after = f.Next; after == nil {
			return commands
		}
	}
}

// holds is how many keys the range has of a collection, versions and lock records.
func (h *half) holds(c cluster.CollectionID) (n int) {
	for _, span := range []keys.Span{keys.DataSpan(h.desc.Pool, h.desc.Start, h.desc.End), keys.LockSpan(h.desc.Pool, h.desc.Start, h.desc.End)} {
		it, err := h.e.NewIter(span.Start, span.End)
		if err != nil {
			h.t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			row := it.Key()
			if span.Start[0] == row[0] && row[0] == keys.Lock(testRow(16, 1))[0] && !keys.IsTxnRecord(row) {
				if row, err = keys.DecodeLock(row); err != nil {
					h.t.Fatal(err)
				}
			} else if keys.IsTxnRecord(row) {
				continue
			} else if row, _, err = keys.DecodeVersion(row); err != nil {
				h.t.Fatal(err)
			}
			if parts, err := keys.DecodeRow(row); err != nil || parts.Collection == c {
				n++
			}
		}
		if err := it.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	return n
}

func rowOf(c cluster.CollectionID, v cluster.VShard, n byte) []byte {
	return keys.Row(cluster.DefaultPool, v, c, []byte{n})
}

// TestADroppedCollection: behind the fence nothing is written to it, whatever asks, and
// after the clear nothing is left; another collection, and who decides about one, stay.
func TestADroppedCollection(t *testing.T) {
	a, b := halves(t)
	const late, gone, kept = cluster.FirstObject, cluster.FirstObject + 1, cluster.FirstObject + 2
	for n := range byte(3) {
		for _, c := range []cluster.CollectionID{gone, kept, late} {
			a.batch(put(rowOf(c, 16, n), "old"), put(rowOf(c, 16, n+10), "old"))
			a.batch(put(rowOf(c, 16, n), "new"), Op{Row: rowOf(c, 16, n+10), Kind: Delete})
		}
	}
	intent, locked := rowOf(gone, 16, 1), rowOf(gone, 16, 2)
	elsewhere := keys.TxnRecord(rowOf(kept, 17, 1), txnA)
	here := keys.TxnRecord(locked, txnB)
	if r, _ := a.ask(&Prewrite{Ops: []Op{put(intent, "never")}, Txn: txnA, Record: elsewhere}); r.Outcome != Applied {
		t.Fatalf("prewrite: %+v", r)
	}
	if r, _ := a.ask(&Lock{Txn: txnB, Record: here, Rows: [][]byte{locked}, Strength: lock.Update, Durable: true}); r.Outcome != Applied {
		t.Fatalf("lock: %+v", r)
	}
	if r, _ := a.ask(&Push{Txn: txnB, Record: here, Abort: true}); r.Outcome != Applied {
		t.Fatalf("push: %+v", r)
	}

	fence := &cluster.Fence{Through: 9, UpTo: gone, Alive: []cluster.CollectionID{late}, Doomed: []cluster.CollectionID{gone}}
	threshold := *a.now
	if !a.own(a.m.SetFence(fence, threshold)) || a.own(a.m.SetFence(fence, threshold)) {
		t.Fatal("the fence is not there, or was set twice")
	}
	if passed, _, _ := a.m.TakeGarbage(); passed != threshold {
		t.Errorf("the threshold is %s, want %s", passed, threshold)
	}
	own := keys.TxnRecord(intent, txnA)
	for name, req := range map[string]encoder{
		"prewrite": &Prewrite{Ops: []Op{put(intent, "x")}, Txn: txnA, Record: elsewhere},
		"commit":   &Commit{Ops: []Op{put(intent, "x")}, Txn: txnA, Record: own},
		"lock":     &Lock{Txn: txnA, Record: own, Rows: [][]byte{rowOf(gone, 16, 0)}, Strength: lock.Update, Durable: true},
	} {
		if r, ts := a.ask(req); r.Outcome != Dropped || ts != 0 {
			t.Errorf("%s: %+v at %s", name, r, ts)
		}
	}
	if r, ts := a.batch(put(rowOf(kept, 16, 1), "x"), put(rowOf(gone, 16, 9), "x")); r.Outcome != Dropped || r.FailedOp != 1 || ts != 0 {
		t.Errorf("a batch: %+v at %s", r, ts)
	}
	if r, _ := a.batch(put(rowOf(kept, 16, 1), "x"), put(rowOf(late, 16, 1), "x")); r.Outcome != Applied {
		t.Errorf("a batch of others: %+v", r)
	}
	versions := a.holds(gone)
	if r, _ := a.ask(&Resolve{Txn: txnA, Record: elsewhere, CommitTS: *a.now, Rows: [][]byte{intent}}); r.Outcome != Applied || a.holds(gone) != versions-1 {
		t.Errorf("a resolve: %+v, %d keys, before %d", r, a.holds(gone), versions)
	}

	commands := a.clear(1)
	if n := a.holds(gone); n > 0 || a.holds(kept) == 0 || a.holds(late) == 0 {
		t.Errorf("%d keys are left, of others %d and %d", n, a.holds(kept), a.holds(late))
	}
	if f := a.m.Fence(); f.Cleared != 9 || len(f.Doomed) > 0 || !f.Bars(gone) || f.Bars(late) || f.Bars(kept) {
		t.Errorf("the fence is %+v", f)
	}
	if a.m.Shown().(*mirror).records.n != 1 { //nolint:forcetypeassert // it is one
		t.Error("the record of a transaction went with the rows")
	}
	if a.own(commands[0]) {
		t.Error("a clear was applied once more")
	}
	if err := a.m.Bequeath(b.e.NewBatch(), 3); err != nil {
		t.Error(err)
	}
}

// TestClearOfAnotherSpan: what was counted in a range that has been split since, or of a
// collection that is not doomed, is not deleted.
func TestClearOfAnotherSpan(t *testing.T) {
	a, _ := halves(t)
	a.batch(put(rowOf(5, 16, 1), "x"))
	a.own(a.m.SetFence(&cluster.Fence{Through: 9, UpTo: 5, Doomed: []cluster.CollectionID{3, 5}}, 1))
	for name, c := range map[string]clearing{
		"another fence":     {through: 8, start: a.desc.Start, end: a.desc.End, done: true},
		"another span":      {through: 9, start: a.desc.Start, end: (a.desc.End.VShard() + 1).Key(), done: true},
		"not doomed":        {through: 9, start: a.desc.Start, end: a.desc.End, spans: []clearedSpan{{16, 4}}},
		"one is not doomed": {through: 9, start: a.desc.Start, end: a.desc.End, spans: []clearedSpan{{16, 5}, {16, 6}}},
	} {
		if a.own((&command{clearing: &c}).encode()) {
			t.Errorf("%s: it was applied", name)
		}
	}
	if n := len(a.clear(9)); n != 1 || a.holds(5) != 0 {
		t.Errorf("%d commands, %d keys are left", n, a.holds(5))
	}
}

// TestFenceCommands holds the encodings of commands about dropped collections.
func TestFenceCommands(t *testing.T) {
	for _, c := range []*command{
		{fencing: &fencing{fence: &cluster.Fence{Through: 1 << 40, UpTo: 9, Alive: []cluster.CollectionID{1, 3, 300}, Doomed: []cluster.CollectionID{2, 9}, Cleared: 7}, threshold: 12}},
		{raised: &raised{[]cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: 300, Version: 1 << 40}, Reads: true}}}},
		{adds: cluster.Counts{Rows: -3, Live: -90, Dead: -1}, clearing: &clearing{through: 5, start: "\x00\x01", end: "\x04\x00", done: true, spans: []clearedSpan{{1, 2}, {1023, 1 << 50}}}},
	} {
		got, err := decodeCommand(c.encode(), New().support)
		if err != nil || !reflect.DeepEqual(got.fencing, c.fencing) || !reflect.DeepEqual(got.clearing, c.clearing) || !reflect.DeepEqual(got.raised, c.raised) || got.adds != c.adds {
			t.Errorf("%+v, want %+v, %v", got, c, err)
		}
		for n := range c.encode() {
			if _, err := decodeCommand(c.encode()[:n], New().support); err == nil {
				t.Errorf("%d bytes of a command are one", n)
			}
		}
	}
}
