package datastate

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// TestRemains: what a transaction has left in a part of the rows is told, in answers that
// are bounded, and up to where the range goes.
func TestRemains(t *testing.T) {
	a, b := halves(t)
	record := keys.TxnRecord(testRow(17, 1), txnA)
	var ops []Op
	for i := range maxRemains + 10 {
		ops = append(ops, put(testRow(16, i), "new"))
	}
	a.ask(&Prewrite{Ops: ops, Txn: txnA, Record: record})
	a.ask(&Prewrite{Ops: []Op{put(testRow(16, 1000), "new")}, Txn: txnB, Record: keys.TxnRecord(testRow(17, 1), txnB)})
	from, to := cluster.VShard(16).Key(), keys.Bound(testRow(17, 5))
	ask := func(h *half, from cluster.Key) *Result {
		res, ts := h.ask(&Remains{Txn: txnA, Record: record, Span: TxnSpan{From: from, To: to}})
		if ts != 0 {
			t.Errorf("a question is an entry at %s", ts)
		}
		return res
	}
	if res := ask(b, from); res.Outcome != WrongRange {
		t.Errorf("a range that does not own the rows: %+v", res)
	}
	seen := 0
	for res := ask(a, from); len(res.Rows) > 0; res = ask(a, from) {
		if len(res.Rows) > maxRemains || res.Until != a.desc.End {
			t.Fatalf("%d rows until %q", len(res.Rows), res.Until)
		}
		rows := make([][]byte, len(res.Rows))
		for i := range rows {
			rows[i] = res.Rows[i].Value
		}
		seen += len(rows)
		a.ask(&Resolve{Txn: txnA, Record: record, CommitTS: 500, Rows: rows})
	}
	if seen != len(ops) {
		t.Errorf("%d rows of %d", seen, len(ops))
	}
	if res := ask(b, a.desc.End); res.Outcome != Applied || len(res.Rows) != 0 || res.Until != "" {
		t.Errorf("a range that has nothing: %+v", res)
	}
}
