package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// write is one thing for the log writer: an append, or a change of which
// replicas there are.
type write struct {
	append *replica.Append

	apply   func(*storage.Batch) error
	after   *replica.Replica // whose rounds come before
	done    func()
	refused func(error)
}

// LogBatch is what the log writer makes durable in one go, for all ranges. Write
// touches nothing of the core.
type LogBatch struct {
	writes   []write
	ceiling  hlc.Timestamp
	marks    *Marks
	synced   bool   // once written
	noSync   bool   // a planted fault
	acksFull bool   // a planted fault: an error of a full disk does not count
	taken    uint64 // tick
	late     bool   // a planted fault: it does not count
	acked    bool   // a planted fault: it was taken for done
}

// TakeBatch hands out what has to be written; nil if there is nothing, or a
// batch is out already.
func (c *Core) TakeBatch() *LogBatch {
	if c.out != nil {
		return nil
	}
	if !c.mayWrite() {
		return nil
	}
	ceiling := c.clock.wanted()
	if len(c.writes) == 0 && ceiling == 0 {
		return nil
	}
	b := &LogBatch{writes: c.writes, ceiling: ceiling, marks: c.marks, noSync: c.cfg.Planted.NoSync(),
		late: c.cfg.Planted.CountsLate() && !c.back.settled, acksFull: c.cfg.Planted.AcksFull()}
	c.marks.taken()
	c.writes = nil
	b.taken = c.ticks
	c.out = b
	c.work.writes.Add(1)
	return b
}

// mayWrite reports whether no write has to wait for a round. One that replaces or
// deletes the state of a replica comes after all rounds in which that takes part: what
// they hold would come back. It takes part in no more than two.
func (c *Core) mayWrite() bool {
	for i := range c.writes {
		w := &c.writes[i]
		if w.after != nil && w.after.Uncommitted() || w.append != nil && w.append.Snapshot != nil && !w.append.Replica().Settled() {
			return false
		}
	}
	return true
}

// Write writes the batch. After an error nobody knows what is durable: the
// process must stop.
func (b *LogBatch) Write(e *storage.Engine) error {
	w := e.NewWriteBatch()
	sync := b.ceiling != 0
	var err error
	for i := range b.writes {
		x := &b.writes[i]
		if x.append == nil {
			err, sync = x.apply(w), true
		} else if x.append.Snapshot != nil && x.append.Snapshot.Large() {
			w, err = b.ingest(e, w, x.append)
			sync = true
		} else {
			sync = sync || x.append.Sync || x.append.Snapshot != nil
			err = writeAppend(w, x.append)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("write log: %w", err), w.Close())
		}
	}
	if b.ceiling != 0 {
		err = writeCeiling(w, b.ceiling)
	}
	switch b.synced = sync && !b.noSync; {
	case err != nil:
	case b.synced && b.late:
		err = w.Commit(true)
	case b.synced:
		err = b.marks.commit(w)
	case !w.Empty():
		err = w.Commit(false)
	}
	if err = errors.Join(err, w.Close()); err != nil && !(b.acksFull && errors.Is(err, storage.ErrDiskFull)) {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// Synced reports whether the batch, which was written, is on disk.
func (b *LogBatch) Synced() bool { return b.synced }

func writeAppend(w *storage.Batch, a *replica.Append) error {
	if a.Snapshot != nil {
		if err := a.Snapshot.WriteBatch(w, a.HardState); err != nil {
			return err
		}
	}
	return a.Append.Write(w)
}

// ingest installs a large snapshot in its place in the order: what comes before
// it is committed first, what comes after goes in a new batch.
func (b *LogBatch) ingest(e *storage.Engine, w *storage.Batch, a *replica.Append) (*storage.Batch, error) {
	err := b.marks.commit(w)
	if err = errors.Join(err, w.Close()); err == nil {
		err = a.Snapshot.Ingest(a.HardState)
	}
	w = e.NewWriteBatch()
	if err != nil {
		return w, err
	}
	return w, a.Append.Write(w)
}

// BatchFailed tells the core that b could not be written: it does nothing more.
func (c *Core) BatchFailed(err error) { c.fatal(err) }

// BatchDone tells the core that b is durable.
func (c *Core) BatchDone(b *LogBatch) {
	c.out = nil
	if !b.acked {
		c.durable(b)
	}
}

// durable goes on with what waited for b.
func (c *Core) durable(b *LogBatch) {
	c.clock.stored(b.ceiling)
	for i := range b.writes {
		w := &b.writes[i]
		if w.append == nil {
			w.done()
			continue
		}
		w.append.Replica().Appended(w.append)
		if s, ok := c.slots[w.append.Range]; ok {
			c.mark(s)
		}
	}
}

// logResult is how the write of a batch ended.
type logResult struct {
	batch *LogBatch
	err   error
}

// writeLog is the log writer: it makes one batch after another durable.
func (s *Store) writeLog() {
	for b := range s.batch {
		s.writing.Store(int64(time.Since(s.opened)))
		err := b.Write(s.cfg.Engine)
		s.writing.Store(0)
		s.synced <- logResult{b, err}
	}
}

// WriteAge is how long the log writer's batch has been under way; 0: there is none.
// It asks nobody.
func (s *Store) WriteAge() time.Duration {
	if begun := s.writing.Load(); begun != 0 {
		return time.Since(s.opened) - time.Duration(begun)
	}
	return 0
}
