package replica

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/quorum"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// TestThePlannerKnowsRaft walks ranges through random changes of replicas. What the
// planner says a change makes of a range is what the replica makes of it and what
// raft makes of its configuration; and a range has a quorum for the planner when
// raft's own count of votes says so, in both halves of a joint configuration.
func TestThePlannerKnowsRaft(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	refused := 0
	for range 300 {
		d := &cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(16).Key(), Generation: 1, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}}
		for range 60 {
			c := anyChange(rng, d)
			planned, problem := placement.Applied(d, c)
			next, cc, err := planChange(d, c)
			if (problem == "") != (err == nil) {
				t.Fatalf("%+v of %v: the planner says %q, the replica %v", c, d.Replicas, problem, err)
			}
			if err != nil {
				refused++
				continue
			}
			if !reflect.DeepEqual(planned, next) {
				t.Fatalf("%+v of %v: the planner makes %v of it, the replica %v", c, d.Replicas, planned, next)
			}
			config := raftConfig(t, d, cc)
			if want, _ := restored(t, confState(next)); !reflect.DeepEqual(config.Voters, want.Config.Voters) || !sameSet(config.Learners, want.Config.Learners) {
				t.Fatalf("%+v of %v: raft has %v, the descriptor says %v", c, d.Replicas, config, want.Config)
			}
			countVotes(t, rng, next, config.Voters)
			d = next
		}
	}
	t.Logf("%d changes were refused", refused)
	if refused == 0 || refused == 300*60 {
		t.Error("changes that do not fit and changes that do are both wanted")
	}
}

// anyChange draws a change that often fits.
func anyChange(rng *rand.Rand, d *cluster.RangeDescriptor) cluster.ReplicaChange {
	node := func() cluster.NodeID { return cluster.NodeID(1 + rng.IntN(7)) }
	c := cluster.ReplicaChange{Kind: cluster.AddLearner, Expect: d.Generation}
	switch {
	case d.Joint():
		c.Kind = cluster.LeaveJoint
	case rng.IntN(5) == 0:
		c.Kind, c.Remove = cluster.RemoveLearner, node()
	case rng.IntN(2) == 0:
		c.Kind = cluster.ChangeVoters
		for range rng.IntN(3) {
			c.Promote = append(c.Promote, node())
		}
		for range rng.IntN(3) {
			c.Demote = append(c.Demote, node())
		}
	default:
		c.Add = node()
	}
	return c
}

func restored(t *testing.T, cs *pb.ConfState) (tracker.ProgressTracker, uint64) {
	t.Helper()
	tr := tracker.MakeProgressTracker(1, 0)
	cfg, progress, err := confchange.Restore(confchange.Changer{Tracker: tr, LastIndex: 10}, cs)
	if err != nil {
		t.Fatalf("%v: %v", cs, err)
	}
	tr.Config, tr.Progress = cfg, progress
	return tr, 10
}

// raftConfig is raft's configuration after change cc of d.
func raftConfig(t *testing.T, d *cluster.RangeDescriptor, cc *pb.ConfChangeV2) tracker.Config {
	t.Helper()
	tr, last := restored(t, confState(d))
	chg := confchange.Changer{Tracker: tr, LastIndex: last}
	var cfg tracker.Config
	var err error
	switch {
	case len(cc.GetChanges()) == 0:
		cfg, _, err = chg.LeaveJoint()
	case cc.GetTransition() == pb.ConfChangeTransitionJointExplicit:
		cfg, _, err = chg.EnterJoint(false, cc.GetChanges()...)
	default:
		cfg, _, err = chg.Simple(cc.GetChanges()...)
	}
	if err != nil {
		t.Fatalf("raft refuses %v of %v: %v", cc, d.Replicas, err)
	}
	return cfg
}

func sameSet(a, b map[uint64]struct{}) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

// countVotes lets random nodes be alive and asks both whether they are a quorum.
func countVotes(t *testing.T, rng *rand.Rand, d *cluster.RangeDescriptor, voters quorum.JointConfig) {
	t.Helper()
	s := &placement.Snapshot{Ranges: []placement.Range{{Descriptor: *d}}}
	votes := map[uint64]bool{}
	for id := cluster.NodeID(1); id <= 7; id++ {
		n := placement.Node{ID: id, Membership: cluster.Active, Liveness: cluster.Dead}
		if rng.IntN(3) > 0 {
			n.Liveness = cluster.Alive
		}
		if r, ok := d.On(id); ok {
			votes[uint64(r.Replica)] = n.Live()
		}
		s.Nodes = append(s.Nodes, n)
	}
	s.Sort()
	if got, want := s.HasQuorum(s.Range(2)), voters.VoteResult(votes) == quorum.VoteWon; got != want {
		t.Fatalf("%v with the votes %v: the planner says %v, raft %v", d.Replicas, votes, got, want)
	}
}
