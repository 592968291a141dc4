package store

import (
	"bytes"
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// Leftover is what a transaction has left in the ranges that this node leads: intents and
// durable locks on rows, and its record.
type Leftover struct {
	Record  []byte   // the key
	Stored  bool     // the record is there
	Decided bool     // and says that the transaction is committed or aborted
	Rows    [][]byte // some of them, if there are many
}

const (
	// maxLeftovers bounds the transactions of one look, and maxLeftRows the rows of each:
	// a look at ranges full of them takes some MB.
	maxLeftovers = 1000
	maxLeftRows  = 100
)

// Mirrors are those of the ranges that this node leads in which transactions have left
// anything. They do not change.
func (c *Core) Mirrors() []evaluation.Mirror {
	var out []evaluation.Mirror
	for _, s := range c.order {
		if s.destroying || !s.r.Leading() {
			continue
		}
		if m := s.r.Shown(); m != nil && m.Len() > 0 {
			out = append(out, m)
		}
	}
	return out
}

// LeftoversOf returns what mirrors hold of transactions that began before a time, by the
// keys of their records.
func LeftoversOf(mirrors []evaluation.Mirror, before hlc.Timestamp) []Leftover {
	found := map[string]*Leftover{}
	at := func(record []byte) *Leftover {
		id, err := keys.DecodeTxnRecord(record)
		if err != nil || id.Began() >= uint64(before) {
			return nil
		}
		l := found[string(record)]
		if l == nil && len(found) < maxLeftovers {
			l = &Leftover{Record: bytes.Clone(record)}
			found[string(record)] = l
		}
		return l
	}
	for _, m := range mirrors {
		m.Records(func(key []byte, decided bool) {
			if l := at(key); l != nil {
				l.Stored, l.Decided = true, decided
			}
		})
		m.Locks(func(row []byte, _ cluster.TxnID, record []byte, _ lock.Strength) {
			l := at(record)
			if l == nil || len(l.Rows) >= maxLeftRows || len(l.Rows) > 0 && bytes.Equal(l.Rows[len(l.Rows)-1], row) {
				return // its intent is beside its lock
			}
			l.Rows = append(l.Rows, row)
		})
	}
	out := make([]Leftover, 0, len(found))
	for _, l := range found {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Leftover) int { return bytes.Compare(a.Record, b.Record) })
	return out
}

// Leftovers is LeftoversOf of the ranges that this node leads. It is read beside the loop.
func (s *Store) Leftovers(ctx context.Context, before hlc.Timestamp) ([]Leftover, error) {
	mirrors, err := request(ctx, s, func(c *Core, done func([]evaluation.Mirror, error)) { done(c.Mirrors(), nil) })
	if err != nil {
		return nil, err
	}
	return LeftoversOf(mirrors, before), nil
}
