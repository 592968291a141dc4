package kv

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// TestAnswersToWhoHasGone: a write at another node whose request ends is not of unknown
// fate if the leader says in time what became of it.
func TestAnswersToWhoHasGone(t *testing.T) {
	c := newFakeCluster(t, 2, 1)
	c.load(2)
	for _, x := range []struct {
		name         string
		answer       func(ctx context.Context) error
		ended, maybe bool
	}{
		{"done", func(context.Context) error { return nil }, false, false},
		{"taken back", func(context.Context) error { return fmt.Errorf("%w: late", store.ErrProposalLost) }, true, false},
		{"no answer", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, true, true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		r := c.nodes[2].db.request(2, Policy{})
		r.write = true
		asked := 0
		err := r.run(ctx, func(ctx context.Context, node cluster.NodeID) error {
			if asked++; node != 1 {
				t.Errorf("%s: asked %s", x.name, node)
			}
			cancel()
			if err := ctx.Err(); err != nil {
				t.Errorf("%s: the attempt has ended with its request: %v", x.name, err)
			}
			return x.answer(ctx)
		})
		if errors.Is(err, context.Canceled) != x.ended && !x.maybe || MaybeApplied(err) != x.maybe || asked != 1 {
			t.Errorf("%s: %v after %d attempts", x.name, err, asked)
		}
	}
	// Nothing is asked for who has gone already.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := c.nodes[2].db.request(2, Policy{})
	r.write = true
	if err := r.run(ctx, func(context.Context, cluster.NodeID) error { t.Error("asked"); return nil }); !errors.Is(err, context.Canceled) || MaybeApplied(err) {
		t.Error(err)
	}
}
