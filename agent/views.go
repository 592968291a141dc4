package agent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// clusterViews are what SHOW NODES, RANGES and ROUTING show.
type clusterViews struct{ n *Node }

// shownWait is how long a statement that shows what all nodes do waits for each.
const shownWait = 2 * time.Second

// ClusterStatus implements clusterview.Views.
func (v *clusterViews) ClusterStatus(ctx context.Context) (map[cluster.NodeID]*cluster.NodeStatus, []cluster.NodeID) {
	o := v.n.service.ClusterStatus(ctx, 0)
	return o.Statuses, o.Missing
}

// Liveness implements clusterview.Views.
func (v *clusterViews) Liveness() map[cluster.NodeID]cluster.Liveness {
	l := map[cluster.NodeID]cluster.Liveness{}
	for id, s := range v.n.liveness() {
		l[id] = s
	}
	l[v.n.id.Node] = cluster.Alive
	return l
}

// Sessions implements clusterview.Views.
func (v *clusterViews) Sessions(ctx context.Context) ([]cluster.Session, []cluster.NodeID) {
	found, missing := (&backend{v.n}).Sessions(ctx, shownWait)
	var out []cluster.Session
	for _, list := range found {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b cluster.Session) int { return cmp.Compare(a.PID, b.PID) })
	return out, missing
}

// Leader implements clusterview.Views.
func (v *clusterViews) Leader(id cluster.RangeID) cluster.NodeID {
	if st, ok := v.n.store.RangeStatus(id); ok && st.Leader != 0 {
		return st.Leader
	}
	return v.n.table.Leader(id)
}
