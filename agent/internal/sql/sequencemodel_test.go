package sql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// lossyMeta is a meta range that loses some requests, and some answers.
type lossyMeta struct {
	catalog.Meta
	rng  *rand.Rand
	lost int
}

func (m *lossyMeta) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	fate := m.rng.IntN(6)
	if cmd.AdvanceSequence == nil || fate > 1 {
		return m.Meta.Propose(ctx, cmd)
	}
	m.lost++
	if fate == 0 { // with the request, or without
		if result, err := m.Meta.Propose(ctx, cmd); err != nil {
			return result, err
		}
	}
	return metastate.Result{}, &store.AmbiguousError{Cause: errors.New("the answer was lost")}
}

// runSequences has three nodes take numbers while answers are lost, nodes start anew, and
// the sequence is set to later numbers. It returns what is wrong, "" if nothing is.
func runSequences(t *testing.T, seed uint64, faults Planted) (bad string, lost int) {
	f := newFixture(t, nil)
	f.open().run("create sequence s cache 3")
	rng := rand.New(rand.NewPCG(seed, 0))
	meta := &lossyMeta{Meta: f.meta, rng: rng}
	c := catalog.New(meta)
	var o *cluster.Object
	for _, o = range f.meta.View().Objects {
		if o.Sequence != nil {
			break
		}
	}
	start := func() *sequences {
		s := newSequences(c)
		s.planted = faults
		return s
	}
	nodes := []*sequences{start(), start(), start()}
	given := map[int64]int{}
	for step := range 600 {
		node := rng.IntN(len(nodes))
		switch n := rng.IntN(100); {
		case n < 2:
			nodes[node] = start()
		case n < 3:
			to := cluster.SequencePlace{Last: f.meta.View().Sequences[o.ID].Last + rng.Int64N(50), Called: true}
			if err := c.SetSequence(t.Context(), o.ID, to); err != nil {
				return err.Error(), meta.lost
			}
		default:
			v, err := nodes[node].next(t.Context(), o)
			if err != nil {
				return err.Error(), meta.lost
			}
			if before, taken := given[v]; taken {
				return fmt.Sprintf("step %d: node %d gives %d, which was given in step %d", step, node, v, before), meta.lost
			}
			given[v] = step
		}
	}
	return "", meta.lost
}

// TestNoNumberTwice: whatever answers are lost and whoever dies.
func TestNoNumberTwice(t *testing.T) {
	lost := 0
	for seed := uint64(1); seed <= 20; seed++ {
		bad, n := runSequences(t, seed, Planted{})
		if bad != "" {
			t.Errorf("seed %d: %s", seed, bad)
		}
		lost += n
	}
	if lost == 0 {
		t.Error("no answer was lost")
	}
}
