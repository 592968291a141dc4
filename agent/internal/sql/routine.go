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
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxCallDepth bounds functions that call, and triggers that fire, each other.
const maxCallDepth = 128

// sqlFunction is a function in SQL whose statements are planned.
type sqlFunction struct {
	object     *cluster.Object
	body       *catalog.Body // by which they are; nil: by the text
	statements []*bound
}

// columnNames are the names that columns have in a statement.
type columnNames struct {
	names  map[string]bool
	target map[string]bool // of the table of INSERT
	// relations are the names by which rows of tables go.
	relations map[string]bool
}

// columnsIn are the names of all columns that a statement may mean. Those of the table of
// INSERT mean something in RETURNING and ON CONFLICT only.
func (s *Session) columnsIn(scope catalog.Scope, q *syntax.Query) *columnNames {
	out := &columnNames{names: map[string]bool{}, target: map[string]bool{}, relations: map[string]bool{}}
	add := func(to map[string]bool, schema, name string) {
		if o, ok := scope.Relation(syntax.Name{Schema: schema, Name: name}); ok {
			for _, c := range catalog.ReadColumns(o) {
				to[c.Name] = true
			}
			return
		}
		if t, ok := s.server.systemTable(schema, name); ok {
			for _, c := range t.Columns {
				to[c.Name] = true
			}
		}
	}
	q.EachName(func(schema, name, alias string, target bool) {
		out.relations[alias] = true
		if target {
			add(out.target, schema, name)
		} else {
			add(out.names, schema, name)
		}
	}, func(column string) { out.names[column] = true })
	return out
}

// besideTarget has names mean columns of the table of INSERT, too.
func (c *columnNames) besideTarget() {
	for name := range c.target {
		c.names[name] = true
	}
}

// compileSQL plans the statements of a function in SQL.
func (s *Session) compileSQL(ctx context.Context, in catalog.Scope, o *cluster.Object) (*sqlFunction, error) {
	out := &sqlFunction{object: o}
	var err error
	if out.body, err = in.Body(o); err != nil {
		return nil, err
	}
	if out.body != nil {
		for _, q := range out.body.Statements {
			b := &bound{query: q.Clone(), named: true}
			if err := out.add(ctx, s, in, b); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	for _, text := range syntax.Split(o.Function.Body) {
		stmt, err := syntax.Parse(text)
		if err != nil {
			return nil, err
		}
		q, ok := stmt.Node.(*syntax.Query)
		if !ok {
			return nil, syntax.Unsupported("a statement other than SELECT, INSERT, UPDATE and DELETE in a function in SQL", "Write it in PL/pgSQL.")
		}
		if err := out.add(ctx, s, in, &bound{text: text, query: q}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add plans a statement.
func (c *sqlFunction) add(ctx context.Context, s *Session, in catalog.Scope, b *bound) error {
	for i, p := range c.object.Function.Inputs() {
		t, ok := in.ValueType(p.ValueType)
		if !ok {
			return syntax.Unsupported("a parameter of type "+in.TypeText(p.ValueType), "")
		}
		b.fields = append(b.fields, boundField{row: argumentRow, column: i, typ: t})
	}
	if !b.named {
		columns := s.columnsIn(in, b.query)
		args := queryplan.ArgumentsOf(c.object, func(name string) bool { return columns.names[name] })
		args.Beside = columns.besideTarget
		if err := b.query.AsParameters(args); err != nil {
			return err
		}
	}
	c.statements = append(c.statements, b)
	return b.prepare(ctx, s)
}

// bindFunction has the names in a body in one of the standard's forms, and in defaults of
// parameters, be of what they mean now.
func (s *Session) bindFunction(ctx context.Context, in catalog.Scope, o *cluster.Object, body []*syntax.Query) error {
	for i := range o.Function.Parameters {
		p := &o.Function.Parameters[i]
		if p.Default == "" {
			continue
		}
		if t, ok := in.ValueType(p.ValueType); ok {
			p.Default = s.settledDefault(p.Default, t)
		}
		var err error
		if p.Default, err = bindCalls(in, nil, p.Default); err != nil {
			return err
		}
	}
	if body == nil {
		return nil
	}
	compiled := &sqlFunction{object: o}
	b := queryplan.NewBinder(s.readable(in))
	var texts []string
	for _, q := range body {
		calls := map[int32]*queryplan.Routine{}
		statement := &bound{query: q.Clone(), chosen: func(f *pg.FuncCall, r *queryplan.Routine) {
			if f.GetLocation() > 0 { // else it stands in the body of a function
				calls[f.GetLocation()] = r
			}
		}}
		if err := compiled.add(ctx, s, in, statement); err != nil {
			return err
		}
		text, err := b.Statement(s.settled(in, statement.prepared, statement.prepared.query(statement.query), s.Reading()), calls, unnamed(in))
		if err != nil {
			return err
		}
		texts = append(texts, text)
	}
	if err := compiled.check(in, o); err != nil {
		return err
	}
	o.Function.Body, o.Function.Reads = strings.Join(texts, "; "), b.Reads
	return boundCalls(in, o.Function.Body)
}

// boundCalls refuses a body in which a function of a user is called by its name.
func boundCalls(in catalog.Scope, body string) error {
	list, err := syntax.ParseStatements(body)
	if err != nil {
		return err
	}
	for _, q := range list {
		if name, ok := callsByName(in, q.Tree()); ok {
			return syntax.Unsupported(fmt.Sprintf("a call of function %s in this place of BEGIN ATOMIC", name), "Write the body as AS '...'.")
		}
	}
	return nil
}

// unnamed finds what has a number instead of a name in what is kept.
func unnamed(in catalog.Scope) syntax.Unnamed {
	return syntax.Unnamed{
		Type: func(n syntax.TypeName) (uint64, error) {
			r, err := in.ResolveType(n)
			if err != nil || r.User == nil {
				return 0, nil //nolint:nilerr // who plans it says so
			}
			return uint64(r.User.ID), nil
		},
		Sequence: func(n syntax.Name) (uint64, error) {
			o, err := in.Sequence(n)
			if err != nil {
				return 0, err
			}
			return uint64(o.ID), nil
		},
	}
}

// argumentRow is the row of boundField that the arguments of a function are.
const argumentRow = "argument"

// check refuses a function whose last statement does not give what it returns.
func (c *sqlFunction) check(in catalog.Scope, o *cluster.Object) error {
	f := o.Function
	if f.Returns.Type == cluster.VoidType {
		return nil
	}
	wrong := func(detail string) error {
		return &Error{Code: "42P13", Message: "return type mismatch in function declared to return " + in.TypeText(f.Returns), Detail: detail, Context: fmt.Sprintf("SQL function %q", o.Name)}
	}
	if len(c.statements) == 0 || c.statements[len(c.statements)-1].prepared.Columns == nil {
		return wrong("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
	}
	r, _ := routineOf(in, o)
	last := c.statements[len(c.statements)-1].prepared
	types := make([]datum.Type, len(last.plan.Columns))
	for i, column := range last.plan.Columns {
		types[i] = column.Type
	}
	if len(types) == 1 && types[0] == datum.Record && f.Returns.Type != cluster.RecordType {
		return syntax.Unsupported("a function whose last statement gives a row as a value", "Select the columns of the row.")
	}
	if r == nil || len(r.Columns) == 0 {
		return nil // a record: the call says what it is
	}
	if len(types) != len(r.Columns) {
		if !r.Composite {
			return wrong("Final statement must return exactly one column.")
		}
		if len(types) < len(r.Columns) {
			return wrong("Final statement returns too few columns.")
		}
		return wrong("Final statement returns too many columns.")
	}
	for i, t := range types {
		if queryplan.Assignable(t, r.Columns[i].Type) {
			continue
		}
		if !r.Composite {
			return wrong(fmt.Sprintf("Actual return type is %s.", t.SQLName()))
		}
		return wrong(fmt.Sprintf("Final statement returns %s instead of %s at column %d.", t.SQLName(), r.Columns[i].Type.SQLName(), i+1))
	}
	return nil
}

// call carries a function out in an expression.
func (s *Session) call(ctx context.Context, at time.Time, r *queryplan.Routine, args []datum.Datum) (datum.Datum, error) {
	out, rows := datum.MakeNull(r.Result), 0
	err := s.callRows(ctx, at, r, args, func(row []datum.Datum) error {
		if rows++; rows == 1 {
			out = row[0]
		}
		return nil
	})
	return out, err
}

// rowsOf has functions in FROM carried out for a statement, which holds their rows.
func (s *Session) rowsOf(ctx context.Context, run *exec.Run) func(*queryplan.Routine, []datum.Datum) ([][]datum.Datum, error) {
	return func(r *queryplan.Routine, args []datum.Datum) (out [][]datum.Datum, err error) {
		err = s.callRows(ctx, run.Env.Statement, r, args, func(row []datum.Datum) error {
			out = append(out, row)
			return run.Memory.Grow(exec.HeldRow(row))
		})
		return out, err
	}
}

// callRows carries a function out, and gives its rows of the types that it says.
func (s *Session) callRows(ctx context.Context, at time.Time, r *queryplan.Routine, args []datum.Datum, emit func([]datum.Datum) error) error {
	f := r.Object.Function
	if f.Strict {
		for _, a := range args {
			if !a.Null {
				continue
			}
			if f.SetOf || r.Void {
				return nil
			}
			row := make([]datum.Datum, len(r.Columns))
			for i, c := range r.Columns {
				row[i] = datum.MakeNull(c.Type)
			}
			return emit(row)
		}
	}
	leave, err := s.deeper(r.Object)
	if err != nil {
		return err
	}
	defer leave()
	if f.Language != "sql" {
		return s.callBody(ctx, at, r, args, emit)
	}
	return s.callSQL(ctx, at, r, args, emit)
}

// deeper begins what a function does, or a trigger that has none, by the rights and the time
// that it has.
func (s *Session) deeper(o *cluster.Object) (leave func(), err error) {
	if s.depth >= maxCallDepth {
		return nil, &Error{Code: "54001", Message: "stack depth limit exceeded", Hint: fmt.Sprintf("Functions and triggers may call each other up to %d deep.", maxCallDepth)}
	}
	s.depth++
	definer, steady, pure, transitions := s.definer, s.steady, s.pure, s.transitions
	s.transitions = nil // they are those of the caller alone
	if o != nil && o.Function.Definer {
		s.definer = o.Owner
		s.followRole()
	}
	if o != nil && o.Function.Volatility != "volatile" { // it reads what the statement reads that calls it
		s.steady++
	}
	s.pure = s.guarding || o != nil && o.Function.Volatility != "volatile"
	undo := func() {
		s.depth, s.definer, s.steady, s.pure, s.transitions = s.depth-1, definer, steady, pure, transitions
		s.followRole()
	}
	if o == nil || len(o.Function.Settings) == 0 {
		return undo, nil
	}
	names, values := make([]string, len(o.Function.Settings)), make([]string, len(o.Function.Settings))
	for i, set := range o.Function.Settings {
		names[i], values[i] = set.Name, set.Value
	}
	back, wrong := s.settings.Within(names, values)
	if wrong != nil {
		undo()
		return nil, wrong
	}
	s.followSettings()
	return func() {
		back()
		s.followSettings()
		undo()
	}, nil
}

// callProcedure carries CALL out. Its result is the row of what the procedure gives back.
func (s *Session) callProcedure(ctx context.Context, call *queryplan.Call, env *queryplan.Env, out *output) error {
	args, err := call.Args(env)
	if err != nil {
		return err
	}
	emit := out.row
	if call.Routine.Void {
		emit = func([]datum.Datum) error { return nil }
	}
	return s.callRows(ctx, env.Statement, call.Routine, args, emit)
}

// callSQL carries a function in SQL out.
func (s *Session) callSQL(ctx context.Context, at time.Time, r *queryplan.Routine, args []datum.Datum, emit func([]datum.Datum) error) error {
	o := r.Object
	place := fmt.Sprintf("SQL function %q", o.Name)
	c, scope := s.functions[o.ID], s.scope()
	body, err := scope.Body(o)
	if err != nil {
		return err
	}
	if c == nil || c.object != o || !body.Same(c.body) {
		if c, err = s.compileSQL(ctx, scope, o); err != nil {
			return inContext(err, place+" during startup")
		}
		if s.functions == nil || len(s.functions) >= maxCompiled {
			s.functions = map[cluster.ObjectID]*sqlFunction{}
		}
		s.functions[o.ID] = c
	}
	values := func(field *boundField) (datum.Datum, error) { return args[field.column], nil }
	for i, b := range c.statements {
		sink := RowSink(nobody{})
		var out *resultSink
		if i == len(c.statements)-1 && !r.Void {
			out = &resultSink{session: s, ctx: ctx, at: at, routine: r, emit: emit, all: o.Function.SetOf}
			sink = out
		}
		_, err := b.run(ctx, s, at, values, sink)
		if out != nil && out.full {
			err = nil
		}
		if err != nil {
			return inContext(err, fmt.Sprintf("%s statement %d", place, i+1))
		}
		if out != nil && !out.any && !o.Function.SetOf {
			return out.nothing()
		}
	}
	return nil
}

// resultSink takes the rows of what a function returns.
type resultSink struct {
	session   *Session
	ctx       context.Context //nolint:containedctx // of the one call
	at        time.Time
	routine   *queryplan.Routine
	emit      func([]datum.Datum) error
	all       bool // rows, not one
	any, full bool
}

// Describe satisfies RowSink.
func (r *resultSink) Describe([]Column) error { return nil }

// Row satisfies RowSink.
func (r *resultSink) Row(row []datum.Datum) error {
	if r.any && !r.all {
		return nil
	}
	r.any = true
	if len(row) != len(r.routine.Columns) {
		return &Error{Code: "42P13", Message: fmt.Sprintf("return type mismatch in function %s", r.routine.Object.Name)}
	}
	env := r.session.bodyEnv(r.ctx, r.at)
	out := make([]datum.Datum, len(row))
	for i, v := range row {
		var err error
		if out[i], err = queryplan.Assign(env, v, r.routine.Columns[i].Type, -1); err != nil {
			return err
		}
	}
	return r.emit(out)
}

// nothing gives the one row of a function whose last statement gave none.
func (r *resultSink) nothing() error {
	out := make([]datum.Datum, len(r.routine.Columns))
	for i, c := range r.routine.Columns {
		out[i] = datum.MakeNull(c.Type)
	}
	return r.emit(out)
}

// bodyEnv is what expressions in bodies are computed in.
func (s *Session) bodyEnv(ctx context.Context, at time.Time) *queryplan.Env {
	env := &queryplan.Env{Now: at, Statement: at, Session: s.environment(ctx)}
	if s.tx != nil {
		env.Now = s.began
	}
	return env
}

// mayCall refuses functions that the session's role may not call.
func (s *Session) mayCall(list []*queryplan.Routine) error {
	rights := s.rights()
	for _, r := range list {
		if rights.May(r.Object, cluster.Execute) {
			continue
		}
		err := catalog.Denied(r.Object)
		if r.Object.Function.Procedure {
			err.Message = strings.Replace(err.Message, "function", "procedure", 1)
		}
		return s.denied("call", err)
	}
	return nil
}
