package txn

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// lateness finds out for who does not wait whether the locks in its way are those of
// transactions that have ended: a client that was told so may have told another, while the
// locks go in the background.
type lateness struct {
	rounds int
	asked  map[cluster.TxnID]Answer  // in this round
	silent map[cluster.NodeID]Answer // whose gateway did not answer: it is not waited for again
	gone   map[cluster.TxnID]bool    // of whom a gateway that answered knew nothing
}

// lateRounds bounds how often a request that does not wait is made again: each time
// somebody has ended, and another may have come. Then it is refused as if those had not.
const lateRounds = 16

// ended reports whether all who are in the way at a row have ended. Their locks have, too,
// then, or are about to.
func (l *lateness) ended(ctx context.Context, m *Manager, by []datastate.Blocker) (bool, error) {
	if l.rounds >= lateRounds || m.cfg.Planted.refusesUnasked() {
		return false, nil
	}
	for _, b := range by {
		if len(b.Record) == 0 {
			return false, nil // a statement outside of a transaction is under way
		}
		if a := l.ask(ctx, m, b.Txn); a.State == Open || a.State == Committing || a.silent && a.silence < silence {
			return false, nil
		}
	}
	for _, b := range by {
		a := l.ask(ctx, m, b.Txn)
		if a.State == Unknown && !a.silent && !l.gone[b.Txn] {
			// It was cleaned up since the range answered, or the next answer names it again.
			if l.gone == nil {
				l.gone = map[cluster.TxnID]bool{}
			}
			l.gone[b.Txn] = true
			continue
		}
		if ended, err := m.unblock(ctx, b, a); err != nil || !ended {
			return false, err
		}
	}
	return len(by) > 0, nil
}

// round begins another one: the request is made again.
func (l *lateness) round() { l.rounds, l.asked = l.rounds+1, nil }

// ask asks once a round about each transaction.
func (l *lateness) ask(ctx context.Context, m *Manager, id cluster.TxnID) Answer {
	if a, ok := l.asked[id]; ok {
		return a
	}
	a, ok := l.silent[id.Node()]
	if !ok {
		a = m.ask(ctx, id)
	}
	if a.silent {
		if l.silent == nil {
			l.silent = map[cluster.NodeID]Answer{}
		}
		l.silent[id.Node()] = a
	}
	if l.asked == nil {
		l.asked = map[cluster.TxnID]Answer{}
	}
	l.asked[id] = a
	return a
}
