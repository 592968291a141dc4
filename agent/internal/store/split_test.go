package store

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

func (f *coreFixture) split(id cluster.RangeID, s cluster.RangeSplit) (o replica.Outcome) {
	f.t.Helper()
	f.c.Split(id, s, func(x replica.Outcome) { o = x })
	f.run()
	return o
}

func (f *coreFixture) proposeTo(id cluster.RangeID, cmd replica.CommandID, op datastate.Op) (o replica.Outcome) {
	f.t.Helper()
	f.c.Propose(id, &replica.Proposal{
		ID: cmd, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{op}}),
		Done: func(x replica.Outcome) { o = x },
	})
	f.run()
	return o
}

func putAt(v cluster.VShard, key, value string) datastate.Op {
	return datastate.Op{Row: keys.Row(cluster.DefaultPool, v, 7, append([]byte(key), 0)), Kind: datastate.Put, Value: []byte(value)}
}

func outcome(t *testing.T, o replica.Outcome) datastate.Outcome {
	t.Helper()
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	r, err := datastate.DecodeResult(o.Result)
	if err != nil {
		t.Fatal(err)
	}
	return r.Outcome
}

func TestASplitGivesAwayTheRightHalf(t *testing.T) {
	f := newCoreFixture(t)
	left, right := putAt(33, "l", "1"), putAt(45, "r", "1")
	f.propose(f.id(1), left)
	moved := f.propose(f.id(2), right)
	ahead := hlc.New(f.now.Add(300 * 1e6))
	h, err := f.read(ahead)
	f.must(err)
	h.Close()

	o := f.split(2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 9, Expect: 1})
	f.must(o.Err)
	if o.Descriptor.End != cluster.VShard(40).Key() || o.Child.Start != cluster.VShard(40).Key() || o.Child.End != cluster.VShard(48).Key() {
		t.Fatalf("halves %+v and %+v", o.Descriptor, o.Child)
	}
	if st, ok := f.c.RangeStatus(9); !ok || !st.IsLeader() || st.Counted || st.Bytes == 0 || st.Descriptor.Parent != 2 {
		t.Fatalf("child, not counted yet: %+v, %v", st, ok)
	}
	f.c.Tick()
	f.run()
	st, ok := f.c.RangeStatus(9)
	if !ok || !st.Counted || st.Keys != 1 || st.LiveBytes != st.Bytes {
		t.Fatalf("child: %+v, %v", st, ok)
	}
	if st, _ := f.c.RangeStatus(2); !st.Counted || st.Keys != 1 || st.Descriptor.End != cluster.VShard(40).Key() {
		t.Errorf("parent: %+v", st)
	}

	// A retry finds what came of the command where it went first, also for a row that
	// is the child's now; and at the child, which knows what the parent knew.
	again := f.propose(f.id(2), right)
	if again.Err != nil || again.TS != moved.TS || outcome(t, again) != datastate.Applied {
		t.Errorf("retry at the parent: %+v", again)
	}
	if o := f.proposeTo(9, f.id(2), right); outcome(t, o) != datastate.Applied || o.TS != moved.TS {
		t.Errorf("retry at the child: %+v, want what the parent said", o)
	}
	if got := outcome(t, f.propose(f.id(3), right)); got != datastate.WrongRange {
		t.Errorf("a row of the child at the parent: %v", got)
	}
	if o := f.proposeTo(9, f.clockID(4), right); outcome(t, o) != datastate.Applied || o.TS <= ahead {
		t.Errorf("a write to the child: %+v, must be above the parent's read mark %s", o, ahead)
	}
	if got := outcome(t, f.proposeTo(9, f.clockID(5), left)); got != datastate.WrongRange {
		t.Errorf("a row of the parent at the child: %v", got)
	}

	var no *InvalidChangeError
	var stale *StaleDescriptorError
	if o := f.split(2, cluster.RangeSplit{At: cluster.VShard(36).Key(), Child: 10, Expect: 1}); !errors.As(o.Err, &stale) {
		t.Errorf("a split of another generation: %v", o.Err)
	}
	if o := f.split(2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 10, Expect: 2}); !errors.As(o.Err, &no) {
		t.Errorf("a split at the end: %v", o.Err)
	}
	f.must(f.split(9, cluster.RangeSplit{At: cluster.VShard(44).Key(), Child: 10, Expect: st.Descriptor.Generation}).Err)

	f.must(f.e.Close()) // a clean stop
	f.open()
	f.now = f.now.Add(5e9) // the clock's ceiling passes
	f.c.Tick()
	f.run()
	for id, want := range map[cluster.RangeID][2]cluster.VShard{2: {32, 40}, 9: {40, 44}, 10: {44, 48}} {
		st, ok := f.c.RangeStatus(id)
		if d := st.Descriptor; !ok || d.Start != want[0].Key() || d.End != want[1].Key() || !st.IsLeader() {
			t.Errorf("%s after a restart: %+v, %v", id, st, ok)
		}
	}
}

// TestASplitIsAllOrNothing cuts the power right after a split, whatever reached
// the disk: the store opens, and the vshards have one owner each.
func TestASplitIsAllOrNothing(t *testing.T) {
	for percent := range 11 {
		f := newCoreFixture(t)
		f.propose(f.id(1), putAt(45, "r", "1"))
		f.c.Split(2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 9, Expect: 1}, func(replica.Outcome) {})
		f.run()
		f.crash(10 * percent)
		f.now = f.now.Add(5e9)
		f.c.Tick()
		f.run()
		parent, ok := f.c.RangeStatus(2)
		if !ok || !parent.IsLeader() || parent.Descriptor.End != cluster.VShard(40).Key() {
			t.Errorf("parent: %+v, %v: its log is durable", parent, ok)
		}
		f.c.Tick()
		f.run()
		child, ok := f.c.RangeStatus(9)
		if !ok || !child.IsLeader() || !child.Counted || child.Keys != 1 {
			t.Errorf("child: %+v, %v", child, ok)
		}
	}
}

func TestPreparingWhatASplitMade(t *testing.T) {
	f := newCoreFixture(t)
	child := cluster.RangeDescriptor{
		ID: 9, Parent: 2, Start: cluster.VShard(40).Key(), End: cluster.VShard(48).Key(), Generation: 2, NextReplica: 3,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}, {Node: 2, Replica: 2, Role: cluster.Voter}},
	}
	batch := func(d cluster.RangeDescriptor, to cluster.ReplicaDescriptor) []byte {
		t.Helper()
		sender := &Core{cfg: f.c.cfg, clock: f.c.clock, marks: &Marks{}, peers: map[cluster.NodeID]*outbox{}}
		sender.cfg.Node = 2
		sender.Prepare(&d, to)
		var out []byte
		sender.Flush(func(_ cluster.NodeID, b []byte) bool { out = b; return true })
		return out
	}
	f.must(f.c.HandleRaft(2, batch(child, child.Replicas[0])))
	f.run()
	if _, ok := f.c.RangeStatus(9); ok {
		t.Error("prepared although the parent here is still as wide as before the split")
	}
	f.must(f.split(2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 7, Expect: 1}).Err)
	child.Start, child.End = cluster.VShard(48).Key(), cluster.VShard(56).Key()
	f.must(f.c.HandleRaft(2, batch(child, child.Replicas[0])))
	f.run()
	if st, ok := f.c.RangeStatus(9); !ok || st.Replica != 1 {
		t.Errorf("prepared: %+v, %v", st, ok)
	}
	if err := f.c.HandleRaft(2, batch(child, child.Replicas[0])[:20]); !errors.Is(err, replica.ErrMalformedMessage) {
		t.Errorf("half a request: %v", err)
	}
}

// clockID names a command as a gateway does that has heard this node's clock.
func (f *coreFixture) clockID(n uint64) (id replica.CommandID) {
	binary.BigEndian.PutUint64(id[:], uint64(f.c.cfg.Clock.Now()))
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

// crash cuts the power: of what was not synced some part is lost.
func (f *coreFixture) crash(percent int) {
	f.t.Helper()
	clone := storage.CrashClone(f.fs, percent, rand.New(rand.NewPCG(uint64(percent), 7)))
	f.must(f.e.Close())
	f.fs = clone
	f.open()
}
