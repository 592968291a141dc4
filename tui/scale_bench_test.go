package tui

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
)

// The cluster that is the goal, and the smaller one that costs are compared with.
const (
	goalNodes   = 1000
	goalRanges  = 100_000
	smallRanges = 1000
)

// crowd is a dashboard of a large cluster, and snapshots that take turns: each
// differs from the other in some ranges.
type crowd struct {
	d     *Dashboard
	turns [2]*feed.Snapshot
	at    int
}

// newCrowd shows a view of a cluster of which some ranges change.
func newCrowd(tb testing.TB, view string, nodes, ranges, busy int) *crowd {
	tb.Helper()
	f := newFixture(nodes, ranges, true)
	whole := &adminpb.WatchResponse{Reset_: true, AsOf: asOf(), Status: f.status(), Nodes: f.allNodes(), Ranges: f.allRanges(), Events: f.events()}
	delta := &adminpb.WatchResponse{AsOf: asOf()}
	for i := range busy {
		r := proto.CloneOf(whole.Ranges[(1+i*97)%len(whole.Ranges)])
		r.Applied, r.Commit, r.WritesPerSecond = r.GetApplied()+1, r.GetCommit()+1, r.GetWritesPerSecond()+1
		delta.Ranges = append(delta.Ranges, r)
	}
	c := &crowd{turns: [2]*feed.Snapshot{fold(tb, whole), fold(tb, whole, delta)}}
	c.d = dashboardOf(tb, c.turns[0], &adminpb.WhoAmIResponse{Name: "root", Role: adminpb.Role_ROLE_ADMIN}, "dark", 160, 48)
	c.d.goTo(view)
	c.frame(tb)
	return c
}

// take hands the dashboard the other snapshot.
func (c *crowd) take() {
	c.at++
	s := *c.turns[c.at%2]
	s.Revision, s.At = uint64(100+c.at), epoch.Add(time.Duration(c.at)*time.Second)
	c.d.take(&s)
}

func (c *crowd) frame(tb testing.TB) {
	c.d.frame.dirty = true
	if c.d.View().Content == "" {
		tb.Fatal("nothing is drawn")
	}
}

// BenchmarkScaleDelta is a snapshot in which 1 % of all ranges changed, and its frame.
func BenchmarkScaleDelta(b *testing.B) {
	for _, view := range []string{page.Overview, page.Nodes, page.Ranges, page.Routing} {
		b.Run(view, func(b *testing.B) {
			c := newCrowd(b, view, goalNodes, goalRanges, goalRanges/100)
			b.ReportAllocs()
			for b.Loop() {
				c.take()
				c.frame(b)
			}
		})
	}
}

// BenchmarkScaleFrame is a frame of which nothing is new.
func BenchmarkScaleFrame(b *testing.B) {
	for _, view := range []string{page.Overview, page.Nodes, page.Ranges, page.Routing} {
		b.Run(view, func(b *testing.B) {
			c := newCrowd(b, view, goalNodes, goalRanges, 1)
			b.ReportAllocs()
			for b.Loop() {
				c.frame(b)
			}
		})
	}
}

// BenchmarkScaleKey is a key in the view of the ranges, and its frame: one row down,
// the map by another metric, the table by another column, a letter of a filter.
func BenchmarkScaleKey(b *testing.B) {
	for _, k := range []struct {
		name string
		keys []string // pressed by turns
	}{{"down", []string{"j"}}, {"beside", []string{"l"}}, {"metric", []string{"m"}}, {"sort", []string{"s"}}, {"filter", []string{"3", "backspace"}}} {
		b.Run(k.name, func(b *testing.B) {
			c := newCrowd(b, page.Ranges, goalNodes, goalRanges, 1)
			if k.name == "filter" {
				press(c.d, "/", "n")
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				press(c.d, k.keys[i%len(k.keys)])
				c.frame(b)
			}
		})
	}
}
