package peers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// mesh connects peers in memory.
type mesh struct {
	mu     sync.Mutex
	nodes  map[cluster.NodeID]*Peers
	down   map[cluster.NodeID]bool
	clocks map[cluster.NodeID]time.Duration // offsets of the walls
	resets map[cluster.NodeID]int
}

type link struct {
	m    *mesh
	from cluster.NodeID
}

func (l link) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	l.m.mu.Lock()
	down, p := l.m.down[to], l.m.nodes[to]
	l.m.mu.Unlock()
	if down {
		<-ctx.Done()
		return nil, &transport.UnreachableError{Node: to, Sent: true, Cause: ctx.Err()}
	}
	return p.Methods()[method](ctx, l.from, payload)
}

// steady is the time of a node: the machines of all started at once.
func (m *mesh) steady(id cluster.NodeID) *hlc.Steady {
	begun := time.Now()
	boot := func() time.Duration { return time.Hour + time.Since(begun) }
	return hlc.NewSteady(hlc.SteadyConfig{
		Read: func() (time.Time, time.Duration) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return time.Now().Round(0).Add(m.clocks[id]), boot()
		},
		Boot: boot, Bound: 500 * time.Millisecond, Patience: time.Minute, Silence: 5 * time.Second,
	})
}

func (m *mesh) jump(offset time.Duration, ids ...cluster.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.clocks[id] = offset
	}
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
			Peers: func() []cluster.NodeID { return ids }, MetaIndex: func() uint64 { return uint64(100 + id) }, Steady: m.steady(id)}
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

// TestClocks: nodes agree on the time when they start, and one whose wall clock
// steps goes on with the others. Everybody sees whose it is.
func TestClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var judged atomic.Int32
		m, stop := newMesh(t, 3, func(c *Config) { c.OnJudged = func() { judged.Add(1) } })
		defer stop()
		m.jump(time.Hour, 1) // ahead of its first ping: it starts with a wrong clock
		pass(3 * time.Second)
		begun := time.Now()
		for id, p := range m.nodes {
			if st := p.cfg.Steady.Standing(); st.Belief != hlc.Sure || st.Time.Sub(begun).Abs() > time.Second {
				t.Errorf("%s goes by %+v", id, st)
			}
			if offset, n := p.ClockOffset(); offset.Abs() > 100*time.Millisecond || n != 2 {
				t.Errorf("%s is %s from %d peers", id, offset, n)
			}
		}
		if st := m.nodes[2].Status()[0]; st.Node != 1 || st.Step.Round(time.Minute) != time.Hour || st.Belief != hlc.Sure {
			t.Errorf("n2 sees n1 as %+v", st)
		}
		if judged.Load() == 0 {
			t.Error("nobody was told of the judgement")
		}
	})
}

// TestOldReadingsSayNothing: a node that was stopped hears of its peers anew first.
func TestOldReadingsSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := newMesh(t, 3, nil)
		defer stop()
		pass(2 * time.Second)
		m.set(2, true)
		m.set(3, true)
		pass(10 * time.Second)
		m.jump(time.Hour, 1, 2, 3)
		pass(3 * time.Minute)
		if off := time.Until(m.nodes[1].cfg.Steady.Now()); off.Abs() > time.Second {
			t.Errorf("without peers a step was taken: off by %s", off)
		}
	})
}

func FuzzDecodePing(f *testing.F) {
	f.Add(ping{metaIndex: 7, wall: time.Unix(1, 2), time: time.Unix(3, 4), belief: hlc.Sure, nonce: "n", mark: cluster.Mark{Boot: 2, Round: 9}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePing(b)
		if err != nil {
			return
		}
		again, err := decodePing(p.encode())
		if err != nil || again.metaIndex != p.metaIndex || again.nonce != p.nonce || again.mark != p.mark || !again.wall.Equal(p.wall) || !again.time.Equal(p.time) || again.belief != p.belief {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
