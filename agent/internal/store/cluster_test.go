package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
		h, err := s.Read(ctx, id, ts, Scope{})
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
