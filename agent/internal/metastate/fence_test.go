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
	do := func(cmd Command) {
		t.Helper()
		if r := m.command(t, cmd); r.Refusal != nil {
			t.Fatal(r.Refusal.Message)
		}
	}
	do(Command{AllocateObjects: &AllocateObjects{Count: 9}})
	drop := func(id cluster.ObjectID) time.Time {
		t.Helper()
		do(dropOf(id))
		return m.View().Dropped[id].FreesAt()
	}
	for i := range cluster.ObjectID(6) {
		if i != 2 { // that is made later
			do(tableOf(101+i, fmt.Sprintf("c%d", i+1)))
		}
	}
	none := &cluster.Fence{}
	first := drop(104)
	second := drop(102)
	if f, _ := m.View().Fence(0, none, first.Add(-time.Millisecond)); f != nil {
		t.Errorf("it may be read for a while yet: %+v", f)
	}
	f, threshold := m.View().Fence(0, none, first)
	if f == nil || !slices.Equal(f.Doomed, []cluster.CollectionID{104}) || !f.Bars(104) || f.Bars(102) || f.Bars(101) || f.Bars(105) || !threshold.Equal(first) {
		t.Fatalf("the first drop: %+v, %s", f, threshold)
	}
	old := m.View()
	if r := m.command(t, Command{ForgetDropped: &ForgetDropped{Collections: []cluster.CollectionID{104, 99}}}); r.Existed || m.View().Dropped[104] != nil {
		t.Fatalf("%+v", r)
	}
	if last := m.View().Events[len(m.View().Events)-1]; last.Kind != cluster.EventCollectionFreed {
		t.Errorf("the event is %+v", last)
	}
	for name, v := range map[string]*View{"the view of before": old, "the newest view": m.View()} {
		next, threshold := v.Fence(0, f, second)
		if next == nil || !slices.Equal(next.Doomed, []cluster.CollectionID{102}) || !next.Bars(102) || !next.Bars(104) || next.Bars(103) || next.Bars(106) || !threshold.Equal(second) {
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

// tableOf makes a collection: its id is given out, and taken at once.
func tableOf(id cluster.ObjectID, name string) Command {
	return Command{ChangeObjects: &ChangeObjects{Seen: []SeenObject{{ID: cluster.MainPublic, Version: 1}}, Put: []cluster.Object{{
		ID: id, Parent: cluster.MainPublic, Kind: cluster.KindTable, Name: name, Collection: &cluster.Collection{
			Columns: []cluster.Column{{ID: 1, Name: "a", Type: "text"}}, NextColumn: 2, PrimaryKey: []cluster.ColumnID{1},
		},
	}}}}
}

func dropOf(id cluster.ObjectID) Command {
	return Command{ChangeObjects: &ChangeObjects{Seen: []SeenObject{{ID: id, Version: 1}}, Drop: []cluster.ObjectID{id}}}
}
