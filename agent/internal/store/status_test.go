package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// TestStatusOfAStuckLoop: a node whose loop waits for a disk still says how its
// replicas stand, and how old that is; who asks the loop gives up with its context.
func TestStatusOfAStuckLoop(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	s := c.leader(2).get()
	stuck, free := make(chan struct{}), make(chan struct{})
	if err := s.inbox.complete(func(*Core) {
		close(stuck)
		<-free
	}); err != nil {
		t.Fatal(err)
	}
	defer close(free)
	<-stuck
	if got := s.Status(); len(got) != 1 {
		t.Errorf("a stuck store tells %d replicas, want 1", len(got))
	}
	if st, ok := s.RangeStatus(2); !ok || !st.IsLeader() {
		t.Errorf("a stuck store tells of r2: %+v, %v", st, ok)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ReadLocal(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("a read of a stuck store: %v, want %v", err, context.Canceled)
	}
	eventually(t, "the age of the statuses", func() error {
		if age := s.StatusAge(); age < 3*s.cfg.Tick {
			return fmt.Errorf("they are %s old", age)
		}
		return nil
	})
}

// TestStatusIsPublishedOnChange: an idle range publishes nothing, whatever time
// passes; a write and a change of the replicas each show.
func TestStatusIsPublishedOnChange(t *testing.T) {
	f := newCoreFixture(t)
	b := statusboard.New[cluster.RangeID](statusboard.Ranges())
	f.c.PublishTo(b)
	ticks := func() statusboard.Changes[cluster.RangeID, cluster.RangeStatus] {
		base := b.Since(0, false).To
		for range 3 * statusTicks {
			f.c.Tick()
			f.run()
		}
		return b.Since(base, false)
	}
	ticks() // a new leader learns what was committed an election timeout ago
	if c := ticks(); len(c.Changed) > 0 {
		t.Errorf("an idle range has told %+v", c.Changed[0].Value)
	}
	f.propose(f.id(1), datastate.Op{Row: keys.Row(cluster.DefaultPool, 32, 7, []byte("a\x00")), Kind: datastate.Put, Value: []byte("1")})
	if c := ticks(); len(c.Changed) != 1 || c.Changed[0].Value.Keys != 1 || c.Changed[0].Root {
		t.Errorf("after a write: %+v", c)
	}
	base := b.Since(0, false).To
	f.c.ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 2, Expect: 1}, func(o replica.Outcome) { f.must(o.Err) })
	f.run()
	if c := b.Since(base, false); len(c.Changed) != 1 || !c.Changed[0].Root || c.Changed[0].Value.Descriptor.Generation != 2 {
		t.Errorf("a changed descriptor is not told at once: %+v", c)
	}
}
