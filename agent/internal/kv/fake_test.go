package kv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// fakeCluster is a cluster without consensus: each range is one state machine
// that all nodes share, and a test says who leads it. What kv sees of leaders,
// retries and lost answers is as with the real store.
type fakeCluster struct {
	t      testing.TB
	engine *storage.Engine
	nodes  map[cluster.NodeID]*fakeNode

	mu     sync.Mutex
	ranges map[cluster.RangeID]*fakeRange
	// onCall, if set, may fail a call before or after the peer handles it.
	onCall func(from, to cluster.NodeID, method string) fault
	calls  map[string]int
}

// fault is what happens to one call.
type fault struct {
	before error // returned without reaching the peer
	after  error // returned after the peer handled it
	hang   bool  // waits for the caller's context
}

type fakeRange struct {
	desc    cluster.RangeDescriptor
	machine *datastate.Machine
	leader  cluster.NodeID
	index   uint64
	lastTS  hlc.Timestamp
	results map[[16]byte]fakeResult
	applied int
	asked   []store.Command
}

type fakeResult struct {
	b  []byte
	ts hlc.Timestamp
}

// fakeNode is one node: its store, its clock, its gateway, and its way to others.
type fakeNode struct {
	c     *fakeCluster
	id    cluster.NodeID
	clock *hlc.Clock
	skew  time.Duration
	db    *DB
	// suspects is what its gossip suspects.
	suspects map[cluster.NodeID]bool
	// lagging, if set, is what it serves the past from.
	lagging *lagging
}

// newFakeCluster makes nodes 1..n and ranges 2.. of equal spans, each with all
// nodes as voters, led round robin.
func newFakeCluster(t testing.TB, nodes, ranges int) *fakeCluster {
	t.Helper()
	engine, err := storage.Open(storage.Options{Dir: "store", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	c := &fakeCluster{
		t: t, engine: engine, nodes: map[cluster.NodeID]*fakeNode{},
		ranges: map[cluster.RangeID]*fakeRange{}, calls: map[string]int{},
	}
	for i := range ranges {
		desc := cluster.RangeDescriptor{
			ID: cluster.RangeID(i + 2), Generation: 1, NextReplica: cluster.ReplicaID(nodes + 1),
			Start: cluster.VShard(i * cluster.VShards / ranges).Key(), End: cluster.VShard((i + 1) * cluster.VShards / ranges).Key(),
		}
		for n := 1; n <= nodes; n++ {
			desc.Replicas = append(desc.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(n), Replica: cluster.ReplicaID(n), Role: cluster.Voter})
		}
		c.ranges[desc.ID] = &fakeRange{
			desc: desc, machine: datastate.New(), leader: cluster.NodeID(i%nodes + 1), results: map[[16]byte]fakeResult{},
		}
	}
	for n := 1; n <= nodes; n++ {
		c.addNode(cluster.NodeID(n))
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if err := n.db.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *fakeCluster) addNode(id cluster.NodeID) {
	n := &fakeNode{c: c, id: id, suspects: map[cluster.NodeID]bool{}}
	n.clock = hlc.NewClock(func() time.Time { return time.Now().Add(n.skew) }, 500*time.Millisecond)
	view := fakeView{c: c, known: map[cluster.RangeID]*cluster.RangeDescriptor{}}
	for id, r := range c.ranges {
		view.known[id] = r.desc.Clone()
	}
	db, err := New(Config{
		Self: id, Store: n, Caller: n, Clock: n.clock,
		Table: routing.New(func() routing.View { return view }),
		Peers: func() []cluster.NodeID {
			return slices.DeleteFunc(slices.Sorted(maps.Keys(c.nodes)), func(o cluster.NodeID) bool { return o == id })
		},
		Suspect:        func(o cluster.NodeID) bool { return n.suspects[o] },
		AttemptTimeout: 100 * time.Millisecond,
		Policy:         Policy{Quick: 75 * time.Millisecond, Budget: time.Second},
		ChunkRows:      16,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	n.db = db
	c.nodes[id] = n
}

// fakeView is the meta range's view: what was known when the node was added.
type fakeView struct {
	c     *fakeCluster
	known map[cluster.RangeID]*cluster.RangeDescriptor
}

func (v fakeView) Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool) {
	d, ok := v.known[id]
	return d, ok
}

func (v fakeView) RangeOf(p cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool) {
	for _, d := range v.known {
		if d.Contains(p, k) {
			return d, true
		}
	}
	return nil, false
}

// lead makes node the leader of a range; 0: none.
func (c *fakeCluster) lead(id cluster.RangeID, node cluster.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges[id].leader = node
}

func (c *fakeCluster) leadAll(node cluster.NodeID) {
	for id := range c.ranges {
		c.lead(id, node)
	}
}

func (c *fakeCluster) failCalls(fn func(from, to cluster.NodeID, method string) fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onCall = fn
}

func (c *fakeCluster) callCount(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

func (c *fakeCluster) applied() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, r := range c.ranges {
		n += r.applied
	}
	return n
}

// leading returns the range if n leads it. c.mu is held.
func (n *fakeNode) leading(id cluster.RangeID) (*fakeRange, error) {
	r, ok := n.c.ranges[id]
	if !ok {
		return nil, &store.RangeNotFoundError{Range: id}
	}
	if r.leader != n.id {
		return nil, &store.NotLeaderError{Range: id, Leader: r.leader, Generation: r.desc.Generation}
	}
	return r, nil
}

func (n *fakeNode) Propose(_ context.Context, id cluster.RangeID, cmd store.Command) ([]byte, hlc.Timestamp, error) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	r, err := n.leading(id)
	if err != nil {
		return nil, 0, err
	}
	r.asked = append(r.asked, cmd)
	if len(cmd.Payload) == 0 {
		return nil, 0, nil // a place is given up
	}
	if old, ok := r.results[cmd.ID]; ok {
		return old.b, old.ts, nil
	}
	r.index++
	r.lastTS = max(n.clock.Now(), r.lastTS+1)
	batch := n.c.engine.NewBatch()
	defer func() { _ = batch.Close() }()
	req, err := r.machine.Open(cmd.Payload)
	if err != nil {
		return nil, 0, err
	}
	rows := storage.NewRows(n.c.engine)
	decision, err := req.Evaluate(rows, &r.desc, make([]evaluation.Pending, len(req.Touches())))
	if err = errors.Join(err, rows.Close()); err != nil {
		return nil, 0, err
	}
	if decision.Command == nil {
		return decision.Answer(func(int) hlc.Timestamp { return 0 }), 0, nil
	}
	res, _, err := r.machine.Write(batch, &r.desc, r.lastTS, decision.Command)
	if err != nil {
		return nil, 0, err
	}
	r.machine.Show(r.machine.Mirror())
	r.applied++
	r.results[cmd.ID] = fakeResult{slices.Clone(res), r.lastTS}
	return res, r.lastTS, batch.Commit(false)
}

// Begin implements Store: the fake never waits.
func (n *fakeNode) Begin(id cluster.RangeID, cmd store.Command, _ time.Duration, done func([]byte, hlc.Timestamp, error)) (cancel func()) {
	done(n.Propose(context.Background(), id, cmd))
	return func() {}
}

// serve answers a call as the transport has it answered.
func serve(ctx context.Context, s *Server, from cluster.NodeID, method string, payload []byte) (b []byte, err error) {
	if method == MethodPropose {
		s.BeginPropose(from, payload, 0, func(reply []byte, e error) { b, err = reply, e })
		return b, err
	}
	return s.Methods()[method](ctx, from, payload)
}

func (n *fakeNode) ReadRows(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp, _ [][]byte, fn store.RowReader) error {
	h, err := n.Read(ctx, id, ts, store.Scope{})
	if err != nil {
		return err
	}
	defer h.Close()
	return fn(h.Reader, &h.Descriptor, h.Mirror)
}

func (n *fakeNode) Read(_ context.Context, id cluster.RangeID, ts hlc.Timestamp, _ store.Scope) (*store.ReadHandle, error) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	r, err := n.leading(id)
	if err != nil {
		return nil, err
	}
	r.lastTS = max(r.lastTS, ts)
	return &store.ReadHandle{Reader: n.c.engine, Descriptor: *r.desc.Clone(), Mirror: r.machine.Shown()}, nil
}

func (n *fakeNode) RangeStatus(cluster.RangeID) (cluster.RangeStatus, bool) {
	return cluster.RangeStatus{}, false
}

func (n *fakeNode) before(to cluster.NodeID, method string) fault {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.c.calls[method]++
	if n.c.onCall == nil {
		return fault{}
	}
	return n.c.onCall(n.id, to, method)
}

func (n *fakeNode) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	f := n.before(to, method)
	switch {
	case f.before != nil:
		return nil, f.before
	case f.hang:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	peer, ok := n.c.nodes[to]
	if !ok {
		return nil, &transport.UnreachableError{Node: to, Cause: fmt.Errorf("no such node")}
	}
	b, err := serve(ctx, peer.db.Server(), n.id, method, payload)
	if f.after != nil {
		return nil, f.after
	}
	if err != nil {
		return nil, &transport.CallError{Code: transport.CodeInternal, Message: err.Error()}
	}
	return b, nil
}

func (n *fakeNode) Scan(ctx context.Context, to cluster.NodeID, request []byte, fn func([]byte) error) error {
	f := n.before(to, "scan stream")
	if f.before != nil {
		return f.before
	}
	chunks := 0
	var own error // an error of fn is the caller's, not the peer's
	err := n.c.nodes[to].db.Server().HandleScan(ctx, n.id, request, func(b []byte) error {
		if own != nil {
			return own
		}
		if chunks++; f.after != nil && chunks > 2 {
			own = f.after // the stream breaks after two chunks
			return own
		}
		own = fn(b)
		return own
	})
	if own != nil {
		return own
	}
	return err
}

const testCollection cluster.CollectionID = 9

func key(i int) []byte { return fmt.Appendf(nil, "key-%05d", i) }

func value(i int) []byte { return strconv.AppendInt(nil, int64(i), 10) }

// load writes rows [0, n) through node 1.
func (c *fakeCluster) load(n int) hlc.Timestamp {
	c.t.Helper()
	muts := make([]Mutation, n)
	for i := range muts {
		muts[i] = Mutation{Collection: testCollection, Key: key(i), Value: value(i)}
	}
	ts, err := c.nodes[1].db.Write(context.Background(), muts, WriteOptions{})
	if err != nil {
		c.t.Fatalf("load: %v", err)
	}
	return ts
}

// lagging is what a node that has applied nothing since has of all ranges: time is closed
// there up to a time, and it leads none.
type lagging struct {
	closed  hlc.Timestamp
	snap    *storage.Snapshot
	mirrors map[cluster.RangeID]evaluation.Mirror
}

// lag has a node serve the past as everything is now, until the test ends.
func (n *fakeNode) lag() {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	l := &lagging{closed: n.clock.Now(), snap: n.c.engine.NewSnapshot(), mirrors: map[cluster.RangeID]evaluation.Mirror{}}
	for id, r := range n.c.ranges {
		l.mirrors[id] = r.machine.Shown()
	}
	n.lagging = l
	n.c.t.Cleanup(func() { // before the engine is closed
		if err := l.snap.Close(); err != nil {
			n.c.t.Error(err)
		}
	})
}

// A node that does not lag has no replica that could serve the past.

func (n *fakeNode) Local(cluster.RangeID) store.LocalReplica {
	if n.lagging == nil {
		return store.LocalReplica{Lack: cluster.PastAbsent}
	}
	return store.LocalReplica{Closed: n.lagging.closed}
}

func (n *fakeNode) LocalRanges() []cluster.RangeID { return nil }

func (n *fakeNode) CloseSoon(cluster.RangeID, time.Duration) {}

func (n *fakeNode) ReadPast(id cluster.RangeID, ts hlc.Timestamp, newest bool, fn store.RowReader) error {
	h, err := n.PastView(id, ts, newest)
	if err != nil {
		return err
	}
	defer h.Close()
	return fn(h.Reader, &h.Descriptor, h.Mirror)
}

func (n *fakeNode) PastView(id cluster.RangeID, ts hlc.Timestamp, _ bool) (*store.ReadHandle, error) {
	l := n.lagging
	if l == nil {
		return nil, &store.PastError{Range: id, Lack: cluster.PastAbsent}
	}
	if ts > l.closed {
		return nil, &store.PastError{Range: id, Lack: cluster.PastBehind}
	}
	return &store.ReadHandle{Reader: l.snap, Descriptor: *n.c.ranges[id].desc.Clone(), Mirror: l.mirrors[id]}, nil
}
