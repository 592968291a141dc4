package sql

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// trier looks whether rows can become what they are to be.
type trier struct{ twin twin }

// some satisfies rowWork.
func (w *trier) some(_ context.Context, rows []kv.Row, _ hlc.Timestamp) (*cluster.Failure, error) {
	for i := range rows {
		if _, failure := w.twin.there(&rows[i]); failure != nil {
			return failure, nil
		}
	}
	return nil, nil
}

// convertible looks at the rows of tables whose columns the transaction has become of other
// types: COMMIT writes them anew, and what is wrong with them by now the statement tells.
func (s *Session) convertible(ctx context.Context) error {
	tables, err := s.scope().Converting()
	if err != nil {
		return err
	}
	for _, t := range tables {
		becomes, err := queryplan.ConversionOf(t)
		if err != nil {
			return err
		}
		w, all := &trier{twin{becomes: becomes}}, &sweep{s.server, placeOfTable(t), t.Name()}
		for at, more := (spot{}), true; more; {
			next, failure, err := all.work(ctx, at, w)
			switch {
			case err != nil:
				return err
			case failure != nil:
				return failed(failure)
			}
			at, more = next.next, next.more
		}
	}
	return nil
}

// failed is the error of a statement that a change of a table has failed with.
func failed(f *cluster.Failure) *Error {
	return &Error{Code: f.Code, Message: f.Message, Detail: f.Detail, Schema: f.Schema, Table: f.Table, Column: f.Column, Constraint: f.Constraint, DataType: f.DataType}
}
