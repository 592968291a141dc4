package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// body is what is carried out by a frame, with what its statements were planned as.
type body struct {
	name       string // as errors tell it
	object     *cluster.Object
	text       string
	statements []syntax.BodyStatement
	plans      map[int]*bound // by position
}

// bodyOf reads the body of a function or of DO.
func bodyOf(name, text string) (*body, error) {
	parsed, err := syntax.ParseBody(text)
	if err != nil {
		return nil, err
	}
	return &body{name: name, text: text, statements: parsed.Statements, plans: map[int]*bound{}}, nil
}

// variable is one of a frame: a value, or a row if it is a record.
type variable struct {
	name              string
	typ               datum.Type
	modifier          int32
	value             datum.Datum
	record            bool
	fixed             bool // the shape of the record is declared
	shape             *shape
	row               []datum.Datum // nil: null
	constant, notNull bool
}

// level is a block's variables.
type level struct {
	outer *level
	label string
	vars  map[string]*variable
}

// frame is one call of a body.
type frame struct {
	session  *Session
	at       time.Time
	body     *body
	names    *level
	args     []*variable // for $1 and so on
	found    *variable
	rows     int64
	handling *Error // the one that a handler is for
	// emit takes the rows of RETURN NEXT and RETURN QUERY; result says what is returned.
	emit    func([]datum.Datum) error
	routine *queryplan.Routine
	outs    []*variable
	result  []datum.Datum
	fired   *firedFrame // it is the call of a trigger
	line    int
	step    string
}

// flow says how a list of statements ended.
type flow struct {
	kind  flowKind
	label string
}

type flowKind uint8

const (
	flowOn flowKind = iota
	flowExit
	flowContinue
	flowReturn
)

// declare makes a variable in the innermost block.
func (f *frame) declare(v *variable) *variable {
	f.names.vars[v.name] = v
	return v
}

// enter opens a block.
func (f *frame) enter(label string) (leave func()) {
	was := f.names
	f.names = &level{outer: was, label: label, vars: map[string]*variable{}}
	return func() { f.names = was }
}

// lookup finds what a name, in a block or a record maybe, means; nil: no variable.
func (f *frame) lookup(row, name string) (*variable, int) {
	for l := f.names; l != nil; l = l.outer {
		if row == "" {
			if v := l.vars[name]; v != nil {
				return v, -1
			}
			continue
		}
		if l.label == row {
			if v := l.vars[name]; v != nil {
				return v, -1
			}
		}
		if v := l.vars[row]; v != nil && v.record {
			return v, v.shape.field(name)
		}
	}
	if f.fired != nil && row == "" {
		if v := f.fired.variable(name); v != nil {
			return f.outermost(v), -1
		}
	}
	return nil, -1
}

// outermost declares a variable outside of all blocks.
func (f *frame) outermost(v *variable) *variable {
	l := f.names
	for l.outer != nil {
		l = l.outer
	}
	l.vars[v.name] = v
	return v
}

// bodyFields numbers the variables in a statement.
type bodyFields struct {
	frame   *frame
	to      *bound
	columns *columnNames
}

// Field satisfies syntax.Fields.
func (b *bodyFields) Field(row, column string, position int) (int, error) {
	if row != "" && b.columns.relations[row] {
		return 0, nil
	}
	v, i := b.frame.lookup(row, column)
	switch {
	case v == nil:
		return 0, nil
	case v.record && row == "" && (b.columns.names[column] || b.columns.relations[column]):
		return 0, nil
	case v.record && row == "" && v.shape != nil && v.shape.of != datum.Unknown:
		return b.number(boundField{variable: column, column: -1, typ: v.shape.of, shape: v.shape}), nil
	case v.record && row == "":
		wrong := syntax.Unsupported("a row as a value in an expression", "Name its fields, or use to_jsonb of it.")
		wrong.Position = position
		return 0, wrong
	case row == "" && b.columns.names[column]:
		return 0, &Error{Code: "42702", Message: fmt.Sprintf("column reference %q is ambiguous", column), Detail: "It could refer to either a PL/pgSQL variable or a table column.", Position: position}
	case v.record && v.shape == nil:
		return 0, unassigned(v)
	case v.record && i < 0:
		return 0, &Error{Code: "42703", Message: fmt.Sprintf("record %q has no field %q", v.name, column), Position: position}
	case v.record:
		return b.number(boundField{row: row, variable: column, column: i, typ: v.shape.types[i], shape: v.shape}), nil
	}
	return b.number(boundField{row: row, variable: column, column: -1, typ: v.typ}), nil
}

// Row satisfies syntax.Fields.
func (b *bodyFields) Row(row string) []int {
	if row == "" || b.columns.relations[row] {
		return nil
	}
	v, _ := b.frame.lookup("", row)
	if v == nil || !v.record || v.shape == nil {
		return nil
	}
	var out []int
	for i, name := range v.shape.names {
		out = append(out, b.number(boundField{row: row, variable: name, column: i, typ: v.shape.types[i], shape: v.shape}))
	}
	return out
}

// Whole satisfies syntax.Fields.
func (b *bodyFields) Whole(row, as string) int {
	if b.columns.relations[row] {
		return 0
	}
	v, _ := b.frame.lookup("", row)
	if v == nil || !v.record || v.shape == nil {
		return 0
	}
	field := boundField{row: row, variable: row, column: asText, typ: datum.Text, shape: v.shape}
	switch as {
	case "json":
		field.column, field.typ = asJSON, datum.JSON
	case "jsonb":
		field.column, field.typ = asJSONB, datum.JSONB
	}
	return b.number(field)
}

// FromZero satisfies syntax.Fields.
func (b *bodyFields) FromZero(name string) bool {
	return name == "tg_argv" && b.frame.fired != nil && !b.columns.names[name]
}

// BesideTarget satisfies syntax.Fields.
func (b *bodyFields) BesideTarget() { b.columns.besideTarget() }

// Param satisfies syntax.Fields.
func (b *bodyFields) Param(n int) int {
	if n < 1 || n > len(b.frame.args) || b.frame.args[n-1].record && b.frame.args[n-1].shape.of == datum.Unknown {
		return 0
	}
	if v := b.frame.args[n-1]; v.record {
		return b.number(boundField{row: "$", column: n - 1, typ: v.shape.of})
	}
	return b.number(boundField{row: "$", column: n - 1, typ: b.frame.args[n-1].typ})
}

func (b *bodyFields) number(f boundField) int {
	if i := slices.Index(b.to.fields, f); i >= 0 {
		return i + 1
	}
	b.to.fields = append(b.to.fields, f)
	return len(b.to.fields)
}

// bind plans a statement for the variables that there are.
func (f *frame) bind(ctx context.Context, text string, position int) (*bound, error) {
	if b := f.body.plans[position]; b != nil && f.fits(b) {
		return b, nil
	}
	b, err := f.bound(ctx, text)
	if err == nil {
		f.body.plans[position] = b
	}
	return b, err
}

// bound plans a statement.
func (f *frame) bound(ctx context.Context, text string) (*bound, error) {
	stmt, err := syntax.Parse(text)
	if err != nil {
		return nil, err
	}
	q, ok := stmt.Node.(*syntax.Query)
	if !ok {
		return nil, fmt.Errorf("a query of type %T", stmt.Node)
	}
	b := &bound{text: text, query: q}
	if err := q.AsParameters(&bodyFields{frame: f, to: b, columns: f.session.columnsIn(f.session.scope(), q)}); err != nil {
		return nil, err
	}
	return b, b.prepare(ctx, f.session)
}

// fits reports whether a statement was planned for variables as they are.
func (f *frame) fits(b *bound) bool {
	for i := range b.fields {
		field := &b.fields[i]
		if field.row == "$" {
			continue
		}
		v, n := f.lookup(field.row, field.variable)
		if field.column <= asText {
			v, _ = f.lookup("", field.row)
			n = field.column
		}
		if v == nil || n != field.column || v.record && v.shape != field.shape || !v.record && v.typ != field.typ {
			return false
		}
	}
	return true
}

// value is that of a field of a statement.
func (f *frame) value(field *boundField) (datum.Datum, error) {
	if field.row == "$" {
		if v := f.args[field.column]; v.record {
			return v.composite(), nil
		}
		return f.args[field.column].value, nil
	}
	if field.column <= asText {
		v, _ := f.lookup("", field.row)
		return f.whole(v, field.column)
	}
	v, i := f.lookup(field.row, field.variable)
	switch {
	case v != nil && v.record && i < 0 && field.column == -1 && v.shape != nil && v.shape.of == field.typ:
		return v.composite(), nil
	case v == nil || v.record && (v.row == nil || i < 0):
		return datum.MakeNull(field.typ), nil
	case v.record:
		return v.row[i], nil
	}
	return v.value, nil
}

// evaluate computes an expression.
func (f *frame) evaluate(ctx context.Context, e *syntax.Expr) (datum.Datum, error) {
	b, err := f.bind(ctx, "SELECT "+e.SQL, e.Position)
	if err != nil {
		return datum.Datum{}, err
	}
	if len(b.prepared.Columns) != 1 {
		return datum.Datum{}, &Error{Code: "42601", Message: fmt.Sprintf("query %q returned %d columns", e.SQL, len(b.prepared.Columns))}
	}
	var rows held
	if _, err := b.run(ctx, f.session, f.at, f.value, &rows); err != nil {
		return datum.Datum{}, err
	}
	switch len(rows.rows) {
	case 0:
		return datum.MakeNull(b.prepared.plan.Columns[0].Type), nil
	case 1:
		return rows.rows[0][0], nil
	}
	return datum.Datum{}, &Error{Code: "21000", Message: fmt.Sprintf("query %q returned more than one row", e.SQL)}
}

// condition computes an expression that is true or not.
func (f *frame) condition(ctx context.Context, e *syntax.Expr) (bool, error) {
	v, err := f.evaluate(ctx, e)
	if err == nil {
		v, err = f.convert(ctx, v, datum.Bool, -1)
	}
	return err == nil && !v.Null && v.Bool(), err
}

// convert makes a value one of a type, as assignments do: by way of its text if there is no
// cast.
func (f *frame) convert(ctx context.Context, v datum.Datum, t datum.Type, modifier int32) (datum.Datum, error) {
	if v.Null {
		return datum.MakeNull(t), nil
	}
	if v.Type == t && modifier < 0 {
		return v, nil
	}
	env := f.session.bodyEnv(ctx, f.at)
	out, err := queryplan.Assign(env, v, t, modifier)
	if err != nil && AsError(err).Code == "42804" {
		if out, err = f.session.Reading().Parse(t, v.Text()); err == nil {
			out, err = queryplan.Assign(env, out, t, modifier)
		}
	}
	return out, err
}

// set assigns a value to a variable.
func (f *frame) set(ctx context.Context, v *variable, value datum.Datum) error {
	if v.notNull && value.Null {
		return &Error{Code: "22004", Message: fmt.Sprintf("null value cannot be assigned to variable %q declared NOT NULL", v.name)}
	}
	out, err := f.convert(ctx, value, v.typ, v.modifier)
	if err == nil {
		v.value = out
	}
	return err
}

// target finds what is assigned to.
func (f *frame) target(t *syntax.BodyTarget) (*variable, int, error) {
	v, i := f.lookup(t.Row, t.Name)
	switch {
	case v == nil && t.Row != "":
		return nil, 0, &Error{Code: "42601", Message: fmt.Sprintf("%q is not a known variable", t.Row+"."+t.Name)}
	case v == nil:
		return nil, 0, &Error{Code: "42601", Message: fmt.Sprintf("%q is not a known variable", t.Name)}
	case v.constant:
		return nil, 0, &Error{Code: "22005", Message: fmt.Sprintf("variable %q is declared CONSTANT", v.name)}
	case v.record && t.Row != "" && v.shape == nil:
		return nil, 0, unassigned(v)
	case v.record && t.Row != "" && i < 0:
		return nil, 0, &Error{Code: "42703", Message: fmt.Sprintf("record %q has no field %q", v.name, t.Name)}
	}
	return v, i, nil
}

// assign sets a target.
func (f *frame) assign(ctx context.Context, t *syntax.BodyTarget, value datum.Datum) error {
	v, i, err := f.target(t)
	if err == nil && t.Index != nil {
		value, err = f.withElement(ctx, t, v, i, value)
	}
	if err != nil {
		return err
	}
	if !v.record {
		return f.set(ctx, v, value)
	}
	if i < 0 {
		if value.Null {
			v.row = nil
			return nil
		}
		if value.IsRow() {
			return f.setFields(ctx, v, value)
		}
		return syntax.Unsupported("assigning a value to a whole row", "Use SELECT ... INTO.")
	}
	out, err := f.convert(ctx, value, v.shape.types[i], v.shape.modifier(i))
	if err != nil {
		return err
	}
	row := make([]datum.Datum, len(v.shape.types))
	for n, t := range v.shape.types {
		if row[n] = datum.MakeNull(t); v.row != nil {
			row[n] = v.row[n]
		}
	}
	row[i], v.row = out, row
	return nil
}

// take assigns a row of a result to targets; nil: there was none.
func (f *frame) take(ctx context.Context, targets []syntax.BodyTarget, columns []queryplan.Column, row []datum.Datum) error {
	if len(targets) == 1 {
		if v, i, err := f.target(&targets[0]); err != nil {
			return err
		} else if v.record && i < 0 {
			return f.takeRow(ctx, v, columns, row)
		}
	}
	for n := range targets {
		value := datum.MakeNull(datum.Unknown)
		if n < len(row) {
			value = row[n]
		}
		v, i, err := f.target(&targets[n])
		if err == nil && value.Null && value.Type == datum.Unknown {
			if value.Type = v.typ; v.record && i >= 0 {
				value.Type = v.shape.types[i]
			}
			if targets[n].Index != nil {
				value.Type = value.Type.Elem()
			}
		}
		if err == nil {
			err = f.assign(ctx, &targets[n], value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// declared makes a variable of a declaration.
func (f *frame) declared(ctx context.Context, d *syntax.BodyVariable) error {
	if d.Alias != "" {
		var of *variable
		if n := strings.TrimPrefix(d.Alias, "$"); n != d.Alias {
			for i := range f.args {
				if fmt.Sprint(i+1) == n {
					of = f.args[i]
				}
			}
		} else {
			of, _ = f.lookup("", d.Alias)
		}
		if of == nil {
			return &Error{Code: "42704", Message: fmt.Sprintf("variable %q does not exist", d.Alias)}
		}
		f.names.vars[d.Name] = of
		return nil
	}
	v := &variable{name: d.Name, notNull: d.NotNull}
	if err := f.typed(v, d.Type); err != nil {
		return err
	}
	if d.Default != nil && v.record {
		if err := f.setRow(ctx, v, d.Default); err != nil {
			return err
		}
	} else if d.Default != nil {
		value, err := f.evaluate(ctx, d.Default)
		if err == nil {
			err = f.set(ctx, v, value)
		}
		if err != nil {
			return err
		}
	} else if d.NotNull {
		return &Error{Code: "22004", Message: fmt.Sprintf("variable %q must have a default value, since it's declared NOT NULL", d.Name)}
	}
	v.constant = d.Constant
	f.declare(v)
	return nil
}

// typed gives a variable the type that was written.
func (f *frame) typed(v *variable, text string) error {
	v.modifier = -1
	text = strings.TrimSpace(text)
	scope := f.session.scope()
	upper := strings.ToUpper(text)
	switch {
	case upper == "RECORD":
		v.record = true
		return nil
	case strings.HasSuffix(upper, "%ROWTYPE"):
		return f.rowTyped(v, scope, strings.TrimSpace(text[:len(text)-len("%ROWTYPE")]))
	case strings.HasSuffix(upper, "%TYPE"):
		return f.likeTyped(v, scope, strings.TrimSpace(text[:len(text)-len("%TYPE")]))
	}
	written, err := syntax.ParseType(text)
	if err != nil {
		return err
	}
	r, failed := scope.ResolveType(written)
	if failed != nil {
		if o, ok := scope.Relation(syntax.Name{Schema: written.Schema, Name: written.Name}); ok && o.Collection != nil && !written.Array {
			return f.rowTyped(v, scope, text)
		}
		return failed
	}
	if r.User != nil && r.User.Domain != nil {
		return syntax.Unsupported("a variable of a domain", "Write the type that it is of.")
	}
	v.isOf(r.Type, r.Modifier)
	return nil
}

// rowTyped gives a variable the row of a table.
func (f *frame) rowTyped(v *variable, scope catalog.Scope, relation string) error {
	name, err := syntax.RelationName(relation)
	if err != nil {
		return err
	}
	t, err := scope.Resolve(name)
	if err != nil {
		return err
	}
	v.record, v.fixed = true, true
	v.shape, _ = rowShape(t)
	return nil
}

// likeTyped gives a variable the type of a column, or of another variable.
func (f *frame) likeTyped(v *variable, scope catalog.Scope, of string) error {
	i := strings.LastIndexByte(of, '.')
	if i < 0 {
		name, err := syntax.RelationName(of)
		if err != nil {
			return err
		}
		other, _ := f.lookup("", name.Name)
		if other != nil && other.record && other.shape != nil && other.shape.of != datum.Unknown {
			v.isOf(other.shape.of, -1)
			return nil
		}
		if other == nil || other.record {
			return &Error{Code: "42601", Message: fmt.Sprintf("type %q does not exist", of+"%TYPE")}
		}
		v.typ, v.modifier, v.value = other.typ, other.modifier, datum.MakeNull(other.typ)
		return nil
	}
	relation, err := syntax.RelationName(of[:i])
	if err != nil {
		return err
	}
	column, err := syntax.RelationName(of[i+1:])
	if err != nil {
		return err
	}
	t, err := scope.Resolve(relation)
	if err != nil {
		return err
	}
	n, ok := t.ColumnIndex(column.Name)
	if !ok {
		return &Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", column.Name, relation.Name)}
	}
	v.isOf(t.Columns[n].Type, t.Columns[n].Modifier)
	return nil
}

// caught reports whether a handler can be for an error: the transaction goes on.
func caught(ctx context.Context, err error) bool {
	var conflict *txn.ConflictError
	return ctx.Err() == nil && !errors.As(err, &conflict) && !AsError(err).MaybeApplied() && !errors.Is(err, ErrRowsUnread)
}
