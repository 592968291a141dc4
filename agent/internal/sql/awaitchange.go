package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// awaitChange waits until the operation has ended that carries a change of a table on, and
// returns what it has come to. It goes on when the statement ends before it.
func (s *Session) awaitChange(ctx context.Context, id string) error {
	op, err := s.server.cfg.Waiter.Wait(ctx, id, nil)
	if over := ended(err); err != nil && over != nil {
		over.Detail = id + " goes on with the change of the table."
		over.Hint = "Repeat the statement to wait for it, or see nodedbctl ops watch " + id + " and nodedbctl ops cancel " + id + "."
		return over
	}
	if err != nil {
		return err
	}
	s.settle(ctx)
	switch f := op.Failure; {
	case op.State == cluster.OpSucceeded:
		return nil
	case f != nil:
		return failed(f)
	case op.State == cluster.OpCancelled:
		return &Error{Code: "57014", Message: fmt.Sprintf("%s, which changes the table, was cancelled", op.ID), Detail: op.Why}
	default:
		return &Error{Code: "55000", Message: fmt.Sprintf("%s ended %s: %s", op.ID, op.State, op.Why)}
	}
}

// awaitChanges waits for the operations that carry a committed transaction on. What these
// find is wrong is taken back; the rest stays.
func (s *Session) awaitChanges(ctx context.Context, ids []string) error {
	var first error
	for _, id := range ids {
		err := s.awaitChange(ctx, id)
		var wrong *Error
		if err == nil || first != nil {
			continue
		}
		if first = err; errors.As(err, &wrong) {
			told := *wrong
			told.Hint = "The transaction is committed, but for " + id + ", which changes the table and was taken back."
			if op := s.server.catalog.View().Operations[id]; op == nil || !op.State.Final() {
				told.Detail = "The transaction is committed, and " + id + " goes on with the change of the table."
				told.Hint = "See nodedbctl ops watch " + id + " and nodedbctl ops cancel " + id + "."
			}
			first = &told
		}
	}
	return first
}

// changeUnderWay is the operation that has a column become NOT NULL; "": none has.
func (s *Session) changeUnderWay(table cluster.ObjectID, column cluster.ColumnID) string {
	view := s.server.catalog.View()
	for _, id := range view.OperationIDs() {
		op := view.Operations[id]
		if c := op.Spec.Change; c != nil && !op.State.Final() && c.Table == table && slices.Contains(c.NotNull, column) {
			return id
		}
	}
	return ""
}
