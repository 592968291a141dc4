package agent

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/schedule"
)

// runSchedules has this node start what is due while it leads the meta range.
func (n *Node) runSchedules(ctx context.Context, ready func()) error {
	r := schedule.New(schedule.Config{
		Node: n.id.Node, Meta: n.meta,
		Execute: func(ctx context.Context, o *cluster.Object, run *cluster.ScheduleRun) *metastate.EndRun {
			return n.sql.Load().RunSchedule(ctx, o, run)
		},
		Settle: func(ctx context.Context, refusal *metastate.Refusal) error { return n.sql.Load().Settle(ctx, refusal) },
		Gone:   n.isGone,
		Serves: func() bool { s := n.serviceState(); return s == cluster.Ready || s == cluster.Cordoned },
		Now:    n.clock.Physical, Logger: n.part("schedules"),
	})
	n.schedules.Store(r)
	return r.Run(ctx, ready)
}

// isGone reports whether a node has ended, as far as gossip and the meta range say.
func (n *Node) isGone(id cluster.NodeID) bool {
	node := n.machine.View().Nodes[id]
	if node == nil || node.Membership == cluster.Decommissioned {
		return true
	}
	l := n.liveness()[id]
	return l == cluster.Dead || l == cluster.Left
}
