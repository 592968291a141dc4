package placement

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// slowCluster is one range on n1, n2 and n3, led by n1, all of them well.
func slowCluster() *Snapshot {
	s := &Snapshot{}
	r := Range{Leader: 1, Caught: []cluster.NodeID{1, 2, 3}, Descriptor: cluster.RangeDescriptor{ID: 2, Generation: 1, Start: cluster.VShard(0).Key(), End: cluster.VShard(64).Key()}}
	for id := cluster.NodeID(1); id <= 3; id++ {
		s.Nodes = append(s.Nodes, Node{ID: id, Membership: cluster.Active, Liveness: cluster.Alive, Service: cluster.Ready, Reported: true})
		r.Descriptor.Replicas = append(r.Descriptor.Replicas, cluster.ReplicaDescriptor{Node: id, Replica: cluster.ReplicaID(id), Role: cluster.Voter})
	}
	s.Ranges = []Range{r}
	return s.Sort()
}

func handedTo(s *Snapshot) cluster.NodeID {
	plan, _ := Make(s, Intent{Goal: GoalHandOff})
	for _, t := range plan.Transfers {
		return t.To
	}
	return 0
}

func TestLeadershipsPreferDisksThatAreNotSlow(t *testing.T) {
	s := slowCluster()
	if to := handedTo(s); to != 0 {
		t.Errorf("handed to %s while all disks are well", to)
	}
	s.Nodes[0].SlowDisk, s.Nodes[1].SlowDisk = true, true
	if to := handedTo(s); to != 3 {
		t.Errorf("handed to %s, want n3: the only disk that is not slow", to)
	}
	if why := SafeTransfer(s, &s.Ranges[0], 2); why == "" {
		t.Error("a leadership may go from one slow disk to another: it would go to and fro")
	}
	s.Nodes[2].SlowDisk = true
	if to := handedTo(s); to != 0 {
		t.Errorf("handed to %s while all disks are slow", to)
	}
	s.Nodes[0].Service = cluster.Draining
	if to := handedTo(s); to != 2 {
		t.Errorf("handed to %s while n1 drains, want n2: a slow leader is better than none", to)
	}
}
