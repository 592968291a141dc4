package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxCompiled is how many triggers a session keeps compiled.
const maxCompiled = 64

// compiled returns a trigger that can be fired. It is compiled once for a session and a
// version of its table; its statements are planned anew as those of a client are.
func (s *Session) compiled(ctx context.Context, table *catalog.Table, t *cluster.TableTrigger) (*compiledTrigger, error) {
	if c, ok := s.triggers[t.ID]; ok && c.table == table && c.desc == t {
		return c, nil
	}
	c, err := s.compileTrigger(ctx, table, t)
	if err != nil {
		return nil, (&compiledTrigger{desc: t, table: table}).explain(err, "")
	}
	if s.triggers == nil || len(s.triggers) >= maxCompiled {
		s.triggers = map[cluster.ObjectID]*compiledTrigger{}
	}
	s.triggers[t.ID] = c
	return c, nil
}

// bodyError is what is wrong with a body, whose positions count from its beginning.
type bodyError struct {
	err  error
	base int // position of the statement in the body
	lead int // what stands before its text
}

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// in gives the error its position in the text that the body begins in at start.
func (e *bodyError) in(start int) error {
	out := *AsError(e.err)
	if out.Position > 0 {
		out.Position = max(start-1+e.base-1+out.Position-e.lead, 1)
	}
	return &out
}

// compileTrigger plans the statements of a trigger.
func (s *Session) compileTrigger(ctx context.Context, table *catalog.Table, t *cluster.TableTrigger) (*compiledTrigger, error) {
	b := &triggerCompiler{ctx: ctx, session: s, out: &compiledTrigger{desc: t, table: table}}
	if t.When != "" {
		if err := b.when(); err != nil {
			return nil, err
		}
	}
	body, wrong := syntax.ParseBody(t.Body)
	if wrong != nil {
		return nil, wrong
	}
	var err error
	b.text = t.Body
	b.out.body, err = b.steps(body.Statements)
	return b.out, err
}

type triggerCompiler struct {
	ctx     context.Context //nolint:containedctx // of the one compilation
	session *Session
	out     *compiledTrigger
	text    string
}

// when compiles WHEN.
func (b *triggerCompiler) when() error {
	t := b.out.desc
	e, err := syntax.ParseExpression(t.When)
	if err != nil {
		return err
	}
	if err := syntax.OfOneRow(e, syntax.InWhen); err != nil {
		told := *AsError(err)
		told.Position = 0 // of a text of ours
		return &told
	}
	if err := b.whenFields(e); err != nil {
		return err
	}
	if b.out.when, err = b.bind("SELECT "+t.When, datum.Unknown); err != nil {
		told := *AsError(err)
		told.Position = 0
		return &told
	}
	if typ := b.out.when.prepared.plan.Columns[0].Type; typ != datum.Bool && typ != datum.Unknown {
		return &Error{Code: "42804", Message: "argument of WHEN must be type boolean, not type " + typ.SQLName()}
	}
	return nil
}

// whenFields refuses rows that there are not.
func (b *triggerCompiler) whenFields(e *pg.Node) error {
	t, table := b.out.desc, b.out.table
	var wrong *Error
	syntax.EachColumn(e, func(r *pg.ColumnRef) {
		row := r.GetFields()[0].GetString_().GetSval()
		if row != "new" && row != "old" || wrong != nil {
			return
		}
		column := ""
		if fields := r.GetFields(); len(fields) == 2 {
			column = fields[1].GetString_().GetSval()
		}
		i, known := table.ColumnIndex(column)
		switch {
		case !t.Row:
			wrong = &Error{Code: "42P17", Message: "statement trigger's WHEN condition cannot reference column values"}
		case row == "old" && t.On(cluster.OnInsert):
			wrong = &Error{Code: "42P17", Message: "INSERT trigger's WHEN condition cannot reference OLD values"}
		case row == "new" && t.On(cluster.OnDelete):
			wrong = &Error{Code: "42P17", Message: "DELETE trigger's WHEN condition cannot reference NEW values"}
		case column != "" && (!known || table.Columns[i].Hidden):
			wrong = &Error{Code: "42703", Message: fmt.Sprintf("column %s.%s does not exist", row, column)}
		case known && row == "new" && t.Timing == cluster.BeforeRows && table.Columns[i].Generated != "":
			wrong = &Error{Code: "42P17", Message: "BEFORE trigger's WHEN condition cannot reference NEW generated columns", Detail: fmt.Sprintf("Column %q is a generated column.", column)}
		}
	})
	if wrong != nil {
		return wrong
	}
	return nil
}

func (b *triggerCompiler) steps(list []syntax.BodyStatement) ([]step, error) {
	out := make([]step, len(list))
	for i, st := range list {
		if err := b.step(&out[i], st); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b *triggerCompiler) step(out *step, st syntax.BodyStatement) (err error) {
	switch st := st.(type) {
	case *syntax.BodyQuery:
		if st.Into != nil {
			return inBody(syntax.Unsupported("INTO in the body of a trigger", ""), st.Position, 0)
		}
		out.line, b.out.reads = b.line(st.Position), true
		out.query, err = b.bind(st.SQL, datum.Unknown)
		return inBody(err, st.Position, 0)
	case *syntax.BodyIf:
		out.line = b.line(st.Position)
		for _, a := range st.Arms {
			condition, err := b.expression(a.Condition, datum.Bool)
			if err != nil {
				return err
			}
			steps, err := b.steps(a.Statements)
			if err != nil {
				return err
			}
			out.arms = append(out.arms, arm{condition, steps})
		}
		out.otherwise, err = b.steps(st.Else)
		return err
	case *syntax.BodyAssign:
		return b.assign(out, st)
	case *syntax.BodyRaise:
		if st.Again || st.Condition != "" || len(st.Options) > 1 || len(st.Options) == 1 && st.Options["errcode"].SQL == "" {
			return inBody(syntax.Unsupported("this form of RAISE in the body of a trigger", "Write RAISE level 'message', args USING ERRCODE = 'code'."), st.Position, 0)
		}
		out.line, out.raise = b.line(st.Position), st
		for _, e := range st.Args {
			arg, err := b.expression(e, datum.Unknown)
			if err != nil {
				return err
			}
			out.args = append(out.args, arg)
		}
		if code, ok := st.Options["errcode"]; ok {
			out.code, err = b.expression(code, datum.Text)
		}
		return err
	case *syntax.BodyReturn:
		if st.Expr != nil || st.Next || st.Query != nil || st.Execute != nil {
			return inBody(syntax.Unsupported("RETURN of this in the body of a trigger", "Return NEW, OLD or NULL."), st.Position, 0)
		}
		out.line, out.back = b.line(st.Position), st
		return nil
	default:
		return syntax.Unsupported("this statement in the body of a trigger", "A body of a trigger has SELECT, INSERT, UPDATE, DELETE, IF, RAISE, RETURN and assignments to NEW.")
	}
}

func (b *triggerCompiler) assign(out *step, st *syntax.BodyAssign) error {
	table := b.out.table
	if st.Target.Row != "new" {
		return inBody(syntax.Unsupported("an assignment to anything but a field of NEW, in the body of a trigger,", ""), st.Position, 0)
	}
	i, ok := table.ColumnIndex(st.Target.Name)
	if !ok || table.Columns[i].Hidden {
		return inBody(&Error{Code: "42703", Message: fmt.Sprintf("record \"new\" has no field %q", st.Target.Name), Position: 1}, st.Position, 0)
	}
	out.line, out.column = b.line(st.Position), i
	b.out.sets, b.out.keys = true, b.out.keys || table.IsKey(i)
	var err error
	out.value, err = b.expression(st.Value, table.Columns[i].Type)
	return err
}

// line is that of a position in the body.
func (b *triggerCompiler) line(position int) int {
	return 1 + strings.Count(b.text[:min(max(position-1, 0), len(b.text))], "\n")
}

// inBody says where in a body an error is: positions in it count from lead bytes before the
// position of what it is in.
func inBody(err error, position, lead int) error {
	if err == nil {
		return nil
	}
	return &bodyError{err, position, lead}
}

// expression compiles an expression; of the type, unless that is unknown.
func (b *triggerCompiler) expression(e syntax.Expr, typ datum.Type) (*bound, error) {
	const lead = "SELECT "
	out, err := b.bind(lead+e.SQL, typ)
	if err != nil {
		return nil, inBody(err, e.Position, len(lead))
	}
	if strings.Contains(strings.ToUpper(e.SQL), "SELECT") {
		b.out.reads = true
	}
	return out, nil
}

// bind plans a statement in which fields are parameters.
func (b *triggerCompiler) bind(text string, typ datum.Type) (*bound, error) {
	stmt, err := syntax.Parse(text)
	if err != nil {
		return nil, err
	}
	q := stmt.Node.(*syntax.Query) //nolint:forcetypeassert // the parser of bodies takes no other
	out := &bound{text: text, query: q}
	fields := &triggerFields{of: b.out, to: out}
	if err := q.AsParameters(fields); err != nil {
		return nil, err
	}
	if typ != datum.Unknown {
		target := q.Select.GetTargetList()[0].GetResTarget()
		target.Val = queryplan.CastTo(target.GetVal(), typ)
	}
	return out, out.prepare(b.ctx, b.session)
}

// bound is a statement, or an expression as SELECT, whose parameters are fields.
type bound struct {
	text     string
	query    *syntax.Query
	fields   []boundField
	prepared *Prepared
}

// boundField is what a parameter stands for: a column of a row, or a variable.
type boundField struct {
	row      string // "new", "old", or "" of a variable
	column   int
	variable string
	typ      datum.Type
	shape    *shape // of the record that row is, in a body
}

func (b *bound) prepare(ctx context.Context, s *Session) error {
	p := &Prepared{statement: &syntax.Statement{Text: b.text, Node: b.query}}
	for _, f := range b.fields {
		p.announced = append(p.announced, f.typ)
	}
	if err := s.prepareQuery(ctx, p, b.query); err != nil {
		return err
	}
	if len(p.ParamOIDs) > len(b.fields) {
		return &Error{Code: "42P02", Message: fmt.Sprintf("there is no parameter $%d", len(p.ParamOIDs))}
	}
	b.prepared = p
	return nil
}

// run carries the statement out.
func (b *bound) run(ctx context.Context, f *firedFrame, sink RowSink) error {
	_, err := b.runWith(ctx, f.session, f.at, f.field, sink)
	return err
}

// runWith carries the statement out with the values of fields.
func (b *bound) runWith(ctx context.Context, s *Session, at time.Time, value func(*boundField) datum.Datum, sink RowSink) (string, error) {
	if !s.holds(b.prepared) {
		if err := b.prepare(ctx, s); err != nil {
			return "", err
		}
	}
	args := make([]datum.Datum, len(b.fields))
	for i, field := range b.fields {
		args[i] = value(&field)
	}
	return s.runQuery(ctx, b.prepared, b.query, args, sink, at)
}

// value computes the expression.
func (b *bound) value(ctx context.Context, f *firedFrame) (datum.Datum, error) {
	var rows held
	if err := b.run(ctx, f, &rows); err != nil {
		return datum.Datum{}, err
	}
	if len(rows.rows) != 1 {
		return datum.Datum{}, &Error{Code: "21000", Message: fmt.Sprintf("an expression gave %d rows", len(rows.rows))}
	}
	return rows.rows[0][0], nil
}

// field is the value of a field.
func (f *firedFrame) field(field *boundField) datum.Datum {
	row := f.was
	switch field.row {
	case "":
		return f.variable(field.variable)
	case "new":
		row = f.next
	}
	if row == nil {
		return datum.MakeNull(field.typ)
	}
	return row[field.column]
}

func (f *firedFrame) variable(name string) datum.Datum {
	t := f.trigger
	text := ""
	switch name {
	case "tg_op":
		text = f.event
	case "tg_name":
		text = t.desc.Name
	case "tg_when":
		text = t.desc.Timing
	case "tg_level":
		if text = "STATEMENT"; t.desc.Row {
			text = "ROW"
		}
	case "tg_table_name", "tg_relname":
		text = t.table.Name()
	case "tg_table_schema":
		text = t.table.Schema().Name
	}
	return datum.MakeText(text)
}

// variables are those of PostgreSQL's triggers.
var variables = map[string]bool{ //nolint:gochecknoglobals // never changed
	"tg_op": true, "tg_name": true, "tg_when": true, "tg_level": true, "tg_table_name": true, "tg_relname": true, "tg_table_schema": true,
}

// triggerFields numbers the fields of a statement.
type triggerFields struct {
	of *compiledTrigger
	to *bound
}

// Field satisfies syntax.Fields.
func (t *triggerFields) Field(row, column string, position int) (int, error) {
	if row == "" {
		if !variables[column] {
			return 0, nil
		}
		return t.number(boundField{variable: column, typ: datum.Text}), nil
	}
	if row != "new" && row != "old" {
		return 0, nil
	}
	i, ok := t.of.table.ColumnIndex(column)
	if !ok || t.of.table.Columns[i].Hidden {
		return 0, &Error{Code: "42703", Message: fmt.Sprintf("record %q has no field %q", row, column), Position: position}
	}
	return t.number(boundField{row: row, column: i, typ: t.of.table.Columns[i].Type}), nil
}

// BesideTarget satisfies syntax.Fields.
func (t *triggerFields) BesideTarget() {}

// Param satisfies syntax.Fields.
func (t *triggerFields) Param(int) int { return 0 }

// Row satisfies syntax.Fields.
func (t *triggerFields) Row(row string) []int {
	if row != "new" && row != "old" {
		return nil
	}
	var out []int
	for i, c := range t.of.table.Columns {
		if !c.Hidden {
			out = append(out, t.number(boundField{row: row, column: i, typ: c.Type}))
		}
	}
	return out
}

func (t *triggerFields) number(f boundField) int {
	for i := range t.to.fields {
		if t.to.fields[i] == f {
			return i + 1
		}
	}
	t.to.fields = append(t.to.fields, f)
	return len(t.to.fields)
}
