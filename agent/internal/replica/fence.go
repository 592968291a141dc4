package replica

import (
	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// fenceOff goes on with collections that were dropped, and reports whether there is
// anything to do about them. First the range gets a fence, by an entry: from there on
// nothing is written to them, whoever leads. Then their rows are counted in a view, and
// deleted: what the view holds is all there will ever be.
func (r *Replica) fenceOff(c Collector, p GarbagePolicy) bool {
	if f := c.Fence(); len(f.Doomed) > 0 {
		r.Wake()
		r.garbage.fence = f
		r.lookForGarbage()
		return true
	}
	if p.Fence == nil {
		return false
	}
	next, threshold := p.Fence(r.desc.Pool, c.Fence(), p.Keep)
	if next == nil {
		return false
	}
	if p.Ask != nil {
		p.Ask()
		return true
	}
	r.Wake()
	r.proposeFence(c.SetFence(next, min(threshold, p.Keep)))
	return true
}

// fenceDue reports whether collections were dropped that the range does not know of yet.
func (r *Replica) fenceDue(c Collector, p GarbagePolicy) bool {
	if p.Fence == nil {
		return false
	}
	next, _ := p.Fence(r.desc.Pool, c.Fence(), p.Keep)
	return next != nil
}

// proposeFence proposes a fence. What was decided before it and not proposed was decided
// without it: it is evaluated anew once the fence is there. The rows are counted at the
// next look.
func (r *Replica) proposeFence(command []byte) {
	g := &r.garbage
	j := &GarbageJob{Range: r.rangeID, replica: r}
	g.job = j // nobody carries it out: it stands for the proposal
	p := &Proposal{collects: true, fences: true, Done: func(o Outcome) {
		if !r.current(j) {
			return
		}
		g.job = nil
		if o.Err != nil || o.rejected {
			r.endPass(false)
			return
		}
		r.restart()
		r.cfg.Logger.Debug("collections that were dropped are no more", logattr.Range(r.rangeID))
	}}
	p.command = command
	r.admit(p)
	r.queue = append(r.queue, p)
}
