package kv

import (
	"errors"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// TestPlaces: who asks for it learns what place a refused write kept; the next write
// comes in it, or it is given up; at the leader's own node and from afar.
func TestPlaces(t *testing.T) {
	for _, gateway := range []cluster.NodeID{1, 2} {
		c := newFakeCluster(t, 2, 1)
		db := c.nodes[gateway].db
		c.load(2)
		lose := func(o WriteOptions) Place {
			t.Helper()
			_, err := db.Write(t.Context(), []Mutation{put(1, "x", datastate.Absent)}, o)
			var lost *ConditionError
			if !errors.As(err, &lost) {
				t.Fatalf("an insert over a row: %v", err)
			}
			return lost.Place
		}
		last := func() store.Command {
			asked := c.ranges[2].asked
			return asked[len(asked)-1]
		}
		if p := lose(WriteOptions{OneRange: true}); p.Kept() || last().Keep {
			t.Errorf("nobody asked for a place, and it is %v", p)
		}
		if p := lose(WriteOptions{Keep: true}); p.Kept() || last().Keep {
			t.Errorf("a write to several ranges has the place %v", p)
		}
		p := lose(WriteOptions{OneRange: true, Keep: true})
		if p != (Place{Range: 2, By: last().ID}) || !last().Keep {
			t.Errorf("the place is %v, the command %x", p, last().ID)
		}
		q := lose(WriteOptions{OneRange: true, Keep: true, Place: p})
		if last().InPlaceOf != p.By || q.By != last().ID || p == q {
			t.Errorf("a write in the place %v came in that of %x and has now %v", p, last().InPlaceOf, q)
		}
		before := len(c.ranges[2].asked)
		db.GiveUp(t.Context(), q)
		db.GiveUp(t.Context(), Place{})
		if got := last(); got.InPlaceOf != q.By || len(got.Payload) > 0 || len(c.ranges[2].asked) != before+1 {
			t.Errorf("to give %v up, %+v was asked", q, got)
		}
		c.lead(2, 0)
		db.GiveUp(t.Context(), p) // there is nobody to tell
	}
}
