package txn

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

const (
	// committingPause and committingPauses are how long a reader waits for a commit under
	// way before it pushes it, which costs a command: a round of the log, on a quiet
	// machine.
	committingPause  = 2 * time.Millisecond
	committingPauses = 3
)

// Resolve has a reader go on that has met intents; kv calls it. passed are transactions
// that commit after the time of the read, whose intents it is to ignore; all others were
// resolved. again says that one has committed later than that: a reader that has chosen no
// time itself reads anew, at a later one. try counts the calls of one read, from 0.
func (m *Manager) Resolve(ctx context.Context, e *store.IntentsError, try int) (passed []cluster.TxnID, again bool, err error) {
	for _, g := range intentsOf(e) {
		later, committed, err := m.resolveOne(ctx, e.TS, g, try)
		if err != nil {
			return nil, false, err
		}
		if later {
			passed = append(passed, g.txn)
		}
		again = again || later && committed
	}
	return passed, again, nil
}

// intents are those of one transaction that a reader has met.
type intents struct {
	txn    cluster.TxnID
	record []byte
	rows   [][]byte
}

func intentsOf(e *store.IntentsError) []*intents {
	var out []*intents
	at := map[cluster.TxnID]*intents{}
	for _, in := range e.Intents {
		id := txnOf(in.Record)
		g := at[id]
		if g == nil {
			g = &intents{txn: id, record: in.Record}
			at[id] = g
			out = append(out, g)
		}
		g.rows = append(g.rows, in.Row)
	}
	return out
}

// resolveOne finds out what becomes of the intents of a transaction for a reader at ts.
// later: it commits after ts, or committed says that it has.
func (m *Manager) resolveOne(ctx context.Context, ts hlc.Timestamp, g *intents, try int) (later, committed bool, err error) {
	if m.cfg.Planted.ignoresIntents() {
		return true, false, nil
	}
	a := m.ask(ctx, g.txn)
	for range committingPauses {
		if a.State != Committing {
			break
		}
		if err := m.cfg.Sleep(ctx, committingPause); err != nil {
			return false, false, err
		}
		a = m.ask(ctx, g.txn)
	}
	switch {
	case a.State == Committed:
		return m.readCommitted(ctx, ts, g, a.TS)
	case a.State == Aborted, m.cfg.Planted.abortsOpen() && a.State == Committing:
		return false, false, m.settleRows(ctx, g, 0)
	case a.State == Unknown && !a.silent && try == 0:
		return false, false, nil // it may be cleaned up by now: then the intents are gone
	}
	abort := a.State == Unknown && (!a.silent || a.silence >= silence)
	r, err := m.push(ctx, g.txn, g.record, abort, ts)
	switch {
	case err != nil:
		return false, false, err
	case r.Status == datastate.TxnCommitted:
		return m.readCommitted(ctx, ts, g, r.TS)
	case r.Status == datastate.TxnAborted:
		return false, false, m.settleRows(ctx, g, 0)
	}
	return true, false, nil // it is open, and commits after ts
}

// readCommitted is resolveOne of a transaction that has committed at c.
func (m *Manager) readCommitted(ctx context.Context, ts hlc.Timestamp, g *intents, c hlc.Timestamp) (later, committed bool, err error) {
	if c > ts {
		_ = m.cfg.Clock.Update(c) // a clock too far ahead is refused where it is met
		return true, true, nil
	}
	return false, false, m.settleRows(ctx, g, c)
}

// settleRows has the intents of a transaction become versions, or go.
func (m *Manager) settleRows(ctx context.Context, g *intents, commitTS hlc.Timestamp) error {
	c := &cleanup{id: g.txn, record: g.record, commitTS: commitTS}
	if n := len(g.rows); n > m.cfg.SpanRows && slices.IsSortedFunc(g.rows, bytes.Compare) {
		first, last := g.rows[0], g.rows[n-1]
		to := keys.Bound(last) + "\x00"
		if n == store.MaxIntents {
			to = cluster.VShard(cluster.VShards).Key() // there is more, which it would meet next
		}
		c.spans = []datastate.TxnSpan{{Pool: keys.PoolOf(first), From: keys.Bound(first), To: to}}
		c.here = true
	} else {
		c.rows = slices.Clone(g.rows)
	}
	return m.resolve(ctx, c)
}

// Blocked has a statement outside of a transaction wait for those that are in its way;
// kv calls it. since is when the statement began.
func (m *Manager) Blocked(ctx context.Context, by []datastate.Blocker) error {
	w := &contention{m: m, since: m.cfg.Now()}
	return w.blocked(ctx, by)
}

// txnOf is whose record it is; zero: it is none.
func txnOf(record []byte) cluster.TxnID {
	id, err := keys.DecodeTxnRecord(record)
	if err != nil {
		return cluster.TxnID{}
	}
	return id
}
