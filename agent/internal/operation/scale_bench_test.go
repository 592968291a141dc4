package operation

import (
	"fmt"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// A synthetic cluster of the size that is the goal.
const (
	scaleNodes  = 1000
	scaleRanges = 100_000
)

// vast is a cluster of many nodes and ranges at rest: three replicas each, leaders
// spread evenly, all caught up.
type vast struct {
	view    *metastate.View
	sources map[cluster.NodeID]*statusboard.Source
	copies  map[cluster.NodeID]*statusboard.Copy
	in      Input
	ctl     *Controller
}

func vastDescriptor(id cluster.RangeID, nodes int) *cluster.RangeDescriptor {
	d := &cluster.RangeDescriptor{ID: id, Generation: 4, NextReplica: 4}
	for i := range 3 {
		n := cluster.NodeID((int(id)*7+i*13)%nodes) + 1 //nolint:gosec // few
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: n, Replica: cluster.ReplicaID(i + 1), Role: cluster.Voter})
	}
	return d
}

func newVast(nodes, ranges int) *vast {
	v := &vast{
		view:    &metastate.View{Index: 1, ClusterID: "c", Nodes: map[cluster.NodeID]*cluster.Node{}},
		sources: map[cluster.NodeID]*statusboard.Source{}, copies: map[cluster.NodeID]*statusboard.Copy{}, ctl: NewController(DefaultConfig()),
	}
	v.in = Input{Now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), Self: 1, Term: 7, View: v.view, Reports: map[cluster.NodeID]Report{}, Liveness: map[cluster.NodeID]cluster.Liveness{}}
	for i := range nodes {
		id := cluster.NodeID(i + 1) //nolint:gosec // few
		v.view.Nodes[id] = &cluster.Node{ID: id, Name: id.String(), Membership: cluster.Active, Version: "v1"}
		v.in.Liveness[id] = cluster.Alive
		v.copies[id] = &statusboard.Copy{}
		v.sources[id] = &statusboard.Source{
			Head: func() cluster.NodeStatus {
				return cluster.NodeStatus{Node: id, BootNonce: "a", Service: cluster.Ready, Version: "v1", DiskTotal: 1 << 40}
			},
			Ranges: statusboard.New[cluster.RangeID](statusboard.Ranges()), Peers: statusboard.New[cluster.NodeID](statusboard.Peers()),
		}
		for peer := range min(nodes, 1000) {
			v.sources[id].Peers.Put(cluster.NodeID(peer+1), &cluster.PeerStatus{Liveness: cluster.Alive, Breaker: "closed", RTT: 0.001}) //nolint:gosec // few
		}
	}
	for i := range ranges {
		d := vastDescriptor(cluster.RangeID(i+1), nodes)
		v.view.Ranges = v.view.Ranges.With(d)
		for _, rep := range d.Replicas {
			v.sources[rep.Node].Ranges.Put(d.ID, vastStatus(d, rep, 100))
		}
	}
	for id := range v.sources {
		v.ask(id)
	}
	return v
}

func vastStatus(d *cluster.RangeDescriptor, rep cluster.ReplicaDescriptor, commit uint64) *cluster.RangeStatus {
	st := &cluster.RangeStatus{Descriptor: *d, Replica: rep.Replica, Leader: d.Replicas[0].Node, Term: 7, Commit: commit, Applied: commit, Bytes: 64 << 20, Keys: 1 << 20}
	if rep.Node == st.Leader {
		st.Settled = commit
		for _, to := range d.Replicas[1:] {
			st.Progress = append(st.Progress, cluster.ReplicaProgress{Node: to.Node, Match: commit, Active: true})
		}
	}
	return st
}

// ask takes one node's status in, and returns the bytes of the answer.
func (v *vast) ask(id cluster.NodeID) int {
	a := v.sources[id].Answer(statusboard.Request{Have: v.copies[id].Have(), Brief: true})
	b, err := a.Encode()
	if err != nil {
		panic(err)
	}
	if a, err = statusboard.DecodeAnswer(b); err != nil {
		panic(err)
	}
	st, _, err := v.copies[id].Apply(a)
	if err != nil {
		panic(err)
	}
	v.in.Reports[id] = Report{Status: st, At: v.in.Now}
	return len(b)
}

// write commits to some of the ranges that a node leads.
func (v *vast) write(id cluster.NodeID, ranges int, commit uint64) {
	for _, st := range v.sources[id].Ranges.All() {
		if ranges == 0 {
			return
		}
		if rep, ok := st.Descriptor.On(id); ok && st.Leader == id {
			v.sources[id].Ranges.Put(st.Descriptor.ID, vastStatus(&st.Descriptor, rep, commit))
			ranges--
		}
	}
}

// publish changes one descriptor of the view.
func (v *vast) publish(id cluster.RangeID) {
	next := *v.view
	next.Index++
	d := v.view.Ranges.Get(id).Clone()
	d.Generation++
	next.Ranges = next.Ranges.With(d)
	v.view, v.in.View = &next, &next
}

// settle steps until the first plans are made.
func (v *vast) settle() {
	for range 20 {
		v.step()
	}
}

func (v *vast) step() {
	v.in.Now = v.in.Now.Add(200 * time.Millisecond)
	for id, r := range v.in.Reports {
		r.At = v.in.Now
		v.in.Reports[id] = r
	}
	actions := v.ctl.Step(v.in)
	v.in.Done = nil
	for _, a := range actions {
		v.in.Done = append(v.in.Done, Completion{Action: a, At: v.in.Now})
	}
}

// BenchmarkStatusIntake is one node's status from its boards to the coordinator:
// encoded, decoded, taken in. 300 replicas of 1,000 nodes and 100,000 ranges.
func BenchmarkStatusIntake(b *testing.B) {
	v := newVast(scaleNodes, scaleRanges)
	for _, c := range []struct {
		name    string
		changed int
		whole   bool
	}{{"nothing", 0, false}, {"one-percent", 3, false}, {"all-led", 100, false}, {"whole", 0, true}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			size, commit := 0, uint64(1000)
			for b.Loop() {
				b.StopTimer()
				commit++
				v.write(5, c.changed, commit)
				if c.whole {
					v.copies[5].Forget()
				}
				b.StartTimer()
				size = v.ask(5)
			}
			b.ReportMetric(float64(size), "B/answer")
		})
	}
}

// BenchmarkCoordinator is one step of a coordinator of 1,000 nodes and 100,000
// ranges: nothing changed; 1 % of the ranges committed; one descriptor changed.
func BenchmarkCoordinator(b *testing.B) {
	v := newVast(scaleNodes, scaleRanges)
	v.settle()
	b.Run("idle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.step()
		}
	})
	b.Run("one-percent", func(b *testing.B) {
		b.ReportAllocs()
		commit := uint64(5000)
		for b.Loop() {
			b.StopTimer()
			commit++
			for id := cluster.NodeID(1); id <= scaleNodes; id++ {
				v.write(id, 1, commit)
				v.ask(id)
			}
			b.StartTimer()
			v.step()
		}
	})
	b.Run("one-descriptor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			v.publish(77)
			b.StartTimer()
			v.step()
		}
	})
}

// TestOneChangeIsOneChange counts what one change of one range touches, in a small
// cluster and in one a hundred times as large: the same.
func TestOneChangeIsOneChange(t *testing.T) {
	for _, ranges := range []int{1000, scaleRanges} {
		t.Run(fmt.Sprint(ranges), func(t *testing.T) {
			v := newVast(10, ranges)
			v.settle()
			v.step()
			if n := v.ctl.lookout.joined; n != 0 {
				t.Errorf("nothing changed, and %d ranges are joined anew", n)
			}
			v.write(5, 1, 777)
			a := v.sources[5].Answer(statusboard.Request{Have: v.copies[5].Have(), Brief: true})
			if len(a.Ranges.Changed) != 1 {
				t.Errorf("one range changed, and %d are told", len(a.Ranges.Changed))
			}
			if size := v.ask(5); size > 600 {
				t.Errorf("the answer has %d bytes", size)
			}
			v.step()
			if n := v.ctl.lookout.joined; n != 1 {
				t.Errorf("one range changed, and %d are joined anew", n)
			}
			v.publish(3)
			v.step()
			if n := v.ctl.lookout.joined; n != 1 {
				t.Errorf("one descriptor changed, and %d ranges are joined anew", n)
			}
			commit := uint64(1000)
			if n := testing.AllocsPerRun(20, func() {
				commit++
				first := v.sources[5].Ranges.All()[0]
				rep, _ := first.Descriptor.On(5)
				v.sources[5].Ranges.Put(first.Descriptor.ID, vastStatus(&first.Descriptor, rep, commit))
				v.ask(5)
			}); n > 80 {
				t.Errorf("one change of one node's status makes %v objects", n)
			}
		})
	}
}
