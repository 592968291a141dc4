package admin

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// placementPatience is how long replicas may lie otherwise than pools want after
// something that changes where they belong: the coordinator looks each 30 s, and
// begins a repair or a sweep within two looks.
const placementPatience = 2 * time.Minute

// misfitPools finds ranges that are not as their pool wants them, though nothing is
// about to change it.
func misfitPools(c *checkup) []breach {
	if c.Snapshot == nil || c.settling() {
		return nil
	}
	var out []breach
	misfits := c.byPool(c.survey.misplaced(c.Snapshot))
	for _, pool := range sortedKeys(misfits) {
		ids := misfits[pool]
		r := c.Snapshot.Range(ids[0])
		name := c.View.PoolName(pool)
		out = append(out, breach{severity: severityWarn, ranges: ids, command: "nodedbctl pools show " + name,
			text: fmt.Sprintf("%s not as pool %s wants: %s %s", areRanges(len(ids)), name, ids[0], c.Snapshot.Misfit(r))})
	}
	return out
}

// crowdedRanges finds ranges whose replicas lie closer together than the nodes allow.
func crowdedRanges(c *checkup) []breach {
	if c.Snapshot == nil || c.settling() {
		return nil
	}
	ids := c.calm(c.survey.crowded(c.Snapshot))
	if len(ids) == 0 {
		return nil
	}
	b := breach{severity: severityWarn, ranges: ids, command: "nodedbctl rebalance plan",
		text: fmt.Sprintf("%s less spread over the localities than the nodes allow", areRanges(len(ids)))}
	v := c.survive()
	if worst := v.WorstLocality(); worst != nil && slices.ContainsFunc(worst.First, func(id cluster.RangeID) bool { return slices.Contains(ids, id) }) {
		b.text += fmt.Sprintf(": the loss of %s would stop %s", worst.Locality, plural(worst.Ranges, "range"))
	}
	if policy := c.View.Settings.Rebalance(); policy != "auto" {
		b.text += fmt.Sprintf(" (rebalance is %s: nobody moves them by itself)", policy)
	}
	return []breach{b}
}

// stuckPools finds pools that are not made, changed or dropped any further.
func stuckPools(c *checkup) []breach {
	var out []breach
	changing := map[string]bool{}
	for _, id := range c.View.OperationIDs() {
		op := c.View.Operations[id]
		if !op.Spec.Kind.OfPool() || op.State.Final() {
			continue
		}
		changing[op.Spec.Pool] = true
		if held(op) {
			out = append(out, breach{severity: severityWarn, command: "nodedbctl ops show " + id,
				text: fmt.Sprintf("%s of pool %s gets no further: %s", op.Spec.Kind, op.Spec.Pool, op.Why)})
		}
	}
	for _, id := range c.View.PoolIDs() {
		if p := c.View.Pools[id]; p.State == cluster.PoolCreating && !changing[p.Name] {
			out = append(out, breach{severity: severityWarn, command: "nodedbctl pools drop " + p.Name,
				text: fmt.Sprintf("pool %s is still creating, and no operation makes it", p.Name)})
		}
	}
	return out
}

// held reports whether an operation waits for something that may never come; one
// that is paused waits for a person, who knows.
func held(op *cluster.Operation) bool {
	return op.State == cluster.OpBlocked || op.Stalled && op.State != cluster.OpPaused
}

func areRanges(n int) string {
	if n == 1 {
		return "1 range is"
	}
	return fmt.Sprintf("%d ranges are", n)
}

// settling reports whether replicas are on their way to where they belong: an
// operation moves them, or nodes came or changed a moment ago.
func (c *checkup) settling() bool {
	for _, op := range c.View.Operations {
		if moves := op.Spec.Kind.MovesOnly() || op.Spec.Kind.OfPool() || op.Spec.Kind == cluster.OpRepair || op.Spec.Kind == cluster.OpDecommission; moves &&
			!op.State.Final() && op.State != cluster.OpPaused && !held(op) {
			return true
		}
	}
	return slices.ContainsFunc(c.View.Events, func(e *cluster.Event) bool {
		switch e.Kind {
		case cluster.EventNodeActive, cluster.EventNodeStarted, cluster.EventNodeUncordoned, cluster.EventNodeAlive, cluster.EventPoolAltered:
			return c.At.Sub(e.Time) < placementPatience
		default:
			return false
		}
	})
}

// calm leaves the ranges of which no move was heard lately.
func (c *checkup) calm(ids []cluster.RangeID) []cluster.RangeID {
	return slices.DeleteFunc(slices.Clone(ids), func(id cluster.RangeID) bool { return !c.settledFor(id, placementPatience) })
}

// byPool parts the ranges that are calm by their pool.
func (c *checkup) byPool(ids []cluster.RangeID) map[cluster.PoolID][]cluster.RangeID {
	out := map[cluster.PoolID][]cluster.RangeID{}
	for _, id := range c.calm(ids) {
		pool := c.Snapshot.Range(id).Descriptor.Pool
		out[pool] = append(out[pool], id)
	}
	return out
}
