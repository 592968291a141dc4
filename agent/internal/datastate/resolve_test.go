package datastate

import (
	"errors"
	"strconv"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestResolveOfASpan: a range finds what a transaction has left in a part of it, that of
// others stays, and it says if there is more than a command holds, and where it ends.
func TestResolveOfASpan(t *testing.T) {
	a, b := halves(t)
	recA, recB := keys.TxnRecord(testRow(17, 1), txnA), keys.TxnRecord(testRow(17, 1), txnB)
	const n = maxSpanRows + 100
	var mine, others []Op
	for i := range n {
		mine = append(mine, put(testRow(16, 2*i), "new"))
	}
	for i := range 50 {
		others = append(others, put(testRow(16, 2*i+1), "other"))
	}
	_, _ = a.ask(&Prewrite{Ops: mine, Txn: txnA, Record: recA})
	_, ts := a.ask(&Prewrite{Ops: others, Txn: txnB, Record: recB})
	all := TxnSpan{From: cluster.VShard(16).Key(), To: cluster.VShard(18).Key()}
	if res, _ := b.ask(&Resolve{Txn: txnA, Record: recA, CommitTS: ts + 1, Span: all}); res.Outcome != WrongRange {
		t.Errorf("a range that does not own the beginning of the span: %+v", res)
	}
	for call, more := range []bool{true, false, false} {
		res, entry := a.ask(&Resolve{Txn: txnA, Record: recA, CommitTS: ts + 1, Span: all})
		if res.Outcome != Applied || res.More != more || res.Until != a.desc.End || (entry != 0) != (call < 2) {
			t.Errorf("call %d: %+v, entry at %s", call, res, entry)
		}
	}
	for i := range n {
		if got := a.value(testRow(16, 2*i), ts+1); got != "new" {
			t.Fatalf("row %d is %q", i, got)
		}
	}
	if left := a.m.shown.Load(); left.rows.n != len(others) || left.intents != len(others) {
		t.Errorf("%d rows, %d intents are left, want %d", left.rows.n, left.intents, len(others))
	}
	if res, _ := a.ask(&Resolve{Txn: txnB, Record: recB, Span: TxnSpan{From: all.From, To: keys.Bound(testRow(16, 0))}}); !res.plain() {
		t.Errorf("a span in which there is nothing: %+v", res)
	}
}

// TestResolveBoundsTheBytes: a span of large rows takes several commands.
func TestResolveBoundsTheBytes(t *testing.T) {
	a, _ := halves(t)
	record := keys.TxnRecord(testRow(17, 1), txnA)
	for i := range 5 {
		a.ask(&Prewrite{Ops: []Op{put(testRow(16, i), string(make([]byte, maxResolved/2)))}, Txn: txnA, Record: record})
	}
	s := TxnSpan{From: a.desc.Start, To: a.desc.End}
	calls := 1
	for res, _ := a.ask(&Resolve{Txn: txnA, Record: record, CommitTS: 500, Span: s}); res.More; calls++ {
		res, _ = a.ask(&Resolve{Txn: txnA, Record: record, CommitTS: 500, Span: s})
	}
	if calls != 3 || a.m.shown.Load().Len() != 0 {
		t.Errorf("%d calls, %d left", calls, a.m.shown.Load().Len())
	}
}

// TestAnotherRecordAborts: that a transaction is said to be aborted at a record which does
// not decide about its intent leaves the intent and its lock; that it has committed is
// true wherever it is known from.
func TestAnotherRecordAborts(t *testing.T) {
	a, _ := halves(t)
	told, moved := keys.TxnRecord(testRow(16, 1), txnA), keys.TxnRecord(testRow(17, 2), txnA)
	for i, commit := range []bool{false, true} {
		row := testRow(16, 10+i)
		_, ts := a.ask(&Prewrite{Ops: []Op{put(row, strconv.Itoa(i))}, Txn: txnA, Record: moved})
		r := &Resolve{Txn: txnA, Record: told, Rows: [][]byte{row}}
		if commit {
			r.CommitTS = ts
		}
		req, err := a.m.Open(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		rows := storage.NewRows(a.e)
		d, err := req.Evaluate(rows, a.desc, make([]evaluation.Pending, len(req.Touches())))
		if err = errors.Join(err, rows.Close()); err != nil {
			t.Fatal(err)
		}
		if len(d.Ends) > 0 != commit {
			t.Errorf("committed: %v: locks end on %q", commit, d.Ends)
		}
		if a.ask(r); a.m.Shown().Holds(row, txnA) == commit {
			t.Errorf("committed: %v: the intent is there: %v", commit, !commit)
		}
	}
}
