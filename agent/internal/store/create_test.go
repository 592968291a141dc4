package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// seeded is a range of pool 1 as it begins, on node 1.
func seeded(id cluster.RangeID) cluster.RangeDescriptor {
	d := descriptor(id, 0, 512)
	d.Pool = 1
	return d
}

func (f *coreFixture) create(d cluster.RangeDescriptor) error {
	f.t.Helper()
	answered, err := false, error(nil)
	f.c.CreateRange(d, func(e error) { answered, err = true, e })
	f.run()
	if !answered {
		f.t.Fatalf("the call to create %s has no answer", d.ID)
	}
	return err
}

func (f *coreFixture) refuses(d cluster.RangeDescriptor, why string) {
	f.t.Helper()
	var refused *RefusedError
	if err := f.create(d); !errors.As(err, &refused) || !strings.Contains(err.Error(), why) {
		f.t.Errorf("creating %s: %v, want it refused: %q", d.ID, err, why)
	}
}

// TestCreateRange: a range begins once, whoever asks and however often.
func TestCreateRange(t *testing.T) {
	f := newCoreFixture(t)
	f.must(f.create(seeded(9)))
	st, ok := f.c.RangeStatus(9)
	if !ok || !st.IsLeader() || st.Replica != 1 || st.Descriptor.Pool != 1 {
		t.Fatalf("made: %+v, %v", st, ok)
	}
	op := putAt(40, "k", "1")
	op.Row[1] = 1 // of pool 1
	if o := f.proposeTo(9, f.id(1), op); o.Err != nil {
		t.Fatal(o.Err)
	}
	before, _ := f.c.RangeStatus(9)
	f.must(f.create(seeded(9)))
	if after, _ := f.c.RangeStatus(9); after.Applied != before.Applied || after.Term != before.Term {
		t.Errorf("asked again: %+v, want it left as it was: %+v", after, before)
	}

	// Two calls at once, the second before the first is durable.
	var errs []error
	f.c.CreateRange(cluster.RangeDescriptor{
		ID: 10, Pool: 1, Start: cluster.VShard(512).Key(), End: cluster.VShard(1024).Key(), Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}},
	}, func(e error) { errs = append(errs, e) })
	twin := seeded(11)
	twin.Start, twin.End = cluster.VShard(512).Key(), cluster.VShard(1024).Key()
	f.c.CreateRange(twin, func(e error) { errs = append(errs, e) })
	f.run()
	var refused *RefusedError
	if len(errs) != 2 || !errors.As(errs[0], &refused) || errs[1] != nil {
		t.Errorf("a range over keys of one that is being made: %v, want the first made and the second refused", errs)
	}
	twin = seeded(12)
	f.refuses(twin, "r9 here holds some of its keys")

	f.crash(0) // what was answered is durable
	f.now = f.now.Add(5e9)
	f.c.Tick()
	f.run()
	for range 2 * askTicks { // nobody is there to answer
		f.c.Tick()
		f.run()
	}
	if st, ok := f.c.RangeStatus(9); !ok || !st.IsLeader() || st.Replica != 1 {
		t.Errorf("after a crash: %+v, %v", st, ok)
	}
	f.must(f.create(seeded(9)))
}

// TestCreateRangeWhereItWas: the initial state is not written behind a tombstone.
func TestCreateRangeWhereItWas(t *testing.T) {
	f := newCoreFixture(t)
	f.must(f.create(seeded(9)))
	gone := false
	f.c.DestroyReplica(9, 2, func(err error) { f.must(err); gone = true })
	f.refuses(seeded(9), "its last replica here is still being destroyed")
	if f.run(); !gone {
		t.Fatal("not destroyed")
	}
	f.refuses(seeded(9), "replica id 1 was used here")
	f.must(f.e.Close())
	f.open()
	f.awake()
	f.refuses(seeded(9), "replica id 1 was used here")

	// One that was never here, and never may be.
	f.c.DestroyReplica(10, 1<<62, f.must)
	f.run()
	f.refuses(seeded(10), "was used here")

	// A later replica of it is here.
	d := seeded(11)
	d.NextReplica = 4
	d.Replicas = []cluster.ReplicaDescriptor{{Node: 2, Replica: 1, Role: cluster.Voter}, {Node: 1, Replica: 3, Role: cluster.Learner}}
	f.c.PrepareReplica(d, 3, f.must)
	f.run()
	f.refuses(seeded(11), "replica 3 of it is here")
}

// TestCreateRangeInAnEmptiedStore: what the store had before counts.
func TestCreateRangeInAnEmptiedStore(t *testing.T) {
	f := &coreFixture{t: t, fs: storage.NewCrashableFS()}
	e, err := storage.Open(storage.Options{Dir: "d", FS: f.fs})
	f.must(err)
	b := e.NewBatch()
	f.must(errors.Join(WriteEmptied(b, 1, []Emptied{{Range: 9, Replica: 1, Next: 2}}), b.Commit(true), b.Close(), e.Close()))
	f.open()
	t.Cleanup(func() { _ = f.e.Close() })
	f.refuses(seeded(10), "whether this store is the newest of its node is not known yet")
	f.c.Bootstrap([]cluster.RangeDescriptor{descriptor(2, 32, 48)}, f.must) // nobody to learn from
	f.run()
	f.refuses(seeded(9), "replica id 1 was used here")
	f.must(f.create(seeded(10)))
	if st, ok := f.c.RangeStatus(9); ok && st.Failed != whyEmptied {
		t.Errorf("what was refused: %+v", st)
	}
}

// TestCreateRangeOnAStoreThatReturns: a store that may be an old copy has no
// tombstone of what came after it, so it begins nothing until its peers have spoken.
func TestCreateRangeOnAStoreThatReturns(t *testing.T) {
	f := newCoreFixture(t)
	other := descriptor(5, 64, 80)
	other.NextReplica = 3
	other.Replicas = []cluster.ReplicaDescriptor{{Node: 2, Replica: 1, Role: cluster.Voter}, {Node: 1, Replica: 2, Role: cluster.Voter}}
	f.c.PrepareReplica(other, 2, f.must)
	f.run()
	f.must(f.e.Close())
	f.open()
	f.awake()
	f.refuses(seeded(9), "whether this store is the newest of its node is not known yet: ask again")
	f.c.judge(2, cluster.Mark{}, true, nil)
	f.run()
	f.must(f.create(seeded(9)))
}

// awake lets the clock's ceiling pass, and the time in which peers may object.
func (f *coreFixture) awake() {
	f.t.Helper()
	f.now = f.now.Add(5e9)
	for range 2 * askTicks {
		f.c.Tick()
		f.run()
	}
}

// TestCreateRangeFromAMalformedCall: what a peer sends is checked before anything
// is written.
func TestCreateRangeFromAMalformedCall(t *testing.T) {
	f := newCoreFixture(t)
	const says = "a range is made with a descriptor whose only replica is voter 1 here"
	for name, spoil := range map[string]func(*cluster.RangeDescriptor){
		"no id":           func(d *cluster.RangeDescriptor) { d.ID = 0 },
		"the meta range":  func(d *cluster.RangeDescriptor) { d.ID = cluster.MetaRangeID },
		"no bounds":       func(d *cluster.RangeDescriptor) { d.Start, d.End = "", "" },
		"bounds reversed": func(d *cluster.RangeDescriptor) { d.Start, d.End = d.End, d.Start },
		"a bound of junk": func(d *cluster.RangeDescriptor) { d.End = "\xff\xff\xff" },
		"no replica":      func(d *cluster.RangeDescriptor) { d.Replicas = nil },
		"replica 0":       func(d *cluster.RangeDescriptor) { d.Replicas[0].Replica = 0 },
		"replica 2":       func(d *cluster.RangeDescriptor) { d.Replicas[0].Replica, d.NextReplica = 2, 3 },
		"next is used":    func(d *cluster.RangeDescriptor) { d.NextReplica = 1 },
		"a learner":       func(d *cluster.RangeDescriptor) { d.Replicas[0].Role = cluster.Learner },
		"another node's":  func(d *cluster.RangeDescriptor) { d.Replicas[0].Node = 2 },
		"a second replica": func(d *cluster.RangeDescriptor) {
			d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: 2, Replica: 2, Role: cluster.Voter})
			d.NextReplica = 3
		},
		"grown since":        func(d *cluster.RangeDescriptor) { d.Generation, d.NextReplica = 7, 4 },
		"split off, it says": func(d *cluster.RangeDescriptor) { d.Parent = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			d := seeded(9)
			spoil(&d)
			f.refuses(d, says)
			if _, ok := f.c.RangeStatus(d.ID); ok {
				t.Error("it is here")
			}
		})
	}
	f.must(f.create(seeded(9)))
}
