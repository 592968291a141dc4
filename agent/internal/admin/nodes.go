package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// ListNodes implements adminpb.AdminHandler.
func (s *service) ListNodes(ctx context.Context, r *adminpb.ListNodesRequest) (*adminpb.ListNodesResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ListNodesResponse{AsOf: look.asOf()}
	for _, id := range look.View.NodeIDs() {
		n := look.View.Nodes[id]
		if n.Membership != cluster.Decommissioned || r.GetAll() {
			out.Nodes = append(out.Nodes, look.node(n))
		}
	}
	return out, nil
}

func (s *sight) node(n *cluster.Node) *adminpb.Node {
	p := &adminpb.Node{
		Id: uint32(n.ID), Name: n.Name, Uuid: n.UUID, Membership: string(n.Membership), Cordoned: n.Cordon,
		Liveness: string(s.liveness(n.ID)), Locality: n.Locality, Version: n.Version, JoinedAt: timestamp(n.JoinedAt),
		Addresses: &adminpb.Addresses{
			Sql: n.Addresses.SQL, Rpc: n.Addresses.RPC, Gossip: n.Addresses.Gossip, Admin: n.Addresses.Admin,
		},
		OperationId: s.operations[n.ID], Status: s.status(n),
	}
	if st := s.Statuses[n.ID]; st != nil {
		p.Reported, p.Service, p.Version = true, string(st.Service), st.Version
		p.Bytes, p.DiskUsed, p.DiskTotal = st.Bytes, st.DiskUsed, st.DiskTotal
		held := s.stored[n.ID]
		p.LiveBytes, p.DeadBytes, p.ReplicasUncounted = held.live, held.dead, held.uncounted
		p.Cpu, p.Sessions, p.MetaIndex, p.StartedAt = st.CPU, uint32(st.Sessions), st.MetaIndex, timestamp(st.StartedAt)
		p.Memory = memoryProto(st.Memory)
		for _, q := range st.Queues {
			p.StatementQueues = append(p.StatementQueues, &adminpb.StatementQueue{Name: q.Name, Running: uint32(q.Running), Limit: uint32(q.Limit), //nolint:gosec // not negative, below 2^31
				Waiting: uint32(q.Waiting), Room: uint32(q.Room), Oldest: q.Oldest, Refused: q.Refused, RefusedAgo: q.RefusedAgo}) //nolint:gosec // likewise
		}
		t := &st.Transactions
		p.Transactions = &adminpb.NodeTransactions{Open: uint32(t.Open), Waiting: uint32(t.Waiting), Longest: t.WaitSeconds, LongestPid: t.Longest.PID} //nolint:gosec // not negative, below 2^31
		p.StatementsPerSecond, p.LatencyP50, p.LatencyP99 = st.Statements.PerSecond, st.Statements.P50, st.Statements.P99
	}
	p.Replicas, p.Leaders = uint32(s.replicas[n.ID]), uint32(s.leaders[n.ID])
	if t := n.Tombstone; t != nil {
		p.Tombstone = &adminpb.Tombstone{At: timestamppb.New(t.At), By: t.By, Reason: t.Reason, OperationId: t.Operation}
	}
	return p
}

func memoryProto(parts []cluster.MemoryPart) []*adminpb.MemoryPart {
	out := make([]*adminpb.MemoryPart, len(parts))
	for i, m := range parts {
		out[i] = &adminpb.MemoryPart{Name: m.Name, Depth: uint32(m.Depth), Used: uint64(m.Used), Peak: uint64(m.Peak), Limit: uint64(m.Limit), //nolint:gosec // not negative
			Refused: m.Refused, RefusedAgo: m.RefusedAgo}
	}
	return out
}

// liveness is gossip's word; a decommissioned node that gossip has forgotten has left.
func (s *sight) liveness(id cluster.NodeID) cluster.Liveness {
	if l, ok := s.Liveness[id]; ok {
		return l
	}
	if n := s.View.Nodes[id]; n != nil && n.Membership == cluster.Decommissioned {
		return cluster.Left
	}
	if s.Statuses[id] != nil {
		return cluster.Alive
	}
	return cluster.Dead
}

// status is the STATUS column: the most pressing of the three answers, one word.
func (s *sight) status(n *cluster.Node) string {
	live, st := s.liveness(n.ID), s.Statuses[n.ID]
	switch {
	case n.Membership == cluster.Decommissioned:
		return string(cluster.Decommissioned)
	case live != cluster.Alive:
		return string(live)
	case n.Membership != cluster.Active:
		return string(n.Membership)
	case st == nil:
		return "silent" // gossip calls it alive, but it did not answer in time
	case st.Service == cluster.Ready && n.Cordon:
		return string(cluster.Cordoned)
	default:
		return string(st.Service)
	}
}

// ListMembers implements adminpb.AdminHandler.
func (s *service) ListMembers(ctx context.Context, r *adminpb.ListMembersRequest) (*adminpb.ListMembersResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	return &adminpb.ListMembersResponse{AsOf: look.asOf(), Members: look.memberList()}, nil
}

// cordonMost bounds the time limit of a cordon.
const cordonMost = 30 * 24 * time.Hour

// SetCordon implements adminpb.AdminHandler.
func (s *service) SetCordon(ctx context.Context, r *adminpb.SetCordonRequest) (*adminpb.SetCordonResponse, error) {
	if !(r.GetTtl() >= 0 && r.GetTtl() <= cordonMost.Seconds()) || r.GetTtl() != 0 && !r.GetCordon() {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("ttl is of a cordon, and at most %.0f seconds", cordonMost.Seconds())}
	}
	var until time.Time
	if r.GetTtl() > 0 {
		until = time.Now().Add(seconds(r.GetTtl())).UTC().Round(time.Second)
	}
	nodes, err := s.known(r.GetNodes())
	if err != nil {
		return nil, err
	}
	out := &adminpb.SetCordonResponse{}
	batch := metastate.Command{}
	for _, id := range nodes {
		if n := s.backend.View().Nodes[id]; n.Cordon == r.GetCordon() && n.CordonUntil.Equal(until) {
			continue
		}
		batch.Batch = append(batch.Batch, metastate.Command{SetCordon: &metastate.SetCordon{Node: id, Cordon: r.GetCordon(), Until: until, Reason: r.GetReason()}})
		out.Changed = append(out.Changed, uint32(id))
	}
	if len(batch.Batch) == 0 {
		return out, nil
	}
	if _, err := s.propose(ctx, batch); err != nil {
		return nil, err
	}
	return out, nil
}

// known returns the ids, sorted, each once, or says which is no node.
func (s *service) known(ids []uint32) ([]cluster.NodeID, error) {
	if len(ids) == 0 {
		return nil, &Error{Kind: KindInvalid, Message: "no node was named"}
	}
	view := s.backend.View()
	nodes := fromNodeIDs(ids)
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	for _, id := range nodes {
		if view.Nodes[id] == nil {
			return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no node %s", id)}
		}
	}
	return nodes, nil
}
