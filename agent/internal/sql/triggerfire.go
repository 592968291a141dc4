package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// compiledTrigger is a trigger whose body is read, and whose statements are planned when they
// are carried out for the first time.
type compiledTrigger struct {
	desc     *cluster.TableTrigger
	table    *catalog.Table
	function *cluster.Object // nil: the body is its own
	when     *bound          // nil: it always fires
	body     *body
	// shape is that of NEW and OLD; visible are their columns in rows of the table.
	shape   *shape
	visible []int
	reads   bool // it may see or change rows
	sets    bool // it sets columns of NEW
	keys    bool // those of the primary key
}

// occasion is what a trigger is fired by. Its rows are not changed.
type occasion struct {
	session   *Session
	at        time.Time
	event     string
	was, next []datum.Datum
	written   *writtenRows // by the statement
}

// frame is one call of the trigger, with NEW and OLD.
func (c *compiledTrigger) frame(o *occasion) *frame {
	f := o.session.newFrame(c.body, o.at)
	f.fired = &firedFrame{trigger: c, occasion: o}
	for name, row := range map[string][]datum.Datum{"new": o.next, "old": o.was} {
		v := f.declare(&variable{name: name, record: true, fixed: true, shape: c.shape})
		if row != nil {
			v.row = make([]datum.Datum, len(c.visible))
			for i, column := range c.visible {
				v.row[i] = row[column]
			}
		}
	}
	return f
}

// firedFrame is what a frame has that is the call of a trigger.
type firedFrame struct {
	trigger  *compiledTrigger
	occasion *occasion
	row      []datum.Datum // that RETURN gives; nil: null
}

// variable makes one of those that PostgreSQL's triggers have; nil: there is none of the name.
func (f *firedFrame) variable(name string) *variable {
	t, table := f.trigger.desc, f.trigger.table
	text := func(s string) *variable {
		return &variable{name: name, typ: datum.Text, modifier: -1, value: datum.MakeText(s)}
	}
	switch name {
	case "tg_op":
		return text(f.occasion.event)
	case "tg_name":
		return text(t.Name)
	case "tg_when":
		return text(t.Timing)
	case "tg_level":
		if t.Row {
			return text("ROW")
		}
		return text("STATEMENT")
	case "tg_table_name", "tg_relname":
		return text(table.Name())
	case "tg_table_schema":
		return text(table.Schema().Name)
	case "tg_relid":
		return &variable{name: name, typ: datum.Int8, modifier: -1, value: datum.MakeInt(datum.Int8, int64(pgcatalog.TableOID(table)))}
	case "tg_nargs":
		return &variable{name: name, typ: datum.Int4, modifier: -1, value: datum.MakeInt(datum.Int4, int64(len(t.Args)))}
	case "tg_argv":
		v := &variable{name: name, typ: datum.Text | datum.Array, modifier: -1, value: datum.MakeNull(datum.Text | datum.Array)}
		if len(t.Args) > 0 {
			values := make([]datum.Datum, len(t.Args))
			for i, a := range t.Args {
				values[i] = datum.MakeText(a)
			}
			v.value = datum.MakeArray(datum.Text, values)
		}
		return v
	}
	return nil
}

// wants reports whether WHEN is true.
func (c *compiledTrigger) wants(ctx context.Context, o *occasion) (bool, error) {
	if c.when == nil {
		return true, nil
	}
	var rows held
	_, err := c.when.run(ctx, o.session, o.at, c.frame(o).value, &rows)
	if err != nil {
		return false, inContext(err, fmt.Sprintf("trigger %s on table %s at WHEN", c.desc.Name, c.table.Name()))
	}
	v := rows.rows[0][0]
	return !v.Null && v.Bool(), nil
}

// fire carries the body out, and gives the row that is to be written, or that is to go; nil:
// it stays as it is.
func (c *compiledTrigger) fire(ctx context.Context, o *occasion) ([]datum.Datum, error) {
	s := o.session
	leave, err := s.deeper(c.function)
	if err != nil {
		return nil, err
	}
	defer leave()
	defer s.naming(c.transitions(o.written))()
	s.fired++
	defer func() { s.fired-- }()
	f := c.frame(o)
	out, err := f.run(ctx, c.body.statements)
	switch {
	case err != nil:
		return nil, placed(err)
	case out.kind == flowReturn:
		return f.fired.row, nil
	case c.function != nil:
		return nil, &Error{Code: "2F005", Message: "control reached end of trigger procedure without RETURN", Context: c.body.name}
	}
	return f.goesOn(), nil
}

// goesOn is the row of a trigger with a body of its own that does not say what becomes of it.
func (f *frame) goesOn() []datum.Datum {
	o := f.fired.occasion
	if o.event == cluster.OnDelete {
		return o.was
	}
	v, _ := f.lookup("", "new")
	return f.fired.whole(v.row)
}

// whole is the row of the table that has the columns of NEW.
func (f *firedFrame) whole(row []datum.Datum) []datum.Datum {
	o := f.occasion
	base := o.next
	if base == nil {
		base = o.was
	}
	if row == nil || base == nil {
		return nil
	}
	out := slices.Clone(base)
	for i, column := range f.trigger.visible {
		out[column] = row[i]
	}
	return out
}

// returnsRow carries RETURN in a trigger out.
func (f *frame) returnsRow(ctx context.Context, st *syntax.BodyReturn) (flow, error) {
	e := st.Expr
	if st.Value != "" {
		e = &syntax.Expr{SQL: st.Value, Position: st.Position}
	}
	if e == nil {
		f.fired.row = f.goesOn()
		return flow{kind: flowReturn}, nil
	}
	v := f.recordIn(e)
	if v == nil {
		value, err := f.evaluate(ctx, e)
		if err == nil && !value.Null {
			err = &Error{Code: "42804", Message: "cannot return non-composite value from function returning composite type"}
		}
		f.fired.row = nil
		return flow{kind: flowReturn}, err
	}
	if err := f.fired.fits(v); err != nil {
		return flow{}, err
	}
	f.fired.row = f.fired.whole(v.row)
	return flow{kind: flowReturn}, nil
}

// fits refuses a row that is none of the table.
func (f *firedFrame) fits(v *variable) error {
	want := f.trigger.shape
	if v.shape == want || v.row == nil || !f.trigger.desc.Row {
		return nil
	}
	wrong := &Error{Code: "42804", Message: "returned row structure does not match the structure of the triggering table", Context: f.trigger.body.name + " during function exit"}
	if len(v.shape.types) != len(want.types) {
		wrong.Detail = fmt.Sprintf("Number of returned columns (%d) does not match expected column count (%d).", len(v.shape.types), len(want.types))
		return &placedError{told: wrong}
	}
	for i, t := range v.shape.types {
		if t != want.types[i] {
			wrong.Detail = fmt.Sprintf("Returned type %s does not match expected type %s in column %d.", t.SQLName(), want.types[i].SQLName(), i+1)
			return &placedError{told: wrong}
		}
	}
	return nil
}

// inContext adds a line to the context of an error. Its position is that in another text.
func inContext(err error, line string) error {
	e := *AsError(err)
	if e.cause == nil {
		e.cause = err
	}
	if e.Context != "" {
		line = e.Context + "\n" + line
	}
	e.Context, e.Position = line, 0
	return &e
}
