package operation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// outlook is a world that a lookout looks at: every source changes at random.
type outlook struct {
	rng  *rand.Rand
	src  sources
	next cluster.RangeID
}

func newOutlook(seed uint64) *outlook {
	o := &outlook{rng: rand.New(rand.NewPCG(seed, 11)), next: 2}
	o.src = sources{
		now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), self: 1, fresh: 5 * time.Second,
		view:    &metastate.View{Index: 1, Nodes: map[cluster.NodeID]*cluster.Node{}},
		reports: map[cluster.NodeID]Report{}, liveness: map[cluster.NodeID]cluster.Liveness{}, extra: map[cluster.RangeID][]seen{},
		newer: map[cluster.RangeID]*cluster.RangeDescriptor{}, downSince: map[cluster.NodeID]time.Time{},
	}
	for id := cluster.NodeID(1); id <= 5; id++ {
		o.src.view.Nodes[id] = &cluster.Node{ID: id, Name: id.String(), Membership: cluster.Active}
	}
	for range 8 {
		o.addRange()
	}
	return o
}

// edit changes a copy of the view.
func (o *outlook) edit(fn func(v *metastate.View)) {
	v := *o.src.view
	v.Index++
	v.Nodes = maps.Clone(v.Nodes)
	fn(&v)
	o.src.view = &v
}

func (o *outlook) addRange() {
	id := o.next
	o.next++
	o.edit(func(v *metastate.View) { v.Ranges = v.Ranges.With(o.descriptor(id)) })
}

func (o *outlook) node() cluster.NodeID { return cluster.NodeID(o.rng.IntN(5) + 1) }

func (o *outlook) id() cluster.RangeID { return cluster.RangeID(o.rng.IntN(int(o.next)-2) + 2) } //nolint:gosec // few

func (o *outlook) descriptor(id cluster.RangeID) *cluster.RangeDescriptor {
	d := &cluster.RangeDescriptor{ID: id, Generation: o.rng.Uint64N(8) + 1, NextReplica: cluster.ReplicaID(o.rng.IntN(4) + 3)}
	for i, n := range o.rng.Perm(5)[:3] {
		role := cluster.Voter
		if o.rng.IntN(4) == 0 {
			role = cluster.Learner
		}
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(n + 1), Replica: cluster.ReplicaID(i + 1), Role: role})
	}
	return d
}

func (o *outlook) status(node cluster.NodeID, id cluster.RangeID) *cluster.RangeStatus {
	st := &cluster.RangeStatus{
		Descriptor: *o.descriptor(id), Replica: cluster.ReplicaID(o.rng.IntN(4) + 1), Leader: cluster.NodeID(o.rng.IntN(6)),
		Term: o.rng.Uint64N(3) + 1, Commit: 100, Bytes: o.rng.Uint64N(3),
	}
	if rep, ok := st.Descriptor.On(node); ok && o.rng.IntN(3) > 0 {
		st.Replica, st.Leader = rep.Replica, node
		for _, rep := range st.Descriptor.Replicas {
			st.Progress = append(st.Progress, cluster.ReplicaProgress{Node: rep.Node, Match: 30 + 10*o.rng.Uint64N(8), Active: true})
		}
	}
	if o.rng.IntN(8) == 0 {
		st.Failed = "it has stopped"
	}
	if o.rng.IntN(4) == 0 {
		st.Load = &cluster.RangeLoad{Rate: 100}
	}
	return st
}

// report has a node tell some of its ranges anew, as a Copy of its board would be.
func (o *outlook) report(node cluster.NodeID) {
	old, told := o.src.reports[node].Status, map[cluster.RangeID]*cluster.RangeStatus{}
	if old != nil {
		for _, st := range old.Ranges {
			told[st.Descriptor.ID] = st
		}
	}
	next := &cluster.NodeStatus{Node: node, Service: cluster.Ready, Bytes: o.rng.Uint64N(9)}
	if changes := o.rng.IntN(4); changes > 0 || old == nil {
		for range changes {
			if id := o.id(); o.rng.IntN(4) == 0 {
				delete(told, id)
			} else {
				told[id] = o.status(node, id)
			}
		}
		for _, id := range sorted(told) {
			next.Ranges = append(next.Ranges, told[id])
		}
	} else {
		next.Ranges = old.Ranges
	}
	o.src.reports[node] = Report{Status: next, At: o.src.now}
}

// change makes one of the changes that there are, and forgets what controllers do.
func (o *outlook) change() {
	switch o.rng.IntN(10) {
	case 0, 1, 2:
		o.report(o.node())
	case 3:
		o.src.liveness[o.node()] = []cluster.Liveness{cluster.Alive, cluster.Suspect, cluster.Dead}[o.rng.IntN(3)]
	case 4:
		id := o.id()
		o.src.extra[id] = newest(o.src.extra[id], seen{node: o.node(), at: o.src.now, status: o.status(o.node(), id)})
	case 5:
		id := o.id()
		o.src.newer[id] = o.descriptor(id)
	case 6:
		for id := range o.src.extra {
			if o.rng.IntN(2) == 0 {
				delete(o.src.extra, id)
			}
		}
		for id := range o.src.newer {
			if o.rng.IntN(2) == 0 {
				delete(o.src.newer, id)
			}
		}
	case 7:
		id := o.id()
		o.edit(func(v *metastate.View) {
			if v.Ranges.Get(id) != nil && o.rng.IntN(6) == 0 {
				v.Ranges = v.Ranges.Without(id) // its pool was dropped
			} else {
				v.Ranges = v.Ranges.With(o.descriptor(id))
			}
		})
	case 8:
		if o.rng.IntN(4) == 0 {
			o.addRange()
		}
		delete(o.src.liveness, o.node())
	default:
		if o.rng.IntN(3) == 0 {
			delete(o.src.reports, o.node())
		}
	}
	o.src.now = o.src.now.Add(time.Duration(o.rng.IntN(700)) * time.Millisecond)
}

// fromNothing joins everything anew, without a lookout.
func fromNothing(src *sources) []placement.Range {
	all := map[cluster.RangeID][]seen{}
	for _, id := range sorted(src.reports) {
		if st := src.report(id); st != nil {
			for _, r := range st.Ranges {
				all[r.Descriptor.ID] = append(all[r.Descriptor.ID], seen{node: id, at: src.reports[id].At, status: r})
			}
		}
	}
	for id, list := range src.extra {
		for _, x := range list {
			all[id] = newest(all[id], x)
		}
		slices.SortStableFunc(all[id], func(a, b seen) int { return int(a.node) - int(b.node) })
	}
	var out []placement.Range
	for _, id := range src.view.RangeIDs() {
		out = append(out, src.rangeOf(src.view.Ranges.Get(id), all[id]))
	}
	return out
}

// differs says in what a lookout that has come here step by step differs from one
// that was made from nothing; "": in nothing.
func differs(l *lookout, src *sources) string {
	want := fromNothing(src)
	if len(want) != len(l.snap.Ranges) {
		return fmt.Sprintf("%d ranges, want %d", len(l.snap.Ranges), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(want[i], l.snap.Ranges[i]) {
			return fmt.Sprintf("%s is %+v, want %+v", want[i].Descriptor.ID, l.snap.Ranges[i], want[i])
		}
	}
	fresh := newLookout(Planted{})
	fresh.update(src)
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"nodes", l.snap.Nodes, fresh.snap.Nodes}, {"strays", l.strays, fresh.strays}, {"loads", l.loads, fresh.loads},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			return fmt.Sprintf("%s are %v, want %v", x.what, x.got, x.want)
		}
	}
	for id := range src.view.Nodes {
		if got, want := l.failed[id], fresh.failed[id]; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			return fmt.Sprintf("stopped on %s are %v, want %v", id, got, want)
		}
	}
	return ""
}

// watchOutlook follows a world for some steps and returns the first difference.
func watchOutlook(seed uint64, planted Planted, steps int) string {
	o, l := newOutlook(seed), newLookout(planted)
	for step := range steps {
		for range o.rng.IntN(3) {
			o.change()
		}
		before, was := l.shape, slices.Clone(l.snap.Ranges)
		l.update(&o.src)
		if d := differs(l, &o.src); d != "" {
			return fmt.Sprintf("step %d: %s", step, d)
		}
		if l.shape == before && !slices.EqualFunc(was, l.snap.Ranges, func(a, b placement.Range) bool { return sameShape(&a, &b) }) {
			return fmt.Sprintf("step %d: the shape has changed unseen", step)
		}
	}
	return ""
}

// TestLookoutIsWhatAFreshOneIs: the snapshot that is kept up to date is the one that
// would be made from nothing, through random changes of all sources.
func TestLookoutIsWhatAFreshOneIs(t *testing.T) {
	first := seed.Of(t)
	for seed := first; seed < first+60; seed++ {
		if d := watchOutlook(seed, Planted{}, 300); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}
