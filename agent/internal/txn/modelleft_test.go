package txn

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// leftovers are those of the ranges that a node leads.
func (m *model) leftovers(node cluster.NodeID, before hlc.Timestamp) []store.Leftover {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]*store.Leftover{}
	at := func(key string, record []byte) *store.Leftover {
		if txnOf(record).Began() >= uint64(before) || m.leads[m.owner([]byte(key))] != node {
			return &store.Leftover{}
		}
		if found[string(record)] == nil {
			found[string(record)] = &store.Leftover{Record: record}
		}
		return found[string(record)]
	}
	for key, r := range m.records {
		l := at(key, []byte(key))
		l.Stored, l.Decided = true, r.Status != datastate.TxnOpen
	}
	for row, in := range m.intents {
		l := at(row, in.record)
		l.Rows = append(l.Rows, []byte(row))
	}
	for row, hs := range m.locks {
		for _, h := range hs {
			if l := at(row, h.record); h.durable {
				l.Rows = append(l.Rows, []byte(row))
			}
		}
	}
	var out []store.Leftover
	for _, l := range found {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b store.Leftover) int { return bytes.Compare(a.Record, b.Record) })
	return out
}

// left says what transactions have left.
func (m *model) left() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.intents)+len(m.locks)+len(m.records) == 0 {
		return ""
	}
	return fmt.Sprintf("%d intents, %d locks, %d records", len(m.intents), len(m.locks), len(m.records))
}

// lockOps takes the locks of a prewrite's rows, up to the first that somebody else has. They
// stay if it is refused.
func (m *model) lockOps(id cluster.RangeID, r *datastate.Prewrite) {
	for i := range r.Ops {
		row := r.Ops[i].Row
		switch hs := m.locks[string(row)]; {
		case m.owner(row) != id:
		case m.blockers(row, r.Txn, lock.Update) != nil:
			return
		case !slices.ContainsFunc(hs, func(h holder) bool { return h.txn == r.Txn && h.strength == lock.Update }):
			m.locks[string(row)] = append(hs, holder{txn: r.Txn, record: r.Record, strength: lock.Update})
		}
	}
}
