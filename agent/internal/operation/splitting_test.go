package operation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// split splits a range as its leader does; the meta range hears of it later.
func (r *rig) split(a Action) Completion {
	x := r.ranges[a.Range]
	switch {
	case x.leader != a.To || !r.quorum(&x.desc):
		return Completion{Err: errors.New("not the leader")}
	case a.Split.Expect != x.desc.Generation:
		return Completion{Err: fmt.Errorf("stale: generation %d", x.desc.Generation)}
	case !x.desc.Inside(a.Split.At) || r.ranges[a.Split.Child] != nil:
		r.t.Errorf("%s: split %+v cannot be", a.Range, a.Split)
	}
	child := *x.desc.Clone()
	child.ID, child.Parent, child.Start = a.Split.Child, a.Range, a.Split.At
	child.Generation++
	x.desc.End, x.desc.Generation = a.Split.At, child.Generation
	x.unsaid, x.sayAfter, x.load = true, r.now.Add(time.Duration(r.rng.IntN(20))*tick), nil
	y := &fakeRange{desc: child, leader: x.leader, term: 5, commit: 100, match: map[cluster.NodeID]uint64{}, unsaid: true, sayAfter: r.now.Add(time.Duration(r.rng.IntN(20)) * tick)}
	r.ranges[child.ID] = y
	for _, rep := range child.Replicas {
		y.match[rep.Node] = y.commit
		r.nodes[rep.Node].held[child.ID] = rep.Replica
	}
	return Completion{Descriptors: []cluster.RangeDescriptor{*x.desc.Clone(), *child.Clone()}}
}

func splitOf(id cluster.RangeID, at cluster.VShard) cluster.OperationSpec {
	return cluster.OperationSpec{Kind: cluster.OpSplit, Range: id, At: at.Key()}
}

func TestSplitOperation(t *testing.T) {
	for seed := range uint64(10) {
		r := newRig(t, seed, 4, 4, 4)
		id := r.start(splitOf(3, 300))
		if seed%2 == 1 {
			r.kill(r.ranges[3].leader)
		}
		if seed%3 == 1 {
			r.ranges[cluster.MetaRangeID].leader = 2 // another coordinator goes on
		}
		r.until("split", time.Minute, r.ended(id))
		op := r.op(id)
		parent, child := r.view().Ranges.Get(3), r.view().Ranges.Get(op.Child)
		if op.State != cluster.OpSucceeded || parent.End != cluster.VShard(300).Key() || child == nil || child.Start != cluster.VShard(300).Key() || child.End != cluster.VShard(512).Key() {
			t.Fatalf("seed %d: %s (%s): %+v and %+v", seed, op.State, op.Why, parent, child)
		}
		if !strings.Contains(op.Why, "r3 has the keys [256,300), r") {
			t.Errorf("it says %q", op.Why)
		}
		late := r.propose(metastate.Command{By: "test", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{Spec: splitOf(3, 300)}}})
		if late.Refusal == nil {
			t.Errorf("the same boundary again: %+v, want it refused", late)
		}
	}
}

func TestSplitWaitsForItsRange(t *testing.T) {
	r := newRig(t, 3, 4, 4, 4)
	x := r.ranges[3]
	for _, rep := range x.desc.Replicas[:2] {
		r.kill(rep.Node)
	}
	id := r.start(splitOf(3, 300))
	r.until("blocked", time.Minute, func() bool { return r.op(id).State == cluster.OpBlocked })
	if why := r.op(id).Why; !strings.Contains(why, "no leader") {
		t.Errorf("blocked because %q", why)
	}
	r.must(metastate.Command{By: "test", RequestCancel: &metastate.RequestCancel{ID: id}})
	r.until("cancelled", time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpCancelled || x.desc.End != cluster.VShard(512).Key() {
		t.Errorf("%s, and the range ends at %s", op.State, x.desc.End)
	}
}

// TestDecommissionWithSplits splits ranges while a node is decommissioned: its
// proof covers all that there are at its end.
func TestDecommissionWithSplits(t *testing.T) {
	for seed := range uint64(10) {
		r := newRig(t, seed, 5, 5, 6)
		id := r.start(decommission(4))
		for i := range 4 {
			for range 10 + r.rng.IntN(30) {
				r.advance()
			}
			d := r.view().Ranges.Get(cluster.RangeID(2 + i))
			r.propose(metastate.Command{By: "test", CreateOperation: &metastate.CreateOperation{
				Operation: cluster.Operation{Spec: splitOf(d.ID, (d.Start.VShard()+d.End.VShard())/2), State: cluster.OpQueued},
			}})
		}
		r.until("decommission", 4*time.Minute, r.ended(id))
		if op := r.op(id); op.State != cluster.OpSucceeded || op.Proof == nil || op.Proof.Descriptors < 7 || op.Proof.References != 0 {
			t.Fatalf("seed %d: %s (%s), proof %+v", seed, op.State, op.Why, op.Proof)
		}
		for rid, x := range r.ranges {
			if _, ok := x.desc.On(4); ok {
				t.Errorf("seed %d: %s still has a replica on n4", seed, rid)
			}
		}
	}
}

func TestHotRangesAreSplit(t *testing.T) {
	r := newRig(t, 5, 4, 4, 4)
	splits := func() (n int) {
		for _, op := range r.view().Operations {
			if op.Spec.Kind == cluster.OpSplit {
				n++
			}
		}
		return n
	}
	wait := func(d time.Duration) {
		for range int(d / tick) {
			r.advance()
		}
	}
	hot := &cluster.RangeLoad{Rate: 5000, Middle: cluster.VShard(300).Key(), Left: 0.5}
	r.ranges[4].load = &cluster.RangeLoad{Rate: 9000, Middle: cluster.VShard(600).Key(), Left: 0.97} // one vshard has it all
	r.ranges[5].load = &cluster.RangeLoad{Rate: 2000, Middle: cluster.VShard(800).Key(), Left: 0.5}  // below the threshold
	r.must(metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingRebalance, Value: metastate.RebalanceOff}})
	r.ranges[3].load = hot
	wait(time.Minute)
	if n := splits(); n != 0 {
		t.Fatalf("%d splits while the policy is off", n)
	}
	r.must(metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingRebalance, Value: metastate.RebalanceAuto}})
	wait(5 * time.Second)
	if n := splits(); n != 0 {
		t.Fatalf("%d splits after 5 s: a peak is not enough", n)
	}
	r.until("split of r3", time.Minute, func() bool { return r.ranges[3].desc.End == cluster.VShard(300).Key() })
	r.ranges[3].load = &cluster.RangeLoad{Rate: 5000, Middle: cluster.VShard(280).Key(), Left: 0.5} // still hot: smoothed
	wait(30 * time.Second)
	if n := splits(); n != 1 {
		t.Errorf("%d splits within the cooldown, want 1", n)
	}
	r.until("the next split of r3", 3*time.Minute, func() bool { return r.ranges[3].desc.End == cluster.VShard(280).Key() })
	for _, op := range r.view().Operations {
		if op.Spec.Kind == cluster.OpSplit && (op.RequestedBy != "coordinator" || !strings.Contains(op.Reason, "rows per second") || op.Spec.Range != 3) {
			t.Errorf("operation %+v", op)
		}
	}
	r.must(metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingSplitLoad, Value: "0"}})
	r.ranges[2].load = &cluster.RangeLoad{Rate: 50000, Middle: cluster.VShard(100).Key(), Left: 0.5}
	was := splits()
	wait(2 * time.Minute)
	if n := splits(); n != was {
		t.Errorf("%d splits more although the threshold is 0", n-was)
	}
}

// TestLargeRangesAreSplit has the cluster split what is larger than the limit, where
// the leader finds the middle: one at a time, at a row too, and not for ever what
// has no middle.
func TestLargeRangesAreSplit(t *testing.T) {
	r := newRig(t, 3, 4, 4, 4)
	row := cluster.VShard(300).Key() + "\x00\x00\x00\x00\x00\x00\x00\x07\x00k\x00"
	asked := map[cluster.RangeID]int{}
	r.middle = func(id cluster.RangeID) cluster.Key {
		asked[id]++
		if id == 3 {
			return row
		}
		return ""
	}
	r.ranges[3].bytes, r.ranges[4].bytes = 3<<20, 2<<20
	for range int(time.Minute / tick) {
		r.advance()
	}
	if len(asked) > 0 {
		t.Fatalf("asked for middles %v while all ranges are small", asked)
	}
	r.must(metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingRangeMaxBytes, Value: "1048576"}})
	r.until("split of r3", 2*time.Minute, func() bool { return r.ranges[3].desc.End == row })
	r.ranges[3].bytes = 1 << 19
	r.until("a look for the middle of r4", 2*time.Minute, func() bool { return asked[4] > 0 })
	for range int(3 * time.Minute / tick) {
		r.advance()
	}
	if asked[4] != 1 {
		t.Errorf("the middle of r4 was looked for %d times, and there is none", asked[4])
	}
	r.ranges[4].bytes = 5 << 20
	r.until("another look for the middle of r4", 2*time.Minute, func() bool { return asked[4] > 1 })
	n := 0
	for _, op := range r.view().Operations {
		if op.Spec.Kind == cluster.OpSplit {
			if n++; op.Spec.Range != 3 || op.RequestedBy != "coordinator" || !strings.Contains(op.Reason, "size: ") {
				t.Errorf("operation %+v", op)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d splits, want 1", n)
	}
}
