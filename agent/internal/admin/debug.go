package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Debugger looks into nodes.
type Debugger interface {
	// RoutingTables asks every node for its routing table at once and waits for
	// each no longer than perNode. Nodes that do not answer are not in the result.
	RoutingTables(ctx context.Context, perNode time.Duration) map[cluster.NodeID]RoutingTable
	// Behind is how long ago this node saw the first change of the meta range after
	// index; 0: it has seen none.
	Behind(index uint64) time.Duration
	// Collect returns one item of one node, secrets redacted. It needs no quorum.
	Collect(ctx context.Context, node cluster.NodeID, item string) (DebugItem, error)
}

// RoutingTable is what a node sends requests by.
type RoutingTable struct {
	MetaIndex   uint64                             `json:"metaIndex"`
	Generations map[cluster.RangeID]uint64         `json:"generations"`
	Leaders     map[cluster.RangeID]cluster.NodeID `json:"leaders"` // hints; none for a range: not known
	// WrongPerSecond is how many hints turned out to be wrong.
	WrongPerSecond float64 `json:"wrongPerSecond"`
}

// DebugItem is one file of a debug bundle.
type DebugItem struct {
	Name      string `json:"name"`
	Content   []byte `json:"content"`
	Truncated bool   `json:"truncated"`
}

var debugItems = []string{"config", "log", "goroutines", "metrics", "heap", "status"}

// CollectDebug implements adminpb.AdminHandler.
func (s *service) CollectDebug(ctx context.Context, r *adminpb.CollectDebugRequest) (*adminpb.CollectDebugResponse, error) {
	if !slices.Contains(debugItems, r.GetItem()) {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("there is no item %q: %s", r.GetItem(), strings.Join(debugItems, ", "))}
	}
	node := cluster.NodeID(r.GetNode())
	if node == 0 {
		node = s.backend.Self()
	}
	if node != s.backend.Self() && s.backend.View().Nodes[node] == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no node %s", node)}
	}
	item, err := s.backend.Collect(ctx, node, r.GetItem())
	if err != nil {
		return nil, err
	}
	return &adminpb.CollectDebugResponse{Name: item.Name, Content: item.Content, Truncated: item.Truncated}, nil
}

// DiffRouting implements adminpb.AdminHandler.
func (s *service) DiffRouting(ctx context.Context, r *adminpb.DiffRoutingRequest) (*adminpb.DiffRoutingResponse, error) {
	wait := nodeTimeoutDefault
	if r.GetNodeTimeout() > 0 {
		wait = min(seconds(r.GetNodeTimeout()), nodeTimeoutMost)
	}
	tables := s.backend.RoutingTables(ctx, wait)
	look, err := s.look(ctx, r.GetNodeTimeout()) // after the tables: what is newer now counts
	if err != nil {
		return nil, err
	}
	out := &adminpb.DiffRoutingResponse{AsOf: look.asOf()}
	for _, n := range look.members() {
		t, ok := tables[n.ID]
		if !ok {
			if !slices.Contains(out.AsOf.Missing, uint32(n.ID)) {
				out.AsOf.Missing, out.AsOf.Complete = append(out.AsOf.Missing, uint32(n.ID)), false
			}
			continue
		}
		out.Nodes = append(out.Nodes, look.diff(n.ID, &t, s.backend.Behind(t.MetaIndex)))
	}
	slices.Sort(out.AsOf.Missing)
	return out, nil
}

func (s *sight) diff(node cluster.NodeID, t *RoutingTable, behind time.Duration) *adminpb.RoutingDiff {
	d := &adminpb.RoutingDiff{Node: uint32(node), MetaIndex: t.MetaIndex, BehindSeconds: behind.Seconds(), WrongLeaderPerSecond: t.WrongPerSecond}
	for _, f := range s.ranges {
		id := f.descriptor.ID
		if have := t.Generations[id]; have < f.descriptor.Generation {
			d.Stale = append(d.Stale, uint32(id))
		}
		leader := f.leaderNode()
		if hint := t.Leaders[id]; hint != 0 && leader != 0 && hint != leader {
			d.WrongLeader = append(d.WrongLeader, uint32(id))
		}
	}
	return d
}
