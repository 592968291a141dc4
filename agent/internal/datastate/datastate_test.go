package datastate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

func open(t testing.TB) *storage.Engine {
	e, err := storage.Open(storage.Options{Dir: "d", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

var desc = &cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(16).Key(), End: cluster.VShard(32).Key()}

func testRow(v cluster.VShard, n int) []byte {
	return keys.Row(cluster.DefaultPool, v, 5, []byte(fmt.Sprintf("%04d\x00", n)))
}

func apply(t testing.TB, m *Machine, rw storage.ReadWriter, ts hlc.Timestamp, ops ...Op) *Result {
	t.Helper()
	out, _, err := evaluate(m, rw, ts, EncodeBatch(&Batch{Ops: ops}))
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	r, err := DecodeResult(out)
	if err != nil {
		t.Fatalf("result: %v", err)
	}
	return r
}

// evaluate does what a leader does with a request, and then every replica.
func evaluate(m *Machine, rw storage.ReadWriter, ts hlc.Timestamp, request []byte) (result []byte, applied bool, err error) {
	req, err := m.Open(request)
	if err != nil {
		return nil, false, err
	}
	rows := storage.NewRows(rw)
	d, err := req.Evaluate(rows, desc, make([]evaluation.Pending, len(req.Touches())))
	if err = errors.Join(err, rows.Close()); err != nil {
		return nil, false, err
	}
	if d.Command == nil {
		return d.Answer(func(int) hlc.Timestamp { return 0 }), false, nil
	}
	if d.Saw >= ts {
		return nil, false, fmt.Errorf("the evaluation saw %s, the command is at %s", d.Saw, ts)
	}
	return m.Write(rw, desc, ts, d.Command)
}

func TestConditions(t *testing.T) {
	absent, present, deleted := testRow(16, 1), testRow(16, 2), testRow(16, 3)
	tests := []struct {
		name   string
		row    []byte
		expect Condition
		ts     hlc.Timestamp
		want   Outcome
	}{
		{"any of nothing", absent, Any, 0, Applied},
		{"any of a row", present, Any, 0, Applied},
		{"absent of nothing", absent, Absent, 0, Applied},
		{"absent of a deleted row", deleted, Absent, 0, Applied},
		{"absent of a row", present, Absent, 0, ConditionFailed},
		{"present of nothing", absent, Present, 0, ConditionFailed},
		{"present of a deleted row", deleted, Present, 0, ConditionFailed},
		{"present of a row", present, Present, 0, Applied},
		{"version", present, VersionIs, 10, Applied},
		{"another version", present, VersionIs, 9, ConditionFailed},
		{"version of a deleted row", deleted, VersionIs, 20, ConditionFailed},
		{"version of nothing", absent, VersionIs, 0, ConditionFailed},
		{"not newer than its version", present, NotNewerThan, 10, Applied},
		{"newer", present, NotNewerThan, 9, ConditionFailed},
		{"newer tombstone", deleted, NotNewerThan, 19, ConditionFailed},
		{"not newer than its tombstone", deleted, NotNewerThan, 20, Applied},
		{"absent since", absent, AbsentSince, 0, Applied},
		{"absent since its tombstone", deleted, AbsentSince, 20, Applied},
		{"deleted since", deleted, AbsentSince, 19, ConditionFailed},
		{"present, and not since", present, AbsentSince, 10, ConditionFailed},
		{"nothing is not newer", absent, NotNewerThan, 0, Applied},
		{"row of another range", testRow(32, 1), Any, 0, WrongRange},
		{"no row at all", []byte("x"), Any, 0, WrongRange},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			e, m := open(t), New()
			b := e.NewBatch()
			defer b.Close()
			apply(t, m, b, 10, Op{Row: present, Kind: Put, Value: []byte("p")}, Op{Row: deleted, Kind: Put, Value: []byte("d")})
			apply(t, m, b, 20, Op{Row: deleted, Kind: Delete})
			other := testRow(17, 9)
			r := apply(t, m, b, 30, Op{Row: other, Kind: Put}, Op{Row: x.row, Kind: Put, Value: []byte("new"), Expect: x.expect, ExpectTS: x.ts})
			if r.Outcome != x.want {
				t.Fatalf("outcome %d, want %d", r.Outcome, x.want)
			}
			if r.Outcome == ConditionFailed && bytes.Equal(x.row, present) && (string(r.Existing) != "p" || r.ExistingTS != 10) {
				t.Errorf("existing %q at %s, want p at 10", r.Existing, r.ExistingTS)
			}
			if r.Outcome == ConditionFailed && !bytes.Equal(x.row, present) && r.Existing != nil {
				t.Errorf("existing %q of no row", r.Existing)
			}
			if r.Outcome != Applied && r.FailedOp != 1 {
				t.Errorf("failed op %d, want 1", r.FailedOp)
			}
			_, _, ok, err := Get(b, other, hlc.Max)
			if err != nil || ok != (x.want == Applied) {
				t.Errorf("the other row is written: %v (%v): all or nothing", ok, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	e, m := open(t), New()
	b := e.NewBatch()
	defer b.Close()
	row := testRow(16, 1)
	if r := apply(t, m, b, 1, Op{Row: row, Kind: Put}, Op{Row: row, Kind: Delete}); r.Outcome != Malformed {
		t.Errorf("a row twice: outcome %d, want %d", r.Outcome, Malformed)
	}
	// What this binary cannot read another one may.
	for what, command := range map[string][]byte{
		"another format": {99, 0}, "another kind": {batchFormat, 99}, "another kind of op": {batchFormat, kindBatch, 0, 0, 1, 9, 0, 1, 'r'}, "another condition": {batchFormat, kindBatch, 0, 0, 1, 2, 9, 1, 'r'},
	} {
		if _, err := m.Open(command); !errors.Is(err, gate.ErrNewer) {
			t.Errorf("%s: %v, want %v", what, err, gate.ErrNewer)
		}
	}
	if !b.Empty() {
		t.Error("a refused command wrote something")
	}
}

// TestModel compares random commands and reads with a map of versions.
func TestModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(seed, 3))) })
	}
}

type modelVersion struct {
	ts    hlc.Timestamp
	value string
	gone  bool
}

func runModel(t *testing.T, rng *rand.Rand) {
	e, m := open(t), New()
	var sum cluster.Counts
	model := map[string][]modelVersion{} // by row, oldest first
	at := func(row string, ts hlc.Timestamp) (v modelVersion, ok bool) {
		for _, x := range model[row] {
			if x.ts <= ts {
				v, ok = x, !x.gone
			}
		}
		return v, ok
	}
	b := e.NewBatch()
	for ts := hlc.Timestamp(1); ts < 600; ts++ {
		var ops []Op
		for range 1 + rng.IntN(3) {
			row := testRow(cluster.VShard(16+rng.IntN(2)), rng.IntN(12))
			if slices.ContainsFunc(ops, func(o Op) bool { return bytes.Equal(o.Row, row) }) {
				continue
			}
			op := Op{Row: row, Kind: Put, Value: []byte(fmt.Sprint("v", ts)), Expect: Condition(rng.IntN(5)), ExpectTS: ts - hlc.Timestamp(rng.IntN(4))}
			if rng.IntN(3) == 0 {
				op.Kind, op.Value = Delete, nil
			}
			ops = append(ops, op)
		}
		want := true
		for _, o := range ops {
			v, ok := at(string(o.Row), hlc.Max)
			want = want && o.Expect.holds(o.ExpectTS, v.ts, ok)
		}
		if r := apply(t, m, b, ts, ops...); (r.Outcome == Applied) != want {
			t.Fatalf("at %s: outcome %d, the model says %v", ts, r.Outcome, want)
		}
		for _, o := range ops {
			if want {
				model[string(o.Row)] = append(model[string(o.Row)], modelVersion{ts, string(o.Value), o.Kind == Delete})
			}
		}
		if rng.IntN(20) == 0 {
			if err := b.Commit(false); err != nil {
				t.Fatal(err)
			}
			_ = b.Close()
			b = e.NewBatch()
		}
		if sum = sum.Plus(m.TakeCounts()); rng.IntN(10) == 0 {
			if n, err := m.Count(b, desc, nil); err != nil || n != sum || n.Negative() {
				t.Fatalf("at %s: added up %+v, counted %+v, %v", ts, sum, n, err)
			}
			compare(t, b, model, at, hlc.Timestamp(rng.IntN(int(ts)+5)), rng)
		}
	}
	live := int64(0)
	for row := range model {
		if _, ok := at(row, hlc.Max); ok {
			live++
		}
	}
	if sum.Rows != live || sum.Dead == 0 {
		t.Errorf("counted %+v, there are %d rows", sum, live)
	}
	_ = b.Close()
}

func compare(t *testing.T, r storage.Reader, model map[string][]modelVersion, at func(string, hlc.Timestamp) (modelVersion, bool), ts hlc.Timestamp, rng *rand.Rand) {
	t.Helper()
	type pair struct {
		row, value string
		ts         hlc.Timestamp
	}
	var want []pair
	span := keys.DataSpan(cluster.DefaultPool, cluster.VShard(16).Key(), cluster.VShard(17+rng.IntN(2)).Key())
	for row := range model {
		v, ok := at(row, ts)
		got, version, found, err := Get(r, []byte(row), ts)
		if err != nil || found != ok || string(got) != v.value || version != v.ts {
			t.Fatalf("get at %s: %q %s %v %v, want %q %s %v", ts, got, version, found, err, v.value, v.ts, ok)
		}
		if ok && span.Contains([]byte(row)) {
			want = append(want, pair{row, v.value, v.ts})
		}
	}
	slices.SortFunc(want, func(a, b pair) int { return cmp.Compare(a.row, b.row) })
	opts := ScanOptions{Limit: int64(rng.IntN(5)), MaxBytes: int64(rng.IntN(3) * 40), Reverse: rng.IntN(2) == 0}
	if opts.Reverse {
		slices.Reverse(want)
	}
	var got []pair
	for {
		resume, err := Scan(r, span, ts, opts, func(row, value []byte, version hlc.Timestamp) bool {
			got = append(got, pair{string(row), string(value), version})
			return rng.IntN(6) > 0
		})
		if err != nil {
			t.Fatal(err)
		}
		if resume == nil {
			break
		}
		opts.Resume = resume
	}
	if !slices.Equal(got, want) {
		t.Fatalf("scan %+v at %s: got %v, want %v", opts, ts, got, want)
	}
}

func TestScanSkipsManyVersions(t *testing.T) {
	e, m := open(t), New()
	b := e.NewBatch()
	defer b.Close()
	for ts := hlc.Timestamp(1); ts <= 100; ts++ {
		apply(t, m, b, ts, Op{Row: testRow(16, 1), Kind: Put, Value: []byte("a")}, Op{Row: testRow(16, 2), Kind: Put, Value: []byte("b")})
	}
	for _, reverse := range []bool{false, true} {
		n := 0
		if _, err := Scan(b, keys.DataSpan(cluster.DefaultPool, cluster.VShard(16).Key(), cluster.VShard(17).Key()), 50, ScanOptions{Reverse: reverse}, func(_, _ []byte, v hlc.Timestamp) bool {
			n++
			return v == 50
		}); err != nil || n != 2 {
			t.Errorf("reverse %v: %d rows, %v; want 2 at version 50", reverse, n, err)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(EncodeBatch(&Batch{Writer: 300, Ops: []Op{{Row: []byte("row"), Kind: Put, Value: []byte("v"), Expect: VersionIs, ExpectTS: 7}, {Row: []byte("r"), Kind: Delete}}}))
	f.Add([]byte{batchFormat, kindBatch, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data, gate.Binary())
		if err != nil {
			return
		}
		again, err := DecodeBatch(EncodeBatch(b), gate.Binary())
		if err != nil || len(again.Ops) != len(b.Ops) || again.Writer != b.Writer {
			t.Errorf("decoded %+v, encoded and decoded again %+v, %v", b, again, err)
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(EncodeResult(&Result{Outcome: Applied}))
	f.Add(EncodeResult(&Result{Outcome: Blocked, By: []Blocker{{Record: []byte("r"), Row: []byte("row")}}}))
	f.Add(EncodeResult(&Result{Outcome: Applied, TS: 3, Record: &TxnRecord{Status: TxnOpen}, Rows: []LockedRow{{Value: []byte("v"), TS: 3}, {Skipped: true, By: []Blocker{{Txn: cluster.TxnID{7}, Record: []byte("r"), Row: []byte("w")}}}}, More: true}))
	f.Add(EncodeResult(&Result{Outcome: ConditionFailed, FailedOp: 3, Existing: []byte("x"), ExistingTS: 9}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeResult(data)
		if err != nil {
			return
		}
		again, err := DecodeResult(EncodeResult(r))
		if err != nil || !bytes.Equal(EncodeResult(again), EncodeResult(r)) {
			t.Errorf("decoded %+v, encoded and decoded again %+v, %v", r, again, err)
		}
	})
}

func FuzzDecodeVersion(f *testing.F) {
	f.Add(encodeVersion(&Op{Kind: Put, Value: []byte("v")}, 7))
	f.Add(encodeVersion(&Op{Kind: Delete}, 7))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = decodeVersion(data) })
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add((&command{adds: cluster.Counts{Rows: 1, Live: 9, Dead: -3}, writes: []write{{[]byte("row"), []byte("stored")}}}).encode())
	f.Add((&command{result: []byte("refused")}).encode())
	f.Add((&command{fencing: &fencing{fence: &cluster.Fence{Through: 3, UpTo: 2, Doomed: []cluster.CollectionID{2}}, threshold: 4}}).encode())
	f.Add((&command{clearing: &clearing{through: 3, start: "a", end: "b", spans: []clearedSpan{{1, 2}}}}).encode())
	f.Add((&command{effects: true, at: []writeAt{{[]byte("row"), 7, []byte("stored")}}, locks: []left{{[]byte("row"), nil}}, records: []left{{[]byte("key"), []byte("r")}}, answer: []byte("a")}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeCommand(data, gate.Binary())
		if err != nil {
			return
		}
		again, err := decodeCommand(c.encode(), gate.Binary())
		if err != nil || again.adds != c.adds || len(again.writes) != len(c.writes) || !slices.EqualFunc(again.at, c.at, func(a, b writeAt) bool { return a.ts == b.ts && bytes.Equal(a.stored, b.stored) }) ||
			len(again.locks) != len(c.locks) || len(again.records) != len(c.records) || !bytes.Equal(again.answer, c.answer) || !bytes.Equal(again.result, c.result) {
			t.Errorf("decoded %+v, encoded and decoded again %+v, %v", c, again, err)
		}
	})
}
