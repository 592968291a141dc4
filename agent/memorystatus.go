package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// memoryParts are the parts of what others can make this node hold, and the SQL
// worker, which is a process of its own.
func (n *Node) memoryParts(now time.Time) []cluster.MemoryPart {
	usage := n.memory.node.Usage()
	parts := make([]cluster.MemoryPart, 0, len(usage)+1)
	for _, u := range usage {
		parts = append(parts, memoryPart(u, now))
	}
	if d := n.duck.Load(); d != nil {
		used, limit := d.Memory()
		parts = append(parts, cluster.MemoryPart{Name: "sqlworker", Used: used, Limit: limit})
	}
	return parts
}

func memoryPart(u budget.Usage, now time.Time) cluster.MemoryPart {
	p := cluster.MemoryPart{Name: u.Name, Depth: u.Depth, Used: u.Used, Peak: u.Peak, Limit: u.Limit, Refused: u.Refused}
	if !u.LastRefused.IsZero() {
		p.RefusedAgo = max(now.Sub(u.LastRefused).Seconds(), 0.001)
	}
	return p
}

const (
	memoryLook = 5 * time.Second
	// memoryCalm is how long nothing must have been refused before a new refusal is an
	// event again.
	memoryCalm = 10 * time.Minute
)

// watchMemory leaves in the cluster's event log that a part of the memory is used up:
// once, however much is refused, until it was well for a while.
func (n *Node) watchMemory(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	told := map[string]time.Time{} // when the last refusal was that belongs to a told one
	for {
		for _, u := range n.memory.node.Usage() {
			if u.LastRefused.IsZero() || !u.LastRefused.After(told[u.Name]) {
				continue
			}
			fresh := u.LastRefused.Sub(told[u.Name]) > memoryCalm
			if told[u.Name] = u.LastRefused; fresh {
				n.memoryFull(u)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *Node) memoryFull(u budget.Usage) {
	text := fmt.Sprintf("%s had no memory left for %s (%d of %d MiB) and refuses what needs more", n.id.Node, u.Name, u.Used>>20, u.Limit>>20)
	n.logger.Warn("memory is used up", "part", u.Name, "usedBytes", u.Used, "limitBytes", u.Limit)
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
		Kind: cluster.EventMemoryFull, Severity: cluster.SeverityWarn, Node: n.id.Node, Source: n.id.Node, Text: text, Data: map[string]string{"part": u.Name},
	}}}})
}
