package operation_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The ranges of a real cluster: the meta range and these.
const (
	realRanges = 8
	realSpan   = cluster.VShards / realRanges
)

// began is when the boot-time clock of the tests was 0.
var began = time.Now()

// real is a cluster of real stores, state machines, Runners and Drainers in one
// process; only the network is pretence.
type real struct {
	t     *testing.T
	ctx   context.Context
	wg    sync.WaitGroup
	mu    sync.Mutex
	nodes map[cluster.NodeID]*realNode
}

type realNode struct {
	c       *real
	id      cluster.NodeID
	engine  *storage.Engine
	clock   *hlc.Clock
	store   *store.Store
	machine *metastate.Machine
	server  *operation.Server
	drainer *operation.Drainer
	service *operation.Service
	publish chan cluster.RangeDescriptor

	mu      sync.Mutex
	state   cluster.Service
	stopped string
}

func newReal(t *testing.T, n int) *real {
	ctx, cancel := context.WithCancel(context.Background())
	c := &real{t: t, ctx: ctx, nodes: map[cluster.NodeID]*realNode{}}
	t.Cleanup(func() {
		cancel()
		c.wg.Wait()
		for _, n := range c.nodes {
			if err := errors.Join(n.store.Close(), n.engine.Close()); err != nil {
				t.Errorf("close %s: %v", n.id, err)
			}
		}
	})
	c.open(1)
	c.bootstrap()
	for i := 2; i <= n; i++ {
		c.open(cluster.NodeID(i))
		c.join(cluster.NodeID(i))
	}
	return c
}

func (c *real) run(fn func()) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		fn()
	}()
}

func (c *real) open(id cluster.NodeID) {
	e, err := storage.Open(storage.Options{Dir: "store", FS: storage.NewCrashableFS()})
	if err != nil {
		c.t.Fatal(err)
	}
	n := &realNode{c: c, id: id, engine: e, machine: metastate.New(), publish: make(chan cluster.RangeDescriptor, 1024), state: cluster.Ready}
	n.clock = hlc.NewClock(time.Now, 500*time.Millisecond)
	cfg := store.DefaultConfig()
	cfg.Node, cfg.Engine, cfg.Clock, cfg.Sender, cfg.Tick = id, e, n.clock, n, 20*time.Millisecond
	cfg.Boottime, cfg.Jitter = func() time.Duration { return time.Since(began) }, rand.N[time.Duration]
	cfg.Machine = func(d cluster.RangeDescriptor) replica.StateMachine {
		if d.IsMeta() {
			return n.machine
		}
		return datastate.New()
	}
	cfg.OnFatal = func(err error) { c.t.Errorf("store of %s: %v", id, err) }
	if n.store, err = store.Open(cfg); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.nodes[id] = n
	c.mu.Unlock()
	n.store.OnDescriptor(func(d cluster.RangeDescriptor) {
		select {
		case n.publish <- d:
		default:
		}
	})
	n.operate()
}

// operate starts what this package brings to a node.
func (n *realNode) operate() {
	liveness := func() map[cluster.NodeID]cluster.Liveness { return nil } // who answers is alive
	stop := func(reason string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.stopped = reason
	}
	n.drainer = operation.NewDrainer(operation.DrainerConfig{
		Self: n.id, BootNonce: "1", Store: n.store, Meta: n, Liveness: liveness, Stop: stop,
		SetService: func(s cluster.Service) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.state = s
		},
	})
	n.server = &operation.Server{
		Store: n.store, Drainer: n.drainer, Stop: stop,
		Descriptor: func(ctx context.Context, id cluster.RangeID) (*cluster.RangeDescriptor, error) {
			h, err := n.store.Read(ctx, id, n.clock.Now(), store.Scope{})
			if err != nil {
				return nil, err
			}
			defer h.Close()
			return h.Descriptor.Clone(), nil
		},
		Status: &statusboard.Source{Head: n.figures, Ranges: n.store.Statuses(), Peers: statusboard.New[cluster.NodeID](statusboard.Peers())},
	}
	n.service = operation.NewService(operation.ServiceConfig{Self: n.id, Meta: n, Caller: n, Server: n.server, Liveness: liveness})
	runner := operation.NewRunner(operation.RunnerConfig{Self: n.id, Meta: n, Caller: n, Server: n.server, Liveness: liveness})
	n.c.run(func() { _ = runner.Run(n.c.ctx, nil) })
	n.c.run(func() { _ = n.drainer.Run(n.c.ctx, nil) })
	n.c.run(func() {
		for {
			select {
			case d := <-n.publish:
				_, _ = n.Propose(n.c.ctx, metastate.Command{UpdateRanges: &metastate.UpdateRanges{Descriptors: []cluster.RangeDescriptor{d}}})
			case <-n.c.ctx.Done():
				return
			}
		}
	})
}

func (n *realNode) figures() cluster.NodeStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	return cluster.NodeStatus{Node: n.id, BootNonce: "1", Service: n.state, Version: "v1", MetaIndex: n.machine.View().Index}
}

func (n *realNode) now() cluster.Service {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

// The network.

func (c *real) node(id cluster.NodeID) *realNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

func (n *realNode) SendRaft(to cluster.NodeID, batch []byte) bool {
	p := n.c.node(to)
	return p != nil && p.store.HandleRaft(n.id, batch) == nil
}

func (n *realNode) SendSnapshot(ctx context.Context, to cluster.NodeID, header []byte, next func() ([]byte, error)) ([]byte, error) {
	return n.c.node(to).store.HandleSnapshot(ctx, n.id, header, next)
}

func (n *realNode) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	return n.c.node(to).server.Methods()[method](ctx, n.id, payload)
}

// The meta range.

func (n *realNode) View() *metastate.View { return n.machine.View() }

func (n *realNode) Subscribe(fn func(*metastate.View)) (cancel func()) {
	return n.machine.Subscribe(fn)
}

func (n *realNode) Leader() (cluster.NodeID, uint64, bool) {
	st, ok := n.store.RangeStatus(cluster.MetaRangeID)
	return st.Leader, st.Term, ok && st.Leader == n.id
}

func (n *realNode) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	cmd.Stamp(ctx)
	b, err := metastate.EncodeCommand(cmd)
	if err != nil {
		return metastate.Result{}, err
	}
	out, err := n.c.propose(ctx, cluster.MetaRangeID, n.clock, b)
	if err != nil {
		return metastate.Result{}, err
	}
	res, err := metastate.DecodeResult(out)
	if err != nil {
		return res, err
	}
	for n.machine.View().Index < res.Index {
		if err := pause(ctx); err != nil {
			return res, err
		}
	}
	return res, nil
}

// propose finds the leader, and retries as package kv does.
func (c *real) propose(ctx context.Context, id cluster.RangeID, clock *hlc.Clock, payload []byte) ([]byte, error) {
	cmd := store.Command{Payload: payload}
	binary.BigEndian.PutUint64(cmd.ID[:], uint64(clock.Now()))
	binary.BigEndian.PutUint64(cmd.ID[8:], rand.Uint64())
	for {
		err := errors.New("no leader")
		if n := c.leader(id); n != nil {
			var out []byte
			if out, _, err = n.store.Propose(ctx, id, cmd); err == nil {
				return out, nil
			}
			cmd.Retry = true
		}
		if e := pause(ctx); e != nil {
			return nil, fmt.Errorf("propose to %s: %w", id, errors.Join(e, err))
		}
	}
}

func (c *real) leader(id cluster.RangeID) *realNode {
	c.mu.Lock()
	nodes := maps.Clone(c.nodes) // a store's loop takes the mutex to send
	c.mu.Unlock()
	for _, n := range nodes {
		if st, ok := n.store.RangeStatus(id); ok && st.IsLeader() {
			return n
		}
	}
	return nil
}

func pause(ctx context.Context) error {
	t := time.NewTimer(2 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *real) eventually(what string, fn func() error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	for {
		err := fn()
		if err == nil {
			return
		}
		if pause(ctx) != nil {
			c.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (c *real) bootstrap() {
	init := &metastate.InitCluster{ClusterID: "c", Name: "real", CACert: "PEM", Node: cluster.Node{ID: 1, UUID: "uuid-1"},
		Users: []metastate.PutUser{{Name: "test", AdminRole: "admin"}}}
	for i := range realRanges + 1 {
		d := cluster.RangeDescriptor{ID: cluster.RangeID(i + 1), Generation: 1, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}}
		if i > 0 {
			d.Start, d.End = cluster.VShard((i-1)*realSpan).Key(), cluster.VShard(i*realSpan).Key()
		}
		init.Ranges = append(init.Ranges, d)
	}
	if err := c.nodes[1].store.Bootstrap(c.ctx, init.Ranges); err != nil {
		c.t.Fatal(err)
	}
	c.must(metastate.Command{InitCluster: init})
}

func (c *real) must(cmd metastate.Command) metastate.Result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	res, err := c.nodes[1].Propose(ctx, cmd)
	if err := errors.Join(err, res.Err()); err != nil {
		c.t.Fatal(err)
	}
	return res
}

func (c *real) join(id cluster.NodeID) {
	token := id.String()
	c.must(metastate.Command{CreateJoinToken: &metastate.CreateJoinToken{ID: token, Hash: []byte{1}, Uses: 1, ExpiresAt: time.Now().Add(time.Hour)}})
	c.must(metastate.Command{AddNode: &metastate.AddNode{
		UUID: "uuid-" + id.String(), Version: "v1", TokenID: token, TokenHash: []byte{1}, KeyHash: []byte{byte(id)}, BootNonce: "1",
	}})
}

// settled reports whether every range has three voters and nothing else, and
// every active node the meta range.
func (c *real) settled() error {
	v := c.leader(cluster.MetaRangeID)
	if v == nil {
		return errors.New("the meta range has no leader")
	}
	for id, d := range v.View().Ranges.All() {
		if d.Joint() || len(d.Voters()) != 3 || !d.IsMeta() && len(d.Learners()) > 0 {
			return fmt.Errorf("%s: %v", id, d.Replicas)
		}
	}
	meta, _ := v.View().MetaRange()
	for id, n := range v.View().Nodes {
		if _, ok := meta.On(id); n.Membership != cluster.Decommissioned && (n.Membership != cluster.Active || !ok) {
			return fmt.Errorf("%s is %s, holds the meta range: %v", id, n.Membership, ok)
		}
	}
	return nil
}

// write keeps writing rows to all ranges until stop; it returns how many each
// range acknowledged.
func (c *real) write(stop <-chan struct{}, clock *hlc.Clock) map[cluster.RangeID]int {
	acked := map[cluster.RangeID]int{}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return acked
		default:
		}
		id := cluster.RangeID(2 + i%realRanges)
		row := c.row(id, acked[id])
		b := datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{{Row: row, Kind: datastate.Put, Value: []byte("x"), Expect: datastate.Absent}}})
		ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
		out, err := c.propose(ctx, id, clock, b)
		cancel()
		if err != nil {
			c.t.Errorf("write %d to %s: %v", acked[id], id, err)
			return acked
		}
		if r, err := datastate.DecodeResult(out); err != nil || r.Outcome != datastate.Applied {
			c.t.Errorf("write %d to %s: %+v %v", acked[id], id, r, err)
			return acked
		}
		acked[id]++
	}
}

func (c *real) row(id cluster.RangeID, i int) []byte {
	return keys.Row(cluster.DefaultPool, cluster.VShard(int(id-2)*realSpan), 7, fmt.Appendf(nil, "%08d\x00", i))
}

// check reads every acknowledged row back.
func (c *real) check(acked map[cluster.RangeID]int) {
	c.t.Helper()
	for id, count := range acked {
		var h *store.ReadHandle
		var ts hlc.Timestamp
		c.eventually("read "+id.String(), func() error {
			n := c.leader(id)
			if n == nil {
				return errors.New("no leader")
			}
			var err error
			ts = n.clock.Now()
			h, err = n.store.Read(c.ctx, id, ts, store.Scope{})
			return err
		})
		for i := range count {
			if _, _, ok, err := datastate.Get(h.Reader, c.row(id, i), ts); err != nil || !ok {
				c.t.Errorf("acknowledged row %d of %s: found %v, %v", i, id, ok, err)
				break
			}
		}
		h.Close()
	}
}

func (c *real) finish(op cluster.Operation) cluster.Operation {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 90*time.Second)
	defer cancel()
	done, err := c.nodes[1].service.Wait(ctx, op.ID, nil)
	if err != nil {
		c.t.Fatalf("%s: %v: %s in %s, %q, items %+v", op.ID, err, done.State, done.Phase, done.Why, done.Items)
	}
	return done
}

// TestRealCluster grows a cluster from one node to four, then decommissions the
// fourth and drains the meta leader while clients write, over real raft and real
// storage: nothing acknowledged is lost, and the proof is true.
func TestRealCluster(t *testing.T) {
	c := newReal(t, 4)
	began := time.Now()
	c.eventually("the cluster grows", c.settled)
	t.Logf("grown after %s", time.Since(began).Round(time.Millisecond))

	stop := make(chan struct{})
	result := make(chan map[cluster.RangeID]int, 1)
	c.run(func() { result <- c.write(stop, c.nodes[1].clock) })
	var acked map[cluster.RangeID]int
	func() {
		defer func() {
			close(stop)
			acked = <-result
		}()
		c.decommissionUnderLoad()
		c.drainUnderLoad()
	}()
	total := 0
	for _, n := range acked {
		total += n
	}
	t.Logf("%d writes acknowledged", total)
	c.check(acked)
}

func (c *real) decommissionUnderLoad() {
	t := c.t
	began := time.Now()
	var op cluster.Operation
	c.eventually("start", func() (err error) {
		op, _, err = c.nodes[2].service.Start(c.ctx, operation.StartRequest{Spec: cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{4}}, By: "test"})
		return err
	})
	done := c.finish(op)
	if done.State != cluster.OpSucceeded || done.Proof == nil || done.Proof.References != 0 || done.Proof.Leaders != realRanges+1 {
		t.Fatalf("decommission: %s %q, proof %+v", done.State, done.Why, done.Proof)
	}
	t.Logf("decommissioned after %s: %+v", time.Since(began).Round(time.Millisecond), done.Total)
	c.eventually("n4 is told to stop", func() error {
		n := c.nodes[4]
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.stopped == "" {
			return errors.New("it was not")
		}
		return nil
	})
	for _, st := range c.nodes[4].store.Status() {
		if !st.Descriptor.IsMeta() {
			t.Errorf("n4 still holds %s", st.Descriptor.ID)
		}
	}
}

func (c *real) drainUnderLoad() {
	t := c.t
	lead := c.leader(cluster.MetaRangeID)
	began := time.Now()
	var op cluster.Operation
	c.eventually("start", func() (err error) {
		op, _, err = lead.service.Start(c.ctx, operation.StartRequest{Spec: cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{lead.id}}, By: "test"})
		return err
	})
	if done := c.finish(op); done.State != cluster.OpSucceeded {
		t.Fatalf("drain of %s: %s %q", lead.id, done.State, done.Why)
	}
	t.Logf("drained %s after %s", lead.id, time.Since(began).Round(time.Millisecond))
	leads := slices.DeleteFunc(lead.store.Status(), func(st *cluster.RangeStatus) bool { return !st.IsLeader() })
	if len(leads) > 0 || lead.now() != cluster.Drained {
		t.Errorf("%s leads %d ranges and is %s", lead.id, len(leads), lead.now())
	}
	if _, err := c.nodes[2].service.Undrain(c.ctx, []cluster.NodeID{lead.id}, "test", ""); err != nil {
		t.Fatal(err)
	}
	c.eventually("leaderships return", func() error {
		for _, st := range lead.store.Status() {
			if st.IsLeader() {
				return nil
			}
		}
		return errors.New("none yet")
	})
}
