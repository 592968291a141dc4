package store

import "sync/atomic"

// Work is what a store has done since its start. Of an idle one it hardly grows, however
// many ranges there are: tests count it, operators see it in the metrics.
type Work struct {
	Passes  uint64 // times the core went through what had happened
	Ticks   uint64 // of replicas that were awake
	Steps   uint64 // of replicas that had something to do
	Writes  uint64 // batches given to the log writer
	Batches uint64 // sent to peers
	// Collected are versions found to be garbage.
	Collected uint64
}

// work is Work as it grows; any goroutine may read it.
type work struct{ passes, ticks, steps, writes, batches, collected atomic.Uint64 }

// Work returns what the core has done; any goroutine may call it.
func (c *Core) Work() Work {
	w := &c.work
	return Work{w.passes.Load(), w.ticks.Load(), w.steps.Load(), w.writes.Load(), w.batches.Load(), w.collected.Load()}
}

// Work returns what the store has done since its start.
func (s *Store) Work() Work { return s.core.Work() }
