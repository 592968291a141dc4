package sim

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// idleFor is the end of a run with Idle, in which what nodes do is counted.
const idleFor = 5 * time.Second

// idling makes a run of three nodes with ranges that nobody uses.
func idling(c *Config, ranges int) {
	c.Nodes, c.Ranges, c.Clients, c.Idle = 3, ranges, 0, true
	c.Duration = 3*time.Second + quiet
}

// resting is what the nodes had done when the end of a run with Idle began.
type resting struct {
	work  map[cluster.NodeID]store.Work
	wakes int
}

func (w *World) beginIdle() {
	w.After(w.cfg.Duration-w.quiet(), w.calm)
	w.After(w.cfg.Duration-idleFor, func() {
		w.resting = &resting{work: map[cluster.NodeID]store.Work{}, wakes: w.Stats.Wakes}
		for _, n := range w.nodes {
			w.resting.work[n.id] = n.core.Work()
		}
	})
}

// checkIdle wants that replicas which nobody uses did nothing, and the nodes no more
// than they do for each other, whatever the number of ranges.
func (w *World) checkIdle() {
	if w.resting == nil {
		return
	}
	const seconds = int(idleFor / time.Second)
	// For a question for support each 300 ms, and while the log is written.
	wakes := w.Stats.Wakes - w.resting.wakes
	if most := 5 * len(w.nodes) * seconds; wakes > most {
		w.fail("idle nodes woke up %d times in %d s, want at most %d", wakes, seconds, most)
	}
	for _, n := range w.nodes {
		was, is := w.resting.work[n.id], n.core.Work()
		if ticks, steps := is.Ticks-was.Ticks, is.Steps-was.Steps; ticks+steps > 0 {
			w.fail("idle replicas on %s ticked %d times and took %d steps", n.id, ticks, steps)
		}
		// The clock's ceiling is raised once a second.
		if writes := is.Writes - was.Writes; writes > uint64(2*seconds) {
			w.fail("idle %s wrote to its log %d times in %d s", n.id, writes, seconds)
		}
		// To each of the others, each 300 ms: a question, and what answers theirs.
		sent := is.Batches - was.Batches
		if most := uint64(2 * 4 * (len(w.nodes) - 1) * seconds); sent > most {
			w.fail("idle %s sent %d batches in %d s, want at most %d", n.id, sent, seconds, most)
		}
		w.Stats.IdleBatches += int(sent)
	}
}
