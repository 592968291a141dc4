package operation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The phases of a schema change.
const (
	PhaseFence    = "fence"     // no range takes writes of those who do not know the new form
	PhaseMaintain = "maintain"  // of indexes and moves: nor of those who do not write what is new
	PhaseFill     = "fill"      // of indexes, also of REINDEX: the rows that are there get their entries
	PhaseValidate = "validate"  // the rows that are there are looked at
	PhaseTakeBack = "take-back" // of one that has failed: the table becomes what it was
	PhaseRelease  = "release"   // of indexes that go: nobody reads them, then nobody writes them
	PhaseCopy     = "copy"      // of a move: rows and entries are written in the other pool, too
	PhaseCompare  = "compare"   // of a move: both places are looked at, from both sides; of REINDEX: entries without their rows go
	PhaseSwitch   = "switch"    // of a move: the old place is closed, and the table in the new one
)

// schemaPhases are the phases of a schema change. Indexes are deletes only until all who
// write know them: else an entry outlives its row.
func schemaPhases(what *cluster.TableChange) []cluster.Phase {
	if what.Move {
		return phases(PhaseFence, PhaseMaintain, PhaseCopy, PhaseCompare, PhaseSwitch)
	}
	if len(what.Repairs) > 0 {
		return phases(PhaseFill, PhaseCompare)
	}
	var names []string
	if what.Proves() {
		names = append(names, PhaseFence)
	}
	if len(what.Indexes) > 0 {
		names = append(names, PhaseMaintain, PhaseFill)
	}
	if what.Validates() {
		names = append(names, PhaseValidate)
	}
	if what.Proves() {
		names = append(names, PhasePublish)
	}
	if len(what.Drops) > 0 {
		names = append(names, PhaseRelease)
	}
	return phases(names...)
}

// SchemaChanger does the work of schema changes; package sql has one.
type SchemaChanger interface {
	// Change does a part of what is left, of some seconds, and says where the operation
	// stands then. It may be called again with what it was called with before, on another
	// node, too: whatever it does twice is done once.
	Change(ctx context.Context, op *cluster.Operation) (SchemaProgress, error)
}

// SchemaProgress is where a schema change stands.
type SchemaProgress struct {
	Phase  string // that is to go on
	Note   string
	Cursor []byte
	Rows   uint64
	// State is running, or how it has ended; Why says why.
	State   cluster.OperationState
	Why     string
	Failure *cluster.Failure // of one that failed
}

// stepSchema has the next part of a schema change done. What was done before is written
// down first, so that another coordinator goes on there.
func (c *Controller) stepSchema(r *run) {
	if r.op.State.Final() || r.command != 0 || r.saving != 0 || r.dirty || c.in.Now.Before(r.retryAt) {
		return
	}
	if r.op.State == cluster.OpQueued {
		r.op.Phases = schemaPhases(r.op.Spec.Change)
		r.say(cluster.OpRunning, "")
		r.phase(r.op.Phases[0].Name, c.in.Now)
		return
	}
	op := r.op
	op.Phases = slices.Clone(op.Phases)
	r.command = c.do(Action{Kind: ActSchema, Operation: op.ID, Schema: &op})
}

// schemaDone takes in what a part of a schema change has come to.
func (c *Controller) schemaDone(done Completion) {
	r := c.runs[done.Action.Operation]
	if r == nil || r.command != done.Action.ID {
		return
	}
	r.command = 0
	if done.Err != nil {
		r.commandFailed(c.in.Now, done.Err)
		r.dirty = true
		return
	}
	p := &done.Schema
	if r.op.State == cluster.OpCancelling && !p.State.Final() {
		return // the next part is to take back what was done
	}
	r.op.State, r.op.Why, r.op.Failure, r.dirty = p.State, p.Why, p.Failure, true
	r.op.Cursor, r.op.Rows = p.Cursor, p.Rows
	switch {
	case p.State == cluster.OpSucceeded:
		last := r.op.Phases[len(r.op.Phases)-1].Name
		r.phase(last, c.in.Now) // one part may have gone through several
		endPhase(&r.op, last, phaseDone, "", c.in.Now)
	case p.State == cluster.OpRunning:
		if !slices.ContainsFunc(r.op.Phases, func(known cluster.Phase) bool { return known.Name == p.Phase }) {
			r.op.Phases = append(r.op.Phases, cluster.Phase{Name: p.Phase, State: phasePending})
		}
		r.phase(p.Phase, c.in.Now)
		notePhase(&r.op, p.Phase, p.Note)
	}
}

var errNoSchemas = errors.New("this node does not change tables yet: its SQL is starting")

// changeSchema carries out an ActSchema.
func (r *Runner) changeSchema(ctx context.Context, a Action) Completion {
	done := Completion{Action: a, At: r.now()}
	if r.cfg.Schemas == nil {
		done.Err = errNoSchemas
		return done
	}
	if done.Schema, done.Err = r.cfg.Schemas.Change(ctx, a.Schema); done.Err != nil {
		done.Err = fmt.Errorf("change table %q: %w", a.Schema.Spec.Change.Name, done.Err)
	}
	return done
}
