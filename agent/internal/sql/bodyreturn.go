package sql

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// returns carries RETURN out.
func (f *frame) returns(ctx context.Context, st *syntax.BodyReturn) (flow, error) {
	switch {
	case st.Next:
		return flow{}, f.next(ctx, st.Expr)
	case st.Query != nil || st.Execute != nil:
		return flow{}, f.returnQuery(ctx, st)
	case f.fired != nil:
		return f.returnsRow(ctx, st)
	case f.routine == nil:
		if st.Expr != nil || st.Value != "" {
			return flow{}, &Error{Code: "42804", Message: "RETURN cannot have a parameter in function returning void"}
		}
		return flow{kind: flowReturn}, nil
	case f.routine.Object.Function.Procedure:
		if st.Expr != nil || st.Value != "" {
			return flow{}, &Error{Code: "42804", Message: "RETURN cannot have a parameter in a procedure"}
		}
		return flow{kind: flowReturn}, nil
	case f.routine.Object.Function.SetOf:
		if st.Expr != nil || st.Value != "" {
			return flow{}, &Error{Code: "42804", Message: "RETURN cannot have a parameter in function returning set", Hint: "Use RETURN NEXT or RETURN QUERY."}
		}
		return flow{kind: flowReturn}, nil
	case f.routine.Void:
		if st.Expr != nil || st.Value != "" && st.Value != "NULL" {
			return flow{}, &Error{Code: "42804", Message: "RETURN cannot have a parameter in function returning void"}
		}
		return flow{kind: flowReturn}, nil
	case len(f.outs) > 0:
		if st.Expr != nil || st.Value != "" {
			return flow{}, &Error{Code: "42804", Message: "RETURN cannot have a parameter in function with OUT parameters"}
		}
		return flow{kind: flowReturn}, nil
	}
	e := st.Expr
	if st.Value != "" {
		e = &syntax.Expr{SQL: st.Value, Position: st.Position}
	}
	if e == nil {
		return flow{}, &Error{Code: "42601", Message: "missing expression at or near \";\""}
	}
	row, err := f.rowOf(ctx, e)
	f.result = row
	return flow{kind: flowReturn}, err
}

// rowOf is the result that an expression gives.
func (f *frame) rowOf(ctx context.Context, e *syntax.Expr) ([]datum.Datum, error) {
	of := datum.Unknown // the composite type of the result
	if c := f.routine.Columns; !f.routine.Composite && len(c) == 1 && c[0].Type.IsComposite() {
		of = c[0].Type
	}
	if v := f.recordIn(e); v != nil {
		if v.row != nil && of != datum.Unknown {
			value, err := f.asComposite(ctx, v.row, of)
			return []datum.Datum{value}, err
		}
		if v.row == nil {
			return f.nothing(), nil
		}
		return f.fitted(ctx, v.row)
	}
	v, err := f.evaluate(ctx, e)
	if err != nil {
		return nil, err
	}
	if v.Type == datum.Record && !v.Null && of != datum.Unknown {
		value, err := f.asComposite(ctx, v.A.Values, of)
		return []datum.Datum{value}, err
	}
	if f.routine.Composite {
		if v.Null {
			return f.nothing(), nil
		}
		return nil, syntax.Unsupported("returning a row from an expression", "Assign it to a record, and return that.")
	}
	return f.fitted(ctx, []datum.Datum{v})
}

// nothing is a result of nulls.
func (f *frame) nothing() []datum.Datum {
	out := make([]datum.Datum, len(f.routine.Columns))
	for i, c := range f.routine.Columns {
		out[i] = datum.MakeNull(c.Type)
	}
	return out
}

// fitted is a row with the types of the result.
func (f *frame) fitted(ctx context.Context, row []datum.Datum) ([]datum.Datum, error) {
	if len(row) != len(f.routine.Columns) {
		return nil, &Error{Code: "42804", Message: "returned record type does not match expected record type", Detail: fmt.Sprintf("Number of returned columns (%d) does not match expected column count (%d).", len(row), len(f.routine.Columns))}
	}
	out := make([]datum.Datum, len(row))
	for i := range row {
		var err error
		if out[i], err = f.convert(ctx, row[i], f.routine.Columns[i].Type, -1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// next carries RETURN NEXT out.
func (f *frame) next(ctx context.Context, e *syntax.Expr) error {
	if f.routine == nil || !f.routine.Object.Function.SetOf {
		return &Error{Code: "42804", Message: "cannot use RETURN NEXT in a non-SETOF function"}
	}
	if e == nil {
		return f.emit(f.outRow())
	}
	row, err := f.rowOf(ctx, e)
	if err == nil {
		err = f.emit(row)
	}
	return err
}

// outRow is the result that OUT parameters make.
func (f *frame) outRow() []datum.Datum {
	var out []datum.Datum
	for _, v := range f.outs {
		switch {
		case !v.record:
			out = append(out, v.value)
		case v.shape.of != datum.Unknown:
			out = append(out, v.composite())
		case v.row != nil:
			out = append(out, v.row...)
		default:
			for _, t := range v.shape.types {
				out = append(out, datum.MakeNull(t))
			}
		}
	}
	return out
}

// returnQuery carries RETURN QUERY out.
func (f *frame) returnQuery(ctx context.Context, st *syntax.BodyReturn) error {
	if f.routine == nil || !f.routine.Object.Function.SetOf {
		return &Error{Code: "42804", Message: "cannot use RETURN QUERY in a non-SETOF function"}
	}
	rows, release := f.session.hold()
	defer release()
	var columns []queryplan.Column
	var err error
	if st.Execute != nil {
		columns, err = f.dynamic(ctx, st.Execute, rows)
	} else {
		var b *bound
		if b, err = f.bind(ctx, st.Query.SQL, st.Query.Position); err == nil {
			columns = b.prepared.plan.Columns
			_, err = b.run(ctx, f.session, f.at, f.value, rows)
		}
		if err != nil {
			err = f.inStatement(err, st.Query.SQL)
		}
	}
	if err != nil {
		return err
	}
	want := f.routine.Columns
	if len(columns) != len(want) {
		return &Error{Code: "42804", Message: "structure of query does not match function result type", Detail: fmt.Sprintf("Number of returned columns (%d) does not match expected column count (%d).", len(columns), len(want))}
	}
	for i, c := range columns {
		if c.Type != want[i].Type && !(c.Type.IsString() && want[i].Type.IsString()) {
			return &Error{Code: "42804", Message: "structure of query does not match function result type",
				Detail: fmt.Sprintf("Returned type %s does not match expected type %s in column %d.", c.Type.SQLName(), want[i].Type.SQLName(), i+1)}
		}
	}
	for _, row := range rows.rows {
		out, err := f.fitted(ctx, row)
		if err == nil {
			err = f.emit(out)
		}
		if err != nil {
			return err
		}
	}
	f.rows, f.found.value = int64(len(rows.rows)), datum.MakeBool(len(rows.rows) > 0)
	return nil
}
