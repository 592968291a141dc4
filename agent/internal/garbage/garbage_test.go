package garbage

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

func TestKeep(t *testing.T) {
	start := time.UnixMilli(1_800_000_000_000)
	wall := start
	at := func(d time.Duration) hlc.Timestamp { return hlc.New(start.Add(d)) }
	var own Snapshots
	k := NewKeeper(&own, func() time.Time { return wall })
	rules := Rules{TTL: time.Minute, MaxAge: time.Hour}
	want := func(when string, want hlc.Timestamp, wantKnown bool) {
		t.Helper()
		if got, known := k.Keep(rules, hlc.New(wall)); got != want || known != wantKnown {
			t.Errorf("%s: %s, known %v; want %s, %v", when, got, known, want, wantKnown)
		}
	}
	want("nobody was asked", at(-time.Minute), false)
	nodes := []cluster.NodeID{2, 3}
	k.Told(wall, nodes, map[cluster.NodeID]hlc.Timestamp{2: 0, 3: at(-5 * time.Minute)})
	want("n3 reads", at(-5*time.Minute), true)
	release := own.Hold(at(-10 * time.Minute))
	want("this node reads", at(-10*time.Minute), true)
	own.Hold(at(-2 * time.Hour))
	want("a snapshot is older than any is protected", at(-10*time.Minute), true)
	release()
	release()
	want("this node has read", at(-5*time.Minute), true)
	wall = wall.Add(answersLast)
	want("the answers are old", at(-5*time.Minute), false)
	k.Told(wall, nodes, map[cluster.NodeID]hlc.Timestamp{2: 0})
	want("n3 is silent", at(-5*time.Minute), true)
	k.Told(wall, nodes[:1], map[cluster.NodeID]hlc.Timestamp{2: 0})
	want("n3 is gone", at(answersLast-time.Minute), true)
	k.Told(wall, nodes, map[cluster.NodeID]hlc.Timestamp{2: 0, 3: at(-5 * time.Minute)})
	k.Told(wall.Add(silenceLasts), nodes, map[cluster.NodeID]hlc.Timestamp{2: 0})
	wall = wall.Add(silenceLasts)
	want("n3 has been silent for long", at(answersLast+silenceLasts-time.Minute), true)
	k.Want()
	k.Want() // does not wait
	<-k.Wanted()
}

// TestHolder: whose snapshot keeps versions for longer than the time to live.
func TestHolder(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	now := hlc.New(at)
	rules := Rules{TTL: time.Hour, MaxAge: 6 * time.Hour}
	ago := func(d time.Duration) hlc.Timestamp { return now.Add(-d) }
	for what, tt := range map[string]struct {
		self, other time.Duration // ages of snapshots; 0: none
		holder      cluster.NodeID
	}{
		"none":                          {0, 0, 0},
		"young ones":                    {time.Minute, 59 * time.Minute, 0},
		"this node's":                   {2 * time.Hour, time.Minute, 1},
		"another's":                     {2 * time.Hour, 3 * time.Hour, 2},
		"one that is protected no more": {7 * time.Hour, 7 * time.Hour, 0},
	} {
		var own Snapshots
		if tt.self > 0 {
			defer own.Hold(ago(tt.self))()
		}
		k := NewKeeper(&own, func() time.Time { return at })
		if tt.other > 0 {
			k.Told(at, []cluster.NodeID{2}, map[cluster.NodeID]hlc.Timestamp{2: ago(tt.other)})
		}
		ts, holder := k.Holder(1, rules, now)
		if holder != tt.holder || holder != 0 && ts != ago(max(tt.self, tt.other)) {
			t.Errorf("%s: %s of %s, want one of n%d", what, ts, holder, tt.holder)
		}
	}
}
