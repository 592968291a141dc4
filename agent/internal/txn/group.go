package txn

import (
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Group is the transactions of one session: a lock that outlives the session's transaction
// is one of its own. One of them waits at a time, and whoever waits for any of them waits
// for that one, too: what the session would do next it does not do.
type Group struct {
	mu     sync.Mutex
	waiter *Txn // nil: none waits; guarded by mu
}

// note notes whether t waits.
func (g *Group) note(t *Txn, waits bool) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if waits {
		g.waiter = t
	} else if g.waiter == t {
		g.waiter = nil
	}
}

// waiter is the transaction whose wait keeps t from going on: that of its group which
// waits, or itself.
func (t *Txn) waiter() *Txn {
	g := t.info.Group
	if g == nil {
		return t
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiter != nil {
		return g.waiter
	}
	return t
}

// beside reports whether id is t, or another of its group that has not ended.
func (m *Manager) beside(t *Txn, id cluster.TxnID) bool {
	if id == t.id {
		return true
	}
	o := m.find(id)
	if o == nil || t.info.Group == nil || o.info.Group != t.info.Group {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state <= Committing
}

// besideAny reports whether t, or another of its group, is among ids.
func (m *Manager) besideAny(t *Txn, ids []cluster.TxnID) bool {
	return slices.ContainsFunc(ids, func(id cluster.TxnID) bool { return m.beside(t, id) })
}
