package txn

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// The janitor takes away what transactions have left in the ranges that this node leads,
// if nobody else does: their gateways have died, and nobody meets it. It holds up closed
// time and is copied with each change of the range.

const (
	// sweepEvery is how often the janitor looks: what it finds harms little.
	sweepEvery = 30 * time.Second
	// leftAge is how old a transaction is that the janitor asks about: nearly all are
	// cleaned up by then.
	leftAge = time.Minute
	// abandoned is for how long a gateway may not answer before the janitor aborts its
	// transactions. Nobody waits for them: it has more patience than silence.
	abandoned = time.Minute
)

// janitor looks again and again. The distances differ from node to node, so that all do
// not look at once.
func (m *Manager) janitor() {
	over := map[string]time.Duration{}
	for m.cfg.Sleep(m.ctx, sweepEvery+time.Duration(m.cfg.Self%8)*sweepEvery/64) == nil {
		over = m.sweep(over)
		m.sweepObjects()
	}
}

// sweep tidies up once. over says since when transactions are known to be over, by the
// keys of their records, and is returned as it is then.
func (m *Manager) sweep(over map[string]time.Duration) map[string]time.Duration {
	left, err := m.cfg.Leftovers(m.ctx, m.cfg.Clock.Now().Add(-leftAge))
	if err != nil {
		return over // the node stops, or has much to do
	}
	next, stay := map[string]time.Duration{}, 0
	for i := range left {
		l := &left[i]
		since, known := over[string(l.Record)]
		if !known {
			since = m.cfg.Now()
		}
		ended, gone := m.tidy(l, m.cfg.Now()-since >= lateAge)
		if ended {
			next[string(l.Record)] = since
		}
		if ended && !gone {
			stay++
		}
	}
	m.count(func(s *Stats) { s.Left = stay })
	return next
}

// tidy takes away what a transaction has left here, unless it is open. late says that it
// has been known to be over for so long that none of its commits can arrive any more. It
// returns whether it is over by now, and whether all that was found is gone.
func (m *Manager) tidy(l *store.Leftover, late bool) (over, gone bool) {
	id := txnOf(l.Record)
	a := m.ask(m.ctx, id)
	if a.State != Unknown {
		return false, false
	}
	// Who does not answer may be cut off, and come back with a commit.
	over = !a.silent || m.cfg.Gone != nil && m.cfg.Gone(id.Node())
	if !over && a.silence < abandoned {
		return false, false
	}
	forget := l.Stored && (over && late || m.cfg.Planted.forgetsPoison())
	if l.Decided && len(l.Rows) == 0 && !forget {
		return over, false // and no range is woken up
	}
	r, err := m.push(m.ctx, id, l.Record, true, 0)
	if err != nil {
		return over, false
	}
	var commitTS hlc.Timestamp
	if r.Status == datastate.TxnCommitted {
		commitTS = r.TS
	}
	if !m.tidyRows(id, l.Record, l.Rows, commitTS) {
		return over, false
	}
	if !forget {
		return over, !l.Stored
	}
	if commitTS != 0 && !m.cfg.Planted.forgetsIntents() && !m.tidySpans(id, l.Record, r) {
		return over, false
	}
	if commitTS != 0 && r.Objects && m.resolveObjects(m.ctx, id, true) != nil {
		return over, false
	}
	_, err = m.at(m.ctx, l.Record, &datastate.Forget{Records: [][]byte{l.Record}})
	if err == nil {
		m.count(func(s *Stats) { s.Forgotten++ })
	}
	return over, err == nil
}

// tidyRows ends what a transaction that has ended has left on rows.
func (m *Manager) tidyRows(id cluster.TxnID, record []byte, rows [][]byte, commitTS hlc.Timestamp) bool {
	if m.resolveRows(m.ctx, &cleanup{id: id, record: record, commitTS: commitTS, rows: rows}) != nil {
		return false
	}
	m.count(func(s *Stats) { s.Tidied += uint64(len(rows)) })
	return true
}

// tidySpans ends what a committed transaction has left where it has laid intents, in
// ranges of other nodes, too: without the record they would be taken for aborted.
func (m *Manager) tidySpans(id cluster.TxnID, record []byte, r *datastate.TxnRecord) bool {
	for _, s := range r.Ranges {
		for s.From < s.To {
			found, err := m.at(m.ctx, keys.DataSpan(s.Pool, s.From, s.To).Start, &datastate.Remains{Txn: id, Record: record, Span: s})
			if err != nil || found.Outcome != datastate.Applied {
				return false
			}
			if len(found.Rows) > 0 {
				rows := make([][]byte, len(found.Rows))
				for i := range rows {
					rows[i] = found.Rows[i].Value
				}
				if !m.tidyRows(id, record, rows, r.TS) {
					return false
				}
				continue // there may be more than one answer holds
			}
			if found.Until == "" {
				break
			}
			s.From = found.Until
		}
	}
	return true
}
