package operation

import (
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// until lets time pass until done says so.
func (r *rig) until(what string, limit time.Duration, done func() bool) {
	r.t.Helper()
	end := r.now.Add(limit)
	for !done() {
		if r.now.After(end) || r.t.Failed() {
			r.dump()
			r.t.Fatalf("%s: not within %s", what, limit)
		}
		r.advance()
	}
}

func (r *rig) ended(id string) func() bool {
	return func() bool { return r.op(id).State.Final() }
}

// rest lets time pass until nothing is under way: every range is whole, and
// nothing is left on a node that no descriptor names.
func (r *rig) rest(limit time.Duration) {
	r.t.Helper()
	calm := 0
	r.until("the cluster comes to rest", limit, func() bool {
		calm++
		if !r.whole() {
			calm = 0
		}
		return calm > 30
	})
}

func (r *rig) whole() bool {
	active := 0
	for _, n := range r.view().Nodes {
		if n.Membership == cluster.Active {
			active++
		}
	}
	for id, x := range r.ranges {
		d := &x.desc
		if r.view().Removed[id] != nil {
			continue
		}
		voters := min(3, active)
		if id == cluster.MetaRangeID {
			voters = map[bool]int{true: 5, false: 3}[active >= 5]
			if active < 3 {
				voters = 1
			}
		}
		if d.Joint() || len(d.Voters()) != voters || x.leader == 0 || id != cluster.MetaRangeID && len(d.Learners()) > 0 {
			return false
		}
	}
	for id, n := range r.nodes {
		for rid, replica := range n.held {
			// Room made for a replica that was never added is reused, or goes once its
			// id is given out to another.
			d := &r.ranges[rid].desc
			if _, named := d.On(id); n.up && !named && replica < d.NextReplica {
				return false
			}
		}
	}
	return len(r.pending) <= 2
}

// gone checks what a decommission promises.
func (r *rig) gone(op string, nodes ...cluster.NodeID) {
	r.t.Helper()
	o := r.op(op)
	if o.State != cluster.OpSucceeded || o.Proof == nil || o.Proof.References != 0 || o.Proof.Descriptors != len(r.ranges) || o.Proof.Leaders != len(r.ranges) {
		r.dump()
		r.t.Fatalf("operation: %+v proof %+v", o, o.Proof)
	}
	for _, id := range nodes {
		n := r.view().Nodes[id]
		if n.Membership != cluster.Decommissioned || n.Tombstone == nil || n.Tombstone.Operation != op {
			r.t.Errorf("%s: %s, tombstone %+v", id, n.Membership, n.Tombstone)
		}
		for rid, x := range r.ranges {
			if _, ok := x.desc.On(id); ok {
				r.t.Errorf("%s still holds %s", id, rid)
			}
		}
	}
}

func (r *rig) dump() {
	r.t.Helper()
	for _, line := range r.log[max(0, len(r.log)-60):] {
		r.t.Log(line)
	}
	for _, id := range sorted(r.ranges) {
		x := r.ranges[id]
		r.t.Logf("%s gen %d leader %s term %d commit %d %v", id, x.desc.Generation, x.leader, x.term, x.commit, x.desc.Replicas)
	}
	for _, id := range sorted(r.nodes) {
		n := r.nodes[id]
		r.t.Logf("%s up %v %s %s holds %v", id, n.up, r.view().Nodes[id].Membership, n.service, n.held)
	}
	for _, id := range r.view().OperationIDs() {
		o := r.view().Operations[id]
		r.t.Logf("%s %s %v: %s %s %q items %+v", id, o.Spec.Kind, o.Spec.Nodes, o.State, o.Phase, o.Why, o.Items)
	}
	if c := r.nodes[r.coordinator]; c != nil && c.ctl != nil {
		for _, id := range sorted(c.ctl.moves) {
			r.t.Logf("move %+v", *c.ctl.moves[id])
		}
	}
	if len(r.pending) > 0 {
		p := slices.MinFunc(r.pending, func(a, b *pending) int { return a.due.Compare(b.due) })
		r.t.Logf("next action %+v", p.action)
	}
}

// TestAClockThatIsPutRight: what the coordinator put off while its clock was an hour
// ahead is not put off for an hour.
func TestAClockThatIsPutRight(t *testing.T) {
	for seed := range uint64(5) {
		r := newRig(t, seed, 5, 5, 12)
		r.rest(time.Minute)
		r.skew = time.Hour
		r.pass(20 * time.Second)
		id := r.start(decommission(5))
		r.until("a transfer has ended", time.Minute, func() bool {
			for _, h := range r.nodes[r.ranges[cluster.MetaRangeID].leader].ctl.transfers {
				if h.op == id && h.inflight == 0 {
					return true
				}
			}
			return false
		})
		r.skew = 0
		r.until("it ends", 10*time.Minute, func() bool { return r.op(id).State.Final() })
		if got := r.op(id).State; got != cluster.OpSucceeded {
			t.Errorf("seed %d: %s", seed, got)
		}
	}
}
