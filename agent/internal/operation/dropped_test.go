package operation

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// TestADropIsForgotten: the record of a dropped collection goes when the last range has
// told that it holds nothing of it, not before, whoever coordinates by then.
func TestADropIsForgotten(t *testing.T) {
	const table = cluster.FirstObject
	r := newRig(t, 1, 3, 3, 4)
	r.must(metastate.Command{AllocateObjects: &metastate.AllocateObjects{Count: 1}})
	seen := []metastate.SeenObject{{ID: cluster.MainPublic, Version: 1}}
	r.must(metastate.Command{ChangeObjects: &metastate.ChangeObjects{Seen: seen, Put: []cluster.Object{{
		ID: table, Parent: cluster.MainPublic, Kind: cluster.KindTable, Name: "a", Collection: &cluster.Collection{
			Columns: []cluster.Column{{ID: 1, Name: "a", Type: "text"}}, NextColumn: 2, PrimaryKey: []cluster.ColumnID{1},
		},
	}}}})
	r.must(metastate.Command{ChangeObjects: &metastate.ChangeObjects{Seen: []metastate.SeenObject{{ID: table, Version: 1}}, Drop: []cluster.ObjectID{table}}})
	drop := r.view().Dropped[table].Index
	for id := cluster.RangeID(2); id < 5; id++ {
		r.ranges[id].cleared = drop
	}
	r.ranges[5].cleared = drop - 1
	begun := r.now
	r.until("half a minute is over", time.Minute, func() bool { return r.now.Sub(begun) > 30*time.Second })
	if r.view().Dropped[table] == nil {
		t.Fatal("it was forgotten, and a range holds rows of it")
	}
	r.kill(r.coordinator)
	r.until("somebody else coordinates", time.Minute, func() bool { return r.up(r.coordinator) })
	r.ranges[5].cleared = drop + 1
	r.until("the drop is forgotten", time.Minute, func() bool { return r.view().Dropped[table] == nil })
}

// TestWhatEndedIsForgotten: who begins to coordinate forgets what ended long ago.
func TestWhatEndedIsForgotten(t *testing.T) {
	r := newRig(t, 1, 3, 3, 1)
	for id, ago := range map[string]time.Duration{"old": 60 * 24 * time.Hour, "young": time.Hour} {
		r.must(metastate.Command{CreateToken: &metastate.CreateToken{ID: id, Owner: "test", Role: "viewer", Hash: []byte{1}, ExpiresAt: r.now.Add(-ago)}})
	}
	r.until("the old token is forgotten", time.Minute, func() bool { return r.view().Tokens["old"] == nil })
	if r.view().Tokens["young"] == nil {
		t.Error("a token that has just expired is forgotten, too")
	}
}

// TestCoveredThrough: a pool has cleared a drop when all of its keys have, whatever
// replicas say so and however their spans overlap: after a split some tell of the whole,
// others of a half.
func TestCoveredThrough(t *testing.T) {
	span := func(from, to cluster.VShard, through uint64) clearedSpan {
		return clearedSpan{from.Key(), to.Key(), through}
	}
	for name, c := range map[string]struct {
		spans []clearedSpan
		want  uint64
	}{
		"nobody":                     {nil, 0},
		"one range":                  {[]clearedSpan{span(0, 1024, 7)}, 7},
		"the slower half counts":     {[]clearedSpan{span(0, 512, 9), span(512, 1024, 7)}, 7},
		"a half is missing":          {[]clearedSpan{span(0, 512, 9)}, 0},
		"a gap":                      {[]clearedSpan{span(0, 512, 9), span(513, 1024, 9)}, 0},
		"the end is missing":         {[]clearedSpan{span(0, 512, 9), span(512, 1023, 9)}, 0},
		"of before a split":          {[]clearedSpan{span(512, 1024, 9), span(0, 1024, 4), span(0, 512, 8)}, 8},
		"the other half is not told": {[]clearedSpan{span(0, 512, 9), span(0, 1024, 4)}, 4},
		"replicas that lag":          {[]clearedSpan{span(0, 512, 3), span(0, 512, 6), span(512, 1024, 5), span(512, 1024, 2)}, 5},
	} {
		if got := coveredThrough(c.spans); got != c.want {
			t.Errorf("%s: cleared through %d, want %d", name, got, c.want)
		}
	}
}
