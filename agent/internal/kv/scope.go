package kv

import (
	"bytes"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// scope is which rows a scan reads: its view waits for what is being written to them,
// and for nothing else that is under way in the range.
func (m *scanRequest) scope(planted Planted) store.Scope {
	to := m.To
	if planted.narrowScope() {
		to = min(to, (m.From.VShard() + 1).Key())
	}
	var start, end []byte // of what follows the collection in a row
	if len(m.Start) > 0 {
		start = keys.Row(m.Pool, 0, m.Collection, m.Start)[keys.RowLen:]
	}
	if len(m.End) > 0 {
		end = keys.Row(m.Pool, 0, m.Collection, m.End)[keys.RowLen:]
	}
	return store.Scope{Span: func(row []byte) bool {
		parts, err := keys.DecodeRow(row)
		if err != nil {
			return true
		}
		at, key := keys.Bound(row), row[keys.RowLen:]
		return parts.Pool == m.Pool && parts.Collection == m.Collection && m.From <= at && at < to &&
			bytes.Compare(start, key) <= 0 && (end == nil || bytes.Compare(key, end) < 0)
	}}
}

// ScanScope is which rows of [from, to) a scan reads. It is for the simulation.
func ScanScope(req *ScanRequest, from, to cluster.Key, planted Planted) store.Scope {
	m := &scanRequest{Pool: req.Pool, Collection: req.Collection, From: from, To: to, Start: req.Start, End: req.End}
	return m.scope(planted)
}
