package kv

import (
	"context"
	"errors"
	"io"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// point returns the key of a span of one row.
func (s *Span) point() (key []byte, ok bool) {
	n := len(s.Start)
	return s.Start, n > 0 && len(s.End) == n+1 && s.End[n] == 0 && string(s.End[:n]) == string(s.Start)
}

// Changed reports whether rows of the spans have versions later than since, up to at,
// without the intents of the transaction own. It reads at both times, so that none comes
// to be any more. A row that was inserted and deleted again in between does not count.
func (d *DB) Changed(ctx context.Context, spans []Span, since, at hlc.Timestamp, own cluster.TxnID) (bool, error) {
	type collection struct {
		pool cluster.PoolID
		id   cluster.CollectionID
	}
	var order []collection
	points := map[collection][][]byte{}
	for i := range spans {
		s := &spans[i]
		c := collection{s.Pool, s.Collection}
		if key, ok := s.point(); ok {
			if points[c] == nil {
				order = append(order, c)
			}
			points[c] = append(points[c], key)
			continue
		}
		if changed, err := d.spanChanged(ctx, s, since, at, own); changed || err != nil {
			return changed, err
		}
	}
	for _, c := range order {
		rows, err := d.Get(ctx, GetRequest{TS: at, Pool: c.pool, Collection: c.id, Keys: points[c], Passed: []cluster.TxnID{own}})
		if err != nil {
			return false, err
		}
		for i := range rows {
			if rows[i].Version > since {
				return true, nil // a deletion has a version, too
			}
		}
	}
	return false, nil
}

// spanChanged is Changed of one span: no row is new, and as many are there as before.
func (d *DB) spanChanged(ctx context.Context, s *Span, since, at hlc.Timestamp, own cluster.TxnID) (bool, error) {
	var before, after int
	for _, pass := range []struct {
		ts    hlc.Timestamp
		count *int
	}{{at, &after}, {since, &before}} {
		it, err := d.Scan(ctx, ScanRequest{TS: pass.ts, Pool: s.Pool, Collection: s.Collection, Start: s.Start, End: s.End, Passed: []cluster.TxnID{own}})
		if err != nil {
			return false, err
		}
		newer, err := count(ctx, it, since, pass.count)
		it.Close()
		if newer || err != nil {
			return newer, err
		}
	}
	return before != after, nil
}

// count counts the rows of a scan, up to the first that is newer than since.
func count(ctx context.Context, it *RowIterator, since hlc.Timestamp, n *int) (newer bool, err error) {
	for {
		rows, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		for i := range rows {
			if rows[i].Version > since {
				return true, nil
			}
		}
		*n += len(rows)
	}
}
