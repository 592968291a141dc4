package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// leaseProto is what a leader says of its lease; nil: the replica does not lead.
func leaseProto(st *cluster.RangeStatus) *adminpb.Lease {
	l := st.Lease
	if l == nil {
		return nil
	}
	p := &adminpb.Lease{
		Held: l.Held(), Lack: string(l.Lack), Why: l.Why(), Asleep: l.Awake == "", Awake: l.Awake,
		ReadsLeased: st.Reads - min(st.Reads, l.Confirmed), ReadsConfirmed: l.Confirmed, ReadsRefused: l.Refused,
	}
	for i := range l.Voters {
		v := &l.Voters[i]
		p.Voters = append(p.Voters, &adminpb.LeaseVoter{Node: uint32(v.Node), Bound: v.Bound != cluster.SupportEpoch{}, Epoch: v.Bound.String(), Supports: v.Supports})
	}
	return p
}

// ListSupport implements adminpb.AdminHandler.
func (s *service) ListSupport(ctx context.Context, r *adminpb.ListSupportRequest) (*adminpb.ListSupportResponse, error) {
	id := cluster.NodeID(r.GetNode())
	if id != 0 && s.backend.View().Nodes[id] == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no node %s", id)}
	}
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	return &adminpb.ListSupportResponse{AsOf: look.asOf(), Support: supports(s.backend.Pings(ctx, perNode(r.GetNodeTimeout())), id)}, nil
}

// supports are the pairs of nodes that support each other, or did, by from and to;
// those with one node, or with any (0). The supporter's word counts, for it knows why
// it ended; if it does not answer, that of who is supported.
func supports(pings map[cluster.NodeID]*cluster.NodeStatus, with cluster.NodeID) []*adminpb.Support {
	type pair struct{ from, to cluster.NodeID }
	told := map[pair]*adminpb.Support{}
	tell := func(from, to, by cluster.NodeID, s *cluster.Support) {
		if s.Epoch == (cluster.SupportEpoch{}) || with != 0 && from != with && to != with {
			return
		}
		told[pair{from, to}] = &adminpb.Support{
			From: uint32(from), To: uint32(to), Live: s.Live, Epoch: s.Epoch.String(), Since: timestamp(s.Since), Left: s.Left,
			Ceiling: timestamp(s.Ceiling), Ended: s.Ended, Cause: string(s.Cause), ToldBy: uint32(by),
		}
	}
	for _, by := range sortedKeys(pings) {
		for peer, p := range pings[by].Peers {
			if pings[peer] == nil {
				tell(peer, by, by, &p.Received)
			}
			tell(by, peer, by, &p.Given)
		}
	}
	out := make([]*adminpb.Support, 0, len(told))
	for _, s := range told {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *adminpb.Support) int {
		return cmp.Or(cmp.Compare(a.GetFrom(), b.GetFrom()), cmp.Compare(a.GetTo(), b.GetTo()))
	})
	return out
}
