package operation

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// shell is the rig with real Runners, Drainers and Services around it, in the
// time of a synctest bubble.
type shell struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	r     *rig
	nodes map[cluster.NodeID]*shellNode
	cut   bool // the meta range does not answer
}

type shellNode struct {
	id       cluster.NodeID
	server   *Server
	drainer  *Drainer
	service  *Service
	sessions *fakeSQL
	runner   *Runner
	mayStop  func() (StopCertificate, error) // instead of the coordinator
	stopped  []string
	looks    int // for who leads the meta range: each pass of the runner does
}

// inShell runs test against a cluster of n nodes.
func inShell(t *testing.T, n int, test func(t *testing.T, s *shell)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shell{t: t, nodes: map[cluster.NodeID]*shellNode{}}
		s.r = newRig(t, 1, n, n, 4)
		s.r.shelled = true
		s.r.now = time.Now().UTC()
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		defer s.close()
		for i := 1; i <= n; i++ {
			s.open(ctx, cluster.NodeID(i))
		}
		s.run(func() { s.tick(ctx) })
		test(t, s)
	})
}

func (s *shell) run(fn func()) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		fn()
	}()
}

func (s *shell) close() {
	s.cancel()
	s.wg.Wait()
}

func (s *shell) tick(ctx context.Context) {
	tk := time.NewTicker(tick)
	defer tk.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tk.C:
			s.mu.Lock()
			s.r.advance()
			s.r.now = time.Now().UTC()
			s.mu.Unlock()
		}
	}
}

func (s *shell) open(ctx context.Context, id cluster.NodeID) {
	n := &shellNode{id: id, sessions: &fakeSQL{}}
	s.nodes[id] = n
	meta := &shellMeta{s, id}
	store := &shellStore{s, id}
	stop := func(reason string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		n.stopped = append(n.stopped, reason)
		s.r.nodes[id].up, s.r.nodes[id].left, s.r.nodes[id].downAt = false, true, s.r.now
	}
	liveness := func() map[cluster.NodeID]cluster.Liveness {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.r.liveness()
	}
	n.drainer = NewDrainer(DrainerConfig{
		Self: id, BootNonce: "1", Store: store, SQL: n.sessions, Meta: meta, Liveness: liveness, Stop: stop,
		SetService: func(sv cluster.Service) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.r.nodes[id].service = sv
		},
		MayStop: func(ctx context.Context, op string) (StopCertificate, error) {
			if n.mayStop != nil {
				return n.mayStop()
			}
			return n.runner.AskMayStop(ctx, op)
		},
	})
	n.server = &Server{
		Store: store, Drainer: n.drainer, Stop: stop,
		Descriptor: func(_ context.Context, rid cluster.RangeID) (*cluster.RangeDescriptor, error) {
			c := store.do(Action{Kind: ActProof, Ranges: []cluster.RangeID{rid}})
			if c.Err != nil {
				return nil, c.Err
			}
			return &c.Descriptors[0], nil
		},
		Status: s.source(n),
	}
	n.runner = NewRunner(RunnerConfig{Self: id, Meta: meta, Caller: shellCaller{s, id}, Server: n.server, Liveness: liveness})
	n.service = NewService(ServiceConfig{Self: id, Meta: meta, Caller: shellCaller{s, id}, Server: n.server, Liveness: liveness, Sweeps: n.runner.Sweeps})
	s.run(func() {
		if err := n.runner.Run(ctx, nil); err != nil {
			s.t.Errorf("runner of %s: %v", id, err)
		}
	})
	s.run(func() {
		if err := n.drainer.Run(ctx, nil); err != nil {
			s.t.Errorf("drainer of %s: %v", id, err)
		}
	})
}

// source tells what the rig says of a node.
func (s *shell) source(n *shellNode) *statusboard.Source {
	src := &statusboard.Source{
		Ranges: statusboard.New[cluster.RangeID](statusboard.Ranges()), Peers: statusboard.New[cluster.NodeID](statusboard.Peers()),
	}
	src.Head = func() cluster.NodeStatus {
		s.mu.Lock()
		defer s.mu.Unlock()
		st := s.r.status(n.id)
		st.Sessions = len(n.sessions.Blockers())
		for _, x := range src.Ranges.All() {
			if st.Range(x.Descriptor.ID) == nil {
				src.Ranges.Drop(x.Descriptor.ID)
			}
		}
		for _, x := range st.Ranges {
			src.Ranges.Put(x.Descriptor.ID, x)
		}
		st.Ranges = nil
		return *st
	}
	return src
}

// do carries out an action at this node's store.
func (st *shellStore) do(a Action) Completion {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	a.To = st.id
	return st.s.r.carryOut(a)
}

type shellStore struct {
	s  *shell
	id cluster.NodeID
}

func (st *shellStore) PrepareReplica(_ context.Context, d cluster.RangeDescriptor, replica cluster.ReplicaID) error {
	return st.do(Action{Kind: ActPrepare, Range: d.ID, Descriptor: d, Replica: replica}).Err
}

func (st *shellStore) CreateRange(_ context.Context, d cluster.RangeDescriptor) error {
	return st.do(Action{Kind: ActCreate, Range: d.ID, Descriptor: d}).Err
}

func (st *shellStore) ChangeReplicas(_ context.Context, id cluster.RangeID, change cluster.ReplicaChange) (*cluster.RangeDescriptor, error) {
	c := st.do(Action{Kind: ActChange, Range: id, Change: change})
	if c.Err != nil {
		return nil, c.Err
	}
	return &c.Descriptors[0], nil
}

func (st *shellStore) Verify(_ context.Context, id cluster.RangeID) (uint64, error) {
	return 1, st.do(Action{Kind: ActVerify, Range: id}).Err
}

func (st *shellStore) Transfer(_ context.Context, id cluster.RangeID, to cluster.NodeID) error {
	return st.do(Action{Kind: ActTransfer, Range: id, Node: to}).Err
}

func (st *shellStore) DestroyReplica(_ context.Context, id cluster.RangeID, minNext cluster.ReplicaID) error {
	return st.do(Action{Kind: ActDestroy, Range: id, Replica: minNext}).Err
}

func (st *shellStore) RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.s.r.rangeStatus(st.id, id)
}

func (st *shellStore) Status() []*cluster.RangeStatus {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.s.r.status(st.id).Ranges
}

type shellMeta struct {
	s  *shell
	id cluster.NodeID
}

func (m *shellMeta) View() *metastate.View { return m.s.r.view() }

func (m *shellMeta) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	cmd.Stamp(ctx)
	m.s.mu.Lock()
	if m.s.cut || !m.s.r.metaWorks() || !m.s.r.up(m.id) {
		m.s.mu.Unlock()
		<-ctx.Done()
		return metastate.Result{}, ctx.Err()
	}
	defer m.s.mu.Unlock()
	return m.s.r.propose(cmd), nil
}

func (m *shellMeta) Subscribe(fn func(*metastate.View)) (cancel func()) {
	return m.s.r.machine.Subscribe(fn)
}

func (m *shellMeta) Leader() (cluster.NodeID, uint64, bool) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.nodes[m.id].looks++
	x := m.s.r.ranges[cluster.MetaRangeID]
	return x.leader, x.term, x.leader == m.id && m.s.r.up(m.id)
}

type shellCaller struct {
	s    *shell
	from cluster.NodeID
}

func (c shellCaller) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	c.s.mu.Lock()
	works := c.s.r.up(c.from) && c.s.r.up(to)
	c.s.mu.Unlock()
	if !works {
		return nil, errDown
	}
	n := c.s.nodes[to]
	serve := n.server.Methods()[method]
	if serve == nil {
		serve = n.runner.Methods()[method]
	}
	return serve(ctx, c.from, payload)
}

// fakeSQL is a SQL server: sessions that are idle close when asked, those in a
// transaction when their transaction ends.
type fakeSQL struct {
	mu       sync.Mutex
	draining bool
	idle     int
	open     []Blocker
}

func (f *fakeSQL) SetDraining(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.draining = on
}

func (f *fakeSQL) CloseIdle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = 0
}

func (f *fakeSQL) CloseAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle, f.open = 0, nil
}

func (f *fakeSQL) Blockers() []Blocker {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.open)
	for range f.idle {
		out = append(out, Blocker{PID: 1})
	}
	return out
}

func (f *fakeSQL) begin(b Blocker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, b)
}

func (s *shell) serviceOf(id cluster.NodeID) cluster.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.nodes[id].service
}

func (s *shell) led(id cluster.NodeID) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.r.ranges {
		if x.leader == id {
			n++
		}
	}
	return n
}

// wait waits for the end of an operation.
func (s *shell) wait(id string, limit time.Duration) cluster.Operation {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	op, err := s.nodes[1].service.Wait(ctx, id, nil)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.r.dump()
		s.t.Fatalf("wait for %s: %v (%s, %s, %q)", id, err, op.State, op.Phase, op.Why)
	}
	return op
}

// eventually waits for done, in the bubble's time.
func (s *shell) eventually(what string, limit time.Duration, done func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tk := time.NewTicker(50 * time.Millisecond)
	defer tk.Stop()
	for !done() {
		select {
		case <-tk.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func (s *shell) start(spec cluster.OperationSpec) cluster.Operation {
	s.t.Helper()
	op, _, err := s.nodes[2].service.Start(context.Background(), StartRequest{Spec: spec, By: "test"})
	if err != nil {
		s.t.Fatalf("start %s: %v", spec.Kind, err)
	}
	return op
}

func drain(node cluster.NodeID) cluster.OperationSpec {
	return cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{node}}
}

func (s *shellStore) Split(_ context.Context, id cluster.RangeID, split cluster.RangeSplit) (parent, child *cluster.RangeDescriptor, err error) {
	d := cluster.RangeDescriptor{ID: id, End: split.At, Generation: split.Expect + 1}
	return &d, &cluster.RangeDescriptor{ID: split.Child, Parent: id, Start: split.At, Generation: split.Expect + 1}, nil
}
