package replica

import (
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// planChange computes what a change makes of a descriptor, and raft's form of
// it. It is a pure function: the leader asks before it proposes, every replica
// again when it applies.
func planChange(d *cluster.RangeDescriptor, c cluster.ReplicaChange) (*cluster.RangeDescriptor, *pb.ConfChangeV2, error) {
	if c.Expect != d.Generation {
		return nil, nil, &StaleDescriptorError{Current: *d.Clone()}
	}
	if d.Joint() != (c.Kind == cluster.LeaveJoint) {
		return nil, nil, invalid(d, "a range between two configurations can only leave that state, and only such a range can")
	}
	next := d.Clone()
	next.Generation++
	var cc *pb.ConfChangeV2
	var err error
	switch c.Kind {
	case cluster.AddLearner:
		cc, err = addLearner(next, c.Add)
	case cluster.ChangeVoters:
		cc, err = changeVoters(next, c.Promote, c.Demote)
	case cluster.LeaveJoint:
		cc = leaveJoint(next)
	case cluster.RemoveLearner:
		cc, err = removeLearner(next, c.Remove)
	default:
		err = invalid(d, fmt.Sprintf("%q is no change of replicas", c.Kind))
	}
	return next, cc, err
}

func invalid(d *cluster.RangeDescriptor, reason string) error {
	return &InvalidChangeError{Range: d.ID, Reason: reason}
}

func addLearner(d *cluster.RangeDescriptor, n cluster.NodeID) (*pb.ConfChangeV2, error) {
	if _, ok := d.On(n); ok || n == 0 {
		return nil, invalid(d, fmt.Sprintf("%s holds a replica already", n))
	}
	id := d.NextReplica
	d.NextReplica++
	d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: n, Replica: id, Role: cluster.Learner})
	return simple(pb.ConfChangeAddLearnerNode, id), nil
}

// changeVoters enters a joint configuration in which learners become voters and
// voters learners, all at once. A simple change would do for one voter; one shape
// for all is easier to be sure of.
func changeVoters(d *cluster.RangeDescriptor, promote, demote []cluster.NodeID) (*pb.ConfChangeV2, error) {
	var cs []*pb.ConfChangeSingle
	for _, n := range promote {
		id, err := setRole(d, n, cluster.Learner, cluster.VoterIncoming)
		if err != nil {
			return nil, err
		}
		cs = append(cs, change(pb.ConfChangeAddNode, id))
	}
	for _, n := range demote {
		id, err := setRole(d, n, cluster.Voter, cluster.VoterOutgoing)
		if err != nil {
			return nil, err
		}
		cs = append(cs, change(pb.ConfChangeAddLearnerNode, id))
	}
	if len(cs) == 0 {
		return nil, invalid(d, "no voter was named that would come or go")
	}
	if !slices.ContainsFunc(d.Replicas, func(r cluster.ReplicaDescriptor) bool {
		return r.Role == cluster.Voter || r.Role == cluster.VoterIncoming
	}) {
		return nil, invalid(d, "the last voter cannot be demoted")
	}
	return joint(cs...), nil
}

func leaveJoint(d *cluster.RangeDescriptor) *pb.ConfChangeV2 {
	for i := range d.Replicas {
		switch r := &d.Replicas[i]; r.Role {
		case cluster.VoterIncoming:
			r.Role = cluster.Voter
		case cluster.VoterOutgoing:
			r.Role = cluster.Learner
		case cluster.Voter, cluster.Learner:
		}
	}
	return &pb.ConfChangeV2{}
}

func removeLearner(d *cluster.RangeDescriptor, n cluster.NodeID) (*pb.ConfChangeV2, error) {
	r, ok := d.On(n)
	if !ok || r.Role != cluster.Learner {
		return nil, invalid(d, fmt.Sprintf("%s holds no learner", n))
	}
	d.Replicas = slices.DeleteFunc(d.Replicas, func(o cluster.ReplicaDescriptor) bool { return o.Node == n })
	return simple(pb.ConfChangeRemoveNode, r.Replica), nil
}

func setRole(d *cluster.RangeDescriptor, n cluster.NodeID, from, to cluster.ReplicaRole) (cluster.ReplicaID, error) {
	for i := range d.Replicas {
		if r := &d.Replicas[i]; r.Node == n && r.Role == from {
			r.Role = to
			return r.Replica, nil
		}
	}
	return 0, invalid(d, fmt.Sprintf("%s holds no %s", n, from))
}

func change(kind pb.ConfChangeType, id cluster.ReplicaID) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(uint64(id))}
}

func simple(kind pb.ConfChangeType, id cluster.ReplicaID) *pb.ConfChangeV2 {
	return &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{change(kind, id)}}
}

// joint enters a joint configuration that only we leave: raft would leave one
// of its own accord while the leader is the one that goes.
func joint(cs ...*pb.ConfChangeSingle) *pb.ConfChangeV2 {
	return &pb.ConfChangeV2{Transition: pb.ConfChangeTransitionJointExplicit.Enum(), Changes: cs}
}

// confState is raft's form of a descriptor.
func confState(d *cluster.RangeDescriptor) *pb.ConfState {
	cs := &pb.ConfState{}
	isJoint := d.Joint()
	for _, r := range d.Replicas {
		id := uint64(r.Replica)
		switch r.Role {
		case cluster.Voter:
			cs.Voters = append(cs.Voters, id)
			if isJoint {
				cs.VotersOutgoing = append(cs.VotersOutgoing, id)
			}
		case cluster.VoterIncoming:
			cs.Voters = append(cs.Voters, id)
		case cluster.VoterOutgoing:
			cs.VotersOutgoing = append(cs.VotersOutgoing, id)
			cs.LearnersNext = append(cs.LearnersNext, id)
		case cluster.Learner:
			cs.Learners = append(cs.Learners, id)
		}
	}
	return cs
}
