package sql

import (
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

func word(d datum.Datum) string {
	if d.Null {
		return "NULL"
	}
	return d.Text()
}

// TestWhatIsBeingCountedIsNull: after a split nobody knows what each half holds, and
// a node with such a range knows no sum.
func TestWhatIsBeingCountedIsNull(t *testing.T) {
	f := newFixture(t, nil)
	view := f.meta.View()
	ids := view.RangeIDs()
	cell := func(kind syntax.ShowKind, row []string, name string) string {
		t.Helper()
		for i, c := range clusterview.Columns(kind) {
			if c.Name == name {
				return row[i]
			}
		}
		t.Fatalf("%s has no column %s", kind, name)
		return ""
	}
	show := func(v fakeViews) (nodes, ranges [][]string) {
		t.Helper()
		f.server.cfg.Views = v
		statuses, _ := v.ClusterStatus(t.Context())
		for _, row := range f.server.source().Nodes(view, statuses) {
			var texts []string
			for _, d := range row {
				texts = append(texts, word(d))
			}
			nodes = append(nodes, texts)
		}
		for _, row := range f.server.source().Ranges(view, statuses) {
			var texts []string
			for _, d := range row {
				texts = append(texts, word(d))
			}
			ranges = append(ranges, texts)
		}
		return nodes, ranges
	}

	nodes, _ := show(fakeViews{meta: f.meta})
	for name, each := range map[string]int{"live_bytes": 7, "dead_bytes": 3} {
		if got, want := cell(syntax.ShowNodes, nodes[0], name), fmt.Sprint(each*len(ids)); got != want {
			t.Errorf("%s of n1: %s, want %s", name, got, want)
		}
	}
	last := ids[len(ids)-1]
	nodes, ranges := show(fakeViews{meta: f.meta, uncounted: last})
	for _, name := range []string{"live_bytes", "dead_bytes"} {
		if got := cell(syntax.ShowNodes, nodes[0], name); got != "NULL" {
			t.Errorf("%s of n1, one of whose ranges is being counted: %s, want NULL", name, got)
		}
	}
	for _, row := range ranges {
		for _, name := range []string{"bytes", "live_bytes", "dead_bytes", "keys"} {
			unknown := cell(syntax.ShowRanges, row, name) == "NULL"
			if unknown != (row[0] == last.String()) {
				t.Errorf("%s of %s: %s", name, row[0], cell(syntax.ShowRanges, row, name))
			}
		}
	}
}
