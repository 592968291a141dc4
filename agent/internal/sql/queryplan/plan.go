package queryplan

import (
	"cmp"
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Plan is how a statement is run. One of Select, Slow, Insert, Change, Instead, Merge and Call is
// set.
type Plan struct {
	Select *Select
	Slow   duck.Prepared
	// Signals are the columns of Slow that stand for calls.
	Signals []SignalColumn
	Insert  *Insert
	Change  *Change
	Instead *Instead
	Merge   *Merge
	Call    *Call
	// With, if not nil, is all of it: then the others are of its queries.
	With *With

	Params  []datum.Type
	Columns []Column // of the rows; nil if there are none
	Tables  []*catalog.Table
	// Guards are the conditions on rows of tables that Slow, and slow parts, read.
	Guards map[Guarded]Expr
	// Routines are the functions that it calls. Calls says that the session carries one of
	// them out.
	Routines []*Routine
	Calls    bool
	// Notifies says that rows are changed with a call of pg_notify.
	Notifies bool
	// Fails is why the statement fails, whatever rows there are: constants in it cannot be
	// computed. nil: they can.
	Fails error
	// system says that Slow reads system tables and nothing else.
	system bool
}

// Column describes a column of the rows.
type Column struct {
	Name     string
	Type     datum.Type
	Modifier int32
	Table    *catalog.Table // of a plain column, else nil
	Index    int            // in Table.Columns
	// RowType is the OID of the type of a table's rows, if it is one; 0: it is none.
	RowType uint32
	// Of is the column whose field it is, of a function that gives rows in a column; "":
	// it is one itself.
	Of string
}

// Planner makes the plan of one statement.
type Planner struct {
	// Params are the types that the client announced; inferred ones are added.
	Params []datum.Type
	// Lookup finds a collection.
	Lookup func(schema, name string) (*catalog.Table, bool)
	// View finds a view.
	View func(schema, name string) (*catalog.View, bool)
	// Filling says that the statement gives a materialized view its rows.
	Filling bool
	// Sequence finds a sequence.
	Sequence func(syntax.Name) (cluster.ObjectID, error)
	// Type finds a written type.
	Type func(syntax.TypeName) (catalog.Resolved, error)
	// Functions finds those that somebody has made; nil: there are none.
	Functions RoutineFinder
	// Chosen, if not nil, is told which function a call in the statement means.
	Chosen func(*pg.FuncCall, *Routine)
	// Resolve finds what the slow path can read: collections and system tables.
	Resolve duck.Resolver
	Slow    duck.Executor
	Session duck.Session
	// Types tells what operations and calls are of, by their locations, as far as an analysis
	// knows; nil: the slow path finds out by itself.
	Types func() map[int32]datum.Type
	// SlowFirst has the slow path run what both can.
	SlowFirst bool
	// Policies are those of a table that are for a role, "" being the session's; applies is
	// false where it sees all rows. nil: there are none.
	Policies func(t *catalog.Table, role string) (list []cluster.Policy, applies bool, err error)
	// Env evaluates what must be known before the statement runs.
	Env *Env

	params *Params
	tables []*catalog.Table
	// routines are the functions that were called, calls says that one is carried out.
	routines []*Routine
	calls    bool
	notifies bool           // pg_notify is called
	ruled    bool           // expressions of tables have the session carry out functions
	scans    []*RoutineScan // in FROM of the slow path
	values   []*valuesScan  // so, too
	// view is the one by which the statement changes rows; nil: it names a table.
	view   *throughView
	guards map[Guarded]Expr
	failed error   // of a policy
	fails  error   // Plan.Fails
	parts  []*Part // of a WITH that changes rows, as far as they are planned
	// repeated says that what is planned is computed several times: see bindConditions.
	repeated bool
	// stored and system say what the slow path was given: collections, system tables.
	stored, system bool
}

// Plan plans a query.
func (p *Planner) Plan(ctx context.Context, q *syntax.Query) (*Plan, error) {
	p.params = &Params{Types: append([]datum.Type(nil), p.Params...)}
	out := &Plan{}
	ok, err := p.with(ctx, q, out)
	if err == nil && !ok {
		err = p.planReturning(ctx, q, out)
	}
	if err != nil {
		return nil, err
	}
	for i, t := range p.params.Types {
		if t == datum.Unknown {
			p.params.Types[i] = datum.Text
		}
	}
	plans := []*Plan{out}
	if out.With != nil {
		plans = append(plans, out.With.plans()...)
	}
	for _, plan := range plans {
		if s := plan.Select; s != nil {
			s.Program = p.programOf(s)
		}
		if i := plan.Insert; i != nil && i.Select != nil {
			i.Select.Program = p.programOf(i.Select)
		}
		plan.Guards = p.guards
	}
	out.Routines, out.Calls = p.routines, p.calls || p.ruled
	out.Fails = p.fails
	out.Notifies = p.notifies && (out.Insert != nil || out.Change != nil)
	out.Params, out.Tables, out.system = p.params.Types, p.tables, p.system && !p.stored
	return out, nil
}

// planQuery plans one query of a statement, or its only one.
func (p *Planner) planQuery(ctx context.Context, q *syntax.Query, out *Plan) (err error) {
	switch {
	case q.Call:
		err = p.call(q.Select, out)
	case q.Select != nil:
		err = p.query(ctx, q.Select, out)
	case q.Insert != nil:
		err = p.insert(ctx, q.Insert, out)
	case q.Update != nil:
		err = p.update(ctx, q.Update, out)
	case q.Merge != nil:
		err = p.merge(ctx, q.Merge, out)
	default:
		err = p.delete(ctx, q.Delete, out)
	}
	return err
}

// query plans a SELECT: fast if it can be.
func (p *Planner) query(ctx context.Context, s *pg.SelectStmt, out *Plan) error {
	announced, fails := append([]datum.Type(nil), p.params.Types...), p.fails
	if err := refuseLocking(s); err != nil {
		return err
	}
	if p.SlowFirst && len(s.GetLockingClause()) == 0 {
		if err := p.slowQuery(ctx, s, out); !isRefused(err) {
			return err
		}
		p.params.Types = append([]datum.Type(nil), announced...)
	}
	sel, columns, err := p.fastSelect(s)
	if isSlow(err) && len(s.GetLockingClause()) > 0 {
		strongest := strongest(s.GetLockingClause())
		return syntax.Unsupported(strongest.String()+" of this query", "Lock rows of one collection by simple conditions, without joins and subqueries.")
	}
	if err == nil {
		out.Select, out.Columns = sel, columns
		sel.Apart = (p.calls || p.ruled) && slices.ContainsFunc(p.routines, (*Routine).Volatile)
		return nil
	}
	p.calls = false
	if !isSlow(err) {
		return err
	}
	p.params.Types, p.fails = announced, fails
	return p.slowQuery(ctx, s, out)
}

// slowQuery plans a SELECT for the slow path.
func (p *Planner) slowQuery(ctx context.Context, s *pg.SelectStmt, out *Plan) error {
	s, names, signals, err := takeSignals(s)
	if err != nil {
		return err
	}
	if out.Slow, out.Columns, err = p.slow(ctx, s); err != nil || signals == nil {
		return err
	}
	out.Signals, err = signalColumns(out.Columns, names, signals)
	return err
}

// slow prepares a SELECT for the slow path.
func (p *Planner) slow(ctx context.Context, s *pg.SelectStmt) (duck.Prepared, []Column, error) {
	beside := &outside{params: len(p.params.Types)}
	s, err := p.takeLists(s, beside)
	if err == nil {
		s, err = p.namedEnums(s)
	}
	if err != nil {
		return nil, nil, err
	}
	s, names, computed, err := p.takeComputed(p.valueConstants(s))
	if err == nil {
		err = textually(computed)
	}
	if err == nil {
		s, err = p.takeRoutines(s, beside)
	}
	if err != nil {
		return nil, nil, err
	}
	p.params.Types = beside.types(p.params.Types)
	if err := p.bindUnread(ctx, s); err != nil {
		return nil, nil, err
	}
	if p.Slow == nil {
		return nil, nil, &syntax.Error{Code: "0A000", Message: "this statement needs the SQL engine, which is not running on this node"}
	}
	var types map[int32]datum.Type
	if p.Types != nil {
		types = p.Types()
	}
	prepared, err := p.Slow.Prepare(ctx, duck.Query{Select: s, Resolve: p.resolve, ParamTypes: p.params.Types, Session: p.Session, Inline: p.inline, Types: types})
	if err == nil {
		err = p.failed
	}
	if err != nil {
		return nil, nil, err
	}
	if p.params.Types = append([]datum.Type(nil), prepared.ParamTypes()...); !beside.empty() {
		p.params.Types = p.params.Types[:min(beside.params, len(p.params.Types))]
	}
	columns := make([]Column, len(prepared.Columns()))
	for i, c := range prepared.Columns() {
		columns[i] = Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier, RowType: c.RowType}
		if c.Table != nil {
			if t, ok := c.Table.Ref.(*catalog.Table); ok {
				columns[i].Table, columns[i].Index = t, c.TableColumn
			}
		}
	}
	if computed != nil {
		prepared = computedColumns(prepared, columns, names, computed)
	}
	if !beside.empty() {
		prepared = beside.with(prepared)
	}
	return prepared, columns, nil
}

// resolve finds a table for the slow path, and notes of which kind it is.
func (p *Planner) resolve(schema, name string) (*duck.Table, bool) {
	if t, ok := p.scanned(schema, name); ok {
		return t, true
	}
	if t, ok := p.partNumbered(schema, name); ok {
		return t, true
	}
	t, ok := p.Resolve(schema, name)
	if ok {
		table, stored := t.Ref.(*catalog.Table)
		if stored {
			p.failed = cmp.Or(p.failed, p.slowPolicy(table, t.Rights))
		}
		p.stored, p.system = p.stored || stored, p.system || !stored && t.Query == nil
	}
	return t, ok
}

// compiler makes a compiler of expressions over scope.
func (p *Planner) compiler(s *scope) *compiler {
	return &compiler{scope: s, params: p.params, sequence: p.Sequence, view: p.view, typ: p.Type, functions: p.Functions, called: p.called, calls: &p.calls, notifies: &p.notifies, chosen: p.Chosen, fails: &p.fails}
}

// called notes that a function is called.
func (p *Planner) called(r *Routine) {
	if !slices.Contains(p.routines, r) {
		p.routines = append(p.routines, r)
	}
}

// target finds the collection that a statement changes, by way of a view maybe. verb is
// what it does, as PostgreSQL says it.
func (p *Planner) target(r *pg.RangeVar, verb string) (*catalog.Table, error) {
	t, ok := p.Lookup(r.GetSchemaname(), r.GetRelname())
	if ok && t.Desc.View != nil && !p.Filling {
		return nil, fail("42809", 0, "cannot change materialized view %q", t.Name())
	}
	if ok {
		p.tables = append(p.tables, t)
		return t, nil
	}
	name := r.GetRelname()
	if r.GetSchemaname() != "" {
		name = r.GetSchemaname() + "." + name
	}
	if v, ok := p.View(r.GetSchemaname(), r.GetRelname()); ok {
		var err error
		if p.view, err = p.through(v, verb, false); err != nil {
			return nil, err
		}
		p.tables = append(p.tables, p.view.table)
		return p.view.table, nil
	}
	if _, system := p.Resolve(r.GetSchemaname(), r.GetRelname()); system {
		return nil, fail("42501", 0, "permission denied: %q is a system table", name)
	}
	return nil, fail("42P01", syntax.Position(r.GetLocation()), "relation %q does not exist", name)
}

// ByEngine reports whether the engine runs a part of it that reads tables of users.
func (p *Plan) ByEngine() bool {
	switch {
	case p.system:
		return false
	case p.With != nil, p.Slow != nil:
		return true
	}
	return p.Insert != nil && p.Insert.Slow != nil || p.Change != nil && p.Change.Slow != nil || p.Instead != nil && p.Instead.Slow != nil
}
