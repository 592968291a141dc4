package store

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/lease"
)

// resting steps until all nodes rest.
func (x *trio) resting() {
	x.t.Helper()
	for range 100 {
		all := true
		for _, n := range x.nodes {
			all = all && (n.c == nil || n.c.Rest() > 1)
		}
		if all {
			return
		}
		x.step()
	}
	x.t.Fatal("the nodes do not come to rest")
}

// TestANodeRestsUntilSomethingIsDue has the nodes of a range that sleeps rest until
// they ask for support again, and no longer once somebody writes.
func TestANodeRestsUntilSomethingIsDue(t *testing.T) {
	x := newTrio(t)
	x.leased()
	x.resting()
	for round := range 20 {
		for _, n := range x.nodes {
			if due := n.c.leases.ask - n.c.ticks; n.c.Rest() > int(due) {
				t.Fatalf("round %d: %s rests for %d ticks and asks in %d", round, n.id, n.c.Rest(), due)
			}
		}
		x.step()
	}
	x.resting()
	x.propose()
	x.leading().Process()
	if got := x.leading().Rest(); got != 1 {
		t.Errorf("the leader of a range that is written to rests for %d ticks", got)
	}
}

// TestARestEndsWithAPromise loses a node: the others find out at the tick at which its
// promises, and those to it, run out, as if they had not rested.
func TestARestEndsWithAPromise(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	x.resting()
	x.close(l)
	lost := x.now
	n := x.nodes[(l+1)%len(x.nodes)]
	for n.c.Rest() > 1 {
		rest := n.c.Rest()
		x.now = x.now.Add(time.Duration(rest-1) * 100 * time.Millisecond)
		for range rest - 1 {
			x.tick() // these were made up at once
		}
		x.step()
		if x.now.Sub(lost) > 2*lease.Duration {
			t.Fatal("nobody misses the leader")
		}
	}
	if took := x.now.Sub(lost); took > lease.Duration+100*time.Millisecond {
		t.Errorf("the leader is missed after %s", took)
	}
}
