package agent

import (
	"context"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
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

// RunSchedule implements admin.Schedules.
func (b *backend) RunSchedule(ctx context.Context, id cluster.ObjectID, reason string, propose func(context.Context, metastate.Command) (metastate.Result, error)) (*cluster.ScheduleRun, error) {
	away := &admin.Error{Kind: admin.KindUnavailable, Message: "this node starts no runs of schedules now", Elsewhere: true}
	r := b.n.schedules.Load()
	if r == nil {
		return nil, away
	}
	run, err := r.RunNow(ctx, id, reason, propose)
	switch {
	case errors.Is(err, schedule.ErrNotServing):
		return nil, away
	case errors.Is(err, schedule.ErrNoSchedule):
		return nil, &admin.Error{Kind: admin.KindNotFound, Message: "the schedule was dropped meanwhile"}
	}
	return run, err
}

// NextDue implements admin.Schedules.
func (b *backend) NextDue(o *cluster.Object) time.Time {
	times, err := schedule.Of(o.Schedule)
	if err != nil || o.Schedule.Disabled { // another node may know more zones
		return time.Time{}
	}
	return times.Next(b.n.clock.Physical())
}

// Settle implements admin.Schedules.
func (b *backend) Settle(ctx context.Context, refusal *metastate.Refusal) error {
	return adminError(b.n.sql.Load().Settle(ctx, refusal))
}
