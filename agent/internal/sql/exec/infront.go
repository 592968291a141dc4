package exec

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Rows of an INSERT are computed and checked before any is written; PostgreSQL adds one after
// the other, so that of several that fail the first is told, whatever is wrong with it.

// inTurn reports whether an error comes when it is the row's turn: that of constants that are
// to be inserted comes before.
func inTurn(ins *queryplan.Insert, err error) bool {
	return ins.Select != nil || ins.Slow != nil || strings.HasPrefix(codeOf(err), "23")
}

// ofRow reports whether an error is one of a row's values, or of a constraint.
func ofRow(err error) bool {
	code := codeOf(err)
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23")
}

func codeOf(err error) string {
	var s *syntax.Error
	var d *datum.Error
	switch {
	case errors.As(err, &s):
		return s.Code
	case errors.As(err, &d):
		return d.Code
	}
	return ""
}

// inFront is the error of a statement whose rows, as far as they came, are followed by err:
// that of the first of them that cannot be added, else err. Nothing of them is kept.
func (r *Run) inFront(ctx context.Context, ins *queryplan.Insert, rows []proposed, err error) error {
	if len(rows) == 0 || !ofRow(err) {
		return err
	}
	quiet := *ins
	quiet.Returning = nil
	if r.Tx != nil {
		_, _, first := r.insertInTx(ctx, &quiet, rows)
		return cmp.Or(first, err)
	}
	latest := *r
	latest.TS = 0
	_, _, first := latest.atomic(ctx, func(in *Run) ([][]datum.Datum, int64, error) {
		_, _, first := in.insertInTx(ctx, &quiet, rows)
		return nil, 0, cmp.Or(first, err)
	})
	return first
}

// errEnough ends the computing of rows.
var errEnough = errors.New("enough rows") //nolint:gochecknoglobals // a sentinel

// behind is inFront of as many rows, which are computed again.
func (r *Run) behind(ctx context.Context, ins *queryplan.Insert, slow SlowRows, front int, err error) error {
	if front == 0 || err == nil || !ofRow(err) {
		return err
	}
	var rows []proposed
	again := r.propose(ctx, ins, slow, func(p proposed) error {
		if rows = append(rows, p); len(rows) == front {
			return errEnough
		}
		return nil
	})
	if !errors.Is(again, errEnough) {
		return err
	}
	return r.inFront(ctx, ins, rows, err)
}
