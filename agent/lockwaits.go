package agent

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

const (
	// lockLook is how often the waits of this node's transactions are looked at: an event
	// is that much late at most.
	lockLook = 5 * time.Second
	// lockEventGap is the least time between two events of a node: one forgotten
	// transaction has a hundred others wait, and each of those more.
	lockEventGap = 5 * time.Minute
)

// lockWatch chooses the waits that are worth an event: one for each transaction that
// others wait for.
type lockWatch struct {
	told map[string]bool // holders that an event has named, while somebody here waits for them
	last time.Time       // when the last event was
}

// due returns the wait that is to be told now, the longest; nil: none is.
func (w *lockWatch) due(all []cluster.Transaction, now time.Time) *cluster.Transaction {
	holders := map[string]bool{}
	var out *cluster.Transaction
	for i := range all {
		t := &all[i]
		told := false
		for _, h := range t.WaitsFor {
			holders[h.ID] = w.told[h.ID]
			told = told || w.told[h.ID]
		}
		if len(t.WaitsFor) > 0 && !told && now.Sub(t.WaitsSince) >= cluster.LongLockWait && (out == nil || t.WaitsSince.Before(out.WaitsSince)) {
			out = t
		}
	}
	w.told = holders
	if out == nil || !w.last.IsZero() && now.Sub(w.last) < lockEventGap {
		return nil
	}
	w.last = now
	for _, h := range out.WaitsFor {
		w.told[h.ID] = true
	}
	return out
}

// watchLocks leaves in the cluster's event log that transactions of this node wait long
// for the locks of others: who waits for whom, and since when.
func (n *Node) watchLocks(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(lockLook)
	defer tick.Stop()
	var w lockWatch
	for {
		now := n.clock.Physical()
		if t := w.due(n.transactions(), now); t != nil {
			n.lockWaited(ctx, t.ID, now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// lockWaited asks the other nodes whose the locks are, and tells.
func (n *Node) lockWaited(ctx context.Context, id string, now time.Time) {
	all, _ := (&backend{n}).Transactions(ctx, shownWait)
	e := lockWaitEvent(n.id.Node, all, id, now)
	if e == nil {
		return // it has got its lock meanwhile
	}
	n.logger.Warn("a transaction waits long for a lock", "waits", e.Data["waits"], "holds", e.Data["holds"], "since", e.Data["since"])
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{*e}}})
}

// lockWaitEvent says whom the transaction waits for; nil: for nobody.
func lockWaitEvent(node cluster.NodeID, all []cluster.Transaction, id string, now time.Time) *cluster.Event {
	var t *cluster.Transaction
	by, here := map[string]*cluster.Transaction{}, 0
	for i := range all {
		x := &all[i]
		by[x.ID] = x
		if x.Node == node && len(x.WaitsFor) > 0 {
			here++
		}
		if x.ID == id && len(x.WaitsFor) > 0 {
			t = x
		}
	}
	if t == nil {
		return nil
	}
	holder := fmt.Sprintf("a transaction on %s", t.WaitsFor[0].Node)
	if h := by[t.WaitsFor[0].ID]; h != nil {
		holder = fmt.Sprintf("%s, %s, begun %s ago", whose(h), h.State, now.Sub(h.Began).Round(time.Second))
	}
	if more := len(t.WaitsFor) - 1; more > 0 {
		holder += fmt.Sprintf(", and %d more", more)
	}
	since := t.WaitsSince.UTC().Format(time.RFC3339)
	return &cluster.Event{
		Kind: cluster.EventLockWait, Severity: cluster.SeverityWarn, Node: node, Source: node,
		Text: fmt.Sprintf("%s has waited since %s for locks of %s; waiting on %s: %d", whose(t), since, holder, node, here),
		Data: map[string]string{"waits": t.ID, "holds": t.WaitsFor[0].ID, "since": since},
	}
}

// whose names a transaction by its session, if it has one.
func whose(t *cluster.Transaction) string {
	if t.PID == 0 {
		return fmt.Sprintf("a transaction of %s on %s", cmp.Or(t.User, "the cluster"), t.Node)
	}
	return fmt.Sprintf("session %d of %s on %s", t.PID, t.User, t.Node)
}
