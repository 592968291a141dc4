package datastate

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// garbage is what a command takes away: versions that no read at or above the
// threshold can see.
type garbage struct {
	threshold hlc.Timestamp // from here on reads below it are refused
	collected hlc.Timestamp // nothing that was garbage at or below it is left; 0: nobody says
	rows      []deadRow
}

// deadRow is a row with the versions of it that go.
type deadRow struct {
	row      []byte
	versions []deadVersion
}

// deadVersion is a version that goes, and the length of what was stored: the engine
// plans its compactions by it.
type deadVersion struct {
	ts   hlc.Timestamp
	size int
}

func (g *garbage) append(out []byte) []byte {
	out = binary.BigEndian.AppendUint64(out, uint64(g.threshold))
	out = binary.BigEndian.AppendUint64(out, uint64(g.collected))
	out = binary.AppendUvarint(out, uint64(len(g.rows)))
	for _, r := range g.rows {
		out = codec.AppendBytes(out, r.row)
		out = binary.AppendUvarint(out, uint64(len(r.versions)))
		for _, v := range r.versions {
			out = binary.AppendUvarint(binary.BigEndian.AppendUint64(out, uint64(v.ts)), uint64(v.size)) //nolint:gosec // a length
		}
	}
	return out
}

// minDead is the shortest encoding of a version that goes, minDeadRow of a row.
const minDead, minDeadRow = 9, 2

func (d *decoder) garbage() *garbage {
	g := &garbage{threshold: hlc.Timestamp(d.Uint64()), collected: hlc.Timestamp(d.Uint64())}
	g.rows = make([]deadRow, d.Count(minDeadRow))
	for i := range g.rows {
		r := &g.rows[i]
		r.row = d.Bytes()
		r.versions = make([]deadVersion, d.Count(minDead))
		for j := range r.versions {
			r.versions[j] = deadVersion{hlc.Timestamp(d.Uint64()), int(min(d.Uvarint(), 1<<30))} //nolint:gosec // bounded
		}
	}
	return g
}

// writeGarbage takes away what a command says. Reads below its threshold are refused
// before anybody can miss what they would have seen.
func (m *Machine) writeGarbage(w storage.Writer, desc *cluster.RangeDescriptor, g *garbage) (applied bool, err error) {
	for i := range g.rows {
		if !owns(desc, g.rows[i].row) {
			return false, nil
		}
	}
	if !m.planted.thresholdKept() {
		m.passed.Threshold = max(m.passed.Threshold, g.threshold)
		m.Passed(m.passed.Threshold)
	}
	m.passed.Collected = max(m.passed.Collected, g.collected)
	for _, r := range g.rows {
		for _, v := range r.versions {
			if err := w.DeleteSized(keys.Version(r.row, v.ts), v.size); err != nil {
				return false, fmt.Errorf("delete a version: %w", err)
			}
		}
	}
	return true, nil
}

// Garbage is how far a range's garbage is collected.
type Garbage struct {
	// Threshold is the time below which the range is not read any more.
	Threshold hlc.Timestamp
	// Collected is the time up to which nothing that was garbage is left.
	Collected hlc.Timestamp
	// Late is the earliest time at which a transaction wrote later than the entries that
	// follow it: what it hides is garbage from there on. 0: none did.
	Late hlc.Timestamp
}

// wrote notes a version that has its transaction's time, not its entry's.
func (g *Garbage) wrote(ts hlc.Timestamp) {
	if g.Late == 0 || ts < g.Late {
		g.Late = ts
	}
}

// TakeGarbage returns what commands have said since it was called last; zero: nothing.
func (m *Machine) TakeGarbage() (threshold, collected, late hlc.Timestamp) {
	g := m.passed
	m.passed = Garbage{}
	return g.Threshold, g.Collected, g.Late
}

// Passed tells the threshold of the range, for requests that compare with what was:
// any goroutine may evaluate them.
func (m *Machine) Passed(threshold hlc.Timestamp) {
	if threshold > hlc.Timestamp(m.threshold.Load()) {
		m.threshold.Store(uint64(threshold))
	}
}

// Collect looks for garbage in a view of a range. It reads what was written in the time
// of the search, so it must not run where anything waits for it. last says that the
// command is to tell, if nothing is left, that all up to the threshold is collected,
// though it has found nothing itself.
func (m *Machine) Collect(r storage.SpanReader, desc *cluster.RangeDescriptor, s evaluation.Search, last bool, pace func(bytes int64) error) (f evaluation.Found, err error) {
	c := collection{search: s, planted: m.planted}
	span := keys.DataSpan(desc.Pool, desc.Start, desc.End)
	if s.After != nil {
		span.Start = s.After
	}
	if f.Next, err = c.rows(r, span, pace); err != nil {
		return f, fmt.Errorf("look for garbage: %w", err)
	}
	f.Versions, f.Bytes = c.found, c.bytes
	if f.Versions == 0 && (f.Next != nil || !last) {
		return f, nil
	}
	g := garbage{threshold: s.Threshold, rows: c.dead}
	if f.Next == nil {
		g.collected = s.Threshold
	}
	f.Command = (&command{adds: cluster.Counts{Dead: -c.bytes}, garbage: &g}).encode()
	return f, nil
}

// collection is a Collect under way.
type collection struct {
	search  evaluation.Search
	planted Planted
	dead    []deadRow
	found   int
	bytes   int64
	size    int // of the rows in the command
	read    int64
}

// maxDeadRows bounds the rows in a command, in bytes: a small part of what an entry may be.
const maxDeadRows = 256 << 10

func (c *collection) full() bool { return c.found >= c.search.Limit || c.size >= maxDeadRows }

// rows looks through a span, and returns the row to go on with.
func (c *collection) rows(r storage.SpanReader, span keys.Span, pace Pace) (next []byte, err error) {
	s := storage.Span{Start: span.Start, End: span.End}
	if c.search.From > 0 {
		s.From, s.To = c.search.From, c.search.Threshold
	}
	it, err := r.NewSpanIter(s)
	if err != nil {
		return nil, err
	}
	rows := storage.NewRows(r)
	defer func() {
		for _, e := range []error{it.Close(), rows.Close()} {
			if err == nil {
				err = e
			}
		}
	}()
	for ok := it.First(); ok; ok = it.NextRow() {
		row, _, err := keys.DecodeVersion(it.Key())
		if err != nil {
			return nil, fmt.Errorf("%w: % x is no row version", storage.ErrCorruption, it.Key())
		}
		whole, err := c.row(rows, bytes.Clone(row))
		if err != nil {
			return nil, err
		}
		if !whole || c.full() {
			if next = bytes.Clone(row); whole {
				next = keys.RowEnd(row)
			}
			return next, nil
		}
		if c.read += int64(len(it.Key())); c.read >= paceBytes && pace != nil {
			if err := pace(c.read); err != nil {
				return nil, err
			}
			c.read = 0
		}
	}
	return nil, it.Err()
}

// row looks at the versions of a row up to the threshold, the newest first. That one
// stays, unless it is a tombstone: then it goes when all that it hides has gone, so that
// nothing comes to light. It reports whether it got to the end of the row.
func (c *collection) row(rows *storage.Rows, row []byte) (whole bool, err error) {
	it, ok, err := rows.SeekGE(keys.Version(row, c.search.Threshold))
	if err != nil || !ok {
		return true, err
	}
	dead := deadRow{row: row}
	var tombstone *deadVersion
	for first := true; ok; ok, first = it.Next(), false {
		_, ts, err := keys.DecodeVersion(it.Key())
		if err != nil {
			return false, err
		}
		stored := it.Value()
		v := deadVersion{ts, len(stored)}
		size := int64(len(it.Key()) + len(stored))
		c.read += size
		if first && !c.planted.newestGoes() {
			live, err := decodeVersion(stored)
			if err != nil {
				return false, err
			}
			if !live.Live {
				tombstone = &v
				c.bytes += size
			}
			continue
		}
		if c.full() {
			break
		}
		dead.versions = append(dead.versions, v)
		c.found++
		c.bytes += size
	}
	if err := it.Err(); err != nil {
		return false, err
	}
	if whole = !ok; tombstone != nil {
		if whole {
			dead.versions = append(dead.versions, *tombstone)
			c.found++
		} else {
			c.bytes -= int64(len(row) + keys.SuffixLen + tombstone.size)
		}
	}
	if len(dead.versions) > 0 {
		c.size += len(row)
		c.dead = append(c.dead, dead)
	}
	return whole, nil
}
