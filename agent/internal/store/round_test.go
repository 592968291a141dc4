package store

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// begin proposes a put and works until its round can be taken, and no further.
func (f *coreFixture) begin(n uint64, op datastate.Op) (o *replica.Outcome, rd *replica.Round) {
	f.t.Helper()
	o = &replica.Outcome{}
	f.c.Propose(2, &replica.Proposal{
		ID: f.id(n), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{op}}),
		Done: func(x replica.Outcome) { *o = x },
	})
	for range 10 {
		f.c.Process()
		f.c.Flush(func(cluster.NodeID, []byte) bool { return true })
		evaluateAll(f.c)
		f.writeBatch()
		if rd := f.c.TakeRound(); rd != nil {
			return o, rd
		}
	}
	f.t.Fatal("nothing is applied")
	return nil, nil
}

// TestNothingIsToldBeforeItsRound: what a round holds is neither acknowledged, nor
// read, nor counted as applied until the round is committed to the engine.
func TestNothingIsToldBeforeItsRound(t *testing.T) {
	f := newCoreFixture(t)
	f.propose(f.id(1), putOp("a", "1"))
	was, _ := f.c.RangeStatus(2)
	o, rd := f.begin(2, putOp("a", "2"))
	var read *ReadHandle
	f.c.Read(2, f.c.cfg.Clock.Now(), func(h *ReadHandle, err error) { f.must(err); read = h })
	for range 5 {
		f.c.Tick()
		f.c.Process()
	}
	st, _ := f.c.RangeStatus(2)
	if o.TS != 0 || o.Err != nil || read != nil || st.Applied != was.Applied {
		t.Errorf("before the commit: outcome %+v, read %v, applied %d, was %d", o, read, st.Applied, was.Applied)
	}
	f.must(rd.Commit())
	f.c.RoundDone(rd)
	f.c.Process()
	if o.TS == 0 || o.Err != nil || read == nil {
		t.Fatalf("after the round: outcome %+v, read %v", o, read)
	}
	defer read.Close()
	if v, _, _, err := datastate.Get(read.Reader, putOp("a", "").Row, o.TS); err != nil || string(v) != "2" {
		t.Errorf("read %q, %v", v, err)
	}
}

// TestRoundsFollowEachOther: one is out at a time, and the next is collected meanwhile.
func TestRoundsFollowEachOther(t *testing.T) {
	f := newCoreFixture(t)
	first, rd := f.begin(1, putOp("a", "1"))
	second := &replica.Outcome{}
	f.c.Propose(2, &replica.Proposal{
		ID: f.id(2), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("b", "1")}}),
		Done: func(x replica.Outcome) { *second = x },
	})
	for range 5 {
		f.c.Process()
		evaluateAll(f.c)
		f.writeBatch()
		if f.c.TakeRound() != nil {
			t.Fatal("two rounds are out")
		}
	}
	f.must(rd.Commit())
	f.c.RoundDone(rd)
	if first.TS == 0 || second.TS != 0 {
		t.Errorf("after the first round: %+v and %+v", first, second)
	}
	f.run()
	if second.TS <= first.TS || second.Err != nil {
		t.Errorf("after the second round: %+v, the first was %+v", second, first)
	}
}

// TestARangeChangesAfterItsRounds: a split, and the removal of a replica, wait for what
// was applied before and is not committed.
func TestARangeChangesAfterItsRounds(t *testing.T) {
	f := newCoreFixture(t)
	o, rd := f.begin(1, putAt(45, "r", "1"))
	var split *replica.Outcome
	f.c.Split(2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 9, Expect: 1}, func(x replica.Outcome) { split = &x })
	for range 5 {
		f.c.Process()
		f.writeBatch()
	}
	if _, there := f.c.RangeStatus(9); there || split != nil {
		t.Errorf("split beside a round: %+v", split)
	}
	f.must(rd.Commit())
	f.c.RoundDone(rd)
	f.c.Process()
	if st, there := f.c.RangeStatus(9); !there || split == nil || split.Err != nil || o.TS == 0 || st.Bytes == 0 {
		t.Fatalf("after the round: split %+v, child %+v, %v", split, st, there)
	}
	f.run()

	_, rd = f.begin(2, putAt(33, "l", "1"))
	removed := false
	f.c.DestroyReplica(2, 2, func(err error) { f.must(err); removed = true })
	f.c.Process()
	if f.c.TakeBatch() != nil {
		t.Error("the removal is written beside a round of the replica")
	}
	f.must(rd.Commit())
	f.c.RoundDone(rd)
	f.run()
	if n, err := countKeys(f, 2, 32, 40); err != nil || n != 0 || !removed {
		t.Errorf("removed %v, and %d keys are left (%v)", removed, n, err)
	}
}

func countKeys(f *coreFixture, id cluster.RangeID, from, to cluster.VShard) (n int, err error) {
	d := descriptor(id, from, to)
	for _, s := range replica.Spans(&d) {
		it, err := f.e.NewIter(s.Start, s.End)
		if err != nil {
			return 0, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		if err := it.Close(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// TestACrashBeforeARoundLosesNothing: the log is durable, and what it holds is applied
// and counted once.
func TestACrashBeforeARoundLosesNothing(t *testing.T) {
	for percent := range 11 {
		f := newCoreFixture(t)
		f.propose(f.id(1), putOp("a", "1"))
		_, rd := f.begin(2, putOp("b", "22"))
		if percent%2 == 1 {
			f.must(rd.Commit()) // and nobody hears of it
		}
		f.crash(10 * percent)
		f.now = f.now.Add(5e9)
		f.c.Tick()
		f.run()
		h, err := f.read(f.c.cfg.Clock.Now())
		f.must(err)
		st, _ := f.c.RangeStatus(2)
		v, ts, _, err := datastate.Get(h.Reader, putOp("b", "").Row, f.c.cfg.Clock.Now())
		if err != nil || string(v) != "22" || !st.Counted || st.Keys != 2 {
			t.Errorf("%d: read %q (%v), %d keys are counted (%v)", percent, v, err, st.Keys, st.Counted)
		}
		h.Close()
		f.now = f.now.Add(-5e9)
		if again := f.propose(f.id(2), putOp("b", "22")); again.Err != nil || again.TS != ts {
			t.Errorf("%d: the retry is at %s, the write at %s (%v)", percent, again.TS, ts, again.Err)
		}
	}
}
