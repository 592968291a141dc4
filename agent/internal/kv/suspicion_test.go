package kv

import (
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// TestOneRetryAfterSuspicion: once a leader is suspected, whatever hints named
// it, a statement is sent at most twice: to where the leadership was guessed and
// to where that node says it is. Nothing goes to the node that is suspected.
func TestOneRetryAfterSuspicion(t *testing.T) {
	const ranges = 8
	c := newFakeCluster(t, 3, ranges)
	n := c.nodes[1]
	for id := range ranges {
		c.lead(cluster.RangeID(id+2), 3)
	}
	c.load(64) // fills the table with hints at n3

	var mu sync.Mutex
	calls, toSuspect := 0, 0
	c.failCalls(func(from, to cluster.NodeID, _ string) fault {
		mu.Lock()
		defer mu.Unlock()
		if from == 1 {
			calls++
		}
		if to == 3 {
			toSuspect++
			return fault{hang: true}
		}
		return fault{}
	})
	n.suspects[3] = true
	n.db.Suspected(3)
	for id := range ranges {
		c.lead(cluster.RangeID(id+2), cluster.NodeID(1+id%2))
	}
	for i := range 64 {
		before := calls
		if _, err := n.db.Write(t.Context(), []Mutation{put(i, "after", datastate.Any)}, WriteOptions{}); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
		if sent := calls - before; sent > 2 {
			t.Errorf("statement %d was sent %d times, want 2 at most", i, sent)
		}
	}
	if toSuspect > 0 {
		t.Errorf("%d requests went to the node that is suspected", toSuspect)
	}
}
