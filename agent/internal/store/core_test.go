package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// coreFixture is one core whose time and disk stand still between steps.
type coreFixture struct {
	t    testing.TB
	fs   *storage.MemFS
	e    *storage.Engine
	c    *Core
	now  time.Time
	sent int
	tune func(*Config) // nil: nothing is tuned
}

func newCoreFixture(t testing.TB) *coreFixture { return newTunedFixture(t, nil) }

func newTunedFixture(t testing.TB, tune func(*Config)) *coreFixture {
	f := &coreFixture{t: t, fs: storage.NewCrashableFS(), now: time.UnixMilli(1_800_000_000_000), tune: tune}
	f.open()
	t.Cleanup(func() { _ = f.e.Close() })
	f.c.Bootstrap([]cluster.RangeDescriptor{descriptor(2, 32, 48)}, f.must)
	f.run()
	if st, ok := f.c.RangeStatus(2); !ok || !st.IsLeader() {
		t.Fatalf("bootstrapped range: %+v, %v", st, ok)
	}
	return f
}

func (f *coreFixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// set writes one key past the core.
func (f *coreFixture) set(key, value []byte) {
	f.t.Helper()
	b := f.e.NewWriteBatch()
	f.must(b.Set(key, value))
	f.must(b.Commit(true))
	f.must(b.Close())
}

func (f *coreFixture) open() {
	f.t.Helper()
	var err error
	f.e, err = storage.Open(storage.Options{Dir: "d", FS: f.fs})
	f.must(err)
	cfg := DefaultConfig()
	cfg.Node, cfg.Engine = 1, f.e
	cfg.Clock = hlc.NewClock(func() time.Time { return f.now }, 500*time.Millisecond)
	cfg.Boottime = func() time.Duration { return time.Duration(f.now.UnixNano()) }
	cfg.Jitter = func(limit time.Duration) time.Duration { return limit / 2 }
	cfg.Machine = func(cluster.RangeDescriptor) replica.StateMachine { return datastate.New() }
	if f.tune != nil {
		f.tune(&cfg)
	}
	f.c, err = OpenCore(cfg)
	f.must(err)
}

// run works until nothing is left to do.
func (f *coreFixture) run() {
	f.t.Helper()
	for {
		f.c.Process()
		f.c.Flush(func(cluster.NodeID, []byte) bool { f.sent++; return true })
		for _, j := range f.c.TakeCounts() {
			var n cluster.Counts
			err := j.Open() // void, if the range was split since
			if err == nil {
				n, err = j.Count(nil)
			}
			f.c.Counted(j, n, err)
		}
		busy := evaluateAll(f.c)
		busy = f.applyRound() || busy
		if !f.writeBatch() && !busy {
			return
		}
	}
}

func (f *coreFixture) writeBatch() bool {
	f.t.Helper()
	b := f.c.TakeBatch()
	if b == nil {
		return false
	}
	f.must(b.Write(f.e))
	f.c.BatchDone(b)
	return true
}

func (f *coreFixture) applyRound() bool {
	f.t.Helper()
	any, err := commitRound(f.c)
	f.must(err)
	return any
}

// commitRound commits what a core has applied.
func commitRound(c *Core) (any bool, err error) {
	rd := c.TakeRound()
	if rd == nil {
		return false, nil
	}
	err = rd.Commit()
	c.RoundDone(rd)
	return true, err
}

// evaluateAll carries out the evaluations that a core wants.
func evaluateAll(c *Core) (any bool) {
	js := c.TakeEvaluations()
	rows := storage.NewRows(c.cfg.Engine)
	for _, j := range js {
		j.Run(rows)
	}
	_ = rows.Close()
	c.Evaluated(js)
	return len(js) > 0
}

func (f *coreFixture) propose(id replica.CommandID, ops ...datastate.Op) (o replica.Outcome) {
	f.t.Helper()
	f.c.Propose(2, &replica.Proposal{
		ID: id, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: ops}),
		Done: func(x replica.Outcome) { o = x },
	})
	f.run()
	return o
}

func (f *coreFixture) read(ts hlc.Timestamp) (h *ReadHandle, err error) {
	f.c.Read(2, ts, func(x *ReadHandle, e error) { h, err = x, e })
	f.run()
	return h, err
}

func (f *coreFixture) id(n uint64) (id replica.CommandID) {
	binary.BigEndian.PutUint64(id[:], uint64(hlc.New(f.now)))
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func putOp(key, value string) datastate.Op {
	return datastate.Op{Row: keys.Row(cluster.DefaultPool, 32, 7, append([]byte(key), 0)), Kind: datastate.Put, Value: []byte(value)}
}

func TestACommandIsAppliedOnce(t *testing.T) {
	f := newCoreFixture(t)
	insert := putOp("a", "1")
	insert.Expect = datastate.Absent
	first := f.propose(f.id(1), insert)
	again := f.propose(f.id(1), insert)
	if first.Err != nil || again.Err != nil || again.TS != first.TS || string(again.Result) != string(first.Result) {
		t.Errorf("first %+v, again %+v", first, again)
	}
	r, err := datastate.DecodeResult(f.propose(f.id(2), insert).Result)
	if err != nil || r.Outcome != datastate.ConditionFailed {
		t.Errorf("another insert: %+v, %v", r, err)
	}
}

// TestAStartKnowsTheCommands: what was applied before it is not applied again.
func TestAStartKnowsTheCommands(t *testing.T) {
	f := newCoreFixture(t)
	insert := putOp("a", "1")
	insert.Expect = datastate.Absent
	first := f.propose(f.id(1), insert)
	refused := f.propose(f.id(2), insert)
	f.must(f.e.Close())
	f.open()
	f.now = f.now.Add(5e9) // the clock's ceiling passes
	f.c.Tick()
	f.run()
	f.now = f.now.Add(-5e9)
	if again := f.propose(f.id(1), insert); again.Err != nil || again.TS != first.TS || len(again.Result) > 0 {
		t.Errorf("first %+v, after a start %+v", first, again)
	}
	if again := f.propose(f.id(2), insert); again.Err != nil || again.TS != refused.TS || string(again.Result) != string(refused.Result) {
		t.Errorf("refused %+v, after a start %+v", refused, again)
	}
}

func TestACommandTooOldToKnowIsAmbiguous(t *testing.T) {
	f := newCoreFixture(t)
	old := f.id(1)
	if o := f.propose(old, putOp("a", "1")); o.Err != nil {
		t.Fatal(o.Err)
	}
	for i := range uint64(10) {
		f.now = f.now.Add(10 * time.Second)
		f.run() // the clock's ceiling is to rise first
		if o := f.propose(f.id(100+i), putOp("b", "x")); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if o := f.propose(old, putOp("a", "2")); !MaybeApplied(o.Err) {
		t.Errorf("a command whose record is gone: %+v, want it ambiguous", o)
	}
	span := keys.RangeSpan(2)
	it, err := f.e.NewIter(span.Start, span.End)
	f.must(err)
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	f.must(it.Close())
	if n > 8 {
		t.Errorf("%d keys of range-local state: old records are not dropped", n)
	}
}

func TestTimestampsRiseAboveReads(t *testing.T) {
	f := newCoreFixture(t)
	ahead := hlc.New(f.now.Add(400 * time.Millisecond))
	h, err := f.read(ahead)
	f.must(err)
	h.Close()
	o := f.propose(f.id(1), putOp("a", "1"))
	if o.Err != nil || o.TS <= ahead {
		t.Errorf("a write after a read at %s got %s (%v)", ahead, o.TS, o.Err)
	}
	var offset *hlc.OffsetError
	if _, err := f.read(hlc.New(f.now.Add(time.Hour))); !errors.As(err, &offset) {
		t.Errorf("a read an hour ahead: %v, want an OffsetError", err)
	}
}

func TestReplicasAreMadeByPermissionOnly(t *testing.T) {
	f := newCoreFixture(t)
	prepare := func(d cluster.RangeDescriptor, id cluster.ReplicaID) (err error) {
		f.c.PrepareReplica(d, id, func(e error) { err = e })
		f.run()
		return err
	}
	var refused *RefusedError
	other := descriptor(3, 40, 56)
	if err := prepare(other, 2); !errors.As(err, &refused) {
		t.Errorf("an overlapping replica: %v, want it refused", err)
	}
	other = descriptor(3, 48, 64)
	f.must(prepare(other, 2))
	f.must(prepare(other, 2))
	if err := prepare(other, 3); !errors.As(err, &refused) {
		t.Errorf("a second replica of a range: %v, want it refused", err)
	}
	var err error
	f.c.DestroyReplica(3, 2, func(e error) { err = e })
	if !errors.As(err, &refused) {
		t.Errorf("destroying replica 2 below 2: %v, want it refused", err)
	}
	f.c.DestroyReplica(3, 3, f.must)
	f.run()
	if err := prepare(other, 2); !errors.As(err, &refused) {
		t.Errorf("a destroyed replica id: %v, want it refused", err)
	}
	f.must(prepare(other, 3))
	f.c.Bootstrap([]cluster.RangeDescriptor{descriptor(2, 32, 48)}, f.must) // again
	f.run()
	// All of it survives a restart.
	f.must(f.e.Close())
	f.open()
	if got := len(f.c.Status()); got != 2 {
		t.Errorf("%d replicas after a restart, want 2", got)
	}
	if err := prepare(descriptor(4, 60, 70), 2); !errors.As(err, &refused) {
		t.Errorf("overlap with a prepared replica after a restart: %v, want it refused", err)
	}
}

func TestClockNeverRestartsBelowItself(t *testing.T) {
	f := newCoreFixture(t)
	o := f.propose(f.id(1), putOp("a", "1"))
	f.must(o.Err)
	f.must(f.e.Close())
	f.now = f.now.Add(-time.Hour)
	f.open()
	if got := f.c.cfg.Clock.Now(); got <= o.TS {
		t.Errorf("the clock restarts at %s, a command had %s", got, o.TS)
	}
	f.sent = 0
	for range 100 {
		f.c.Tick()
		f.run()
	}
	if st, _ := f.c.RangeStatus(2); st.Leader != 0 || f.sent > 0 {
		t.Errorf("a node whose clock is an hour behind leads (%v) or speaks (%d)", st.Leader, f.sent)
	}
	f.now = f.now.Add(time.Hour + 3*time.Second)
	for range 30 {
		f.c.Tick()
		f.run()
	}
	if st, _ := f.c.RangeStatus(2); st.Leader != 1 {
		t.Error("the node does not speak when time has caught up")
	}
}

// TestRestartsDoNotPushTheCeiling: a node that is killed again and again, awake or
// not, is never away for longer than the lead of its ceiling.
func TestRestartsDoNotPushTheCeiling(t *testing.T) {
	f := newCoreFixture(t)
	for i := range 12 {
		f.must(f.e.Close())
		f.open()
		f.c.Propose(2, &replica.Proposal{ID: f.id(uint64(i)), Done: func(o replica.Outcome) {
			var notLeader *NotLeaderError
			if !errors.As(o.Err, &notLeader) {
				t.Errorf("restart %d: a command while the node wakes: %v, want NotLeaderError", i, o.Err)
			}
		}})
		for range 12 { // 1.2 s
			f.now = f.now.Add(100 * time.Millisecond)
			f.c.Tick()
			f.run()
		}
		if wait := f.c.Wakes().Sub(f.now); wait > ceilingLead {
			t.Fatalf("restart %d: speaks in %s, want %s at most", i, wait, ceilingLead)
		}
	}
	f.must(f.e.Close())
	f.open()
	for waited := time.Duration(0); !f.c.Awake(); waited += 100 * time.Millisecond {
		if waited > ceilingLead {
			t.Fatalf("after 13 restarts the node is still silent after %s", waited)
		}
		f.now = f.now.Add(100 * time.Millisecond)
		f.c.Tick()
		f.run()
	}
	f.run()
	f.must(f.propose(f.id(99), putOp("a", "1")).Err)
}

func TestMessagesOfAWrongClockAreDropped(t *testing.T) {
	f := newCoreFixture(t)
	batch := batchOf(hlc.New(f.now.Add(time.Minute)), heartbeat(99))
	var offset *hlc.OffsetError
	if err := f.c.HandleRaft(2, batch); !errors.As(err, &offset) {
		t.Errorf("a batch from the future: %v, want an OffsetError", err)
	}
	f.run()
	if st, _ := f.c.RangeStatus(2); st.Term == 99 {
		t.Error("the message was stepped all the same")
	}
}

// TestARemovedReplicaIsToldWhomeverItAsks has one that missed all that became of its
// peers speak to one that is gone, too.
func TestARemovedReplicaIsToldWhomeverItAsks(t *testing.T) {
	f := newCoreFixture(t)
	f.c.ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 2, Expect: 1}, func(o replica.Outcome) { f.must(o.Err) })
	f.run()
	f.c.ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: 2, Expect: 2}, func(o replica.Outcome) { f.must(o.Err) })
	f.run()
	for _, to := range []uint64{1, 7} {
		f.must(f.c.HandleRaft(2, batchOf(hlc.New(f.now), replica.EncodeMessage(nil, 2, &pb.Message{
			Type: pb.MsgPreVote.Enum(), From: new(uint64(2)), To: new(to), Term: new(uint64(99)),
		}))))
		var told []byte
		f.c.Process()
		f.c.Flush(func(_ cluster.NodeID, batch []byte) bool { told = batch; return true })
		if len(told) <= batchHeader || told[len(told)-3] != goneType {
			t.Errorf("to a message for replica %d the answer is % x", to, told)
		}
	}
}

func TestARemovedReplicaIsTold(t *testing.T) {
	f := newCoreFixture(t)
	d := descriptor(2, 32, 48)
	f.c.ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 2, Expect: 1}, func(o replica.Outcome) { f.must(o.Err) })
	f.run()
	f.c.ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: 2, Expect: 2}, func(o replica.Outcome) { f.must(o.Err) })
	f.c.Process()
	var told []byte
	for range 3 {
		if b := f.c.TakeBatch(); b != nil {
			f.must(b.Write(f.e))
			f.c.BatchDone(b)
		}
		f.c.Process()
		f.c.Flush(func(_ cluster.NodeID, batch []byte) bool { told = batch; return true })
	}
	if len(told) <= batchHeader || told[len(told)-3] != goneType {
		t.Fatalf("the last batch to the removed replica is % x", told)
	}
	// The other node believes it.
	g := newCoreFixture(t)
	g.c.DestroyReplica(2, 2, g.must)
	g.run()
	g.c.PrepareReplica(d, 2, g.must)
	g.run()
	if _, behind := g.c.marks.Compare(1, f.c.marks.Standing()); behind {
		t.Fatal("nothing is known of n1, and it is behind")
	}
	g.must(g.c.HandleRaft(1, told))
	g.run()
	if _, ok := g.c.RangeStatus(2); ok {
		t.Error("the replica is still there")
	}
}

func heartbeat(term uint64) []byte {
	return replica.EncodeMessage(nil, 2, &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(uint64(9)), To: new(uint64(1)), Term: new(term)})
}

func batchOf(ts hlc.Timestamp, messages ...[]byte) []byte {
	b := newBatch(batchFormat, 0)
	binary.BigEndian.PutUint64(b[clockAt:], uint64(ts))
	for _, m := range messages {
		b = append(b, m...)
	}
	return b
}

// FuzzHandleRaft wants that no batch, whatever it holds, harms more than the
// range it is for.
func FuzzHandleRaft(f *testing.F) {
	f.Add(heartbeat(9))
	f.Add(appendGone(nil, 2, 1))
	f.Add(replica.EncodeMessage(nil, 2, &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(uint64(9)), To: new(uint64(1)), Term: new(uint64(9)), Commit: new(uint64(1000))}))
	f.Add(replica.EncodeMessage(nil, 2, &pb.Message{Type: pb.MsgApp.Enum(), From: new(uint64(9)), To: new(uint64(1)), Term: new(uint64(9)), Index: new(uint64(1000))}))
	x := newCoreFixture(f)
	f.Fuzz(func(t *testing.T, messages []byte) {
		x.t = t
		_ = x.c.HandleRaft(9, batchOf(hlc.New(x.now), messages))
		x.run()
		if x.c.Dead() != nil {
			t.Error(x.c.Dead())
		}
	})
}

func TestQueuedProposalCanBeCancelled(t *testing.T) {
	f := newCoreFixture(t)
	answered := false
	p := &replica.Proposal{ID: f.id(1), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("a", "1")}}), Done: func(replica.Outcome) { answered = true }}
	f.c.Propose(2, p)
	if !p.Cancel() {
		t.Fatal("a queued proposal cannot be cancelled")
	}
	f.run()
	h, err := f.read(f.c.cfg.Clock.Now())
	f.must(err)
	defer h.Close()
	_, _, ok, err := datastate.Get(h.Reader, putOp("a", "").Row, hlc.Max)
	if ok || err != nil || answered {
		t.Errorf("a cancelled command was applied (%v) or answered (%v): %v", ok, answered, err)
	}
}

// TestALateProposalIsTakenBack: one that raft did not get in time is certainly lost,
// and no longer queued; one that raft has is not called lost.
func TestALateProposalIsTakenBack(t *testing.T) {
	f := newCoreFixture(t)
	var late, inTime []replica.Outcome
	queued := &replica.Proposal{ID: f.id(1), Ticks: 2, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("a", "1")}}), Done: func(o replica.Outcome) { late = append(late, o) }}
	f.c.Propose(2, queued)
	f.c.Tick()
	f.c.Tick()
	if len(late) > 0 {
		t.Fatalf("taken back too soon: %+v", late)
	}
	f.c.Tick()
	if len(late) != 1 || !errors.Is(late[0].Err, ErrProposalLost) || MaybeApplied(late[0].Err) {
		t.Fatalf("after its time: %+v, want one certain loss", late)
	}
	f.run()
	given := &replica.Proposal{ID: f.id(2), Ticks: 2, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("b", "1")}}), Done: func(o replica.Outcome) { inTime = append(inTime, o) }}
	f.c.Propose(2, given)
	f.c.Process()
	evaluateAll(f.c)
	f.c.Process() // raft has it, and nothing is written yet
	for range 5 {
		f.c.Tick()
	}
	if len(inTime) > 0 {
		t.Fatalf("raft has it, and its fate is %+v", inTime)
	}
	f.run()
	if len(inTime) != 1 || inTime[0].Err != nil || len(late) != 1 {
		t.Errorf("fates %+v and %+v", inTime, late)
	}
	h, err := f.read(f.c.cfg.Clock.Now())
	f.must(err)
	defer h.Close()
	for row, want := range map[string]bool{"a": false, "b": true} {
		if _, _, ok, err := datastate.Get(h.Reader, putOp(row, "").Row, hlc.Max); ok != want || err != nil {
			t.Errorf("row %s is there: %t, %v", row, ok, err)
		}
	}
}

func TestOverload(t *testing.T) {
	f := newCoreFixture(t)
	refused := 0
	megabyte := datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("b", strings.Repeat("x", 1<<20))}})
	for i := range 40 {
		f.c.Propose(2, &replica.Proposal{ID: f.id(uint64(i)), Payload: megabyte, Done: func(o replica.Outcome) {
			if errors.Is(o.Err, ErrOverloaded) {
				refused++
			}
		}})
	}
	if refused == 0 {
		t.Error("40 MiB of commands were queued")
	}
	f.run()
	var o replica.Outcome
	f.c.Propose(2, &replica.Proposal{ID: f.id(99), Payload: make([]byte, 5<<20), Done: func(x replica.Outcome) { o = x }})
	if !errors.Is(o.Err, ErrTooLarge) {
		t.Errorf("a command of 5 MiB: %v, want %v", o.Err, ErrTooLarge)
	}
	if o := f.propose(f.id(100), putOp("a", fmt.Sprint(refused))); o.Err != nil {
		t.Errorf("after the overload: %v", o.Err)
	}
}
