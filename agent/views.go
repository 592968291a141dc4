package agent

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// clusterViews are what SHOW NODES, RANGES and ROUTING show.
type clusterViews struct{ n *Node }

// ClusterStatus implements sql.ClusterViews.
func (v *clusterViews) ClusterStatus(ctx context.Context) (map[cluster.NodeID]*cluster.NodeStatus, []cluster.NodeID) {
	o := v.n.service.ClusterStatus(ctx, 0)
	return o.Statuses, o.Missing
}

// Liveness implements sql.ClusterViews.
func (v *clusterViews) Liveness() map[cluster.NodeID]cluster.Liveness {
	l := map[cluster.NodeID]cluster.Liveness{}
	for id, s := range v.n.liveness() {
		l[id] = s
	}
	l[v.n.id.Node] = cluster.Alive
	return l
}

// Leader implements sql.ClusterViews.
func (v *clusterViews) Leader(id cluster.RangeID) cluster.NodeID {
	if st, ok := v.n.store.RangeStatus(id); ok && st.Leader != 0 {
		return st.Leader
	}
	return v.n.table.Leader(id)
}
