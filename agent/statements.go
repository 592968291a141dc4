package agent

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// queueLimits are how many statements run and wait.
type queueLimits struct{ short, long, room int }

// Defaults. A short statement computes for a fraction of a millisecond and waits for a
// round of the log otherwise: 256 clients on two cores are served faster together than
// 64. A long one computes for as long as it runs, but for what it waits for other
// nodes: eight for each core keep it busy. Each takes memory, at least.
const (
	shortPerCore, shortBytes = 128, 256 << 10
	longPerCore, longBytes   = 8, 4 << 20
	// fewest is enough for a node with little memory to get on.
	fewest = 4
)

// statementQueues says how many statements run and wait, with so much memory.
func (c *Config) statementQueues(m memory) queueLimits {
	cores, bytes := runtime.GOMAXPROCS(0), int(m.statements())
	limit := func(own, perCore, each int) int {
		return cmp.Or(own, max(min(perCore*cores, bytes/each), fewest))
	}
	return queueLimits{
		short: limit(c.ShortStatements, shortPerCore, shortBytes),
		long:  limit(c.LongStatements, longPerCore, longBytes),
		room:  cmp.Or(c.WaitingStatements, max(c.MaxConnections/2, 1)),
	}
}

// describe is a comment of `config print`.
func (l queueLimits) describe() string {
	return fmt.Sprintf("# statements at once: %d short, %d long; %d of each may wait\n", l.short, l.long, l.room)
}

// queues bound the statements that run at once here.
type queues struct{ short, long *admission.Queue }

func (l queueLimits) make() queues {
	return queues{short: admission.New("short", l.short, l.room), long: admission.New("long", l.long, l.room)}
}

func (q queues) all() []*admission.Queue { return []*admission.Queue{q.short, q.long} }

// status is what the node says of them.
func (q queues) status(now time.Time) []cluster.StatementQueue {
	var out []cluster.StatementQueue
	for _, q := range q.all() {
		u := q.Usage()
		s := cluster.StatementQueue{Name: u.Name, Running: u.Running, Limit: u.Limit, Waiting: u.Waiting, Room: u.Room, Oldest: u.Oldest.Seconds(), Refused: u.Refused}
		if !u.LastRefused.IsZero() {
			s.RefusedAgo = max(now.Sub(u.LastRefused).Seconds(), 0.001)
		}
		out = append(out, s)
	}
	return out
}

// watchStatements leaves in the cluster's event log that statements are refused: once,
// however many, until there was room for a while.
func (n *Node) watchStatements(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	told := map[string]time.Time{} // when the last refusal was that belongs to a told one
	for {
		for _, q := range n.queues.all() {
			u := q.Usage()
			if !u.LastRefused.After(told[u.Name]) {
				continue
			}
			fresh := u.LastRefused.Sub(told[u.Name]) > memoryCalm
			if told[u.Name] = u.LastRefused; fresh {
				n.statementsRefused(u)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *Node) statementsRefused(u admission.Usage) {
	text := fmt.Sprintf("%s refuses %s statements: %d run and %d wait, for more there is no room", n.id.Node, u.Name, u.Limit, u.Room)
	n.logger.Warn("statements are refused", "kind", u.Name, "running", u.Limit, "waiting", u.Room)
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
		Kind: cluster.EventStatementsRefused, Severity: cluster.SeverityWarn, Node: n.id.Node, Source: n.id.Node, Text: text, Data: map[string]string{"kind": u.Name},
	}}}})
}
