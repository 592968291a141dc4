package metastate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestSplitsArriveInAnyOrder publishes the descriptors of random trees of splits
// and moves in random order, some twice. At every moment each key has one
// range, records do not overlap, and at the end all is known.
func TestSplitsArriveInAnyOrder(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newTester()
		m.command(t, initCommand())
		truth := map[cluster.RangeID]cluster.RangeDescriptor{}
		for id, d := range m.View().Ranges.All() {
			truth[id] = *d
		}
		var news []cluster.RangeDescriptor
		for next := cluster.RangeID(4); next < 24; {
			id := cluster.RangeID(2 + rng.IntN(int(next)-2))
			d := truth[id]
			d.Generation++
			if at, ok := randomKey(rng, &d); ok && rng.IntN(3) > 0 {
				child := d
				child.ID, child.Parent, child.Start = next, id, at
				d.End = at
				truth[next] = child
				news = append(news, child)
				next++
			}
			truth[id] = d
			news = append(news, d)
		}
		news = append(news, news[:len(news)/2]...)
		rng.Shuffle(len(news), func(i, j int) { news[i], news[j] = news[j], news[i] })
		for len(news) > 0 {
			n := min(1+rng.IntN(3), len(news))
			if r := m.command(t, Command{UpdateRanges: &UpdateRanges{Descriptors: news[:n]}}); r.Refusal != nil {
				t.Fatalf("seed %d: %+v refused: %s", seed, news[:n], r.Refusal.Message)
			}
			news = news[n:]
			checkSpans(t, m.View())
		}
		for id, want := range truth {
			if got, ok := m.View().Range(id); !ok || got.Start != want.Start || got.End != want.End || got.Generation != want.Generation {
				t.Errorf("seed %d: %s is %+v, want %+v", seed, id, got, want)
			}
		}
		if s, ok := m.View().orphan(); ok {
			t.Errorf("seed %d: the key %s has no range at the end", seed, s)
		}
	}
}

// randomKey draws a key inside d: a vshard, or a row of one of a few.
func randomKey(rng *rand.Rand, d *cluster.RangeDescriptor) (cluster.Key, bool) {
	first, end := d.VShards()
	at := (first + cluster.VShard(rng.IntN(int(end-first)))).Key()
	if rng.IntN(2) > 0 {
		at += cluster.Key("\x00\x00\x00\x00\x00\x00\x00\x07\x00" + string(rune('a'+rng.IntN(20))) + "\x00")
	}
	return at, d.Inside(at)
}

func checkSpans(t *testing.T, v *View) {
	t.Helper()
	spans := dataRanges(v.Ranges)
	if !slices.Equal(spans, v.spans) {
		t.Fatalf("the spans %v are not those of the ranges %v", v.spans, spans)
	}
	if err := disjoint(spans); err != nil {
		t.Fatal(err)
	}
	for s := range cluster.VShard(cluster.VShards) {
		if d, ok := v.RangeOf(cluster.DefaultPool, s.Key()); !ok || d.Start > s.Key() {
			t.Fatalf("vshard %d is said to belong to %+v", s, d)
		}
	}
	for _, d := range spans {
		if got, ok := v.RangeOf(d.Pool, d.Start); !ok || got != d {
			t.Fatalf("%s is said to belong to %+v, not to %s", d.Start, got, d.ID)
		}
	}
}

func TestSplitOperationsNameTheChild(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	split := func(id cluster.RangeID, at cluster.VShard, key string) Result {
		t.Helper()
		return m.command(t, Command{CreateOperation: &CreateOperation{Operation: cluster.Operation{
			Spec: cluster.OperationSpec{Kind: cluster.OpSplit, Range: id, At: at.Key()}, Child: 99, IdempotencyKey: key,
		}}})
	}
	first := split(2, 100, "")
	if first.Refusal != nil || first.Operation.Child != 4 {
		t.Fatalf("first split: %+v, want the child r4", first)
	}
	if r := split(2, 100, ""); !r.Existed || r.Operation.ID != first.Operation.ID {
		t.Errorf("the same again: %+v, want %s", r, first.Operation.ID)
	}
	if r := split(2, 200, ""); r.Refusal == nil || r.Refusal.Code != CodeConflict {
		t.Errorf("another boundary while it runs: %+v, want a conflict", r)
	}
	if r := split(3, 600, ""); r.Refusal != nil || r.Operation.Child != 5 {
		t.Errorf("another range: %+v, want the child r5", r)
	}
	for name, r := range map[string]Result{
		"meta range": split(1, 5, ""), "the start": split(3, 512, "k1"), "the end": split(2, 512, "k2"), "no range": split(77, 5, ""),
	} {
		if r.Refusal == nil {
			t.Errorf("%s: %+v, want it refused", name, r)
		}
	}
	end := *first.Operation
	end.State, end.Child = cluster.OpCancelled, 0
	if r := m.command(t, Command{UpdateOperation: &UpdateOperation{Operation: end}}); r.Refusal != nil || r.Operation.Child != 4 {
		t.Errorf("the end of it: %+v, want the child kept", r)
	}
	if r := split(2, 100, ""); r.Operation == nil || r.Operation.Child != 6 {
		t.Errorf("a new one: %+v, want the child r6: ids never return", r)
	}
}

// TestNobodyLeavesUnderAnUnknownRange refuses to decommission a node while some
// vshards belong to a range that the meta range has not heard of: it may be there.
func TestNobodyLeavesUnderAnUnknownRange(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	for _, c := range []Command{
		{CreateJoinToken: &CreateJoinToken{ID: "j", Hash: []byte{1}, Uses: 1, ExpiresAt: m.clock.Add(1e12)}},
		{AddNode: &AddNode{UUID: "u2", TokenID: "j", TokenHash: []byte{1}, KeyHash: []byte{2}}},
		{SetMembership: &SetMembership{Nodes: []cluster.NodeID{2}, To: cluster.Decommissioning}},
		{UpdateRanges: &UpdateRanges{Descriptors: []cluster.RangeDescriptor{{ID: 3, Start: cluster.VShard(512).Key(), End: cluster.VShard(600).Key(), Generation: 2, NextReplica: 2}}}},
	} {
		if r := m.command(t, c); r.Refusal != nil {
			t.Fatal(r.Refusal)
		}
	}
	leave := Command{SetMembership: &SetMembership{Nodes: []cluster.NodeID{2}, To: cluster.Decommissioned}}
	if r := m.command(t, leave); r.Refusal == nil || r.Refusal.Code != CodeReferenced {
		t.Errorf("%+v, want it refused", r)
	}
	child := cluster.RangeDescriptor{ID: 9, Parent: 3, Start: cluster.VShard(600).Key(), End: cluster.VShard(1024).Key(), Generation: 2, NextReplica: 2}
	m.command(t, Command{UpdateRanges: &UpdateRanges{Descriptors: []cluster.RangeDescriptor{child}}})
	if ids := m.View().RangeIDs(); !slices.Contains(ids, 9) {
		t.Fatalf("ranges %v", ids)
	}
	if r := m.command(t, leave); r.Refusal != nil {
		t.Errorf("refused: %s", r.Refusal.Message)
	}
}
