package sql

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

const (
	// maxPlans is how many plans of simple queries a session keeps, and
	// maxPlansCost about how much memory they take together.
	maxPlans     = 64
	maxPlansCost = 512 << 10
)

// Prepare checks one statement. paramOIDs are the types that the client
// announces; 0 or a missing one is inferred.
func (s *Session) Prepare(ctx context.Context, text string, paramOIDs []uint32) (p *Prepared, err error) {
	defer s.guard(text, &err)
	if len(paramOIDs) == 0 {
		if p, ok := s.plans[text]; ok && p.settled == nil && s.holds(p) {
			return p, nil
		}
	}
	statement, err := s.server.parsed.Parse(text)
	if err != nil {
		return nil, err
	}
	if slices.Contains(paramOIDs, voidOID) {
		if statement, err = withoutVoid(text, paramOIDs); err != nil {
			return nil, err
		}
	}
	p = &Prepared{statement: statement, Empty: statement.Node == nil}
	for _, oid := range paramOIDs {
		if oid == voidOID {
			p.announced = append(p.announced, datum.Text) // nothing names it
			continue
		}
		t, ok := s.scope().TypeByOID(oid)
		if !ok {
			return nil, &Error{Code: "42704", Message: fmt.Sprintf("type with OID %d is not supported", oid)}
		}
		p.announced = append(p.announced, t)
	}
	if s.failed && !endsTransaction(statement.Node) && !p.Empty {
		return nil, errAborted()
	}
	if err := carriedOut(statement.Node); err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	switch node := statement.Node.(type) {
	case *syntax.Query:
		err = s.prepareQuery(ctx, p, node)
	case *syntax.DeclareCursor:
		err = s.prepareQuery(ctx, p, node.Query)
		p.Columns = nil
	case *syntax.FetchCursor:
		s.describeFetch(p, node)
	case *syntax.ExecuteStatement:
		err = s.describeNamed(p, node)
	case *syntax.ShowCluster:
		p.Columns = describeShow(node)
	case *syntax.ShowSchedules:
		p.Columns = scheduleColumns(node)
	case *syntax.AlterNode:
		p.Columns = alterColumns()
	case *syntax.Rebalance:
		p.Columns = describeRebalance()
	case *syntax.ShowSetting:
		p.Columns, err = s.describeSetting(node)
	}
	if err != nil {
		return nil, whyEnded(ctx, err)
	}
	s.keep(text, p)
	return p, nil
}

// keep remembers the plan of a simple query.
func (s *Session) keep(text string, p *Prepared) {
	const maxText = 4 << 10
	if len(p.announced) > 0 || p.plan == nil || s.filling || len(text) > maxText {
		return
	}
	cost := syntax.Cost(text)
	if s.plans == nil || len(s.plans) >= maxPlans || s.plansCost+cost > maxPlansCost {
		s.plans, s.plansCost = map[string]*Prepared{}, 0
	}
	s.plans[text] = p
	s.plansCost += cost
}

// endsTransaction reports whether a statement is allowed in a failed transaction.
func endsTransaction(n syntax.Node) bool {
	switch n.(type) {
	case *syntax.Commit, *syntax.Rollback, *syntax.RollbackTo:
		return true
	}
	return false
}

// EndsTransaction reports whether the statement is allowed in a failed transaction.
func (p *Prepared) EndsTransaction() bool {
	return p.statement != nil && endsTransaction(p.statement.Node)
}

func errAborted() *Error {
	return &Error{Code: "25P02", Message: "current transaction is aborted, commands ignored until end of transaction block"}
}

// guard makes every error of the statement an *Error, and a panic one too.
func (s *Session) guard(text string, err *error) {
	if r := recover(); r != nil {
		s.server.cfg.Logger.Error("statement panicked", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		*err = &Error{Code: "XX000", Message: "internal error", Hint: "The node's log has the details."}
		s.FailTx()
		return
	}
	if *err == nil {
		return
	}
	e := AsError(*err)
	if e.Code == "XX000" && e.cause != nil {
		s.server.cfg.Logger.Error("statement failed inside", slog.Any("error", e.cause))
	}
	told := *e // positions count bytes up to here
	told.Position = syntax.Character(text, e.Position)
	*err = &told
}

// prepareQuery plans and describes a query.
func (s *Session) prepareQuery(ctx context.Context, p *Prepared, q *syntax.Query) error {
	p.basis, p.read = s.basis(p), *s.Reading()
	p.readIn = p.basis.timeZone
	scope := s.scope()
	if err := s.permitNames(scope, p, q); err != nil {
		return err
	}
	p.found, p.searchPath = nil, scope.SearchPath()
	names := &names{session: s, of: p, scope: scope}
	planner := &queryplan.Planner{
		Params: names.parameters(q), Slow: s.server.cfg.Duck, SlowFirst: !s.settings.FastPath() || s.slowly,
		Lookup: names.table, View: names.view, Resolve: names.resolve, Filling: s.filling, Policies: s.policies(p),
		Sequence: func(name syntax.Name) (cluster.ObjectID, error) { return p.sequence(scope, name) },
		Session: duck.Session{User: s.user, SessionUser: s.sessionUser(), Database: s.options.Database, SearchPath: p.searchPath, Temporary: temporaryOf(scope), TimeZone: p.basis.timeZone, DateOrder: p.basis.order, PID: s.options.PID, Version: s.server.version, Registry: s.registry,
			Client: networkAddress(s.options.Remote), Local: networkAddress(s.options.Local), Started: s.server.started,
			Setting: func(name string) (string, bool) {
				p.asked = true
				return s.setting(strings.ToLower(name))
			}},
	}
	planner.Chosen = p.chosen
	planner.Functions = func(name syntax.Name) []*queryplan.Routine { return s.routines(p, scope, name) }
	planner.Type = func(name syntax.TypeName) (catalog.Resolved, error) {
		r, err := scope.ResolveAnyType(name)
		if err == nil && r.User != nil && (r.User.Collection != nil || r.User.View != nil) {
			names.resolve(name.Schema, name.Name) // the plan rests on the relation
			return r, nil
		}
		p.found = append(p.found, found{schema: name.Schema, name: name.Name, typ: r.User, isType: true})
		return r, err
	}
	plan, resolved, err := names.analysed(ctx, planner, q)
	if err = cmp.Or(names.unsettled, err); err != nil {
		return systemColumn(err)
	}
	p.resolved = resolved
	names.modify(cmp.Or(resolved, q), plan)
	p.plan, p.basis.changes = plan, s.basis(p).changes
	p.describe(plan, q.Explain)
	return nil
}

// Reads reports whether it is a query that changes nothing, and can be computed but for rows.
func (p *Prepared) Reads() bool {
	if p.plan == nil || p.plan.With != nil || p.plan.Fails != nil {
		return false
	}
	q, ok := p.statement.Node.(*syntax.Query)
	return ok && q.Select != nil && !q.Call && q.Explain == nil
}

// sequence finds a sequence, and notes it.
func (p *Prepared) sequence(scope catalog.Scope, name syntax.Name) (cluster.ObjectID, error) {
	o, err := scope.Sequence(name)
	if err != nil {
		return 0, err
	}
	p.found = append(p.found, found{schema: name.Schema, name: name.Name, sequence: o.ID})
	return o.ID, nil
}

// describe says of which types the parameters and the columns of a plan are.
func (p *Prepared) describe(plan *queryplan.Plan, explain *syntax.Explain) {
	p.ParamOIDs = make([]uint32, len(plan.Params))
	p.ParamTypes = plan.Params
	for i, t := range plan.Params {
		p.ParamOIDs[i] = t.OID()
	}
	if p.Columns = wireColumns(plan.Columns); explain != nil {
		p.Columns = explainColumns(explain)
	}
}

// slowTable describes a collection to the slow path.
func slowTable(t *catalog.Table) *duck.Table {
	out := &duck.Table{Schema: t.Schema().Name, Name: t.Name(), OID: pgcatalog.TableOID(t), RowType: pgcatalog.RowTypeOID(pgcatalog.TableOID(t)), Ref: t, Columns: make([]duck.TableColumn, len(t.Columns))}
	for i, c := range t.Columns {
		out.Columns[i] = duck.TableColumn{Name: c.Name, Type: c.Type, Modifier: c.Modifier, NotNull: c.NeverNull(), Hidden: c.Hidden}
	}
	out.Key = t.PrimaryColumns()
	return out
}

// wireColumns describes columns as the protocol wants them.
func wireColumns(in []queryplan.Column) []Column {
	if in == nil {
		return nil
	}
	out := make([]Column, len(in))
	for i, c := range in {
		out[i] = Column{Name: c.Name, OID: c.Type.OID(), Size: c.Type.Size(), Modifier: c.Modifier}
		if c.RowType != 0 {
			out[i].OID = c.RowType
		}
		if c.Table != nil {
			out[i].TableOID = pgcatalog.TableOID(c.Table)
			out[i].Attr = int16(min(c.Index+1, math.MaxInt16))
		}
	}
	return out
}

func explainColumns(e *syntax.Explain) []Column {
	if e.JSON {
		return []Column{typedColumn("QUERY PLAN", datum.JSON)}
	}
	return []Column{textColumn("QUERY PLAN")}
}

func textColumn(name string) Column { return typedColumn(name, datum.Text) }

func typedColumn(name string, t datum.Type) Column {
	return Column{Name: name, OID: t.OID(), Size: t.Size(), Modifier: -1}
}

// planned plans a statement. One that could not be planned may be about documents: then the
// names in it that are no columns mean fields, and resolved is what was planned.
func planned(ctx context.Context, planner *queryplan.Planner, q *syntax.Query) (plan *queryplan.Plan, resolved *syntax.Query, err error) {
	again := *planner
	if plan, err = planner.Plan(ctx, q); err == nil {
		return plan, nil, nil
	}
	resolved, found, wrong := again.Fields(q)
	switch {
	case !found:
		return nil, nil, err
	case wrong != nil:
		return nil, nil, wrong
	}
	plan, err = again.Plan(ctx, resolved)
	return plan, resolved, err
}

// query is the statement as it was planned.
func (p *Prepared) query(q *syntax.Query) *syntax.Query {
	if p.resolved != nil {
		return p.resolved
	}
	return q
}

// systemColumns are those that PostgreSQL's tables have beside their own.
var systemColumns = regexp.MustCompile(`^column "?(?:\w+\.)?(ctid|xmin|xmax|cmin|cmax|tableoid)"? does not exist$`)

// systemColumn says of a column that is missing that it is one of PostgreSQL's.
func systemColumn(err error) error {
	e := AsError(err)
	if m := systemColumns.FindStringSubmatch(e.Message); m != nil && e.Code == "42703" {
		told := syntax.Unsupported("the system column "+m[1], "Rows have no place and no transaction's number that could be read: use their primary key, and a column of your own for versions.")
		told.Position = e.Position
		return told
	}
	return err
}
