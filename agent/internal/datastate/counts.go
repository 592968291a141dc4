package datastate

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// countsFormat begins the stored counts of a vshard: format, rows, bytes.
const (
	countsFormat byte = 1
	countsLen         = 1 + 8 + 8
)

// count is what one vshard holds.
type count struct {
	rows  int64 // that have a value
	bytes int64 // of all versions, keys included
}

// counts are those of the vshards from first on.
type counts struct {
	first cluster.VShard
	of    []count
	dirty []cluster.VShard // in the order of their first change
}

// cover makes room for the vshards [start, end).
func (c *counts) cover(start, end cluster.VShard) {
	*c = counts{first: start, of: make([]count, int(end)-int(start))}
}

func (c *counts) add(v cluster.VShard, rows, bytes int64) {
	if v < c.first || int(v-c.first) >= len(c.of) {
		return // not of this range: nothing was written
	}
	x := &c.of[v-c.first]
	x.rows += rows
	x.bytes += bytes
	if !slices.Contains(c.dirty, v) {
		c.dirty = append(c.dirty, v)
	}
}

// sum adds up the vshards [start, end).
func (c *counts) sum(start, end cluster.VShard) (total count) {
	for v := max(start, c.first); v < end && int(v-c.first) < len(c.of); v++ {
		total.rows += c.of[v-c.first].rows
		total.bytes += c.of[v-c.first].bytes
	}
	return total
}

// LoadCounts reads what each vshard of d holds; it satisfies replica.Counter.
// State that has no such counts, or others than its sums, is counted anew.
func (m *Machine) LoadCounts(r storage.Reader, d *cluster.RangeDescriptor, rows, bytes int64) error {
	m.counts.cover(d.Start, d.End)
	for v := d.Start; v < d.End; v++ {
		b, ok, err := r.Get(keys.VShardCounts(v))
		if err != nil {
			return fmt.Errorf("load counts: %w", err)
		}
		if !ok {
			continue
		}
		if len(b) > 0 && b[0] != countsFormat {
			return gate.Newer("counts of vshard %d of format %d", v, b[0])
		}
		if len(b) != countsLen {
			return fmt.Errorf("%w: counts of vshard %d", storage.ErrCorruption, v)
		}
		m.counts.of[v-d.Start] = count{int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:]))}
	}
	if total := m.counts.sum(d.Start, d.End); total == (count{rows, bytes}) {
		return nil
	}
	m.counts.cover(d.Start, d.End)
	for v := d.Start; v < d.End; v++ {
		if err := m.countAnew(r, v); err != nil {
			return fmt.Errorf("count the rows of vshard %d: %w", v, err)
		}
	}
	return nil
}

// countAnew counts one vshard from its rows.
func (m *Machine) countAnew(r storage.Reader, v cluster.VShard) error {
	span := keys.DataSpan(v, v+1)
	it, err := r.NewIter(keys.CollectionSpan(v, 1).Start, span.End)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		m.counts.add(v, 0, int64(len(it.Key())+len(it.Value())))
	}
	if err := it.Close(); err != nil {
		return err
	}
	rows := keys.Span{Start: keys.CollectionSpan(v, 1).Start, End: span.End}
	_, err = Scan(r, rows, hlc.Max, ScanOptions{}, func(_, _ []byte, _ hlc.Timestamp) bool {
		m.counts.add(v, 1, 0)
		return true
	})
	return err
}

// StoreCounts writes the counts that changed, and returns what the vshards of d
// hold; it satisfies replica.Counter.
func (m *Machine) StoreCounts(w storage.Writer, d *cluster.RangeDescriptor) (rows, bytes int64, err error) {
	slices.Sort(m.counts.dirty)
	for _, v := range m.counts.dirty {
		x := m.counts.of[v-m.counts.first]
		b := append(make([]byte, 0, countsLen), countsFormat)
		b = binary.BigEndian.AppendUint64(b, uint64(x.rows))
		if err := w.Set(keys.VShardCounts(v), binary.BigEndian.AppendUint64(b, uint64(x.bytes))); err != nil {
			return 0, 0, fmt.Errorf("store counts: %w", err)
		}
	}
	m.counts.dirty = m.counts.dirty[:0]
	total := m.counts.sum(d.Start, d.End)
	return total.rows, total.bytes, nil
}

// Middle returns the boundary that halves the bytes of d's vshards, as well as
// one can; 0: d has one vshard, or nothing.
func (m *Machine) Middle(d *cluster.RangeDescriptor) cluster.VShard {
	total, left := m.counts.sum(d.Start, d.End).bytes, int64(0)
	best, off := cluster.VShard(0), total
	for at := d.Start + 1; at < d.End; at++ {
		left += m.counts.sum(at-1, at).bytes
		if diff := max(2*left-total, total-2*left); diff < off {
			best, off = at, diff
		}
	}
	return best
}
