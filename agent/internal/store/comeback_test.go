package store

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// trio is three cores whose batches arrive at once, unless one of them is down.
type trio struct {
	t     *testing.T
	now   time.Time
	nodes [3]*trioNode
	// starts counts all of them: no two have one nonce.
	starts uint32
	tune   []func(*Config)
	sent   int // batches of replicas' messages
	snaps  int // snapshots
	said   int // messages of replicas
	// carry, if set, says whether a batch is delivered.
	carry func(from, to *trioNode, b []byte) bool
}

type trioNode struct {
	id   cluster.NodeID
	fs   *storage.MemFS
	e    *storage.Engine
	c    *Core
	lost *LostError
	// behind are the peers that it refused.
	behind []Behind
	// spoke says that it sent messages of replicas since it was opened.
	spoke bool
}

func newTrio(t *testing.T, tune ...func(*Config)) *trio {
	x := &trio{t: t, now: time.UnixMilli(1_800_000_000_000), tune: tune}
	for i := range x.nodes {
		x.nodes[i] = &trioNode{id: cluster.NodeID(i + 1), fs: storage.NewCrashableFS()}
		x.open(i)
	}
	t.Cleanup(func() {
		for i := range x.nodes {
			x.close(i)
		}
	})
	d := descriptor(2, 32, 48)
	x.nodes[0].c.Bootstrap([]cluster.RangeDescriptor{d}, x.must)
	x.settle()
	for i, to := range []cluster.NodeID{2, 3} {
		d := x.leader().r.Descriptor().Clone()
		x.nodes[to-1].c.PrepareReplica(*d, d.NextReplica, x.must)
		x.settle()
		x.change(cluster.ReplicaChange{Kind: cluster.AddLearner, Add: to, Expect: uint64(1 + i)})
	}
	x.change(cluster.ReplicaChange{Kind: cluster.ChangeVoters, Promote: []cluster.NodeID{2, 3}, Expect: 3})
	x.change(cluster.ReplicaChange{Kind: cluster.LeaveJoint, Expect: 4})
	return x
}

func (x *trio) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *trio) open(i int) {
	x.t.Helper()
	n := x.nodes[i]
	var err error
	n.e, err = storage.Open(storage.Options{Dir: "d", FS: n.fs})
	x.must(err)
	cfg := DefaultConfig()
	cfg.Node, cfg.Engine = n.id, n.e
	cfg.Clock = hlc.NewClock(func() time.Time { return x.now }, 500*time.Millisecond)
	cfg.Boottime = func() time.Duration { return time.Duration(x.now.UnixNano()) }
	cfg.Jitter = func(limit time.Duration) time.Duration { return limit / time.Duration(1+i) }
	cfg.Machine = func(cluster.RangeDescriptor) replica.StateMachine { return datastate.New() }
	cfg.OnFatal = func(err error) {
		if !errors.As(err, &n.lost) {
			x.t.Error(err)
		}
	}
	cfg.OnBehind = func(b Behind) { n.behind = append(n.behind, b) }
	x.starts++
	cfg.BootNonce = x.starts
	for _, fn := range x.tune {
		fn(&cfg)
	}
	n.lost, n.spoke = nil, false
	n.c, err = OpenCore(cfg)
	x.must(err)
}

// close cuts the power of a node; what it synced is kept.
func (x *trio) close(i int) {
	n := x.nodes[i]
	if n.c == nil {
		return
	}
	n.fs = storage.CrashClone(n.fs, 0, nil)
	x.must(n.e.Close())
	n.c = nil
}

// settle lets time pass until an election and all that follows is over.
func (x *trio) settle() {
	x.t.Helper()
	for range 60 {
		x.step()
	}
}

// step lets one tick pass.
func (x *trio) step() {
	x.now = x.now.Add(100 * time.Millisecond)
	x.tick()
}

func (x *trio) tick() {
	for _, n := range x.nodes {
		if n.c != nil && n.lost == nil {
			n.c.Tick()
		}
	}
	x.deliver()
}

// deliver lets everybody work until nobody has anything to do; no time passes.
func (x *trio) deliver() {
	for busy := true; busy; {
		busy = false
		for _, n := range x.nodes {
			busy = x.work(n) || busy
		}
	}
}

func (x *trio) work(n *trioNode) (busy bool) {
	if n.c == nil || n.lost != nil {
		return false
	}
	n.c.Process()
	n.c.Flush(func(to cluster.NodeID, b []byte) bool {
		n.spoke = n.spoke || Speaks(b)
		if Speaks(b) {
			x.sent++
		}
		x.said += Messages(b)
		if int(to) > len(x.nodes) {
			return false
		}
		dst := x.nodes[to-1]
		if x.carry != nil && !x.carry(n, dst, b) {
			return true
		}
		if dst.c != nil && dst.lost == nil {
			_ = dst.c.HandleRaft(n.id, b) // a refusal is what some tests are about
			busy = true
		}
		return true
	})
	if b := n.c.TakeBatch(); b != nil {
		x.must(b.Write(n.e))
		n.c.BatchDone(b)
		busy = true
	}
	busy = evaluateAll(n.c) || busy
	for _, j := range n.c.TakeCounts() {
		x.must(j.Open())
		counted, err := j.Count(nil)
		n.c.Counted(j, counted, err)
		busy = true
	}
	applied, err := commitRound(n.c)
	x.must(err)
	busy = applied || busy
	for _, j := range n.c.TakeSnapshots() {
		x.snapshot(n, j)
		busy = true
	}
	return busy
}

func (x *trio) snapshot(n *trioNode, j *replica.SnapshotJob) {
	x.snaps++
	header, r, err := j.Open()
	x.must(err)
	h, err := replica.DecodeSnapshotHeader(header)
	x.must(err)
	dst := x.nodes[j.Node-1]
	w := replica.NewSnapshotWriter(dst.e, h)
	for chunk, err := r.Next(); err == nil; chunk, err = r.Next() {
		x.must(w.Add(chunk))
	}
	x.must(r.Close())
	in, err := w.Finish()
	x.must(err)
	dst.c.Install(in, func(reply []byte, err error) { n.c.SnapshotDone(j, reply, err) })
}

func (x *trio) leader() *slot {
	x.t.Helper()
	for _, n := range x.nodes {
		if n.c != nil && n.lost == nil {
			if s := n.c.slots[2]; s != nil && s.r.Leading() {
				return s
			}
		}
	}
	x.t.Fatal("nobody leads")
	return nil
}

func (x *trio) leading() *Core {
	s := x.leader()
	for _, n := range x.nodes {
		if n.c != nil && n.c.slots[2] == s {
			return n.c
		}
	}
	return nil
}

func (x *trio) change(c cluster.ReplicaChange) {
	x.t.Helper()
	answered := false
	x.leading().ChangeReplicas(2, c, func(o replica.Outcome) { x.must(o.Err); answered = true })
	x.settle()
	if !answered {
		x.t.Fatalf("no answer to %+v", c)
	}
}

// write has a row replicated, and lets time pass.
func (x *trio) write() {
	x.t.Helper()
	answered := x.propose()
	x.settle()
	if !*answered {
		x.t.Fatal("no answer to a write")
	}
}

// propose gives a row to the leader; answered is set when it is replicated.
func (x *trio) propose() (answered *bool) {
	c := x.leading()
	p := &replica.Proposal{Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("k", x.now.String())}})}
	copy(p.ID[:], binary.BigEndian.AppendUint64(nil, uint64(c.cfg.Clock.Now())))
	answered = new(bool)
	p.Done = func(o replica.Outcome) { x.must(o.Err); *answered = true }
	c.Propose(2, p)
	return answered
}

// TestAStoreThatWentBackIsFound goes through the ways in which a disk goes back:
// the node must be refused by who knows, before it says a word.
func TestAStoreThatWentBackIsFound(t *testing.T) {
	for name, run := range map[string]func(x *trio) *storage.MemFS{
		"a copy whose original has run since": func(x *trio) *storage.MemFS {
			x.close(2)
			old := storage.CrashClone(x.nodes[2].fs, 0, nil)
			x.open(2)
			x.settle()
			return old
		},
		"a snapshot of the disk of the same boot": func(x *trio) *storage.MemFS {
			old := storage.CrashClone(x.nodes[2].fs, 0, nil)
			x.write()
			return old
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrio(t)
			x.write()
			old := run(x)
			x.settle()
			x.close(2)
			good := x.nodes[2].fs
			// Whoever asks must know: what was heard is stored.
			for i := range 2 {
				x.close(i)
				x.open(i)
			}
			for range 3 { // a node that is started again and again is refused each time
				x.nodes[2].fs = storage.CrashClone(old, 0, nil)
				x.open(2)
				x.settle()
				if n := x.nodes[2]; n.lost == nil || n.spoke {
					t.Fatalf("n3 with an old disk: lost %v, spoke %v, it is %+v", n.lost, n.spoke, n.c.marks.Standing())
				}
				old = x.nodes[2].fs
				x.close(2)
			}
			if n := len(x.nodes[0].behind) + len(x.nodes[1].behind); n == 0 {
				t.Error("nobody says that it has refused n3")
			}
			x.nodes[2].fs = good
			x.open(2)
			x.settle()
			x.write()
			if n := x.nodes[2]; n.lost != nil || !n.spoke {
				t.Errorf("n3 with its right disk: %v, spoke %v", n.lost, n.spoke)
			}
		})
	}
}

// TestAReturnCostsOneExchange: all at once, and two of three without the third.
func TestAReturnCostsOneExchange(t *testing.T) {
	x := newTrio(t)
	x.write()
	for i := range x.nodes {
		x.close(i)
	}
	for i := range x.nodes {
		x.open(i)
	}
	x.now = x.now.Add(5 * time.Second) // the clock's ceiling is another wait
	x.tick()
	for _, n := range x.nodes {
		if !n.c.back.settled {
			t.Errorf("%s still asks after one exchange: %v", n.id, n.c.unanswered())
		}
	}
	x.settle()
	x.write()
	for i := range x.nodes {
		x.close(i)
	}
	x.open(0)
	x.settle()
	if n := x.nodes[0]; n.spoke || n.c.back.settled {
		t.Error("n1 takes part although nobody has answered")
	}
	x.open(2)
	x.settle()
	x.write()
}

// TestAFreshPeerKnowsNothing: who joins counts once it has taken over what
// another one knows.
func TestAFreshPeerKnowsNothing(t *testing.T) {
	x := newTrio(t)
	x.write()
	x.close(2)
	old := storage.CrashClone(x.nodes[2].fs, 0, nil)
	x.open(2)
	x.settle()
	x.close(0)
	x.close(1)
	x.close(2)
	// n2 has lost its disk and is new; n1, which knows, is down.
	x.nodes[1].fs, x.nodes[2].fs = storage.NewCrashableFS(), old
	x.open(1)
	x.open(2)
	x.settle()
	if n := x.nodes[2]; n.lost != nil || n.spoke {
		t.Fatalf("n3 with an old disk beside a new n2: lost %v, spoke %v", n.lost, n.spoke)
	}
	x.open(0)
	x.settle()
	if x.nodes[2].lost == nil {
		t.Error("n3 is not refused by n1")
	}
}

// TestTheNewerCopyWins: two processes with one disk, as long as nothing tells
// them apart.
func TestTheNewerCopyWins(t *testing.T) {
	x := newTrio(t)
	x.write()
	first := x.nodes[2]
	second := &trioNode{id: 3, fs: storage.CrashClone(first.fs, 0, nil)}
	x.nodes[2] = second
	x.open(2)
	x.settle()
	if second.lost != nil {
		t.Fatal(second.lost)
	}
	x.nodes[2] = first
	x.settle()
	if first.lost == nil || !first.lost.Overtaken() {
		t.Errorf("the first copy goes on: %v", first.lost)
	}
	x.nodes[2] = second
	x.must(first.e.Close())
}

// TestAStoreWithoutReplicasAsks: it has nobody to ask until it gets a replica,
// and the replica waits for it.
func TestAStoreWithoutReplicasAsks(t *testing.T) {
	f := newCoreFixture(t)
	f.c.DestroyReplica(2, 2, f.must)
	f.run()
	f.must(f.e.Close())
	f.open()
	if f.c.back.settled {
		t.Fatal("it has settled although nobody was asked")
	}
	d := descriptor(3, 48, 64)
	d.NextReplica = 3
	d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: 2, Replica: 2, Role: cluster.Voter})
	d.Replicas[0].Node = 3
	f.c.PrepareReplica(d, 3, f.must)
	f.run()
	if s := f.c.slots[3]; s == nil || !s.held || f.c.back.settled {
		t.Fatalf("the replica takes part although nobody has answered: %+v", s)
	}
	now := f.c.marks.Standing()
	for _, from := range []cluster.NodeID{2, 3} {
		f.must(f.c.takeAnswer(from, encodeAnswer(now.Now.Boot, cluster.Mark{}, true, nil)))
	}
	if f.c.slots[3].held || !f.c.back.settled {
		t.Error("the replica is held although all have answered")
	}
}

// TestWhatIsMadeInAReturnWaits: an old disk knows nothing of a replica that it was
// given later. Made a second time it would vote and acknowledge a second time.
func TestWhatIsMadeInAReturnWaits(t *testing.T) {
	x := newTrio(t)
	n := x.nodes[2]
	old := storage.CrashClone(n.fs, 0, nil)
	d := descriptor(3, 48, 64)
	d.Replicas = nil
	for i, id := range []cluster.NodeID{1, 2, 9} { // n9 is down, and has never heard of n3
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: id, Replica: cluster.ReplicaID(i + 1), Role: cluster.Voter})
	}
	d.NextReplica = 5
	n.c.PrepareReplica(d, 4, x.must)
	x.settle()
	good := n.fs
	for i := range x.nodes {
		x.close(i)
	}
	n.fs = old
	x.open(2)
	n.c.PrepareReplica(d, 4, x.must)
	x.settle()
	if s := n.c.slots[3]; s == nil || !s.held || n.spoke {
		t.Fatalf("the replica takes part although nobody has answered: %+v, spoke %v", s, n.spoke)
	}
	x.open(0)
	x.settle()
	if n.lost == nil || n.spoke {
		t.Fatalf("n3 with an old disk: lost %v, spoke %v", n.lost, n.spoke)
	}
	x.close(2)
	n.fs = good
	x.open(2)
	x.open(1)
	x.settle()
	if n.lost != nil || n.c.slots[3].held || !n.c.back.settled {
		t.Errorf("n3 with its right disk: %v, it holds %+v", n.lost, n.c.slots[3])
	}
}

// TestRoundsCountWhileOthersWait: a range without a quorum holds its replica, and
// what the others do meanwhile is known of all the same.
func TestRoundsCountWhileOthersWait(t *testing.T) {
	x := newTrio(t)
	n := x.nodes[0]
	d := descriptor(5, 64, 80)
	d.Replicas = nil
	for id := range cluster.ReplicaID(3) { // n7 to n9, which are down
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(id + 7), Replica: id + 1, Role: cluster.Voter})
	}
	d.NextReplica = 5
	n.c.PrepareReplica(d, 4, x.must)
	x.settle()
	x.close(0)
	x.open(0)
	x.settle()
	if n.c.back.settled {
		t.Fatal("n1 has settled although a range of it has no quorum")
	}
	old := storage.CrashClone(n.fs, 0, nil)
	x.write()
	x.close(0)
	n.fs = old
	x.open(0)
	x.settle()
	if n.lost == nil || n.spoke {
		t.Errorf("n1 with a disk from before the write: lost %v, spoke %v", n.lost, n.spoke)
	}
}

// TestMarksAreRead wants that what is stored comes back, and damage is an error.
func TestMarksAreRead(t *testing.T) {
	f := newCoreFixture(t)
	m := f.c.marks
	heard := map[cluster.NodeID]cluster.Mark{2: {Boot: cluster.NewBoot(1, 5), Round: 300}, 7: {Boot: cluster.NewBoot(4, 6), Round: 1}}
	for n, mark := range heard {
		if _, behind := m.Compare(n, cluster.Standing{Now: mark}); behind || !m.Hear(n, mark) {
			t.Fatalf("%s is behind, though nothing is known of it", n)
		}
	}
	b := f.e.NewWriteBatch()
	f.must(m.commit(b))
	f.must(b.Close())
	again, err := OpenMarks(f.e)
	f.must(err)
	if got := again.mu.synced; got != m.Now() {
		t.Errorf("read the mark %s, want %s", got, m.Now())
	}
	if !maps.Equal(again.mu.heard, heard) {
		t.Errorf("read %v of peers, want %v", again.mu.heard, heard)
	}
	f.must(again.begin(0, 9))
	if s := again.Standing(); s.Found() != m.Now() || s.Now.Boot.Number() != m.Now().Boot.Number()+1 {
		t.Errorf("the next start says %+v after %s", s, m.Now())
	}
	for _, key := range [][]byte{keys.StoreMark(), keys.StoreStarts(), keys.StoreHeard(7)} {
		v, _, err := f.e.Get(key)
		f.must(err)
		for _, bad := range [][]byte{{}, v[:len(v)-1], append(slices.Clone(v), 1)} {
			f.set(key, bad)
			if _, err := OpenMarks(f.e); !errors.Is(err, storage.ErrCorruption) {
				t.Errorf("key %x is %x: %v", key, bad, err)
			}
		}
		f.set(key, v)
	}
}

func FuzzTakeAnswer(f *testing.F) {
	f.Add(encodeAnswer(cluster.NewBoot(1, 0), cluster.Mark{Boot: 2}, true, []heardMark{{2, cluster.Mark{Boot: 1, Round: 2}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := newCoreFixture(t)
		_ = x.c.takeAnswer(9, b)
		var lost *LostError
		if err := x.c.Dead(); err != nil && !errors.As(err, &lost) {
			t.Error(err)
		}
	})
}
