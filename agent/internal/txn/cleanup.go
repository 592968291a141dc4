package txn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
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
	bytes    int64
	failed   int  // times
	late     bool // its commit was taken back, and may still arrive
}

const (
	// cleaners are how many cleanups are under way at once.
	cleaners = 4
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
	if len(c.rows) == 0 && c.record == nil {
		m.forget(c.id)
		return
	}
	if state == Unknown {
		m.forget(c.id) // who asks is sent to the record
		return
	}
	for _, row := range c.rows {
		c.bytes += int64(len(row)) + 48
	}
	if m.cfg.Cleanup.Reserve(c.bytes) != nil {
		c.bytes = 0
		m.clean(c)
		return
	}
	m.mu.Lock()
	m.queue = append(m.queue, c)
	more := m.worker < cleaners
	if more {
		m.worker++
	}
	m.mu.Unlock()
	if more {
		m.cfg.Go(m.cleaner)
	}
}

// cleaner takes from the queue until it is empty.
func (m *Manager) cleaner() {
	for {
		m.mu.Lock()
		if len(m.queue) == 0 || m.ctx.Err() != nil {
			m.worker--
			m.mu.Unlock()
			return
		}
		c := m.queue[0]
		m.queue = m.queue[1:]
		m.mu.Unlock()
		m.clean(c)
		m.cfg.Cleanup.Release(c.bytes)
	}
}

// clean does what is left to do, and has the transaction be forgotten.
func (m *Manager) clean(c *cleanup) {
	defer m.forget(c.id)
	for m.resolveRows(m.ctx, c) != nil {
		if c.failed++; c.failed >= cleanupTries || m.cfg.Sleep(m.ctx, min(time.Duration(c.failed)*100*time.Millisecond, cleanupPause)) != nil {
			m.count(func(s *Stats) { s.Dropped++ })
			return
		}
	}
	if c.record == nil {
		return
	}
	if c.late {
		m.cfg.Go(func() {
			if m.cfg.Sleep(m.ctx, lateAge) == nil {
				m.forgetRecord(c)
			}
		})
		return
	}
	m.forgetRecord(c)
}

// forgetRecord deletes a record that nothing rests on any more. An error leaves it
// behind; that harms nobody.
func (m *Manager) forgetRecord(c *cleanup) {
	_, _ = m.at(m.ctx, c.record, &datastate.Forget{Txn: c.id, Record: c.record})
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
