package datastate

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// fencing is what a command says of collections that were dropped: from here on they
// are no more.
type fencing struct {
	fence     *cluster.Fence
	threshold hlc.Timestamp // below it rows of theirs could be read
}

// clearing is what a command deletes of collections that are no more. It counts what was
// there at a time when nothing could be added any more, in the range as it was then.
type clearing struct {
	through    uint64 // of the fence
	start, end cluster.Key
	done       bool // nothing of what the fence dooms is left
	spans      []clearedSpan
}

type clearedSpan struct {
	vshard     cluster.VShard
	collection cluster.CollectionID
}

const fenceFormat byte = 1

func appendIDs(out []byte, ids []cluster.CollectionID) []byte {
	out = binary.AppendUvarint(out, uint64(len(ids)))
	last := cluster.CollectionID(0)
	for _, id := range ids {
		out, last = binary.AppendUvarint(out, uint64(id-last)), id
	}
	return out
}

func (d *decoder) ids() []cluster.CollectionID {
	n := d.Count(1)
	if n == 0 {
		return nil
	}
	ids, last := make([]cluster.CollectionID, n), cluster.CollectionID(0)
	for i := range ids {
		last += cluster.CollectionID(d.Uvarint())
		ids[i] = last
	}
	return ids
}

func appendFence(out []byte, f *cluster.Fence) []byte {
	for _, v := range [...]uint64{f.Through, f.Cleared, uint64(f.UpTo)} {
		out = binary.AppendUvarint(out, v)
	}
	return appendSchemaFences(appendIDs(appendIDs(out, f.Alive), f.Doomed), f.Schemas)
}

func (d *decoder) fence() *cluster.Fence {
	f := &cluster.Fence{Through: d.Uvarint(), Cleared: d.Uvarint(), UpTo: cluster.CollectionID(d.Uvarint())}
	f.Alive, f.Doomed = d.ids(), d.ids()
	f.Schemas = d.schemaFences()
	return f
}

func (f *fencing) append(out []byte) []byte {
	return binary.BigEndian.AppendUint64(appendFence(out, f.fence), uint64(f.threshold))
}

func (d *decoder) fencing() *fencing {
	return &fencing{fence: d.fence(), threshold: d.ts()}
}

func (c *clearing) append(out []byte) []byte {
	out = binary.AppendUvarint(out, c.through)
	out = append(codec.AppendBytes(codec.AppendBytes(out, c.start), c.end), flag(c.done))
	out = binary.AppendUvarint(out, uint64(len(c.spans)))
	for _, s := range c.spans {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(s.vshard)), uint64(s.collection))
	}
	return out
}

// minCleared is the shortest encoding of a span that is cleared.
const minCleared = 2

func (d *decoder) clearing() *clearing {
	c := &clearing{through: d.Uvarint(), start: cluster.Key(d.Bytes()), end: cluster.Key(d.Bytes()), done: d.UpTo(1) == 1}
	c.spans = make([]clearedSpan, d.Count(minCleared))
	for i := range c.spans {
		c.spans[i] = clearedSpan{cluster.VShard(d.UpTo(cluster.VShards - 1)), cluster.CollectionID(d.Uvarint())} //nolint:gosec // bounded
	}
	return c
}

// noFence is that of a range of which no collection was dropped, and no table changed.
var noFence = &cluster.Fence{}

// Fence is the range's, as of the last command that was written; it is not to be
// changed. Any goroutine may ask.
func (m *Machine) Fence() *cluster.Fence { return m.fence.Load() }

// SetFence makes the command that puts f in the place of the range's fence, by leave of
// all who read as of before the threshold.
func (m *Machine) SetFence(f *cluster.Fence, threshold hlc.Timestamp) []byte {
	return (&command{fencing: &fencing{f, threshold}}).encode()
}

// Bequeath writes the fence for a range that is split off.
func (m *Machine) Bequeath(w storage.Writer, child cluster.RangeID) error {
	if f := m.Fence(); f.Through == 0 && len(f.Schemas) == 0 || m.planted.fenceKept() {
		return nil
	}
	return storeFence(w, child, m.Fence())
}

func storeFence(w storage.Writer, id cluster.RangeID, f *cluster.Fence) error {
	if err := w.Set(keys.RangeFence(id), appendFence([]byte{fenceFormat}, f)); err != nil {
		return fmt.Errorf("write the fence: %w", err)
	}
	return nil
}

func loadFence(r storage.Reader, id cluster.RangeID) (*cluster.Fence, error) {
	v, ok, err := r.Get(keys.RangeFence(id))
	if err != nil || !ok {
		return noFence, err
	}
	d := decode(v)
	if f := d.Byte(); d.Err() == nil && f != fenceFormat {
		return nil, gate.Newer("fence of format %d", f)
	}
	f := d.fence()
	return f, d.End()
}

// writeFence has collections be no more. Requests about them that are evaluated from here
// on are refused; none that was evaluated before comes after, see package replica.
func (m *Machine) writeFence(w storage.Writer, desc *cluster.RangeDescriptor, c *fencing) (applied bool, err error) {
	old := m.Fence()
	if c.fence.Through <= old.Through || len(old.Doomed) > 0 {
		return false, nil
	}
	next := *c.fence
	next.Cleared, next.Schemas = old.Cleared, next.Inherited(old)
	m.passed.Threshold = max(m.passed.Threshold, c.threshold)
	m.Passed(m.passed.Threshold)
	m.fence.Store(&next)
	return true, storeFence(w, desc.ID, &next)
}

// writeClear deletes rows of collections that are no more.
func (m *Machine) writeClear(w storage.Writer, desc *cluster.RangeDescriptor, c *clearing) (applied bool, err error) {
	f := m.Fence()
	if c.through != f.Through || len(f.Doomed) == 0 || c.start != desc.Start || c.end != desc.End {
		return false, nil
	}
	for _, s := range c.spans {
		if _, doomed := slices.BinarySearch(f.Doomed, s.collection); !doomed {
			return false, nil
		}
	}
	for _, s := range c.spans {
		span := keys.CollectionIn(desc, s.vshard, s.collection-m.planted.clearsOther())
		if err := w.DeleteRange(span.Start, span.End); err != nil {
			return false, fmt.Errorf("clear a collection: %w", err)
		}
	}
	if !c.done {
		return true, nil
	}
	if err := m.clearLocks(w, f); err != nil {
		return false, fmt.Errorf("clear the locks of a collection: %w", err)
	}
	next := *f
	next.Doomed, next.Cleared = nil, f.Through
	m.fence.Store(&next)
	return true, storeFence(w, desc.ID, &next)
}

// clearLocks takes away the lock records of rows that are no more. The records of
// transactions stay: they may decide about rows elsewhere, and go when their
// transactions are done with.
func (m *Machine) clearLocks(w storage.Writer, f *cluster.Fence) error {
	m.Mirror()
	for key := range m.applied.rows.from("") {
		row := []byte(key)
		parts, err := keys.DecodeRow(row)
		if err != nil {
			return err
		}
		if _, doomed := slices.BinarySearch(f.Doomed, parts.Collection); !doomed {
			continue
		}
		m.changes = append(m.changes, lockChange{key: key})
		if err := w.Delete(keys.Lock(row)); err != nil {
			return err
		}
	}
	return nil
}

// Clear looks in a view for what is left of the collections that fence dooms, from a place
// on, which is nil or a Next of before. It counts what it finds. Nothing can be added to
// them since the fence is there. It depends on its arguments alone, and any goroutine may
// call it.
func (m *Machine) Clear(r storage.SpanReader, desc *cluster.RangeDescriptor, fence *cluster.Fence, after []byte, limit int, pace func(bytes int64) error) (f evaluation.Found, err error) {
	c := &clearing{through: fence.Through, start: desc.Start, end: desc.End}
	span := keys.DataSpan(desc.Pool, desc.Start, desc.End)
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return f, fmt.Errorf("look for what was dropped: %w", err)
	}
	var n cluster.Counts
	err = eachDoomed(desc, fence, after, func(s clearedSpan, span keys.Span) (more bool, err error) {
		if ok := it.SeekGE(span.Start); !ok || !span.Contains(it.Key()) {
			return true, it.Err()
		}
		if len(c.spans) >= limit {
			f.Next = span.Start
			return false, nil
		}
		found, err := Count(r, span, pace)
		c.spans, n = append(c.spans, s), n.Plus(found)
		return true, err
	})
	if e := it.Close(); err == nil {
		err = e
	}
	if err != nil {
		return f, fmt.Errorf("look for what was dropped: %w", err)
	}
	c.done = f.Next == nil
	f.Versions, f.Bytes = len(c.spans), n.Bytes()
	f.Command = (&command{adds: cluster.Counts{}.Minus(n), clearing: c}).encode()
	return f, nil
}

// eachDoomed calls fn for each span in which the range may hold rows of what fence dooms,
// in the order of keys.
func eachDoomed(desc *cluster.RangeDescriptor, fence *cluster.Fence, after []byte, fn func(clearedSpan, keys.Span) (bool, error)) error {
	for v := desc.Start.VShard(); v < cluster.VShards; v++ {
		if desc.End <= v.Key() {
			break
		}
		for _, id := range fence.Doomed {
			span := keys.CollectionIn(desc, v, id)
			if string(span.Start) >= string(span.End) || string(span.Start) < string(after) {
				continue
			}
			if more, err := fn(clearedSpan{v, id}, span); !more || err != nil {
				return err
			}
		}
	}
	return nil
}

// barred reports whether rows of a collection are no more.
func (m *Machine) barred(c cluster.CollectionID) bool {
	return m != nil && m.Fence().Bars(c) && !m.planted.fenceOpen()
}

// own says of which collection a row is, or refuses one that the range does not own, or whose
// collection is no more.
func (e *evaluating) own(row []byte) (cluster.CollectionID, *Result) {
	parts, err := keys.DecodeRow(row)
	switch {
	case err != nil || !keys.Owns(e.desc, row):
		return 0, &Result{Outcome: WrongRange}
	case e.machine.barred(parts.Collection):
		return 0, &Result{Outcome: Dropped}
	}
	return parts.Collection, nil
}

// gone reports whether a row's collection is no more.
func (m *Machine) gone(row []byte) bool {
	if m == nil || m.Fence() == noFence {
		return false
	}
	parts, err := keys.DecodeRow(row)
	return err == nil && m.barred(parts.Collection)
}
