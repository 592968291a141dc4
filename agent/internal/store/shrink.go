package store

import (
	"log/slog"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// What is deleted leaves the disk when its deletions meet it in a compaction, which the
// engine sees to by itself, once they have left its memory. That may be never where
// little is written: so it is told to write its memory to tables, some time after a
// deletion, if that is worth it. It also spares the next start the reading of them.
type shrinking struct {
	freed    int64  // bytes that ranges of rows have become smaller by since the last flush
	since    uint64 // tick of the first of them
	wanted   bool
	flushing bool
}

const (
	// ShrinkTicks is how long deletions stay in memory at most, in ticks: half a minute.
	// More may follow, and each flush is a table, which is compacted.
	ShrinkTicks = 300
	// shrinkBytes is how much smaller ranges have to become: nobody sees less on a disk.
	shrinkBytes = 1 << 20
)

// Freed satisfies replica.Output.
func (c *Core) Freed(bytes int64) {
	s := &c.shrinking
	if s.freed == 0 {
		s.since = c.ticks
	}
	s.freed += bytes
}

func (c *Core) tickShrinking() {
	s := &c.shrinking
	if s.freed >= shrinkBytes && !s.flushing && c.ticks-s.since >= ShrinkTicks && !c.hangs() {
		s.freed, s.wanted, s.flushing = 0, true, true
	}
}

// TakeFlush reports whether the engine is to write its memory to tables.
func (c *Core) TakeFlush() (wanted bool) {
	wanted, c.shrinking.wanted = c.shrinking.wanted, false
	return wanted
}

// Flushed ends what TakeFlush has handed out.
func (c *Core) Flushed(err error) {
	c.shrinking.flushing = false
	if err != nil { // the disk fails or is full, of which others hear by their own writes
		c.log.Warn("deletions not written to tables", logattr.Err(err))
		return
	}
	c.log.Debug("deletions written to tables", slog.Uint64("tick", c.ticks))
}

// flush carries it out.
func (s *Store) flush() {
	err := s.cfg.Engine.Flush()
	_ = s.inbox.complete(func(c *Core) { c.Flushed(err) }) // a stopped store does not care
}
