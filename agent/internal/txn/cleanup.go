package txn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// cleanup is what is left of a transaction that has ended.
type cleanup struct {
	txn      *Txn // nil: another's
	id       cluster.TxnID
	record   []byte // nil: nothing but locks in memory
	commitTS hlc.Timestamp
	rows     [][]byte
	spans    []datastate.TxnSpan // in place of the rows that are in them: it is committed
	here     bool                // spans end where the range does that has their beginning
	bytes    int64
	failed   int  // times
	objects  bool // the meta range is to be told
	late     bool // its commit was taken back, and may still arrive
}

const (
	// cleaners are how many small cleanups are under way at once, and largeCleaners how
	// many of others. A small one takes a round of the log of each range that it concerns,
	// side by side: with 16 clients on one node some 1,500 are begun in a second. Rows of
	// large ones keep leaders busy.
	cleaners      = 16
	largeCleaners = 4
	// spanRows is Config.SpanRows: as many keys are shorter than a second command.
	spanRows = 64
	// maxForget bounds the records that are deleted together.
	maxForget = 64
	// cleanupTries is how often one is tried, at growing distances of up to cleanupPause:
	// some minutes, in which a range finds a leader. Then whoever meets what is left
	// cleans it up.
	cleanupTries = 60
	cleanupPause = 5 * time.Second
	// lateAge is how long the record of a commit that was taken back stays: a commit that
	// arrives later is refused by its age. The command that deletes the record moves the
	// age of its range on, by steps of 5 s; the rest is for clocks that differ.
	lateAge = store.IDAge + 10*time.Second
)

// cleanUp has a transaction that has ended be cleaned up in the background, or here if too
// much is waiting for that.
func (m *Manager) cleanUp(c *cleanup) {
	c.id = c.txn.id
	state := func() State { c.txn.mu.Lock(); defer c.txn.mu.Unlock(); return c.txn.state }()
	if len(c.rows)+len(c.spans) == 0 && c.record == nil {
		m.forget(c.id)
		return
	}
	if state == Unknown {
		m.forget(c.id) // who asks is sent to the record
		return
	}
	c.bytes = int64(len(c.record)) + 48
	for _, row := range c.rows {
		c.bytes += int64(len(row)) + 48
	}
	if m.cfg.Cleanup.Reserve(c.bytes) != nil {
		c.bytes = 0
		m.clean(c)
		return
	}
	l := &m.small
	if len(c.rows) > m.cfg.SpanRows || len(c.spans) > 0 {
		l = &m.large
	}
	m.mu.Lock()
	l.queue = append(l.queue, c)
	more := l.workers < l.most
	if more {
		l.workers++
	}
	m.mu.Unlock()
	if more {
		m.cfg.Go(func() { m.cleaner(l) })
	}
}

// lane is a queue of cleanups, and who takes from it. m.mu guards all of it.
type lane struct {
	queue   []*cleanup
	workers int
	most    int // workers
}

// cleaner takes from a queue until it is empty. The last one deletes what records are
// left to be: many together cost as much as one.
func (m *Manager) cleaner(l *lane) {
	for {
		m.mu.Lock()
		var c *cleanup
		if len(l.queue) > 0 {
			c, l.queue = l.queue[0], l.queue[1:]
		}
		var over [][]byte
		if len(m.over) >= maxForget || c == nil && m.small.workers+m.large.workers == 1 {
			over, m.over = m.over, nil
		}
		if m.ctx.Err() != nil || c == nil && len(over) == 0 {
			l.workers--
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		m.forgetRecords(over)
		if c != nil {
			m.clean(c)
			m.cfg.Cleanup.Release(c.bytes)
		}
	}
}

// clean does what is left to do, and has the transaction be forgotten.
func (m *Manager) clean(c *cleanup) {
	defer m.forget(c.id)
	for m.cleanParts(c) != nil {
		if c.failed++; c.failed >= cleanupTries || m.cfg.Sleep(m.ctx, min(time.Duration(c.failed)*100*time.Millisecond, cleanupPause)) != nil {
			m.count(func(s *Stats) { s.Dropped++ })
			return
		}
	}
	switch {
	case c.record == nil:
	case c.late:
		m.cfg.Go(func() {
			if m.cfg.Sleep(m.ctx, lateAge) == nil {
				m.forgetRecords([][]byte{c.record})
			}
		})
	case c.bytes == 0: // nobody may come who takes it
		m.forgetRecords([][]byte{c.record})
	default:
		m.mu.Lock()
		m.over = append(m.over, c.record)
		m.mu.Unlock()
	}
}

// cleanParts does what is left to do in the meta range and in the ranges of the rows.
func (m *Manager) cleanParts(c *cleanup) error {
	if c.objects {
		if err := m.resolveObjects(m.ctx, c.id, c.commitTS != 0); err != nil {
			return err
		}
		c.objects = false
	}
	return m.resolve(m.ctx, c)
}

// forgetRecords deletes records that nothing rests on any more. An error leaves them
// behind; that harms nobody.
func (m *Manager) forgetRecords(records [][]byte) {
	if len(records) == 0 {
		return
	}
	parts, err := m.parts(upTo(len(records)), func(i int) []byte { return records[i] }, func(i int) int { return len(records[i]) }, 0)
	if err != nil {
		return
	}
	calls := make([]*kv.Call, len(parts))
	for i, p := range parts {
		f := &datastate.Forget{}
		for _, n := range p.items {
			f.Records = append(f.Records, records[n])
		}
		calls[i] = &kv.Call{Range: p.id, Bytes: p.bytes, Rows: len(p.items), Request: f}
	}
	m.ranges.Do(m.ctx, calls)
	for i, call := range calls {
		if !moved(call) {
			continue
		}
		for _, n := range parts[i].items {
			_, _ = m.at(m.ctx, records[n], &datastate.Forget{Records: [][]byte{records[n]}})
		}
	}
}

// resolve has all that a transaction has left become versions, or go. What is done leaves c.
func (m *Manager) resolve(ctx context.Context, c *cleanup) error {
	if err := m.resolveSpans(ctx, c); err != nil {
		return err
	}
	return m.resolveRows(ctx, c)
}

// resolveSpans is resolve of what is in spans, resolveCalls of them at once.
func (m *Manager) resolveSpans(ctx context.Context, c *cleanup) error {
	var again replanning
	for len(c.spans) > 0 {
		some := c.spans[:min(len(c.spans), resolveCalls)]
		calls := make([]*kv.Call, len(some))
		for i, s := range some {
			id := m.ranges.RangeOf(keys.DataSpan(s.Pool, s.From, s.To).Start)
			if id == 0 {
				return &kv.UnavailableError{Cause: errNoRange}
			}
			calls[i] = &kv.Call{Range: id, Request: &datastate.Resolve{Txn: c.id, Record: c.record, CommitTS: c.commitTS, Span: s}}
		}
		m.ranges.Do(ctx, calls)
		var left []datastate.TxnSpan
		progress := false
		var err error
		for i, call := range calls {
			s := some[i]
			switch {
			case moved(call):
				left = append(left, s)
			case call.Err != nil:
				left, err = append(left, s), call.Err
			case call.Result.Outcome != datastate.Applied:
				left, err = append(left, s), fmt.Errorf("resolve what transaction %s has left in a span: the range could not read the request (outcome %d)", c.id, call.Result.Outcome)
			case call.Result.More:
				left, progress = append(left, s), true
			case call.Result.Until != "" && call.Result.Until < s.To && !c.here:
				s.From = call.Result.Until
				left, progress = append(left, s), true
			default:
				progress = true
			}
		}
		c.spans = append(left, c.spans[len(some):]...)
		if err == nil && !progress {
			err = again.pause(ctx, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolveRows has the intents on rows become versions, or go, and the locks on them end.
// Rows that are done leave c.
func (m *Manager) resolveRows(ctx context.Context, c *cleanup) error {
	var again replanning
	for len(c.rows) > 0 {
		parts, err := m.parts(upTo(len(c.rows)), func(i int) []byte { return c.rows[i] }, func(i int) int { return len(c.rows[i]) + 8 }, chunkBytes)
		if err != nil {
			return err
		}
		var left [][]byte
		for some := range slices.Chunk(parts, resolveCalls) {
			var rest [][]byte
			if err == nil {
				rest, err = m.resolveParts(ctx, c, some)
			} else { // whoever does not answer is not asked for each part
				rest = c.rowsOf(some)
			}
			left = append(left, rest...)
		}
		c.rows = left
		if err != nil {
			return err
		}
		if len(left) > 0 {
			if err := again.pause(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolveParts is resolveRows of some parts of c's rows, side by side. It returns the
// rows that are not done yet.
func (m *Manager) resolveParts(ctx context.Context, c *cleanup, parts []*part) (left [][]byte, err error) {
	calls := make([]*kv.Call, len(parts))
	for i, p := range parts {
		calls[i] = &kv.Call{Range: p.id, Bytes: p.bytes, Rows: len(p.items), Request: &datastate.Resolve{Txn: c.id, Record: c.record, CommitTS: c.commitTS, Rows: c.rowsOf(parts[i : i+1])}}
	}
	m.ranges.Do(ctx, calls)
	for i, call := range calls {
		if moved(call) || call.Err != nil || call.Result.More {
			left = append(left, c.rowsOf(parts[i:i+1])...)
		}
		switch {
		case moved(call):
		case call.Err != nil:
			err = call.Err
		case call.Result.Outcome != datastate.Applied:
			err = fmt.Errorf("resolve %d rows of transaction %s: the range could not read the request (outcome %d)", len(parts[i].items), c.id, call.Result.Outcome)
		}
	}
	return left, err
}

// rowsOf are the rows of parts.
func (c *cleanup) rowsOf(parts []*part) (rows [][]byte) {
	for _, p := range parts {
		for _, n := range p.items {
			rows = append(rows, c.rows[n])
		}
	}
	return rows
}
