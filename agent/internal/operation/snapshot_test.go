package operation

import (
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestCaughtUp: under load many entries are on their way; what counts is whether
// a replica holds what was committed a moment ago.
func TestCaughtUp(t *testing.T) {
	d := cluster.RangeDescriptor{ID: 2, Generation: 1, NextReplica: 4}
	for i := range 3 {
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(i + 1), Replica: cluster.ReplicaID(i + 1), Role: cluster.Voter})
	}
	for _, c := range []struct {
		name            string
		commit, settled uint64
		match           uint64
		want            bool
	}{
		{"a few entries on their way", 1000, 0, 950, true},
		{"many, and the leader is new", 1000, 0, 500, false},
		{"many, all of the last moment", 10000, 4000, 4000, true},
		{"older ones too", 10000, 4000, 3999, false},
		{"nothing is known of it", 10, 0, 0, false},
	} {
		st := &cluster.RangeStatus{Descriptor: d, Replica: 1, Leader: 1, Term: 3, Commit: c.commit, Settled: c.settled, Progress: []cluster.ReplicaProgress{
			{Node: 2, Match: c.match, Active: true}, {Node: 3, Match: c.commit},
		}}
		if got := slices.Contains(caughtUp(st, &d), 2); got != c.want {
			t.Errorf("%s: caught up %v, want %v", c.name, got, c.want)
		}
		if slices.Contains(caughtUp(st, &d), 3) {
			t.Errorf("%s: a replica that does not answer counts as caught up", c.name)
		}
	}
}
