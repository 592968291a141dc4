package sim

import (
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// garbage is what every node takes for garbage: what was overwritten longer ago than
// GCTTL, and is not needed by the scan under way. At the end of the faults it stands
// still, so that what was read a short while before can be looked at once more.
func (w *World) garbage() replica.GarbagePolicy {
	at := min(w.now, w.cfg.Duration-w.quiet())
	var oldest hlc.Timestamp
	if s := w.scanner; s != nil && s.now != nil && s.now.at < s.now.read.to && w.now < s.now.until {
		oldest = s.now.read.ts
	}
	keep := garbage.Rules{TTL: w.cfg.GCTTL}.Keep(hlc.New(epoch.Add(at)), oldest, w.cfg.PlantedGarbage)
	w.kept = max(w.kept, keep)
	return replica.GarbagePolicy{Keep: keep, Every: 300 * time.Millisecond}
}

// collect carries out one job of the node's core: the view is read at once, and the
// result comes later. Who finds something wants something of its range: one whose rows were
// counted late collects late.
func (n *Node) collect(j *replica.GarbageJob) {
	var found evaluation.Found
	err := j.Open()
	if err == nil {
		found, err = j.Collect(nil)
	}
	n.w.Stats.Collections++
	n.w.Stats.Collected += found.Versions
	n.later(n.w.ms(1, 1000), func() {
		if found.Versions > 0 {
			n.w.changed = n.w.now
		}
		n.core.Collected(j, found, err)
	})
}

// tooOld reports whether a read was refused because what it might see is collected. A
// scan that is protected is never.
func tooOld(err error) bool {
	var e *store.TooOldError
	return errors.As(err, &e)
}

// forgotten reports whether the range of a key has collected what was there at ts.
func (w *World) forgotten(at place, ts hlc.Timestamp) bool {
	n, st, ok := w.owner(at)
	return ok && n.core.Threshold(st.Descriptor.ID) > ts
}
