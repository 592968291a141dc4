package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestDroppedCollectionsGoFirst: a pass over old versions that is under way makes way for the
// fence of a collection that is dropped meanwhile, and for its rows: who drops a table wants
// the space, and on a busy range the pass takes minutes.
func TestDroppedCollectionsGoFirst(t *testing.T) {
	var dropped, fenced bool
	var f *coreFixture
	f = newTunedFixture(t, func(cfg *Config) {
		cfg.Garbage = func() replica.GarbagePolicy {
			return replica.GarbagePolicy{
				Keep: hlc.New(f.now), Every: time.Second,
				Fence: func(_ cluster.PoolID, old *cluster.Fence, keep hlc.Timestamp) (*cluster.Fence, hlc.Timestamp) {
					fenced = fenced || old.Through == 9
					if !dropped || fenced {
						return nil, 0
					}
					return &cluster.Fence{Through: 9, UpTo: 1, Doomed: []cluster.CollectionID{1}}, keep
				},
			}
		}
	})
	id := uint64(0)
	for range 6 { // versions of 1,000 rows: five parts of a pass are dead
		for i := 0; i < 1000; i += 100 {
			var ops []datastate.Op
			for j := i; j < i+100; j++ {
				ops = append(ops, putOp(fmt.Sprintf("row-%04d", j), "value"))
			}
			id++
			if o := f.propose(f.id(id), ops...); o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	passes := 0
	for range 20 {
		for range garbageTicks {
			f.now = f.now.Add(100 * time.Millisecond)
			f.c.Tick()
			f.run()
		}
		for _, j := range f.c.TakeGarbage() {
			if err := j.Open(); err != nil {
				f.c.Collected(j, evaluation.Found{}, err)
				continue
			}
			found, err := j.Collect(func(int64) error { return nil })
			if found.Versions > 0 && !fenced {
				passes++
				dropped = true // while the first is under way
			}
			f.c.Collected(j, found, err)
			f.run()
		}
		if fenced {
			break
		}
	}
	if !fenced || passes > 2 { // the next part is looked for before the leader looks up
		t.Errorf("%d parts of the pass over old versions came before the rows of the dropped collection (they went: %t), want 2", passes, fenced)
	}
}
