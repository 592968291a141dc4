package sql

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// runWith runs a statement whose WITH changes rows: what others name first, then the main
// query, then what nobody names.
func (s *Session) runWith(ctx context.Context, w *queryplan.With, run *exec.Run, out *output) (n int64, err error) {
	to := out
	var held [][]datum.Datum
	if w.MayStartAnew() { // behind the main query, whose rows have been given out
		to = &output{sink: rowsTo(func(row []datum.Datum) error {
			held = append(held, slices.Clone(row))
			return run.Hold(row)
		})}
	}
	err = run.Several(ctx, func() error {
		held = nil
		n, err = s.runParts(ctx, w, run, to)
		return err
	})
	for _, row := range held {
		if err == nil {
			err = out.row(row)
		}
	}
	return n, err
}

func (s *Session) runParts(ctx context.Context, w *queryplan.With, run *exec.Run, out *output) (int64, error) {
	for _, t := range w.Parts {
		if t.Read {
			if err := s.runPart(ctx, t, run); err != nil {
				return 0, err
			}
		}
	}
	main := *run
	main.Emit = out.row
	n, err := s.runPlan(ctx, w.Main, &main, out)
	if err != nil {
		return 0, err
	}
	for _, t := range w.Parts {
		if (!t.Read || s.server.cfg.Planted.namedAgain()) && t.Changes() {
			if err := s.runPart(ctx, t, run); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// runPart runs a query in WITH and holds its rows for those that name it.
func (s *Session) runPart(ctx context.Context, t *queryplan.Part, run *exec.Run) error {
	in := *run
	rows := rowsTo(func(row []datum.Datum) error {
		if !t.Read {
			return nil
		}
		run.Held[t] = append(run.Held[t], slices.Clone(row))
		return run.Hold(row)
	})
	out := &output{sink: rows}
	in.Emit = out.row
	_, err := s.runPlan(ctx, t.Plan, &in, out)
	return err
}

// rowsTo takes rows.
type rowsTo func(row []datum.Datum) error

func (rowsTo) Describe([]Column) error       { return nil }
func (f rowsTo) Row(row []datum.Datum) error { return f(row) }

// refuseFiring refuses a statement whose WITH changes rows, and that fires triggers: they
// would be fired for each of its queries apart.
func (s *Session) refuseFiring(w *queryplan.With) error {
	if w == nil {
		return nil
	}
	for _, plan := range w.Changing() {
		if s.fires(plan, s.server.cfg.Now()) != nil || s.cascadesFire(plan) {
			return syntax.Unsupported("triggers in a statement whose WITH changes rows", "Use several statements in a transaction.")
		}
		if forgets(plan) {
			return syntax.Unsupported("a temporary table with ON COMMIT in a statement whose WITH changes rows", "Use several statements in a transaction.")
		}
	}
	return nil
}
