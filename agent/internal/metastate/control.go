package metastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// pauseOperation has an operation begin nothing new.
func (c *change) pauseOperation(in *PauseOperation, by string) Result {
	old, ok := c.view.Operations[in.ID]
	switch {
	case !ok:
		return refused(CodeNotFound, "there is no operation %s", in.ID)
	case old.State.Final():
		return refused(CodeFinal, "operation %s has ended: %s", old.ID, old.State)
	case old.State == cluster.OpPaused && (old.PreemptedBy == "" || old.Held != ""):
		return Result{Existed: true, Operation: old}
	case old.State == cluster.OpCancelling:
		return refused(CodeConflict, "operation %s is being cancelled", old.ID)
	case c.view.NoWayBack(&old.Spec):
		return refused(CodeConflict, "%s is closing the place where the table was: it ends in a moment", old.ID)
	case old.Spec.Kind == cluster.OpDrain:
		return refused(CodeConflict, "%s is a drain, which has a deadline instead of a pause: undrain ends it", old.ID)
	}
	why := "paused"
	if by != "" {
		why += " by " + by
	}
	if in.Reason != "" {
		why += ": " + in.Reason
	}
	op := *old
	if old.PreemptedBy != "" {
		op.Held = why
		op.Why = givesWay(op.PreemptedBy, op.Held)
		return c.controlled(old, op)
	}
	op.State, op.Why = cluster.OpPaused, why
	return c.controlled(old, op)
}

// NoWayBack reports whether an operation moves a table whose old place is being closed:
// statements wait for its end.
func (v *View) NoWayBack(spec *cluster.OperationSpec) bool {
	if spec.Change == nil || !spec.Change.Move {
		return false
	}
	o := v.Objects[spec.Change.Table]
	return o != nil && o.Collection != nil && o.Collection.Move != nil && o.Collection.Move.Closing
}

// resumeOperation ends a pause: the operation goes on where it was.
func (c *change) resumeOperation(in *ResumeOperation, by string) Result {
	old, ok := c.view.Operations[in.ID]
	switch {
	case !ok:
		return refused(CodeNotFound, "there is no operation %s", in.ID)
	case old.State.Final():
		return refused(CodeFinal, "operation %s has ended: %s", old.ID, old.State)
	case old.State == cluster.OpCancelling:
		return refused(CodeConflict, "operation %s is being cancelled", old.ID)
	case old.State != cluster.OpPaused:
		return Result{Existed: true, Operation: old}
	case old.PreemptedBy != "" && old.Held != "":
		op := *old
		op.Held, op.Why = "", givesWay(op.PreemptedBy, "")
		return c.controlled(old, op)
	case old.PreemptedBy != "":
		return refused(CodeConflict, "operation %s gives way to %s, and goes on by itself when that has ended", old.ID, old.PreemptedBy)
	}
	op := *old
	op.State, op.Why = cluster.OpRunning, ""
	if op.StartedAt.IsZero() {
		op.State = cluster.OpQueued
	}
	if by != "" {
		op.Why = "resumed by " + by
	}
	return c.controlled(old, op)
}

// limitOperation changes the rate of an operation that may be running.
func (c *change) limitOperation(in *LimitOperation) Result {
	old, ok := c.view.Operations[in.ID]
	switch {
	case !ok:
		return refused(CodeNotFound, "there is no operation %s", in.ID)
	case old.State.Final():
		return refused(CodeFinal, "operation %s has ended: %s", old.ID, old.State)
	case in.Rate != 0 && in.Rate < MinSnapshotRate:
		return refused(CodeInvalid, "a rate is at least %d bytes per second: to stop the copying, pause the operation", MinSnapshotRate)
	case old.Spec.Kind == cluster.OpDrain:
		return refused(CodeConflict, "%s is a drain, which copies nothing", old.ID)
	case old.Limit == in.Rate:
		return Result{Existed: true, Operation: old}
	}
	op := *old
	op.Limit = in.Rate
	stored := c.putOperation(op)
	text := fmt.Sprintf("%s copies at most %d bytes/s per node", op.ID, in.Rate)
	if in.Rate == 0 {
		text = op.ID + " copies at the rate that it was asked for with"
	}
	c.event(cluster.Event{Kind: cluster.EventOperationLimited, Operation: op.ID, Text: text, Data: map[string]string{"rate": fmt.Sprint(in.Rate)}})
	return Result{Operation: stored}
}

func (c *change) controlled(old *cluster.Operation, op cluster.Operation) Result {
	stored := c.putOperation(op)
	c.operationEvents(old, stored)
	return Result{Operation: stored}
}

// SnapshotRate is what each node may send, and receive, of snapshots each
// second: the least that an operation under way asks for, else the setting.
func (v *View) SnapshotRate() uint64 {
	rate, _ := v.SnapshotLimit()
	return rate
}

// SnapshotLimit is SnapshotRate and the operation that asks for it; empty: it is
// the setting.
func (v *View) SnapshotLimit() (rate uint64, of string) {
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if op.State.Final() || op.State == cluster.OpQueued {
			continue
		}
		if r := op.Rate(); r > 0 && (rate == 0 || r < rate) {
			rate, of = r, id
		}
	}
	if rate > 0 {
		return rate, of
	}
	return v.Settings.SnapshotRate(), ""
}
