package datastate

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// half is a range with its own machine, in an engine that two share.
type half struct {
	t    *testing.T
	e    *storage.Engine
	m    *Machine
	desc *cluster.RangeDescriptor
	now  *hlc.Timestamp // of the newest command of both
	sum  cluster.Counts
}

// halves are two ranges of one pool: vshards 16 and 17.
func halves(t *testing.T) (a, b *half) {
	e, now := open(t), new(hlc.Timestamp)
	*now = 100
	mk := func(id cluster.RangeID, v cluster.VShard) *half {
		return &half{t: t, e: e, m: New(), now: now, desc: &cluster.RangeDescriptor{ID: id, Start: v.Key(), End: (v + 1).Key()}}
	}
	return mk(2, 16), mk(3, 17)
}

type encoder interface{ Encode() []byte }

func (h *half) ask(req encoder) (*Result, hlc.Timestamp) { return h.askRaw(req.Encode()) }

func (h *half) batch(ops ...Op) (*Result, hlc.Timestamp) {
	return h.askRaw(EncodeBatch(&Batch{Ops: ops}))
}

// evaluate is what the leader of the range decides about a request; pending: nothing beyond
// its end.
func (h *half) evaluate(req encoder, pending []evaluation.Pending) evaluation.Decision {
	h.t.Helper()
	r, err := h.m.Open(req.Encode())
	if err != nil {
		h.t.Fatal(err)
	}
	pending = append(slices.Clone(pending), make([]evaluation.Pending, len(r.Touches())-len(pending))...)
	rows := storage.NewRows(h.e)
	d, err := r.Evaluate(rows, h.desc, pending)
	if err := errors.Join(err, rows.Close()); err != nil {
		h.t.Fatal(err)
	}
	return d
}

// apply does what every replica does with a command, and returns its answer and its time.
func (h *half) apply(d evaluation.Decision) (answer []byte, ts hlc.Timestamp) {
	h.t.Helper()
	*h.now = max(*h.now, d.Saw) + 1
	b := h.e.NewBatch()
	answer, applied, err := h.m.Write(b, h.desc, *h.now, d.Command)
	if err := errors.Join(err, b.Commit(false), b.Close()); err != nil {
		h.t.Fatal(err)
	}
	if !applied {
		h.t.Fatal("the command was not applied")
	}
	h.m.Show(h.m.Mirror())
	h.sum = h.sum.Plus(h.m.TakeCounts())
	return answer, *h.now
}

// encoded is a request as it is.
type encoded []byte

func (e encoded) Encode() []byte { return e }

// askRaw does what the leader of the range does with a request, and every replica. The
// time is that of the entry, 0 if there was none.
func (h *half) askRaw(data []byte) (*Result, hlc.Timestamp) {
	h.t.Helper()
	d := h.evaluate(encoded(data), nil)
	var out []byte
	ts := hlc.Timestamp(0)
	if d.Command != nil {
		out, ts = h.apply(d)
	}
	if d.Answer != nil {
		out = d.Answer(func(int) hlc.Timestamp { return 0 })
	}
	res, err := DecodeResult(out)
	if err != nil {
		h.t.Fatal(err)
	}
	h.check()
	return res, ts
}

// check checks that memory says what the engine holds, and that the counts are right.
func (h *half) check() {
	h.t.Helper()
	again, err := loadMirror(h.e, h.desc)
	if err != nil {
		h.t.Fatal(err)
	}
	if now := h.m.shown.Load(); !reflect.DeepEqual(flat(again), flat(now)) {
		h.t.Fatalf("the engine has %q, memory %q", flat(again), flat(now))
	}
	if n, err := h.m.Count(h.e, h.desc, nil); err != nil || n != h.sum {
		h.t.Fatalf("counted %+v, added up %+v, %v", n, h.sum, err)
	}
}

// each calls fn for each record of a mirror, in the order of the store.
func (m *mirror) each(fn func(key, value []byte)) {
	type record struct{ key, value []byte }
	var all []record
	for row, l := range m.rows.from("") {
		all = append(all, record{keys.Lock([]byte(row)), l.encode()})
	}
	for key, r := range m.records.from("") {
		all = append(all, record{[]byte(key), r.encode()})
	}
	slices.SortFunc(all, func(a, b record) int { return bytes.Compare(a.key, b.key) })
	for _, r := range all {
		fn(r.key, r.value)
	}
}

func flat(m *mirror) (out []string) {
	m.each(func(key, value []byte) { out = append(out, string(key)+"="+string(value)) })
	return append(out, fmt.Sprint(m.intents))
}

// value is a row at a time: what a reader sees that meets no intent there.
func (h *half) value(row []byte, ts hlc.Timestamp) string {
	v, err := Read(h.e, row, ts)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(v.Value)
}

func (h *half) met(ts hlc.Timestamp, passed ...cluster.TxnID) int {
	return len(h.m.Shown().Met(&evaluation.Query{TS: ts, Passed: passed, Limit: 10}))
}

var txnA, txnB = cluster.NewTxnID(7, 1, 1), cluster.NewTxnID(9, 2, 1)

func put(row []byte, value string) Op { return Op{Row: row, Kind: Put, Value: []byte(value)} }

// TestCommitKeepsLocksOfIntents: in the range that commits, too, rows that have intents are
// locked until those are resolved; else others would write over them.
func TestCommitKeepsLocksOfIntents(t *testing.T) {
	a, _ := halves(t)
	laid, written := testRow(16, 1), testRow(16, 2)
	record := keys.TxnRecord(laid, txnA)
	if r, _ := a.ask(&Prewrite{Ops: []Op{put(laid, "x")}, Txn: txnA, Record: record}); r.Outcome != Applied {
		t.Fatalf("prewrite: %+v", r)
	}
	commit := &Commit{machine: a.m, Ops: []Op{put(written, "y")}, Txn: txnA, Record: record}
	for range 2 {
		rows := storage.NewRows(a.e)
		d, err := commit.Evaluate(rows, a.desc, make([]evaluation.Pending, len(commit.Touches())))
		if err = errors.Join(err, rows.Close()); err != nil {
			t.Fatal(err)
		}
		if d.EndsAll || len(d.Ends) != 1 || !bytes.Equal(d.Ends[0], written) {
			t.Errorf("locks end on %q, all: %v", d.Ends, d.EndsAll)
		}
		a.ask(commit) // then again
	}
}

// TestTransactionOverTwoRanges: prewrite here, commit there, resolve, forget; and each
// of them twice.
func TestTransactionOverTwoRanges(t *testing.T) {
	a, b := halves(t)
	rowA, rowB := testRow(16, 1), testRow(17, 1)
	record := keys.TxnRecord(rowB, txnA)
	a.batch(put(rowA, "old"))
	p := &Prewrite{Writer: 5, Ops: []Op{put(rowA, "new")}, Txn: txnA, Record: record}
	_, intentTS := a.ask(p)
	if a.value(rowA, hlc.Max) != "old" || a.met(intentTS) != 1 || a.met(intentTS-1) != 0 || a.met(intentTS, txnA) != 0 {
		t.Fatalf("after the prewrite: %q, met %d", a.value(rowA, hlc.Max), a.met(intentTS))
	}
	if _, again := a.ask(p); again <= intentTS || a.met(intentTS) != 0 {
		t.Fatalf("a second prewrite at %s after %s", again, intentTS)
	} else {
		intentTS = again
	}
	c := &Commit{Writer: 5, Ops: []Op{put(rowB, "new")}, Txn: txnA, Record: record, Min: intentTS, Ranges: []TxnSpan{{0, "a", "b"}}}
	res, commitTS := b.ask(c)
	if res.Outcome != Applied || commitTS < intentTS || b.value(rowB, commitTS) != "new" || b.value(rowB, commitTS-1) != "" {
		t.Fatalf("commit: %+v at %s", res, commitTS)
	}
	if res, ts := b.ask(c); res.Outcome != Applied || res.TS != commitTS || ts != 0 {
		t.Errorf("a second commit: %+v at %s", res, ts)
	}
	for _, abort := range []bool{false, true} {
		res, ts := b.ask(&Push{Txn: txnA, Record: record, Abort: abort, Above: commitTS + 9})
		if res.Record == nil || res.Record.Status != TxnCommitted || res.Record.TS != commitTS || len(res.Record.Ranges) != 1 || ts != 0 {
			t.Errorf("a push of what is committed: %+v at %s", res, ts)
		}
	}
	r := &Resolve{Txn: txnA, Record: record, CommitTS: commitTS, Rows: [][]byte{rowA}}
	a.batch(put(testRow(16, 2), "between"))
	if res, ts := a.ask(r); res.Outcome != Applied || ts <= commitTS || a.value(rowA, commitTS) != "new" || a.value(rowA, commitTS-1) != "old" || a.met(hlc.Max) != 0 {
		t.Errorf("resolve: %+v at %s, %q", res, ts, a.value(rowA, commitTS))
	}
	if res, ts := a.ask(r); res.Outcome != Applied || ts != 0 {
		t.Errorf("a second resolve: %+v at %s", res, ts)
	}
	if v, err := Read(a.e, rowA, hlc.Max); err != nil || v.Writer != 5 || v.TS != commitTS {
		t.Errorf("the row: %+v, %v", v, err)
	}
	b.ask(&Forget{Records: [][]byte{record}})
	if _, ts := b.ask(&Forget{Records: [][]byte{record}}); ts != 0 || a.m.Shown().Len()+b.m.Shown().Len() != 0 {
		t.Errorf("something is left: %d, %d", a.m.Shown().Len(), b.m.Shown().Len())
	}
}

// TestPoison: who aborted first wins, whoever comes late.
func TestPoison(t *testing.T) {
	a, b := halves(t)
	rowA, rowB := testRow(16, 1), testRow(17, 1)
	record := keys.TxnRecord(rowB, txnA)
	_, intentTS := a.ask(&Prewrite{Ops: []Op{put(rowA, "new")}, Txn: txnA, Record: record})
	if res, _ := b.ask(&Push{Txn: txnA, Record: record, Abort: true}); res.Record == nil || res.Record.Status != TxnAborted {
		t.Fatalf("push: %+v", res)
	}
	if res, ts := b.ask(&Commit{Ops: []Op{put(rowB, "new")}, Txn: txnA, Record: record, Min: intentTS}); res.Outcome != Aborted || ts != 0 || b.value(rowB, hlc.Max) != "" {
		t.Errorf("a late commit: %+v", res)
	}
	if res, _ := b.ask(&Push{Txn: txnA, Record: record, Above: 500}); res.Record == nil || res.Record.Status != TxnAborted {
		t.Errorf("a push of what is aborted: %+v", res)
	}
	a.ask(&Resolve{Txn: txnA, Record: record, Rows: [][]byte{rowA}})
	if a.value(rowA, hlc.Max) != "" || a.met(hlc.Max) != 0 {
		t.Errorf("an aborted intent: %q", a.value(rowA, hlc.Max))
	}
}

// TestPushedUp: a reader has a transaction commit above its time.
func TestPushedUp(t *testing.T) {
	a, b := halves(t)
	rowA, rowB := testRow(16, 1), testRow(17, 1)
	record := keys.TxnRecord(rowB, txnA)
	a.ask(&Prewrite{Ops: []Op{put(rowA, "new")}, Txn: txnA, Record: record})
	_, intentTS := b.ask(&Prewrite{Ops: []Op{put(rowB, "new")}, Txn: txnA, Record: record})
	push := &Push{Txn: txnA, Record: record, Above: 1000}
	if res, _ := b.ask(push); res.Record == nil || res.Record.Status != TxnOpen || res.Record.TS != 1001 {
		t.Fatalf("push: %+v", res)
	}
	if _, ts := b.ask(push); ts != 0 {
		t.Error("a second push wrote something")
	}
	if res, _ := b.ask(&Push{Txn: txnA, Record: record, Above: 500}); res.Record.TS != 1001 {
		t.Errorf("a lower push: %+v", res.Record)
	}
	c := &Commit{Ops: []Op{put(rowB, "new")}, Txn: txnA, Record: record, At: intentTS}
	if res, _ := b.ask(c); res.Outcome != TooEarly || res.Min != 1001 {
		t.Fatalf("a commit below: %+v", res)
	}
	c.At = 1001
	if res, ts := b.ask(c); res.Outcome != Applied || res.TS != 1001 || ts <= 1001 || b.value(rowB, 1001) != "new" || b.value(rowB, 1000) != "" {
		t.Fatalf("a commit at a given time: %+v at %s", res, ts)
	}
	// One without a given time gets one that is allowed.
	recordB := keys.TxnRecord(rowA, txnB)
	a.ask(&Push{Txn: txnB, Record: recordB, Above: 5000})
	if res, ts := a.ask(&Commit{Ops: []Op{put(testRow(16, 2), "x")}, Txn: txnB, Record: recordB, Min: 6000}); res.Outcome != Applied || ts < 6000 {
		t.Errorf("commit: %+v at %s", res, ts)
	}
	if res, _ := a.ask(&Commit{Ops: []Op{put(testRow(16, 3), "x")}, Txn: txnA, Record: keys.TxnRecord(rowA, txnA), At: 9000}); res.Outcome != Malformed {
		t.Errorf("a commit at a given time, of a row without an intent: %+v", res)
	}
}

// TestConditionsOfTransactions: they hold for all rows, or nothing is left.
func TestConditionsOfTransactions(t *testing.T) {
	a, b := halves(t)
	row1, row2 := testRow(16, 1), testRow(16, 2)
	record := keys.TxnRecord(row1, txnA)
	_, at := a.batch(put(row1, "old"))
	insert := put(row1, "new")
	insert.Expect = Absent
	for _, req := range []encoder{
		&Prewrite{Ops: []Op{put(row2, "x"), insert}, Txn: txnA, Record: record},
		&Commit{Ops: []Op{put(row2, "x"), insert}, Txn: txnA, Record: record},
		&Lock{Txn: txnA, Record: record, Rows: [][]byte{row2, row1}, Strength: lock.Update, Durable: true, NotNewerThan: at - 1},
	} {
		if res, ts := a.ask(req); res.Outcome != ConditionFailed || res.FailedOp != 1 || string(res.Existing) != "old" || res.ExistingTS != at || ts != 0 || a.m.Shown().Len() != 0 {
			t.Errorf("%T: %+v at %s", req, res, ts)
		}
	}
	for _, req := range []encoder{
		&Prewrite{Ops: []Op{put(row1, "x")}, Txn: txnA, Record: record}, &Commit{Ops: []Op{put(row1, "x")}, Txn: txnA, Record: record},
		&Resolve{Txn: txnA, Record: record, Rows: [][]byte{row1}}, &Push{Txn: txnA, Record: record, Abort: true}, &Forget{Records: [][]byte{record}},
		&Lock{Txn: txnA, Record: record, Rows: [][]byte{row1}, Strength: lock.Share},
	} {
		if res, _ := b.ask(req); res.Outcome != WrongRange {
			t.Errorf("%T to another range: %+v", req, res)
		}
	}
	for _, req := range []encoder{
		&Prewrite{Ops: []Op{put(row1, "x"), put(row1, "y")}, Txn: txnA, Record: record}, &Prewrite{Ops: []Op{put(row1, "x")}, Txn: txnB, Record: record},
		&Commit{Ops: []Op{put(row1, "x"), put(row1, "y")}, Txn: txnA, Record: record}, &Commit{Txn: txnB, Record: record},
		&Resolve{Txn: txnA, Record: record, Rows: [][]byte{row1, row1}}, &Push{Txn: txnB, Record: record}, &Push{Txn: txnA, Record: record, Above: hlc.Max},
		&Lock{Txn: txnB, Record: record, Rows: [][]byte{row1}, Strength: lock.Share},
	} {
		if res, _ := a.ask(req); res.Outcome != Malformed {
			t.Errorf("%T that contradicts itself: %+v", req, res)
		}
	}
}

// TestDurableLocks: they are written down, beside those of others, and end with their
// transaction: by a resolve, or by a batch that commits it.
func TestDurableLocks(t *testing.T) {
	a, _ := halves(t)
	row := testRow(16, 1)
	recA, recB := keys.TxnRecord(row, txnA), keys.TxnRecord(row, txnB)
	_, at := a.batch(put(row, "v"))
	locks := func() (out []string) {
		a.m.Shown().Locks(func(_ []byte, txn cluster.TxnID, _ []byte, s lock.Strength) {
			out = append(out, fmt.Sprint(txn.Node(), s))
		})
		slices.Sort(out)
		return out
	}
	for _, x := range []struct {
		txn    cluster.TxnID
		record []byte
		s      lock.Strength
	}{{txnA, recA, lock.KeyShare}, {txnB, recB, lock.KeyShare}, {txnA, recA, lock.Share}, {txnA, recA, lock.KeyShare}} {
		res, _ := a.ask(&Lock{Txn: x.txn, Record: x.record, Rows: [][]byte{row}, Strength: x.s, Durable: true})
		if res.Outcome != Applied || len(res.Rows) != 1 || string(res.Rows[0].Value) != "v" || res.Rows[0].TS != at {
			t.Fatalf("lock: %+v", res)
		}
	}
	if got := locks(); !slices.Equal(got, []string{"n1 FOR SHARE", "n2 FOR KEY SHARE"}) {
		t.Fatalf("locks: %q", got)
	}
	if res, ts := a.ask(&Lock{Txn: txnB, Record: recB, Rows: [][]byte{row, testRow(16, 2)}, Strength: lock.Share}); len(res.Rows) != 2 || res.Rows[1].Value != nil || res.Rows[1].TS != 0 || ts != 0 {
		t.Errorf("a lock in memory: %+v at %s", res, ts)
	}
	a.ask(&Prewrite{Ops: []Op{put(row, "w")}, Txn: txnA, Record: recA})
	if got := locks(); !slices.Equal(got, []string{"n1 FOR NO KEY UPDATE", "n1 FOR SHARE", "n2 FOR KEY SHARE"}) {
		t.Errorf("locks: %q", got)
	}
	a.ask(&Resolve{Txn: txnA, Record: recA, Rows: [][]byte{row}})
	if got := locks(); !slices.Equal(got, []string{"n2 FOR KEY SHARE"}) || a.value(row, hlc.Max) != "v" {
		t.Errorf("locks: %q", got)
	}
	if res, _ := a.askRaw(EncodeBatch(&Batch{Txn: txnB, Ops: []Op{put(row, "x")}})); res.Outcome != Applied || locks() != nil || a.value(row, hlc.Max) != "x" {
		t.Errorf("a batch that commits: %+v, %q", res, locks())
	}
}

// TestResolveInParts: one command holds only so much.
func TestResolveInParts(t *testing.T) {
	a, b := halves(t)
	record := keys.TxnRecord(testRow(17, 1), txnA)
	p := &Prewrite{Txn: txnA, Record: record}
	r := &Resolve{Txn: txnA, Record: record}
	for i := range 5 {
		p.Ops = append(p.Ops, Op{Row: testRow(16, i), Kind: Put, Value: bytes.Repeat([]byte{byte(i)}, maxResolved/2)})
		r.Rows = append(r.Rows, testRow(16, i))
	}
	a.ask(p)
	_, r.CommitTS = b.ask(&Commit{Txn: txnA, Record: record, Min: *a.now})
	parts := 1
	for res, _ := a.ask(r); res.More; res, _ = a.ask(r) {
		parts++
	}
	if parts != 3 || a.met(hlc.Max) != 0 || len(a.value(testRow(16, 4), hlc.Max)) != maxResolved/2 {
		t.Errorf("%d parts, %d intents are left", parts, a.met(hlc.Max))
	}
}

// TestMirrorModel compares mirrors that change with a map.
func TestMirrorModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 4))
	m, model := noLocks, map[string]lockChange{}
	for range 2000 {
		var changes []lockChange
		for range rng.IntN(6) {
			n := rng.IntN(40)
			c := lockChange{key: string(testRow(16, n))}
			if n%4 == 0 {
				c = lockChange{key: string(keys.TxnRecord(testRow(16, 0), cluster.NewTxnID(uint64(n), 1, 1))), of: true}
			}
			if rng.IntN(2) == 0 && c.of {
				c.record = &TxnRecord{Status: TxnOpen, TS: hlc.Timestamp(rng.Uint64())}
			} else if rng.IntN(2) == 0 && !c.of {
				c.lock = &LockRecord{Intent: &Intent{TS: hlc.Timestamp(rng.IntN(9))}}
			}
			changes = append(changes, c)
			if model[c.key] = c; c.lock == nil && c.record == nil {
				delete(model, c.key)
			}
		}
		before := flat(m)
		old := m
		m = m.changed(changes)
		if !slices.Equal(flat(old), before) {
			t.Fatal("a mirror has changed")
		}
		intents := 0
		for key, c := range model {
			if c.lock != nil {
				intents++
			}
			if c.lock != m.lockOf([]byte(key)) || c.record != m.recordOf([]byte(key)) {
				t.Fatalf("%x: the mirror has %+v %+v, the model %+v", key, m.lockOf([]byte(key)), m.recordOf([]byte(key)), c)
			}
		}
		if m.Len() != len(model) || m.intents != intents || len(m.Met(&evaluation.Query{TS: 8, Limit: 99})) != intents {
			t.Fatalf("%d records and %d intents, the model has %d and %d", m.Len(), m.intents, len(model), intents)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	row := testRow(16, 1)
	record := keys.TxnRecord(row, txnA)
	for _, req := range []encoder{
		&Prewrite{Writer: 3, Ops: []Op{put(row, "x")}, Txn: txnA, Record: record},
		&Commit{Ops: []Op{put(row, "x")}, Txn: txnA, Record: record, Ranges: []TxnSpan{{1, "a", "b"}}, Min: 4, At: 5},
		&Resolve{Txn: txnA, Record: record, CommitTS: 6, Rows: [][]byte{row}}, &Push{Txn: txnA, Record: record, Abort: true, Above: 9},
		&Remains{Txn: txnA, Record: record, Span: TxnSpan{1, "a", "b"}},
		&Raise{Pool: 2, From: "a", Schemas: []cluster.SchemaFence{{SchemaVersion: by(300)[0], Reads: true, At: 5}}},
		&Batch{Schemas: by(3), Ops: []Op{put(row, "x")}},
		&Forget{Records: [][]byte{record}}, &Lock{Txn: txnA, Record: record, Rows: [][]byte{row}, Strength: lock.Share, Durable: true, Wait: evaluation.NoWait, NotNewerThan: 3},
	} {
		f.Add(req.Encode())
	}
	f.Add(EncodeBatch(&Batch{Txn: txnA, Ops: []Op{put(row, "x")}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := decodeRequest(data, gate.Binary())
		if err != nil {
			return
		}
		out := []byte(nil)
		if b, ok := req.(*Batch); ok {
			out = EncodeBatch(b)
		} else if e, ok := req.(encoder); ok {
			out = e.Encode()
		}
		again, err := decodeRequest(out, gate.Binary())
		if err != nil || !reflect.DeepEqual(again, req) {
			t.Errorf("decoded %+v, encoded and decoded again %+v, %v", req, again, err)
		}
		_, _, _ = req.Touches(), req.Locks(), Grows(data, gate.Binary())
	})
}

func FuzzDecodeLeft(f *testing.F) {
	l := &LockRecord{Holders: []Holder{{[]byte("record"), lock.Share}}, Intent: &Intent{Record: []byte("r"), TS: 7, Stored: []byte("v")}}
	f.Add(l.encode())
	f.Add((&TxnRecord{Status: TxnCommitted, TS: 3, Ranges: []TxnSpan{{1, "a", "b"}}}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, err := decodeLockRecord(data); err == nil {
			if again, err := decodeLockRecord(l.encode()); err != nil || !reflect.DeepEqual(l, again) {
				t.Errorf("lock record %+v, again %+v, %v", l, again, err)
			}
		}
		if r, err := decodeTxnRecord(data); err == nil {
			if again, err := decodeTxnRecord(r.encode()); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("record %+v, again %+v, %v", r, again, err)
			}
		}
	})
}

// TestAnIntentKeepsItsTime: whoever writes the lock record of a row anew, which a prewrite
// leaves that is not applied, or that was just applied, leaves its intent at the time of the
// prewrite. A later one may be above the commit, and who reads between them would miss it.
func TestAnIntentKeepsItsTime(t *testing.T) {
	for name, applied := range map[string]bool{"under way": false, "remembered": true} {
		t.Run(name, func(t *testing.T) {
			h, _ := halves(t)
			row := testRow(16, 1)
			recA, recB := keys.TxnRecord(row, txnA), keys.TxnRecord(row, txnB)
			laid := h.evaluate(&Prewrite{Ops: []Op{put(row, "w")}, Txn: txnA, Record: recA}, nil)
			var at hlc.Timestamp
			if applied {
				_, at = h.apply(laid)
			}
			pending := []evaluation.Pending{{}, {Version: laid.Leaves[1], TS: at, Settled: applied}}
			locked := h.evaluate(&Lock{Txn: txnB, Record: recB, Rows: [][]byte{row}, Strength: lock.KeyShare, Durable: true}, pending)
			pending = []evaluation.Pending{{}, {Version: locked.Leaves[1]}}
			ended := h.evaluate(&Resolve{Txn: txnB, Record: recB, Rows: [][]byte{row}}, pending)
			if !applied {
				_, at = h.apply(laid)
			}
			for _, d := range []evaluation.Decision{locked, ended} {
				h.apply(d)
				if h.met(at-1) != 0 || h.met(at) != 1 {
					t.Errorf("the intent of %s is met %d times before, and %d times then", at, h.met(at-1), h.met(at))
				}
			}
			if res, _ := h.ask(&Resolve{Txn: txnA, Record: recA, CommitTS: at, Rows: [][]byte{row}}); res.Outcome != Applied || h.value(row, at) != "w" {
				t.Errorf("it becomes %q at %s", h.value(row, at), at)
			}
		})
	}
}
