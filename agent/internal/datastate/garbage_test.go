package datastate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// sweep makes a whole pass over the range, command by command.
func sweep(t testing.TB, m *Machine, e *storage.Engine, from, threshold hlc.Timestamp, limit int) (versions, commands int) {
	t.Helper()
	s := evaluation.Search{From: from, Threshold: threshold, Limit: limit}
	for {
		view := e.NewSnapshot()
		f, err := m.Collect(view, desc, s, commands > 0, nil)
		if err != nil {
			t.Fatalf("collect: %v", err)
		}
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
		if f.Versions > limit+1 {
			t.Fatalf("%d versions in a command of at most %d", f.Versions, limit)
		}
		if versions += f.Versions; f.Command != nil {
			commands++
			b := e.NewWriteBatch()
			if _, applied, err := m.Write(b, desc, threshold+1000, f.Command); err != nil || !applied {
				t.Fatalf("write: %v, applied %v", err, applied)
			}
			if err := b.Commit(false); err != nil {
				t.Fatal(err)
			}
		}
		if s.After = f.Next; f.Next == nil {
			return versions, commands
		}
	}
}

// TestGarbage: whatever was written, a pass leaves each read at or above the threshold
// as it was, counts right, and no version that such a read cannot see.
func TestGarbage(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		e, m := open(t), New()
		const end = 400
		for ts := hlc.Timestamp(1); ts <= end; ts++ {
			op := Op{Row: testRow(cluster.VShard(16+rng.IntN(3)), rng.IntN(4)), Kind: Put, Value: []byte(fmt.Sprint(ts))}
			if rng.IntN(3) == 0 {
				op.Kind, op.Value = Delete, nil
			}
			b := e.NewBatch()
			apply(t, m, b, ts, op)
			if err := b.Commit(false); err != nil {
				t.Fatal(err)
			}
		}
		if seed%2 == 0 {
			if err := e.Flush(); err != nil { // some blocks are left out then
				t.Fatal(err)
			}
		}
		counts := m.TakeCounts()
		before := map[string]string{}
		look := func(when string, from hlc.Timestamp, check bool) {
			for v := range cluster.VShard(3) {
				for n := range 4 {
					for ts := from; ts <= end; ts++ {
						row := testRow(16+v, n)
						value, at, ok, err := Get(e, row, ts)
						if !ok {
							at = 0
						}
						key, got := fmt.Sprintf("%x@%d", row, ts), fmt.Sprint(string(value), at, ok, err)
						if check && before[key] != got {
							t.Fatalf("seed %d, %s: %s was %s and is %s", seed, when, key, before[key], got)
						}
						before[key] = got
					}
				}
			}
		}
		look("first", 0, false)
		first, second := hlc.Timestamp(100+rng.IntN(100)), hlc.Timestamp(250+rng.IntN(150))
		limit := 1 + rng.IntN(40)
		sweep(t, m, e, 0, first, limit)
		if threshold, collected, _ := m.TakeGarbage(); threshold != first || collected != first {
			t.Fatalf("seed %d: threshold %s, collected %s after a pass at %s", seed, threshold, collected, first)
		}
		look("after a pass", first, true)
		sweep(t, m, e, first, second, limit)
		look("after a second pass, from the first on", second, true)
		if more, _ := sweep(t, m, e, 0, second, 1000); more > 0 {
			t.Fatalf("seed %d: %d versions were left", seed, more)
		}
		counts = counts.Plus(m.TakeCounts())
		want, err := Count(e, keys.DataSpan(desc.Pool, desc.Start, desc.End), nil)
		if err != nil || counts != want {
			t.Fatalf("seed %d: counts %+v, want %+v, %v", seed, counts, want, err)
		}
	}
}

// TestGarbageOfOneRow: more of one row than a command takes, under a tombstone, which
// goes last: until then it hides what is left.
func TestGarbageOfOneRow(t *testing.T) {
	e, m := open(t), New()
	row := testRow(16, 1)
	for ts := hlc.Timestamp(1); ts <= 100; ts++ {
		op := Op{Row: row, Kind: Put, Value: []byte("x")}
		if ts == 100 {
			op = Op{Row: row, Kind: Delete}
		}
		b := e.NewBatch()
		apply(t, m, b, ts, op)
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
	}
	s := evaluation.Search{Threshold: 150, Limit: 30}
	for i := 0; ; i++ {
		view := e.NewSnapshot()
		f, err := m.Collect(view, desc, s, i > 0, nil)
		_ = view.Close()
		if err != nil {
			t.Fatal(err)
		}
		if f.Command != nil {
			b := e.NewWriteBatch()
			if _, _, err := m.Write(b, desc, 200, f.Command); err != nil {
				t.Fatal(err)
			}
			if err := b.Commit(false); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, ok, err := Get(e, row, 200); ok || err != nil {
			t.Fatalf("after %d commands the deleted row is back (%v)", i+1, err)
		}
		if s.After = f.Next; f.Next == nil {
			break
		}
	}
	if n, err := Count(e, keys.DataSpan(desc.Pool, desc.Start, desc.End), nil); err != nil || n != (cluster.Counts{}) {
		t.Fatalf("left: %+v, %v", n, err)
	}
}

// TestAConditionOnWhatIsCollected: a tombstone that was newer than the time that a
// request compares with may be gone. The request is refused.
func TestAConditionOnWhatIsCollected(t *testing.T) {
	e, m := open(t), New()
	row := testRow(16, 1)
	for ts, op := range map[hlc.Timestamp]Op{10: {Row: row, Kind: Put, Value: []byte("x")}} {
		b := e.NewBatch()
		apply(t, m, b, ts, op)
		apply(t, m, b, 20, Op{Row: row, Kind: Delete})
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
	}
	sweep(t, m, e, 0, 30, 10)
	b := e.NewBatch()
	defer func() { _ = b.Close() }()
	stale := Op{Row: row, Kind: Put, Value: []byte("y"), Expect: NotNewerThan, ExpectTS: 15}
	if r := apply(t, m, b, 40, stale); r.Outcome != ConditionFailed {
		t.Errorf("outcome %d of a write on a snapshot from before a collected deletion", r.Outcome)
	}
	stale.ExpectTS = 30
	if r := apply(t, m, b, 41, stale); r.Outcome != Applied {
		t.Errorf("outcome %d of one on a snapshot at the threshold", r.Outcome)
	}
}

// TestGarbageElsewhere: of a command of before a split nothing is applied, its
// threshold included.
func TestGarbageElsewhere(t *testing.T) {
	e, m := open(t), New()
	g := &garbage{threshold: 9, rows: []deadRow{{row: testRow(16, 1), versions: []deadVersion{{3, 7}}}, {row: testRow(32, 1)}}}
	b := e.NewWriteBatch()
	defer func() { _ = b.Close() }()
	_, applied, err := m.Write(b, desc, 20, (&command{garbage: g}).encode())
	if threshold, _, _ := m.TakeGarbage(); err != nil || applied || threshold != 0 || !b.Empty() {
		t.Errorf("applied %v, threshold %s, %v", applied, threshold, err)
	}
}

// TestLateVersionsAreLookedFor: a version that a transaction writes at an older time says
// so, for the next pass to look there again.
func TestLateVersionsAreLookedFor(t *testing.T) {
	e, m := open(t), New()
	b := e.NewWriteBatch()
	defer func() { _ = b.Close() }()
	c := &command{effects: true, at: []writeAt{{testRow(16, 1), 12, encodeVersion(&Op{Kind: Put, Value: []byte("x")}, 0)}, {testRow(16, 2), 15, encodeVersion(&Op{Kind: Put, Value: []byte("x")}, 0)}}}
	if _, applied, err := m.Write(b, desc, 20, c.encode()); err != nil || !applied {
		t.Fatalf("applied %v, %v", applied, err)
	}
	if _, _, late := m.TakeGarbage(); late != 12 {
		t.Errorf("the earliest is %s, want 12", late)
	}
}
