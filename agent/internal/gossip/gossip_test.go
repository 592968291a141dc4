package gossip

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

const testCluster = "4f0f6a4e-3b1c-4d6e-9d3a-2f1c7a9b5e11"

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, KeyLen) }

func uuidOf(id cluster.NodeID) string { return fmt.Sprintf("uuid-%d", id) }

type node struct {
	*Gossip
	tr *simTransport

	mu  sync.Mutex
	log []Transition
}

func (n *node) transitions(of cluster.NodeID) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var s []string
	for _, t := range n.log {
		if t.Node == of {
			s = append(s, string(t.To))
		}
	}
	return strings.Join(s, " ")
}

// at returns when the node was first seen in state to.
func (n *node) at(of cluster.NodeID, to cluster.Liveness) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.log, func(t Transition) bool { return t.Node == of && t.To == to })
	if i < 0 {
		return time.Time{}
	}
	return n.log[i].At
}

func seed(id cluster.NodeID) Seed {
	return Seed{Node: id, UUID: uuidOf(id), Addr: fmt.Sprintf("127.0.0.1:%d", 20000+int(id))}
}

func start(t *testing.T, sim *simNet, id cluster.NodeID, mut func(*Config)) *node {
	t.Helper()
	tr := sim.transport(20000 + int(id))
	cfg := Config{Self: id, UUID: uuidOf(id), ClusterID: testCluster, BindAddr: tr.addr, Keys: [][]byte{testKey(1)}, transport: tr}
	if mut != nil {
		mut(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Gossip: g, tr: tr}
	g.Subscribe(func(tr Transition) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.log = append(n.log, tr)
	})
	return n
}

func startCluster(t *testing.T, sim *simNet, count int, mut func(*Config)) []*node {
	t.Helper()
	var ns []*node
	for i := range count {
		n := start(t, sim, cluster.NodeID(i+1), mut)
		if i > 0 {
			if err := n.Join([]Seed{seed(1)}); err != nil {
				t.Fatal(err)
			}
		}
		ns = append(ns, n)
	}
	// A node that misses the few datagrams that tell of another hears of it when tables
	// are exchanged, which all do within half a minute.
	const exchanged = 30
	pass(10 * time.Second)
	for range exchanged {
		if !slices.ContainsFunc(ns, func(n *node) bool { return len(n.View()) != count }) {
			return ns
		}
		pass(time.Second)
	}
	for _, n := range ns {
		t.Logf("n%d sees %v", n.cfg.Self, n.View())
	}
	t.Fatalf("not all of %d nodes see each other", count)
	return nil
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d) }

func stop(ns []*node) {
	for _, n := range ns {
		_ = n.Close()
	}
	pass(time.Minute) // memberlist's own timers run out
}

func TestPowerLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ns := startCluster(t, newSimNet(1), 4, nil)
		killed := time.Now()
		ns[3].tr.kill()
		pass(30 * time.Second)
		// Whose own probe fails sees it suspected, which one of them must. Who only hears
		// of that looks at the table when it is called dead (see lookRest), if not before.
		suspected := map[cluster.NodeID]string{}
		for _, n := range ns[:3] {
			got := n.transitions(4)
			if got != "alive suspect dead" && got != "alive dead" {
				t.Errorf("n%d saw n4 %s", n.cfg.Self, got)
			}
			suspected[n.cfg.Self] = got
			if s, d := n.at(4, cluster.Suspect).Sub(killed), n.at(4, cluster.Dead).Sub(killed); s > 4*time.Second || d > 7*time.Second {
				t.Errorf("n%d: suspect after %s, dead after %s", n.cfg.Self, s, d)
			}
			if v := n.View(); v[4] != cluster.Dead || v[1] != cluster.Alive || v[n.cfg.Self] != cluster.Alive {
				t.Errorf("n%d sees %v", n.cfg.Self, v)
			}
		}
		if !slices.Contains(slices.Collect(maps.Values(suspected)), "alive suspect dead") {
			t.Errorf("nobody saw n4 suspected: %v", suspected)
		}
		// The same node comes back at the same address.
		back := start(t, ns[0].tr.net, 4, nil)
		if err := back.Join([]Seed{seed(2)}); err != nil {
			t.Error(err)
		}
		pass(5 * time.Second)
		for _, n := range ns[:3] {
			if got, want := n.transitions(4), suspected[n.cfg.Self]+" alive"; got != want {
				t.Errorf("n%d saw n4 %s, want %s", n.cfg.Self, got, want)
			}
		}
		stop(append(ns, back))
	})
}

// TestSuspicionIsLookedForAgain: memberlist logs that it suspects a node before it does.
func TestSuspicionIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(Config{Self: 1, UUID: uuidOf(1), Logger: slog.New(slog.DiscardHandler)})
		state := memberlist.StateAlive
		table := func() []*memberlist.Node { return []*memberlist.Node{{Name: nodeName(4, uuidOf(4)), State: state}} }
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			w.run(ctx, func(context.Context) {
				w.expectSelf()
				_, _ = w.NotifyMerge(table()), w.NotifyMerge(table())
			})
		})
		pass(time.Second)
		w.heard("Suspect "+nodeName(4, uuidOf(4))+" has failed, no acks received", time.Now())
		w.trigger()
		synctest.Wait() // it has looked
		state = memberlist.StateSuspect
		pass(lookEvery + time.Millisecond)
		if got := (*w.view.Load())[4]; got != cluster.Suspect {
			t.Errorf("n4 is %s, want suspect", got)
		}
		cancel()
		done.Wait()
	})
}

func TestLeaveIsNotDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ns := startCluster(t, newSimNet(2), 3, nil)
		if err := ns[2].Leave(5 * time.Second); err != nil {
			t.Error(err)
		}
		_ = ns[2].Close()
		pass(5 * time.Second)
		for _, n := range ns[:2] {
			if got := n.transitions(3); got != "alive left" {
				t.Errorf("n%d saw n3 %s", n.cfg.Self, got)
			}
		}
		pass(2 * time.Minute) // memberlist forgets it; we do not
		if v := ns[0].View(); v[3] != cluster.Left {
			t.Errorf("later: %v", v)
		}
		stop(ns)
	})
}

// A short cut is refuted: suspect, then alive. After a long one both sides find
// each other again through their seeds.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimNet(3)
		ns := startCluster(t, sim, 3, func(c *Config) {
			c.Seeds = func() []Seed { return []Seed{seed(1), seed(2), seed(3)} }
		})
		cut := func(from, to string) bool {
			return (from == seed(3).Addr) != (to == seed(3).Addr)
		}
		sim.setCut(cut)
		pass(5 * time.Minute)
		if v := ns[0].View(); v[3] != cluster.Dead || v[2] != cluster.Alive {
			t.Errorf("cut: n1 sees %v", v)
		}
		if v := ns[2].View(); v[1] != cluster.Dead || v[2] != cluster.Dead || v[3] != cluster.Alive {
			t.Errorf("cut: n3 sees %v", v)
		}
		sim.setCut(nil)
		pass(15 * time.Second)
		for _, n := range ns {
			for id, l := range n.View() {
				if l != cluster.Alive {
					t.Errorf("healed: n%d sees %s %s", n.cfg.Self, id, l)
				}
			}
		}
		stop(ns)
	})
}

// Whoever has not the key, the label or a known name is not seen, and does not
// stand in for a node that is known.
func TestOutsidersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimNet(4)
		ns := startCluster(t, sim, 2, func(c *Config) {
			c.Admit = func(id cluster.NodeID, uuid string) bool { return id < 10 && uuid == uuidOf(id) }
		})
		tests := map[string]*node{
			"wrong key":     start(t, sim, 5, func(c *Config) { c.Keys = [][]byte{testKey(9)} }),
			"wrong cluster": start(t, sim, 6, func(c *Config) { c.ClusterID = "other" }),
		}
		for name, o := range tests {
			if err := o.Join([]Seed{seed(1)}); err == nil {
				t.Errorf("%s: joined", name)
			} else if strings.Contains(err.Error(), string(testKey(9))) {
				t.Errorf("%s: the error holds the key", name)
			}
		}
		unknown, twin := start(t, sim, 10, nil), start(t, sim, 7, func(c *Config) { c.UUID = "stolen" })
		_ = unknown.Join([]Seed{seed(1)})
		_ = twin.Join([]Seed{seed(1)})
		pass(5 * time.Second)
		if v := ns[0].View(); len(v) != 2 {
			t.Errorf("n1 sees %v", v)
		}
		stop(append(ns, unknown, twin, tests["wrong key"], tests["wrong cluster"]))
	})
}

func TestTwoKeysDuringRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimNet(5)
		a := start(t, sim, 1, func(c *Config) { c.Keys = [][]byte{testKey(1), testKey(2)} })
		b := start(t, sim, 2, func(c *Config) { c.Keys = [][]byte{testKey(2), testKey(1)} })
		if err := b.Join([]Seed{seed(1)}); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if v := a.View(); v[2] != cluster.Alive {
			t.Errorf("n1 sees %v", v)
		}
		stop([]*node{a, b})
	})
}

// Real sockets, on loopback.
func TestRealNetwork(t *testing.T) {
	mk := func(id cluster.NodeID) *Gossip {
		g, err := New(Config{Self: id, UUID: uuidOf(id), ClusterID: testCluster, BindAddr: "127.0.0.1:0", Keys: [][]byte{testKey(1)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close() })
		return g
	}
	a, b := mk(1), mk(2)
	left := make(chan Transition, 10)
	alive := make(chan Transition, 10)
	a.Subscribe(func(tr Transition) {
		switch tr.To {
		case cluster.Alive:
			alive <- tr
		case cluster.Left:
			left <- tr
		default:
		}
	})
	if err := b.Join([]Seed{{Node: 1, UUID: uuidOf(1), Addr: a.Addr()}}); err != nil {
		t.Fatal(err)
	}
	wait := func(c chan Transition) {
		t.Helper()
		select {
		case tr := <-c:
			if tr.Node != 2 {
				t.Fatalf("got %+v", tr)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing seen; view %v", a.View())
		}
	}
	wait(alive)
	if err := b.Leave(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	wait(left)
}

func TestStates(t *testing.T) {
	table := []*memberlist.Node{
		{Name: "n1.a", State: memberlist.StateDead}, {Name: "n1.b", State: memberlist.StateSuspect},
		{Name: "n2.a", State: memberlist.StateLeft}, {Name: "junk", State: memberlist.StateAlive},
	}
	got := states(table)
	if len(got) != 2 || got[1] != cluster.Suspect || got[2] != cluster.Left {
		t.Errorf("got %v", got)
	}
}

func TestBadConfig(t *testing.T) {
	_, err := New(Config{Keys: [][]byte{{1}}})
	if err == nil || !strings.Contains(err.Error(), "must be set") || !strings.Contains(err.Error(), "key 1 has 1 bytes") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("n4.uuid", EncodeKeys([][]byte{testKey(1), testKey(2)}))
	f.Add("n04.uuid", []byte("x"))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		if id, uuid, ok := parseName(name); ok && nodeName(id, uuid) != name {
			t.Fatalf("%q is %s %s", name, id, uuid)
		}
		if keys, err := ParseKeys(text); err == nil {
			again, err := ParseKeys(EncodeKeys(keys))
			if err != nil || !slices.EqualFunc(again, keys, bytes.Equal) {
				t.Fatalf("%x became %x, %v", keys, again, err)
			}
		}
	})
}
