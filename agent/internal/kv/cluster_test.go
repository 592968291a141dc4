package kv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/meta"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// began is when the boot-time clock of the tests was 0.
var began = time.Now()

// testCluster is nodes in one process: real stores, real meta range, kv and
// meta over a network that is function calls and can be cut.
type testCluster struct {
	t     testing.TB
	mu    sync.Mutex
	nodes map[cluster.NodeID]*testNode // guarded by mu
	down  map[cluster.NodeID]bool      // guarded by mu
	// hang makes calls to nodes that are down wait for their context, as those to
	// a stopped process do. Guarded by mu.
	hang bool
}

type testNode struct {
	c       *testCluster
	id      cluster.NodeID
	engine  *storage.Engine
	clock   *hlc.Clock
	machine *metastate.Machine
	store   *store.Store
	db      *kv.DB
	meta    *meta.Meta
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// eventually waits until cond returns nil, and fails with its last error.
func eventually(t testing.TB, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// startCluster starts a cluster of n nodes with the given number of data ranges,
// each with a voter on every node.
func startCluster(t testing.TB, n, ranges int) *testCluster {
	t.Helper()
	c := &testCluster{t: t, nodes: map[cluster.NodeID]*testNode{}, down: map[cluster.NodeID]bool{}}
	t.Cleanup(func() {
		for _, n := range c.all() {
			n.close()
		}
	})
	first := c.add(1)
	descs := []cluster.RangeDescriptor{{ID: cluster.MetaRangeID}}
	for i := range ranges {
		descs = append(descs, cluster.RangeDescriptor{
			ID:    cluster.RangeID(i + 2),
			Start: cluster.VShard(i * cluster.VShards / ranges).Key(), End: cluster.VShard((i + 1) * cluster.VShards / ranges).Key(),
		})
	}
	for i := range descs {
		descs[i].Generation, descs[i].NextReplica = 1, 2
		descs[i].Replicas = []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}
	}
	ctx := t.Context()
	if err := first.store.Bootstrap(ctx, descs); err != nil {
		t.Fatalf("bootstrap: %v", err)
	}
	_, err := first.meta.Propose(ctx, metastate.Command{InitCluster: &metastate.InitCluster{
		ClusterID: "c", Name: "test", Node: cluster.Node{ID: 1, UUID: "u1"}, Ranges: descs,
	}})
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	for id := cluster.NodeID(2); int(id) <= n; id++ {
		c.add(id)
		for _, d := range descs {
			c.grow(d.ID, id)
		}
	}
	c.spread(descs)
	for _, n := range c.all() {
		eventually(t, func() error { return n.knows(descs, c) })
	}
	return c
}

// knows reports whether the node's view shows every range on every node.
func (n *testNode) knows(descs []cluster.RangeDescriptor, c *testCluster) error {
	v := n.meta.View()
	for _, d := range descs {
		have, ok := v.Range(d.ID)
		if !ok || len(have.Voters()) != len(c.all()) {
			return fmt.Errorf("%s: the view at %d shows %+v", n.id, v.Index, have)
		}
	}
	return nil
}

func (c *testCluster) add(id cluster.NodeID) *testNode {
	c.t.Helper()
	n := &testNode{c: c, id: id, machine: metastate.New(), clock: hlc.NewClock(time.Now, 500*time.Millisecond)}
	var err error
	if n.engine, err = storage.Open(storage.Options{Dir: "store", FS: storage.NewCrashableFS()}); err != nil {
		c.t.Fatal(err)
	}
	cfg := store.DefaultConfig()
	cfg.Node, cfg.Engine, cfg.Clock, cfg.Sender, cfg.Tick = id, n.engine, n.clock, n, 20*time.Millisecond
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
	n.db, err = kv.New(kv.Config{
		Self: id, Store: n.store, Caller: n, Clock: n.clock, AttemptTimeout: 500 * time.Millisecond,
		Table: routing.New(func() routing.View { return n.machine.View() }),
		Peers: func() []cluster.NodeID {
			var ids []cluster.NodeID
			for _, o := range c.all() {
				if o.id != id {
					ids = append(ids, o.id)
				}
			}
			return ids
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if n.meta, err = meta.New(meta.Config{Self: id, Machine: n.machine, DB: n.db, Store: n.store, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		c.t.Fatal(err)
	}
	n.store.OnDescriptor(func(d cluster.RangeDescriptor) {
		n.meta.Publish(d)
		n.db.Table().Learn(d)
	})
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.wg.Go(func() {
		if err := n.meta.Run(ctx, func() {}); err != nil {
			c.t.Errorf("meta of %s: %v", id, err)
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	return n
}

func (n *testNode) close() {
	n.stop()
	n.wg.Wait()
	for _, c := range []io.Closer{n.meta, n.db, n.store, n.engine} {
		if err := c.Close(); err != nil {
			n.c.t.Errorf("close %T of %s: %v", c, n.id, err)
		}
	}
}

func (c *testCluster) all() []*testNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ns []*testNode
	for _, n := range c.nodes {
		ns = append(ns, n)
	}
	slices.SortFunc(ns, func(a, b *testNode) int { return int(a.id) - int(b.id) })
	return ns
}

// leader returns the node that leads a range, waiting for one.
func (c *testCluster) leader(id cluster.RangeID) *testNode {
	c.t.Helper()
	var found *testNode
	eventually(c.t, func() error {
		for _, n := range c.all() {
			if s, ok := n.store.RangeStatus(id); ok && s.IsLeader() && !c.isDown(n.id) {
				found = n
				return nil
			}
		}
		return fmt.Errorf("%s has no leader", id)
	})
	return found
}

// grow adds a voter on node to a range.
func (c *testCluster) grow(id cluster.RangeID, node cluster.NodeID) {
	c.t.Helper()
	ctx := c.t.Context()
	c.mu.Lock()
	target := c.nodes[node]
	c.mu.Unlock()
	lead := c.leader(id)
	s, _ := lead.store.RangeStatus(id)
	if err := target.store.PrepareReplica(ctx, s.Descriptor, s.Descriptor.NextReplica); err != nil {
		c.t.Fatalf("prepare %s on %s: %v", id, node, err)
	}
	d, err := lead.store.ChangeReplicas(ctx, id, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: node, Expect: s.Descriptor.Generation})
	if err != nil {
		c.t.Fatalf("add %s to %s: %v", node, id, err)
	}
	eventually(c.t, func() error {
		_, err := lead.store.ChangeReplicas(ctx, id, cluster.ReplicaChange{Kind: cluster.ChangeVoters, Promote: []cluster.NodeID{node}, Expect: d.Generation})
		return err
	})
	eventually(c.t, func() error {
		_, err := lead.store.ChangeReplicas(ctx, id, cluster.ReplicaChange{Kind: cluster.LeaveJoint, Expect: d.Generation + 1})
		return err
	})
}

// spread transfers leaderships round robin.
func (c *testCluster) spread(descs []cluster.RangeDescriptor) {
	c.t.Helper()
	ns := c.all()
	for i, d := range descs {
		to := ns[i%len(ns)]
		eventually(c.t, func() error {
			lead := c.leader(d.ID)
			if lead == to {
				return nil
			}
			return lead.store.Transfer(c.t.Context(), d.ID, to.id)
		})
	}
}

func (c *testCluster) isDown(id cluster.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down[id]
}

// cut takes a node off the network, or gives it back.
func (c *testCluster) cut(id cluster.NodeID, down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[id] = down
}

func (c *testCluster) hangs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hang
}

func (c *testCluster) reach(from, to cluster.NodeID) *testNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down[from] || c.down[to] {
		return nil
	}
	return c.nodes[to]
}

func (n *testNode) SendRaft(to cluster.NodeID, batch []byte) bool {
	peer := n.c.reach(n.id, to)
	return peer != nil && peer.store.HandleRaft(n.id, bytes.Clone(batch)) == nil
}

func (n *testNode) SendSnapshot(ctx context.Context, to cluster.NodeID, header []byte, next func() ([]byte, error)) ([]byte, error) {
	peer := n.c.reach(n.id, to)
	if peer == nil {
		return nil, &transport.UnreachableError{Node: to}
	}
	return peer.store.HandleSnapshot(ctx, n.id, header, next)
}

func (n *testNode) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	peer := n.c.reach(n.id, to)
	if peer == nil {
		if n.c.hangs() {
			<-ctx.Done()
			return nil, &transport.UnreachableError{Node: to, Sent: true, Cause: ctx.Err()}
		}
		return nil, &transport.UnreachableError{Node: to, Cause: io.ErrClosedPipe}
	}
	type reply struct {
		b   []byte
		err error
	}
	ch := make(chan reply, 1)
	n.wg.Go(func() {
		b, err := serve(ctx, peer.db.Server(), n.id, method, payload)
		ch <- reply{b, err}
	})
	r := <-ch
	if n.c.reach(n.id, to) == nil {
		return nil, &transport.UnreachableError{Node: to, Sent: true, Cause: io.ErrUnexpectedEOF}
	}
	return r.b, r.err
}

// serve answers a call as the transport has it answered.
func serve(ctx context.Context, s *kv.Server, from cluster.NodeID, method string, payload []byte) ([]byte, error) {
	if method != kv.MethodPropose {
		return s.Methods()[method](ctx, from, payload)
	}
	type reply struct {
		b   []byte
		err error
	}
	ch := make(chan reply, 1)
	var within time.Duration
	if at, ok := ctx.Deadline(); ok {
		within = time.Until(at)
	}
	cancel := s.BeginPropose(from, payload, within, func(b []byte, err error) { ch <- reply{b, err} })
	select {
	case r := <-ch:
		return r.b, r.err
	case <-ctx.Done():
		cancel()
		return nil, &transport.UnreachableError{Node: from, Sent: true, Cause: ctx.Err()}
	}
}

func (n *testNode) Scan(ctx context.Context, to cluster.NodeID, request []byte, fn func([]byte) error) error {
	peer := n.c.reach(n.id, to)
	if peer == nil {
		return &transport.UnreachableError{Node: to, Cause: io.ErrClosedPipe}
	}
	return peer.db.Server().HandleScan(ctx, n.id, request, func(b []byte) error {
		if n.c.reach(n.id, to) == nil {
			return &transport.UnreachableError{Node: to, Sent: true, Cause: io.ErrUnexpectedEOF}
		}
		return fn(b)
	})
}

const collection cluster.CollectionID = 9

func rowKey(i int) []byte { return fmt.Appendf(nil, "key-%05d", i) }

func (n *testNode) put(ctx context.Context, i int, v string, expect datastate.Condition) error {
	_, err := n.db.Write(ctx, []kv.Mutation{{Collection: collection, Key: rowKey(i), Value: []byte(v), Expect: expect}}, kv.WriteOptions{})
	return err
}

func (n *testNode) scan(ctx context.Context, ordered bool) ([]kv.Row, error) {
	it, err := n.db.Scan(ctx, kv.ScanRequest{Collection: collection, Ordered: ordered})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var rows []kv.Row
	for {
		batch, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, batch...)
	}
}

func TestCluster(t *testing.T) {
	c := startCluster(t, 3, 6)
	ctx := t.Context()
	const rows = 200
	for i := range rows {
		n := c.all()[i%3]
		if err := n.put(ctx, i, fmt.Sprint(i), datastate.Absent); err != nil {
			t.Fatalf("insert %d through %s: %v", i, n.id, err)
		}
		reader := c.all()[(i+1)%3]
		got, err := reader.db.Get(ctx, kv.GetRequest{Collection: collection, Keys: [][]byte{rowKey(i)}})
		if err != nil || string(got[0].Value) != fmt.Sprint(i) {
			t.Fatalf("read %d through %s: %+v, %v", i, reader.id, got, err)
		}
	}
	for _, n := range c.all() {
		for _, ordered := range []bool{false, true} {
			got, err := n.scan(ctx, ordered)
			if err != nil || len(got) != rows {
				t.Errorf("scan (ordered=%v) through %s: %d rows, %v, want %d", ordered, n.id, len(got), err, rows)
			}
		}
	}
	var failed *kv.ConditionError
	if err := c.all()[2].put(ctx, 7, "x", datastate.Absent); !errors.As(err, &failed) || string(failed.Existing) != "7" {
		t.Errorf("insert over a row: %v, want a ConditionError that shows 7", err)
	}
	muts := []kv.Mutation{}
	for i := range 50 {
		muts = append(muts, kv.Mutation{Collection: collection, Key: rowKey(i), Delete: true, Expect: datastate.Present})
	}
	if _, err := c.all()[1].db.Write(ctx, muts, kv.WriteOptions{}); err != nil {
		t.Fatalf("delete in many ranges: %v", err)
	}
	if got, err := c.all()[0].scan(ctx, true); err != nil || len(got) != rows-50 || !bytes.Equal(got[0].Key, rowKey(50)) {
		t.Errorf("after the deletion: %d rows, %v", len(got), err)
	}
}

// TestLeaderLost cuts a leader off while clients write: no write may fail, none
// may be lost, none may be applied twice.
func TestLeaderLost(t *testing.T) {
	for name, hang := range map[string]bool{"killed": false, "stopped": true} {
		t.Run(name, func(t *testing.T) { testLeaderLost(t, hang) })
	}
}

func testLeaderLost(t *testing.T, hang bool) {
	c := startCluster(t, 3, 6)
	c.hang = hang
	victim := c.leader(2)
	var gateways []*testNode
	for _, n := range c.all() {
		if n != victim {
			gateways = append(gateways, n)
		}
	}
	ctx := t.Context()
	const clients, perClient = 8, 150
	var wg sync.WaitGroup
	var done sync.WaitGroup
	done.Add(clients)
	half := make(chan struct{})
	for id := range clients {
		wg.Go(func() {
			n := gateways[id%2]
			for i := range perClient {
				if i == perClient/3 {
					done.Done()
					<-half
				}
				// Absent would fail if a retry were applied twice.
				if err := n.put(ctx, id*perClient+i, "v", datastate.Absent); err != nil {
					t.Errorf("insert %d through %s: %v", i, n.id, err)
				}
			}
		})
	}
	done.Wait()
	c.cut(victim.id, true)
	close(half)
	wg.Wait()
	for _, n := range gateways {
		got, err := n.scan(ctx, false)
		if err != nil || len(got) != clients*perClient {
			t.Errorf("scan through %s: %d rows, %v, want %d", n.id, len(got), err, clients*perClient)
		}
	}
	c.cut(victim.id, false)
	eventually(t, func() error {
		got, err := victim.scan(ctx, true)
		if err == nil && len(got) != clients*perClient {
			return fmt.Errorf("the node that came back shows %d rows", len(got))
		}
		return err
	})
}

// TestTransfersUnderLoad moves leaderships about while clients write and scan.
func TestTransfersUnderLoad(t *testing.T) {
	c := startCluster(t, 3, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := cluster.RangeID(i%3 + 2)
			_ = c.leader(id).store.Transfer(ctx, id, cluster.NodeID(i%3+1))
			<-time.After(10 * time.Millisecond)
		}
	})
	const rows = 400
	for i := range rows {
		if err := c.all()[i%3].put(ctx, i, "v", datastate.Absent); err != nil {
			t.Fatalf("insert %d: %v", i, err)
		}
		if i%50 == 49 {
			if got, err := c.all()[i%2].scan(ctx, i%100 == 99); err != nil || len(got) != i+1 {
				t.Fatalf("scan after %d rows: %d, %v", i+1, len(got), err)
			}
		}
	}
	cancel()
	wg.Wait()
}

// TestNoQuorum leaves one node of three: what it was asked is in doubt or
// refused within the budget, and nothing hangs.
func TestNoQuorum(t *testing.T) {
	c := startCluster(t, 3, 3)
	lone := c.leader(2)
	for _, n := range c.all() {
		if n != lone {
			c.cut(n.id, true)
		}
	}
	begun := time.Now()
	_, err := lone.db.Write(t.Context(), []kv.Mutation{{Collection: collection, Key: rowKey(1), Value: []byte("v")}},
		kv.WriteOptions{Policy: kv.Policy{Budget: time.Second}})
	var unavailable *kv.UnavailableError
	if !kv.MaybeApplied(err) && !errors.As(err, &unavailable) {
		t.Errorf("write without a quorum: %v, want ambiguous or unavailable", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s with a budget of 1 s", took)
	}
	_, err = lone.db.Get(t.Context(), kv.GetRequest{Collection: collection, Keys: [][]byte{rowKey(1)}, Policy: kv.Policy{Budget: time.Second}})
	if !errors.As(err, &unavailable) {
		t.Errorf("read without a quorum: %v, want an UnavailableError", err)
	}
}

// TestMetaEverywhere proposes through every node and reads its own writes.
func TestMetaEverywhere(t *testing.T) {
	c := startCluster(t, 3, 3)
	for i, n := range c.all() {
		name := fmt.Sprintf("u%d", i)
		res, err := n.meta.Propose(t.Context(), metastate.Command{PutUser: &metastate.PutUser{Name: name}})
		if err != nil || res.Err() != nil {
			t.Fatal(err, res.Err())
		}
		if _, ok := n.meta.View().Users[name]; !ok {
			t.Errorf("%s does not see its own write", n.id)
		}
		for _, o := range c.all() {
			if err := o.meta.Wait(t.Context(), res.Index); err != nil {
				t.Errorf("%s: %v", o.id, err)
			}
		}
	}
	leaders := 0
	for _, n := range c.all() {
		if _, term, self := n.meta.Leader(); self {
			leaders++
		} else if term == 0 {
			t.Errorf("%s knows no term", n.id)
		}
	}
	if leaders != 1 {
		t.Errorf("%d nodes say that they lead the meta range", leaders)
	}
}
