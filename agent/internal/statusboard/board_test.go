package statusboard_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

type board = statusboard.Board[cluster.RangeID, cluster.RangeStatus]

func newBoard() *board { return statusboard.New[cluster.RangeID](statusboard.Ranges()) }

func status(id cluster.RangeID, generation, commit uint64) *cluster.RangeStatus {
	return &cluster.RangeStatus{Descriptor: cluster.RangeDescriptor{ID: id, Generation: generation, NextReplica: 2}, Replica: 1, Commit: commit}
}

func ids(c statusboard.Changes[cluster.RangeID, cluster.RangeStatus]) (out []cluster.RangeID) {
	for _, x := range c.Changed {
		out = append(out, x.Key)
	}
	return out
}

func TestSinceTellsWhatChanged(t *testing.T) {
	b := newBoard()
	for id := range cluster.RangeID(5) {
		b.Put(id+1, status(id+1, 1, 10))
	}
	base := b.Since(0, false)
	if base.From != 0 || len(base.Changed) != 5 {
		t.Fatalf("without a base: %+v", base)
	}
	if b.Put(3, status(3, 1, 10)) {
		t.Error("the same again is a change")
	}
	if c := b.Since(base.To, false); len(c.Changed)+len(c.Gone) > 0 || c.To != base.To {
		t.Errorf("nothing changed, and %+v is told", c)
	}
	b.Put(4, status(4, 1, 11))
	b.Put(2, status(2, 2, 10))
	b.Drop(5)
	c := b.Since(base.To, false)
	if !slices.Equal(ids(c), []cluster.RangeID{2, 4}) || !slices.Equal(c.Gone, []cluster.RangeID{5}) {
		t.Errorf("changed %v, gone %v", ids(c), c.Gone)
	}
	if !c.Changed[0].Root || c.Changed[1].Root {
		t.Errorf("roots: %v of r2, whose descriptor changed, %v of r4", c.Changed[0].Root, c.Changed[1].Root)
	}
	if c := b.Since(base.To, true); !slices.Equal(ids(c), []cluster.RangeID{2}) {
		t.Errorf("roots that changed: %v", ids(c))
	}
	if c := b.Since(c.To+1, false); c.From != 0 || len(c.Changed) != 4 {
		t.Errorf("a base that the board has not reached: %+v", c)
	}
}

// TestForgottenRemovals: who asks with a base older than what the board remembers
// of removals gets everything.
func TestForgottenRemovals(t *testing.T) {
	b := newBoard()
	b.Put(1, status(1, 1, 1))
	base := b.Since(0, false).To
	for id := range cluster.RangeID(5000) {
		b.Put(id+2, status(id+2, 1, 1))
		b.Drop(id + 2)
	}
	if c := b.Since(base, false); c.From != 0 || !slices.Equal(ids(c), []cluster.RangeID{1}) || len(c.Gone) > 0 {
		t.Errorf("from %d: %d changed, %d gone", c.From, len(c.Changed), len(c.Gone))
	}
}

// TestChangesLeadToTheBoard follows a board through random changes.
func TestChangesLeadToTheBoard(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	b := newBoard()
	have, base := map[cluster.RangeID]*cluster.RangeStatus{}, uint64(0)
	for range 20_000 {
		id := cluster.RangeID(rng.IntN(40) + 1)
		switch rng.IntN(10) {
		case 0:
			b.Drop(id)
		case 1:
			c := b.Since(base, false)
			if c.From == 0 {
				clear(have)
			}
			for _, gone := range c.Gone {
				delete(have, gone)
			}
			for _, x := range c.Changed {
				have[x.Key] = x.Value
			}
			base = c.To
			all := b.All()
			if len(all) != len(have) {
				t.Fatalf("%d values, followed to %d", len(all), len(have))
			}
			for _, v := range all {
				if have[v.Descriptor.ID] != v {
					t.Fatalf("%s differs", v.Descriptor.ID)
				}
			}
			if !slices.IsSortedFunc(all, func(x, y *cluster.RangeStatus) int { return int(x.Descriptor.ID) - int(y.Descriptor.ID) }) {
				t.Fatal("not in order")
			}
		default:
			b.Put(id, status(id, uint64(rng.IntN(3)), uint64(rng.IntN(4))))
		}
	}
}
