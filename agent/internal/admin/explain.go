package admin

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// ExplainMember implements adminpb.AdminHandler.
func (s *service) ExplainMember(ctx context.Context, r *adminpb.ExplainMemberRequest) (*adminpb.ExplainMemberResponse, error) {
	id := cluster.NodeID(r.GetNode())
	if s.backend.View().Nodes[id] == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no node %s", id)}
	}
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ExplainMemberResponse{AsOf: look.asOf(), Member: look.member(look.View.Nodes[id], sortedKeys(look.Statuses), words{}), Flaps: uint32(look.flapped[id])}
	pings := s.backend.Pings(ctx, perNode(r.GetNodeTimeout()))
	out.Support = supports(pings, id)
	for _, from := range sortedKeys(pings) {
		if p, ok := pings[from].Peers[id]; ok && from != id {
			out.Doubts = append(out.Doubts, doubtProto(from, p))
		}
	}
	for i := len(look.View.Events) - 1; i >= 0; i-- {
		switch e := look.View.Events[i]; e.Kind {
		case cluster.EventNodeAlive, cluster.EventNodeSuspect, cluster.EventNodeDead, cluster.EventNodeLeft, cluster.EventNodeStarted, cluster.EventStoreBehind, cluster.EventVersionRefused,
			cluster.EventBreakerOpen, cluster.EventBreakerClosed, cluster.EventClockStepped, cluster.EventClockAhead:
			if e.Node == id {
				out.Transitions = append(out.Transitions, eventProto(e))
			}
		}
	}
	return out, nil
}

func doubtProto(from cluster.NodeID, p cluster.PeerStatus) *adminpb.Doubt {
	d := &adminpb.Doubt{
		Observer: uint32(from), Liveness: string(p.Liveness), Since: timestamp(p.Since), Cause: p.Cause, Rtt: p.RTT, LastPing: timestamp(p.LastPing),
		Breaker: p.Breaker, BreakerSince: timestamp(p.BreakerSince), LastError: p.LastError, ClockOffset: p.ClockOffset,
	}
	if p.Breaker == "open" && p.Liveness == cluster.Alive {
		d.Cause = fmt.Sprintf("gossip hears it, but %d calls in a row did not get through: %s", p.Failures, p.LastError)
	}
	return d
}

// memberList is each member as the others see it. It is made once for all that ask
// while they see the same: of a thousand nodes it is a million words.
func (s *sight) memberList() []*adminpb.Member {
	s.roster.once.Do(func() {
		words := words{}
		from := sortedKeys(s.Statuses)
		for _, n := range s.members() {
			s.roster.list = append(s.roster.list, s.member(n, from, words))
		}
	})
	return s.roster.list
}

// words are what nodes say, each once: they are shared, as most say the same of all.
type words map[word]*adminpb.Observation

type word struct {
	from     cluster.NodeID
	liveness cluster.Liveness
}

func (w words) of(from cluster.NodeID, l cluster.Liveness) *adminpb.Observation {
	at := word{from, l}
	if w[at] == nil {
		w[at] = &adminpb.Observation{Node: uint32(from), Liveness: string(l)}
	}
	return w[at]
}

// member is n as the nodes from, ascending, see it.
func (s *sight) member(n *cluster.Node, from []cluster.NodeID, words words) *adminpb.Member {
	m := &adminpb.Member{
		Node: uint32(n.ID), Name: n.Name, GossipAddress: n.Addresses.Gossip, Liveness: string(s.liveness(n.ID)),
		SeenBy: make([]*adminpb.Observation, 0, len(from)),
	}
	for _, id := range from {
		if p, ok := s.peers[id].of[n.ID]; ok && p.Liveness != "" && id != n.ID {
			m.SeenBy = append(m.SeenBy, words.of(id, p.Liveness))
		}
	}
	return m
}

// InspectRaft implements adminpb.AdminHandler.
func (s *service) InspectRaft(ctx context.Context, r *adminpb.InspectRaftRequest) (*adminpb.InspectRaftResponse, error) {
	id := cluster.RangeID(r.GetRange())
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	if f := look.find(id); f != nil {
		return &adminpb.InspectRaftResponse{AsOf: look.asOf(), Range: f.show(), Replicas: s.raftStates(ctx, f, r.GetNodeTimeout())}, nil
	}
	return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no range %s", id)}
}

// raftStates asks every node that should hold the range, or says that it does.
func (s *service) raftStates(ctx context.Context, f *rangeSight, perNode float64) []*adminpb.RaftState {
	asked := map[cluster.NodeID]bool{}
	for _, rep := range f.descriptor.Replicas {
		asked[rep.Node] = true
	}
	for _, x := range f.reports {
		asked[x.node] = true
	}
	wait := nodeTimeoutDefault
	if perNode > 0 {
		wait = min(seconds(perNode), nodeTimeoutMost)
	}
	states := s.backend.InspectRaft(ctx, f.descriptor.ID, sortedKeys(asked), wait)
	var out []*adminpb.RaftState
	for _, node := range sortedKeys(asked) {
		out = append(out, raftProto(f, node, states[node]))
	}
	return out
}

func raftProto(f *rangeSight, node cluster.NodeID, st *cluster.RaftState) *adminpb.RaftState {
	p := &adminpb.RaftState{Node: uint32(node), State: "missing"}
	if rep, ok := f.descriptor.On(node); ok {
		p.Replica, p.Role = uint64(rep.Replica), string(rep.Role)
	}
	if st == nil {
		return p
	}
	d := &st.Status.Descriptor
	p.Replica, p.State, p.Term, p.Vote = uint64(st.Status.Replica), st.State, st.Status.Term, uint64(st.Vote)
	p.Leader, p.Commit, p.Applied = uint32(st.Status.Leader), st.Status.Commit, st.Status.Applied
	p.FirstIndex, p.LastIndex, p.LogBytes, p.Generation, p.Failed = st.FirstIndex, st.LastIndex, st.LogBytes, d.Generation, st.Status.Failed
	p.Asleep, p.BoundTo, p.BoundTerm, p.LeaseLeft, p.Age = st.Asleep, uint32(st.BoundTo), st.BoundTerm, st.LeaseLeft, st.Age
	p.Lease = leaseProto(&st.Status)
	if rep, ok := d.ByReplica(st.Status.Replica); ok {
		p.Role = string(rep.Role)
	}
	for _, pr := range st.Status.Progress {
		rep, _ := d.On(pr.Node)
		p.Progress = append(p.Progress, &adminpb.Replica{
			Node: uint32(pr.Node), Replica: uint64(rep.Replica), Role: string(rep.Role), Match: pr.Match, Active: pr.Active, Snapshot: pr.Snapshot,
		})
	}
	return p
}
