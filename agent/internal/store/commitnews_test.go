package store

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestCommitsAreToldAtATick: a write is answered before followers know that it is
// committed; they learn it with the next write, or at the next tick, heartbeat or not.
func TestCommitsAreToldAtATick(t *testing.T) {
	for name, heartbeat := range map[string]int{"by the heartbeat": 1, "by themselves": 8} {
		t.Run(name, func(t *testing.T) {
			x := newTrio(t, func(cfg *Config) { cfg.HeartbeatTicks = heartbeat })
			x.write()
			before := x.sent
			done := x.propose()
			x.deliver()
			// An append to each follower, and the answer of each.
			if got := x.sent - before; !*done || got != 4 {
				t.Errorf("a write is answered: %t, after %d batches, want 4", *done, got)
			}
			if got := x.behind(); got != 2 {
				t.Errorf("%d followers are behind before a tick, want 2", got)
			}
			done = x.propose()
			x.deliver()
			for _, n := range x.nodes {
				if st, _ := n.c.RangeStatus(2); !*done || st.Applied+1 < x.applied() {
					t.Errorf("n%d has applied %d, the leader %d", n.id, st.Applied, x.applied())
				}
			}
			x.tick()
			if got := x.behind(); got != 0 {
				t.Errorf("%d followers are behind after a tick", got)
			}
		})
	}
}

// TestChangesAreToldAtOnce: nodes act upon changes of the replicas and splits when
// they apply them.
func TestChangesAreToldAtOnce(t *testing.T) {
	x := newTrio(t, func(cfg *Config) { cfg.HeartbeatTicks = 8 })
	x.write()
	d := x.leader().r.Descriptor()
	x.leading().ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 9, Expect: d.Generation}, func(o replica.Outcome) { x.must(o.Err) })
	x.deliver()
	if got := x.behind(); got != 0 {
		t.Errorf("%d followers have not heard of a change", got)
	}
	x.leading().Split(2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 99, Expect: d.Generation + 1}, func(o replica.Outcome) { x.must(o.Err) })
	x.deliver()
	if got := x.behind(); got != 0 {
		t.Errorf("%d followers have not heard of a split", got)
	}
}

// applied is how far the leader is.
func (x *trio) applied() uint64 {
	st, _ := x.leading().RangeStatus(2)
	return st.Applied
}

// behind counts the nodes that have applied less than the leader.
func (x *trio) behind() (n int) {
	for _, of := range x.nodes {
		if st, _ := of.c.RangeStatus(2); st.Applied < x.applied() {
			n++
		}
	}
	return n
}
