package meta

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// fakeRange is the meta range: a leader's machine that accepts commands, and a
// follower's, the node under test, that applies them when it is let.
type fakeRange struct {
	t        testing.TB
	engine   *storage.Engine
	leader   *metastate.Machine
	follower *metastate.Machine

	mu       sync.Mutex
	index    uint64
	held     bool
	backlog  [][]byte
	at       uint64 // what the follower has applied
	failing  error
	commands []metastate.Command
	statuses []*cluster.RangeStatus
}

func newFakeRange(t testing.TB) *fakeRange {
	t.Helper()
	engine, err := storage.Open(storage.Options{Dir: "store", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRange{t: t, engine: engine, leader: metastate.New(), follower: metastate.New()}
	f.propose(metastate.Command{InitCluster: &metastate.InitCluster{
		ClusterID: "c", Name: "test", Node: cluster.Node{ID: 1, UUID: "u"},
		Ranges: []cluster.RangeDescriptor{
			{ID: 1, Generation: 1, NextReplica: 2},
			{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(512).Key(), Generation: 1, NextReplica: 2},
			{ID: 3, Start: cluster.VShard(512).Key(), End: cluster.VShard(1024).Key(), Generation: 1, NextReplica: 2},
		},
	}})
	return f
}

func (f *fakeRange) close() {
	if err := f.engine.Close(); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeRange) propose(cmd metastate.Command) {
	f.t.Helper()
	b, err := metastate.EncodeCommand(cmd)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, _, err := f.Propose(context.Background(), cluster.MetaRangeID, b, kv.Policy{}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeRange) Propose(_ context.Context, id cluster.RangeID, payload []byte, _ kv.Policy) ([]byte, hlc.Timestamp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != cluster.MetaRangeID {
		f.t.Errorf("a command for %s, want the meta range", id)
	}
	if f.failing != nil {
		return nil, 0, f.failing
	}
	cmd, err := metastate.DecodeCommand(payload, gate.Binary())
	if err != nil {
		f.t.Error(err)
	}
	f.commands = append(f.commands, cmd)
	f.index++
	res := f.apply(f.leader, f.index, payload)
	f.backlog = append(f.backlog, payload)
	if !f.held {
		f.catchUp()
	}
	return res, hlc.Timestamp(f.index), nil
}

func (f *fakeRange) apply(m *metastate.Machine, index uint64, payload []byte) []byte {
	batch := f.engine.NewBatch()
	defer func() { _ = batch.Close() }()
	res, err := m.Apply(batch, nil, index, hlc.Timestamp(index), payload)
	if err != nil {
		f.t.Error(err)
	}
	return res
}

func (f *fakeRange) catchUp() {
	for _, p := range f.backlog {
		f.at++
		f.apply(f.follower, f.at, p)
	}
	f.backlog = nil
}

func (f *fakeRange) hold(held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held = held; !held {
		f.catchUp()
	}
}

func (f *fakeRange) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = err
}

func (f *fakeRange) proposed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.commands)
}

func (f *fakeRange) Status() []*cluster.RangeStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statuses
}

func (f *fakeRange) RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool) {
	for _, s := range f.Status() {
		if s.Descriptor.ID == id {
			return *s, true
		}
	}
	return cluster.RangeStatus{}, false
}

// run calls fn in a bubble of fake time with a Meta whose publisher runs.
func run(t *testing.T, fn func(t *testing.T, f *fakeRange, m *Meta)) {
	t.Helper()
	f := newFakeRange(t) // the engine's goroutines stay outside the bubble
	defer f.close()
	synctest.Test(t, func(t *testing.T) {
		m, err := New(Config{Self: 1, Machine: f.follower, DB: f, Store: f})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := m.Run(ctx, func() {}); err != nil {
				t.Errorf("run: %v", err)
			}
		})
		fn(t, f, m)
		cancel()
		wg.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// elapse lets d of the bubble's time pass.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func cordon(on bool) metastate.Command {
	return metastate.Command{SetCordon: &metastate.SetCordon{Node: 1, Cordon: on}}
}

func TestProposeReadsItsOwnWrite(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		f.hold(true)
		time.AfterFunc(time.Second, func() { f.hold(false) })
		res, err := m.Propose(t.Context(), cordon(true))
		if err != nil || res.Err() != nil {
			t.Fatal(err, res.Err())
		}
		if v := m.View(); v.Index < res.Index || !v.Nodes[1].Cordon {
			t.Errorf("the view is at %d and shows cordon=%v after a proposal at %d", v.Index, v.Nodes[1].Cordon, res.Index)
		}
	})
}

func TestProposeWhereNothingIsApplied(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		f.hold(true)
		begun := time.Now()
		res, err := m.Propose(t.Context(), cordon(true))
		if err != nil || res.Index == 0 {
			t.Errorf("result %+v, error %v, want the result all the same", res, err)
		}
		if took := time.Since(begun); took != m.cfg.ApplyTimeout {
			t.Errorf("took %s, want the apply timeout %s", took, m.cfg.ApplyTimeout)
		}
	})
}

func TestRefusalsAndErrors(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		res, err := m.Propose(t.Context(), metastate.Command{SetCordon: &metastate.SetCordon{Node: 9}})
		if err != nil || res.Refusal == nil || res.Refusal.Code != metastate.CodeNotFound {
			t.Errorf("result %+v, error %v, want a refusal in the result", res, err)
		}
		down := &kv.UnavailableError{Range: 1, Cause: errors.New("down")}
		f.fail(down)
		if _, err := m.Propose(t.Context(), cordon(true)); !errors.Is(err, down) {
			t.Errorf("error %v, want %v", err, down)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Wait(ctx, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait for an index that never comes: %v", err)
		}
	})
}

func TestLeader(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		if node, _, self := m.Leader(); node != 0 || self {
			t.Errorf("Leader() = %s, %v without a replica", node, self)
		}
		f.statuses = []*cluster.RangeStatus{{Descriptor: cluster.RangeDescriptor{ID: 1}, Leader: 1, Term: 7}}
		if node, term, self := m.Leader(); node != 1 || term != 7 || !self {
			t.Errorf("Leader() = %s, %d, %v, want n1, 7, true", node, term, self)
		}
	})
}

func descriptor(id cluster.RangeID, generation uint64) cluster.RangeDescriptor {
	d := cluster.RangeDescriptor{ID: id, Start: cluster.VShard(0).Key(), End: cluster.VShard(512).Key(), Generation: generation, NextReplica: 2}
	if id == 3 {
		d.Start, d.End = cluster.VShard(512).Key(), cluster.VShard(1024).Key()
	}
	return d
}

func generations(m *Meta) (r2, r3 uint64) {
	v := m.View()
	return v.Ranges.Get(2).Generation, v.Ranges.Get(3).Generation
}

func TestPublishCoalesces(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		before := f.proposed()
		m.Publish(descriptor(2, 3))
		m.Publish(descriptor(2, 2))
		m.Publish(descriptor(3, 9))
		m.Publish(descriptor(2, 4))
		elapse(time.Second)
		if r2, r3 := generations(m); r2 != 4 || r3 != 9 {
			t.Errorf("published generations %d and %d, want 4 and 9", r2, r3)
		}
		if n := f.proposed() - before; n != 1 {
			t.Errorf("%d commands, want 1", n)
		}
		m.Publish(descriptor(2, 4))
		elapse(time.Second)
		if n := f.proposed() - before; n != 1 {
			t.Errorf("%d commands after a descriptor that is known, want 1", n)
		}
	})
}

func TestPublishRetries(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		f.fail(errors.New("no leader"))
		m.Publish(descriptor(2, 3))
		elapse(10 * time.Second)
		f.fail(nil)
		elapse(10 * time.Second)
		if r2, _ := generations(m); r2 != 3 {
			t.Errorf("generation %d, want 3 once the meta range is back", r2)
		}
	})
}

func TestPublishRefused(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		m.Publish(descriptor(2, 3))
		wrong := descriptor(9, 1) // overlaps r2
		m.Publish(wrong)
		elapse(time.Second)
		if r2, _ := generations(m); r2 != 3 {
			t.Errorf("generation %d, want 3 beside a descriptor that is refused", r2)
		}
	})
}

func TestAudit(t *testing.T) {
	run(t, func(t *testing.T, f *fakeRange, m *Meta) {
		d := descriptor(3, 5)
		d.Replicas = []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}
		f.mu.Lock()
		f.statuses = []*cluster.RangeStatus{{Descriptor: d, Replica: 1, Leader: 1}}
		f.mu.Unlock()
		elapse(m.cfg.Audit + time.Second)
		if _, r3 := generations(m); r3 != 5 {
			t.Errorf("generation %d, want 5 from the audit", r3)
		}
	})
}
