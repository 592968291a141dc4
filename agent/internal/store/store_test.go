package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// began is when the tests' boot-time clock was 0.
var began = time.Now()

// testCluster is some stores in one process with a network that can be cut.
type testCluster struct {
	t     testing.TB
	nodes map[cluster.NodeID]*testNode
	mu    sync.Mutex
	down  map[cluster.NodeID]bool // guarded by mu
	tune  func(*Config)
}

type testNode struct {
	c      *testCluster
	id     cluster.NodeID
	fs     *storage.MemFS // nil: a directory on disk
	dir    string
	engine *storage.Engine
	clock  *hlc.Clock
	mu     sync.Mutex
	store  *Store // guarded by mu; nil while it is stopped
}

func newCluster(t testing.TB, n int, tune func(*Config)) *testCluster {
	c := &testCluster{t: t, nodes: map[cluster.NodeID]*testNode{}, down: map[cluster.NodeID]bool{}, tune: tune}
	for i := 1; i <= n; i++ {
		id := cluster.NodeID(i)
		c.nodes[id] = &testNode{c: c, id: id, fs: storage.NewCrashableFS(), dir: "store"}
		c.nodes[id].open()
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.close()
		}
	})
	return c
}

func (n *testNode) open() {
	t := n.c.t
	t.Helper()
	opts := storage.Options{Dir: n.dir}
	if n.fs != nil {
		opts.FS = n.fs
	}
	e, err := storage.Open(opts)
	if err != nil {
		t.Fatalf("open engine of %s: %v", n.id, err)
	}
	n.engine = e
	n.clock = hlc.NewClock(time.Now, 500*time.Millisecond)
	cfg := DefaultConfig()
	cfg.Node, cfg.Engine, cfg.Clock, cfg.Sender = n.id, e, n.clock, n
	cfg.Machine = func(cluster.RangeDescriptor) replica.StateMachine { return datastate.New() }
	cfg.Boottime = func() time.Duration { return time.Since(began) }
	cfg.Jitter = rand.N[time.Duration]
	cfg.Tick = 20 * time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo})).With("node", n.id)
	cfg.OnFatal = func(err error) { t.Errorf("store of %s: %v", n.id, err) }
	if n.c.tune != nil {
		n.c.tune(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatalf("open store of %s: %v", n.id, err)
	}
	n.mu.Lock()
	n.store = s
	n.mu.Unlock()
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

func (n *testNode) get() *Store {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.store
}

func (n *testNode) close() {
	n.mu.Lock()
	s := n.store
	n.store = nil
	n.mu.Unlock()
	if s == nil {
		return
	}
	if err := s.Close(); err != nil {
		n.c.t.Errorf("close store of %s: %v", n.id, err)
	}
	if err := n.engine.Close(); err != nil {
		n.c.t.Errorf("close engine of %s: %v", n.id, err)
	}
}

// crash stops the node as a power cut does.
func (n *testNode) crash() {
	clone := storage.CrashClone(n.fs, 50, rand.New(rand.NewPCG(1, 2)))
	n.close()
	n.fs = clone
}

func (c *testCluster) reach(from, to cluster.NodeID) *Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down[from] || c.down[to] {
		return nil
	}
	return c.nodes[to].get()
}

func (n *testNode) SendRaft(to cluster.NodeID, batch []byte) bool {
	s := n.c.reach(n.id, to)
	return s != nil && s.HandleRaft(n.id, batch) == nil
}

func (n *testNode) SendSnapshot(ctx context.Context, to cluster.NodeID, header []byte, next func() ([]byte, error)) ([]byte, error) {
	s := n.c.reach(n.id, to)
	if s == nil {
		return nil, errors.New("unreachable")
	}
	return s.HandleSnapshot(ctx, n.id, header, next)
}

func descriptor(id cluster.RangeID, start, end cluster.VShard) cluster.RangeDescriptor {
	return cluster.RangeDescriptor{
		ID: id, Start: start.Key(), End: end.Key(), Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}},
	}
}

// eventually waits until fn returns nil.
func eventually(t testing.TB, what string, fn func() error) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func (c *testCluster) leader(id cluster.RangeID) *testNode {
	c.t.Helper()
	var found *testNode
	eventually(c.t, fmt.Sprintf("leader of %s", id), func() error {
		for _, n := range c.nodes {
			if s := n.get(); s != nil {
				if st, ok := s.RangeStatus(id); ok && st.IsLeader() && st.Progress != nil || ok && st.IsLeader() && len(st.Descriptor.Replicas) == 1 {
					found = n
					return nil
				}
			}
		}
		return errors.New("none")
	})
	return found
}

func (c *testCluster) row(id cluster.RangeID, key string) []byte {
	// All test ranges own a span that begins at 16*id.
	return keys.Row(cluster.DefaultPool, cluster.VShard(16*id), 7, append([]byte(key), 0))
}

func put(row []byte, value string) []byte {
	return datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{{Row: row, Kind: datastate.Put, Value: []byte(value)}}})
}

func newID(clock *hlc.Clock) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(clock.Now()))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// write retries like package kv does.
func (c *testCluster) write(id cluster.RangeID, key, value string) {
	c.t.Helper()
	n := c.leader(id)
	cmd := Command{ID: newID(n.clock), Payload: put(c.row(id, key), value)}
	eventually(c.t, "write "+key, func() error {
		s := c.leader(id).get()
		if s == nil {
			return ErrStopped
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		out, _, err := s.Propose(ctx, id, cmd)
		cmd.Retry = true
		if err != nil {
			if !Retryable(err) {
				c.t.Fatalf("write %s: %v", key, err)
			}
			return err
		}
		r, err := datastate.DecodeResult(out)
		if err != nil || r.Outcome != datastate.Applied {
			c.t.Fatalf("write %s: result %+v, %v", key, r, err)
		}
		return nil
	})
}

func (c *testCluster) read(id cluster.RangeID, key string) string {
	c.t.Helper()
	var got string
	eventually(c.t, "read "+key, func() error {
		n := c.leader(id)
		s := n.get()
		if s == nil {
			return ErrStopped
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		ts := n.clock.Now()
		h, err := s.Read(ctx, id, ts)
		if err != nil {
			return err
		}
		defer h.Close()
		v, _, _, err := datastate.Get(h.Reader, c.row(id, key), ts)
		got = string(v)
		return err
	})
	return got
}

// change makes one change of replicas, as the controller of a move would.
func (c *testCluster) change(id cluster.RangeID, kind cluster.ChangeKind, add, remove cluster.NodeID) {
	c.t.Helper()
	eventually(c.t, string(kind), func() error {
		s := c.leader(id).get()
		st, ok := s.RangeStatus(id)
		if !ok {
			return errors.New("no replica")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if kind == cluster.AddLearner {
			if err := c.nodes[add].get().PrepareReplica(ctx, st.Descriptor, st.Descriptor.NextReplica); err != nil {
				return err
			}
		}
		change := cluster.ReplicaChange{Kind: kind, Add: add, Remove: remove, Expect: st.Descriptor.Generation}
		if kind == cluster.ChangeVoters {
			change.Add, change.Remove, change.Promote = 0, 0, []cluster.NodeID{add}
			if remove != 0 {
				change.Demote = []cluster.NodeID{remove}
			}
		}
		_, err := s.ChangeReplicas(ctx, id, change)
		return err
	})
}

func (c *testCluster) bootstrap(ranges int) {
	c.t.Helper()
	var ds []cluster.RangeDescriptor
	for i := 2; i < 2+ranges; i++ {
		ds = append(ds, descriptor(cluster.RangeID(i), cluster.VShard(16*i), cluster.VShard(16*i+16)))
	}
	if err := c.nodes[1].get().Bootstrap(c.t.Context(), ds); err != nil {
		c.t.Fatalf("bootstrap: %v", err)
	}
}

func (c *testCluster) grow(id cluster.RangeID, to ...cluster.NodeID) {
	c.t.Helper()
	for _, n := range to {
		c.change(id, cluster.AddLearner, n, 0)
		c.change(id, cluster.ChangeVoters, n, 0)
		c.change(id, cluster.LeaveJoint, 0, 0)
	}
}

func TestOneNode(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	c.write(2, "a", "1")
	c.write(2, "a", "2")
	if got := c.read(2, "a"); got != "2" {
		t.Errorf("read %q, want 2", got)
	}
	c.nodes[1].crash()
	c.nodes[1].open()
	if got := c.read(2, "a"); got != "2" {
		t.Errorf("read %q after a crash, want 2", got)
	}
}

func TestThreeNodes(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.bootstrap(2)
	c.write(2, "a", "1")
	c.grow(2, 2, 3)
	c.grow(3, 2, 3)
	c.write(2, "a", "2")
	old := c.leader(2)
	old.crash()
	c.write(2, "a", "3")
	if got := c.read(2, "a"); got != "3" {
		t.Errorf("read %q, want 3", got)
	}
	old.open()
	for i := range 100 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	c.sameState(2)
}

// sameState waits until all replicas of a range hold the same bytes.
func (c *testCluster) sameState(id cluster.RangeID) {
	c.t.Helper()
	eventually(c.t, "equal replicas", func() error {
		var want map[string]string
		var applied uint64
		for _, n := range c.nodes {
			st, ok := n.get().RangeStatus(id)
			if !ok {
				continue
			}
			h, err := n.get().ReadLocal(c.t.Context(), id)
			if err != nil {
				return err
			}
			got, err := dump(h)
			h.Close()
			if err != nil {
				return err
			}
			if want == nil {
				want, applied = got, st.Applied
				continue
			}
			if len(got) != len(want) || applied != st.Applied {
				return fmt.Errorf("%s has %d keys at %d, another %d at %d", n.id, len(got), st.Applied, len(want), applied)
			}
			for k, v := range want {
				if got[k] != v {
					return fmt.Errorf("%s differs at % x: % x, another % x", n.id, k, got[k], v)
				}
			}
		}
		return nil
	})
}

func dump(h *ReadHandle) (map[string]string, error) {
	out := map[string]string{}
	ids, err := replica.AppliedIDs(h.Reader, h.Descriptor.ID)
	if err != nil {
		return nil, err
	}
	for _, x := range ids {
		out[string(x.ID[:])] = fmt.Sprint(x.TS, x.Result)
	}
	for _, s := range replica.Spans(&h.Descriptor) {
		it, err := h.Reader.NewIter(s.Start, s.End)
		if err != nil {
			return nil, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			if keys.AppliedIDsSpan(h.Descriptor.ID).Contains(it.Key()) {
				continue // packed as each replica's rounds were
			}
			out[string(it.Key())] = string(it.Value())
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func TestMoveOfALeader(t *testing.T) {
	c := newCluster(t, 4, nil)
	c.bootstrap(1)
	c.grow(2, 2, 3)
	for i := range 20 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	from := c.leader(2).id
	c.change(2, cluster.AddLearner, 4, 0)
	c.change(2, cluster.ChangeVoters, 4, from)
	s := c.nodes[from].get()
	st, _ := s.RangeStatus(2)
	_, err := s.ChangeReplicas(t.Context(), 2, cluster.ReplicaChange{Kind: cluster.LeaveJoint, Expect: st.Descriptor.Generation})
	if !errors.Is(err, ErrLeaderLeaves) {
		t.Errorf("leaving the joint state under an outgoing leader: %v, want %v", err, ErrLeaderLeaves)
	}
	if err := s.Transfer(t.Context(), 2, 4); err != nil {
		t.Fatalf("transfer: %v", err)
	}
	c.change(2, cluster.LeaveJoint, 0, 0)
	c.change(2, cluster.RemoveLearner, 0, from)
	c.write(2, "after", "x")
	eventually(t, "destruction of the old replica", func() error {
		if _, ok := c.nodes[from].get().RangeStatus(2); ok {
			return errors.New("still there")
		}
		return nil
	})
	if err := c.nodes[from].get().PrepareReplica(t.Context(), descriptor(2, 32, 48), 1); err == nil {
		t.Error("a replica id was used again")
	}
	c.sameState(2)
	if got := c.read(2, "k7"); got != "7" {
		t.Errorf("read %q, want 7", got)
	}
}

func TestLargeSnapshot(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.bootstrap(1)
	big := string(make([]byte, 64<<10))
	for i := range 40 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i)+big)
	}
	c.grow(2, 2)
	c.sameState(2)
	c.nodes[2].crash()
	c.nodes[2].open()
	c.write(2, "after", "x")
	c.sameState(2)
}

// TestSnapshotSaysHowFarItIs: the leader tells how many bytes of a snapshot that
// is on its way have gone out.
func TestSnapshotSaysHowFarItIs(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.bootstrap(1)
	big := string(make([]byte, 64<<10))
	for i := range 40 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i)+big)
	}
	leader := c.leader(2).get()
	eventually(t, "the leader knows what was committed a moment ago", func() error {
		if st, _ := leader.RangeStatus(2); st.Settled != st.Commit || st.Settled == 0 {
			return fmt.Errorf("settled %d, committed %d", st.Settled, st.Commit)
		}
		return nil
	})
	leader.SetSnapshotRate(64 << 10)
	c.change(2, cluster.AddLearner, 2, 0)
	sent := func() (uint64, uint64) {
		st, _ := leader.RangeStatus(2)
		if len(st.Progress) != 1 {
			return 0, st.Bytes
		}
		return st.Progress[0].Sent, st.Bytes
	}
	eventually(t, "a part is sent", func() error {
		if n, of := sent(); n == 0 || n >= of {
			return fmt.Errorf("%d of %d bytes", n, of)
		}
		return nil
	})
	leader.SetSnapshotRate(1 << 40)
	c.nodes[2].get().SetSnapshotRate(1 << 40)
	c.change(2, cluster.ChangeVoters, 2, 0)
	eventually(t, "nothing is being sent", func() error {
		if n, _ := sent(); n != 0 {
			return fmt.Errorf("%d bytes of a snapshot that has arrived", n)
		}
		return nil
	})
}

func TestLaggingFollowerGetsASnapshot(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.LogEntries = 16; cfg.LogBytes = 4 << 10 })
	c.bootstrap(1)
	c.grow(2, 2, 3)
	follower := cluster.NodeID(2)
	if c.leader(2).id == follower {
		follower = 3
	}
	c.nodes[follower].close()
	for i := range 300 {
		c.write(2, fmt.Sprint("k", i), string(make([]byte, 512)))
	}
	c.nodes[follower].open()
	c.write(2, "after", "x")
	c.sameState(2)
}

// TestBegin: nobody waits for a command that is begun; it says once what became of it.
func TestBegin(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	n := c.leader(2)
	type outcome struct {
		ts  hlc.Timestamp
		err error
	}
	fates := make(chan outcome, 4)
	begin := func(id cluster.RangeID) (cancel func()) {
		return n.get().Begin(id, Command{ID: newID(n.clock), Payload: put(c.row(2, "k"), "v")}, time.Minute, func(_ []byte, ts hlc.Timestamp, err error) { fates <- outcome{ts, err} })
	}
	begin(2)
	if o := <-fates; o.err != nil || o.ts == 0 {
		t.Errorf("a command: %+v", o)
	}
	begin(99)
	var missing *RangeNotFoundError
	if o := <-fates; !errors.As(o.err, &missing) {
		t.Errorf("a range that is not here: %+v", o)
	}
	// It is taken back, or too late for that: one answer either way.
	begin(2)()
	if o := <-fates; o.err != nil && !errors.Is(o.err, ErrProposalLost) {
		t.Errorf("cancelled: %+v", o)
	}
	s := n.get()
	n.close()
	s.Begin(2, Command{ID: newID(n.clock)}, 0, func(_ []byte, _ hlc.Timestamp, err error) { fates <- outcome{0, err} })
	if o := <-fates; !errors.Is(o.err, ErrStopped) {
		t.Errorf("of a store that has stopped: %+v", o)
	}
	if len(fates) > 0 {
		t.Errorf("answered twice: %+v", <-fates)
	}
}

func TestRequestsOfStoppedStore(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	s := c.nodes[1].get()
	c.nodes[1].close()
	if _, _, err := s.Propose(t.Context(), 2, Command{}); !errors.Is(err, ErrStopped) {
		t.Errorf("propose: %v, want %v", err, ErrStopped)
	}
	if _, err := s.Read(t.Context(), 2, 1); !errors.Is(err, ErrStopped) {
		t.Errorf("read: %v, want %v", err, ErrStopped)
	}
	if got := s.Status(); got != nil {
		t.Errorf("status %v, want none", got)
	}
}

func TestAStrayJointConfigurationIsLeft(t *testing.T) {
	c := newCluster(t, 4, nil)
	c.bootstrap(1)
	c.grow(2, 2, 3)
	c.change(2, cluster.AddLearner, 4, 0)
	from := c.leader(2).id
	c.change(2, cluster.ChangeVoters, 4, from)
	eventually(t, "leaving the joint configuration", func() error {
		st, ok := c.leader(2).get().RangeStatus(2)
		if !ok || st.Descriptor.Joint() {
			return fmt.Errorf("descriptor %+v", st.Descriptor)
		}
		return nil
	})
	if got := c.leader(2).id; got == from {
		t.Errorf("%s still leads after it was demoted", got)
	}
}

func TestBrokenSnapshotStreamChangesNothing(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.bootstrap(1)
	d := descriptor(2, 32, 48)
	d.NextReplica = 3
	d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: 2, Replica: 2, Role: cluster.Learner})
	target := c.nodes[2].get()
	if err := target.PrepareReplica(t.Context(), d, 2); err != nil {
		t.Fatal(err)
	}
	header := []byte(`{"format":1,"range":2,"from":1,"to":2,"term":6,"index":20,"logTerm":6,"descriptor":{"id":2,"start":"0020","end":"0030","generation":2,"nextReplica":3,"replicas":[{"node":1,"replica":1,"role":"voter"},{"node":2,"replica":2,"role":"learner"}]}}`)
	for name, chunk := range map[string][]byte{
		"garbage":          []byte("garbage"),
		"foreign key":      append([]byte{1, 2}, 0x04, 0x00, 1, 'v'),
		"nothing":          nil,
		"cut off":          {1, 200},
		"a key of no kind": {1, 1, 'x', 1, 'v'},
	} {
		given := chunk == nil
		_, err := target.HandleSnapshot(t.Context(), 1, header, func() ([]byte, error) {
			if given {
				return nil, errors.New("stream broke")
			}
			given = true
			return chunk, nil
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := target.HandleSnapshot(t.Context(), 3, header, func() ([]byte, error) { return nil, io.EOF }); err == nil {
		t.Error("a snapshot from a node that holds no replica was accepted")
	}
	st, ok := target.RangeStatus(2)
	if !ok || st.Applied != 0 || st.Failed != "" {
		t.Errorf("status %+v, %v", st, ok)
	}
}

func TestSnapshotRateCanChangeWhileOneIsSent(t *testing.T) {
	r := newRateLimit(1)
	done := make(chan error, 1)
	go func() { done <- r.wait(t.Context(), 1<<20) }()
	r.set(1 << 40)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a higher rate is not noticed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.set(1)
	if err := r.wait(ctx, 1<<20); err == nil {
		t.Error("a cancelled wait returned as if tokens had come")
	}
}
