package peers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// mesh connects peers in memory.
type mesh struct {
	mu     sync.Mutex
	nodes  map[cluster.NodeID]*Peers
	down   map[cluster.NodeID]bool
	clocks map[cluster.NodeID]time.Duration
	resets map[cluster.NodeID]int
}

type link struct {
	m    *mesh
	from cluster.NodeID
}

func (l link) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	l.m.mu.Lock()
	down, p, skew := l.m.down[to], l.m.nodes[to], l.m.clocks[to]
	l.m.mu.Unlock()
	if down {
		<-ctx.Done()
		return nil, &transport.UnreachableError{Node: to, Sent: true, Cause: ctx.Err()}
	}
	b, err := p.Methods()[method](ctx, l.from, payload)
	if err != nil {
		return nil, err
	}
	in, err := decodePing(b)
	in.now = in.now.Add(skew)
	return in.encode(), err
}

func (l link) Reset(node cluster.NodeID) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.m.resets[node]++
}

func (m *mesh) set(id cluster.NodeID, down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down[id] = down
}

func newMesh(t *testing.T, count int, mut func(*Config)) (*mesh, func()) {
	t.Helper()
	m := &mesh{nodes: map[cluster.NodeID]*Peers{}, down: map[cluster.NodeID]bool{}, clocks: map[cluster.NodeID]time.Duration{}, resets: map[cluster.NodeID]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var ids []cluster.NodeID
	for i := range count {
		ids = append(ids, cluster.NodeID(i+1))
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		cfg := Config{Self: id, Nonce: "boot-" + id.String(), Caller: link{m, id},
			Peers: func() []cluster.NodeID { return ids }, MetaIndex: func() uint64 { return uint64(100 + id) }}
		if mut != nil {
			mut(&cfg)
		}
		m.nodes[id] = New(cfg)
	}
	for _, p := range m.nodes {
		wg.Go(func() { _ = p.Run(ctx, func() {}) })
	}
	return m, func() { cancel(); wg.Wait() }
}

func pass(d time.Duration) { <-time.After(d) }

func TestBreaker(t *testing.T) {
	b := breaker{limit: 3, state: Closed}
	for i, step := range []struct {
		ok   bool
		want State
	}{
		{false, Closed}, {false, Closed}, {true, Closed}, {false, Closed}, {false, Closed}, {false, Open},
		{false, Open}, {true, HalfOpen}, {false, Open}, {true, HalfOpen}, {true, Closed}, {false, Closed},
	} {
		if b.record(step.ok, time.Time{}); b.state != step.want {
			t.Fatalf("step %d: %s, want %s", i, b.state, step.want)
		}
	}
}

func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := newMesh(t, 3, nil)
		defer stop()
		pass(2500 * time.Millisecond)
		st := m.nodes[1].Status()
		if len(st) != 2 || st[0].Node != 2 || st[0].Breaker != Closed || st[0].MetaIndex != 102 || st[0].Nonce != "boot-n2" || st[0].Err != nil {
			t.Fatalf("got %+v", st)
		}
	})
}

func TestBreakerOpensAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := newMesh(t, 2, nil)
		defer stop()
		p := m.nodes[1]
		pass(1500 * time.Millisecond)
		m.set(2, true)
		pass(10 * time.Second)
		var oe *OpenError
		if err := p.Allow(2); !errors.As(err, &oe) || oe.Node != 2 {
			t.Fatalf("got %v", err)
		}
		if m.resets[2] == 0 {
			t.Error("the connection was not reset")
		}
		m.set(2, false)
		pass(5 * time.Second)
		if err := p.Allow(2); err != nil || p.Status()[0].Breaker != Closed {
			t.Fatalf("got %v, %+v", err, p.Status())
		}
		// An error that the peer answers does not speak against it.
		for range 10 {
			p.Report(2, &transport.CallError{Code: "x"})
		}
		if err := p.Allow(2); err != nil {
			t.Fatal(err)
		}
	})
}

func TestClockOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := map[cluster.NodeID]*health.Board{}
		m, stop := newMesh(t, 3, func(c *Config) { c.Board = health.NewBoard(); boards[c.Self] = c.Board })
		defer stop()
		m.mu.Lock()
		m.clocks[2], m.clocks[3] = 2*time.Second, 2*time.Second // so n1 is behind
		m.mu.Unlock()
		pass(3 * time.Second)
		if ps := boards[1].Problems(); len(ps) != 1 || ps[0].Code != "clock-offset" {
			t.Errorf("got %+v", ps)
		}
		m.mu.Lock()
		m.clocks[2], m.clocks[3] = 0, 0
		m.mu.Unlock()
		pass(3 * time.Second)
		if ps := boards[1].Problems(); len(ps) != 0 {
			t.Errorf("healed: got %+v", ps)
		}
	})
}

func FuzzDecodePing(f *testing.F) {
	f.Add(ping{metaIndex: 7, now: time.Unix(1, 2), nonce: "n", mark: cluster.Mark{Boot: 2, Round: 9}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePing(b)
		if err != nil {
			return
		}
		again, err := decodePing(p.encode())
		if err != nil || again.metaIndex != p.metaIndex || again.nonce != p.nonce || again.mark != p.mark || !again.now.Equal(p.now) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
