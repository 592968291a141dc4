package metastate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestFence: a fence bars what was dropped long enough ago, and nothing else; a newer one
// bars all that an older one does, by whatever view it is made.
func TestFence(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	make1 := func(name string) {
		t.Helper()
		if r := m.command(t, Command{CreateCollection: &CreateCollection{Collection: cluster.Collection{
			Name: name, Columns: []cluster.Column{{ID: 1, Name: "a", Type: "text"}}, NextColumn: 2, PrimaryKey: []cluster.ColumnID{1},
		}}}); r.Refusal != nil {
			t.Fatal(r.Refusal.Message)
		}
	}
	drop := func(name string) time.Time {
		t.Helper()
		if r := m.command(t, Command{DropCollection: &DropCollection{Name: name}}); r.Refusal != nil {
			t.Fatal(r.Refusal.Message)
		}
		id := cluster.CollectionID(name[1] - '0')
		return m.View().Dropped[id].FreesAt()
	}
	for i := range 6 {
		make1(fmt.Sprintf("c%d", i+1)) // its number is i+1
	}
	none := &cluster.Fence{}
	first := drop("c4")
	second := drop("c2")
	if f, _ := m.View().Fence(0, none, first.Add(-time.Millisecond)); f != nil {
		t.Errorf("it may be read for a while yet: %+v", f)
	}
	f, threshold := m.View().Fence(0, none, first)
	if f == nil || !slices.Equal(f.Doomed, []cluster.CollectionID{4}) || !f.Bars(4) || f.Bars(2) || f.Bars(1) || f.Bars(5) || !threshold.Equal(first) {
		t.Fatalf("the first drop: %+v, %s", f, threshold)
	}
	old := m.View()
	if r := m.command(t, Command{ForgetDropped: &ForgetDropped{Collections: []cluster.CollectionID{4, 99}}}); r.Existed || m.View().Dropped[4] != nil {
		t.Fatalf("%+v", r)
	}
	if last := m.View().Events[len(m.View().Events)-1]; last.Kind != cluster.EventCollectionFreed {
		t.Errorf("the event is %+v", last)
	}
	for name, v := range map[string]*View{"the view of before": old, "the newest view": m.View()} {
		next, threshold := v.Fence(0, f, second)
		if next == nil || !slices.Equal(next.Doomed, []cluster.CollectionID{2}) || !next.Bars(2) || !next.Bars(4) || next.Bars(3) || next.Bars(6) || !threshold.Equal(second) {
			t.Errorf("%s: the second drop: %+v, %s", name, next, threshold)
		}
		if again, _ := v.Fence(0, next, second.Add(time.Hour)); again != nil {
			t.Errorf("%s: there is nothing to add: %+v", name, again)
		}
		if other, _ := v.Fence(1, none, second); other != nil {
			t.Errorf("%s: another pool: %+v", name, other)
		}
	}
}
