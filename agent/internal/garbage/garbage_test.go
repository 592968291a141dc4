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
