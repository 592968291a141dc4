package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
)

const (
	readyLook = time.Second
	// readyPatience is how long a leader may be unknown: longer than any election.
	readyPatience = 10 * time.Second
)

// watchHealth says on the health board what this node cannot serve. Not to know a
// leader of the meta range is no reason to get no traffic: rows are read and written
// by what is known of ranges, users and collections, and every node would have the
// same to say. To reach no range of rows at all is one.
func (n *Node) watchHealth(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(readyLook)
	defer tick.Stop()
	now := time.Now()
	meta, data := now, now // when each was well last
	for {
		now = time.Now()
		if leader, _, _ := n.meta.Leader(); leader != 0 {
			meta = now
		}
		if n.reachesRows() {
			data = now
		}
		n.sayLost("meta range", now.Sub(meta), health.Problem{Code: "no-meta-leader", Warning: true,
			Detail: "no leader of the meta range is known here for %s: rows are served, but nothing about the cluster can be changed"})
		n.sayLost("ranges", now.Sub(data), health.Problem{Code: "no-range-leader", Detail: "no leader of any range of rows is known and reached here for %s"})
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sayLost sets or clears a component's problem, whose detail says for how long.
func (n *Node) sayLost(component string, gone time.Duration, p health.Problem) {
	if gone <= readyPatience {
		n.board.Clear(component)
		return
	}
	p.Component, p.Detail = component, fmt.Sprintf(p.Detail, gone.Round(time.Second))
	n.board.Set(p)
}

// reachesRows reports whether this node can serve rows of any range: it leads one,
// or reaches a node that is known to.
func (n *Node) reachesRows() bool {
	live := n.liveness()
	reached := map[cluster.NodeID]bool{0: false, n.id.Node: true}
	for id := range n.machine.View().Ranges.All() {
		if id == cluster.MetaRangeID {
			continue
		}
		local, _ := n.store.RangeStatus(id)
		for _, leader := range []cluster.NodeID{local.Leader, n.table.Leader(id)} {
			ok, known := reached[leader]
			if !known {
				ok = n.peers.Allow(leader) == nil && live[leader] == cluster.Alive
				reached[leader] = ok
			}
			if ok {
				return true
			}
		}
	}
	return false
}
