package placement_test

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// TestLeaderlessPasses: a range that was made just now has a quorum and a leader
// that has not told yet. That is waited for; it is no lack of voters.
func TestLeaderlessPasses(t *testing.T) {
	s := &placement.Snapshot{MaxDisk: 0.8, Rate: 64 << 20}
	for id := cluster.NodeID(1); id <= 3; id++ {
		s.Nodes = append(s.Nodes, placement.Node{ID: id, Membership: cluster.Active, Liveness: cluster.Alive, Service: cluster.Ready, Reported: true, DiskTotal: 1 << 40})
	}
	s.Pools = []cluster.Pool{{Name: cluster.DefaultPoolName, PoolSpec: cluster.PoolSpec{Replicas: 3}, State: cluster.PoolReady}}
	s.Ranges = []placement.Range{{Descriptor: cluster.RangeDescriptor{
		ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(cluster.VShards).Key(), Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}},
	}}}
	_, v := placement.Make(s, placement.Intent{Goal: placement.GoalPool})
	if text := v.String(); !v.Passes() || !strings.Contains(text, "no leader is known of 1 range yet, r2 first") || strings.Contains(text, string(placement.QuorumAtRisk)) {
		t.Errorf("passes %v: %s", v.Passes(), text)
	}
	s.Nodes[0].Liveness = cluster.Dead
	_, v = placement.Make(s, placement.Intent{Goal: placement.GoalPool})
	if last := v.Refusals[len(v.Refusals)-1]; v.Passes() || last.Code != placement.QuorumAtRisk || !strings.Contains(last.Why, "0 of 1 voter would be left, 1 is needed (not alive n1)") {
		t.Errorf("passes %v: %+v", v.Passes(), v.Refusals)
	}
}
