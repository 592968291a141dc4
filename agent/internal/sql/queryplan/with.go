package queryplan

import (
	"context"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// With is a statement whose WITH changes rows, or locks them: each query of it is run once,
// and what it gives is held for those that name it.
type With struct {
	Parts []*Part
	Main  *Plan
}

// Part is a query in WITH.
type Part struct {
	Plan *Plan
	// Read says that another query names it. One that changes rows, and that none names, is
	// run behind the main query; one that only reads is not run.
	Read  bool
	table *duck.Table // what others find by its name; nil: it gives no rows
	name  string
}

// partSchema is the schema in which queries in WITH stand by their numbers.
const partSchema = "#with"

// withOf takes the WITH of a query out of it.
func withOf(q *syntax.Query) (w *pg.WithClause, rest *syntax.Query) {
	out := *q
	switch {
	case q.Select != nil:
		out.Select = proto.CloneOf(q.Select)
		out.Select.WithClause = nil
	case q.Insert != nil:
		out.Insert = proto.CloneOf(q.Insert)
		out.Insert.WithClause = nil
	case q.Update != nil:
		out.Update = proto.CloneOf(q.Update)
		out.Update.WithClause = nil
	default:
		out.Delete = proto.CloneOf(q.Delete)
		out.Delete.WithClause = nil
	}
	return clauseOf(q), &out
}

func changesRows(w *pg.WithClause) bool {
	return slices.ContainsFunc(w.GetCtes(), func(n *pg.Node) bool {
		return n.GetCommonTableExpr().GetCtequery().GetSelectStmt() == nil
	})
}

// locksRows says that a query of WITH is a SELECT that locks rows.
func locksRows(w *pg.WithClause) bool {
	return slices.ContainsFunc(w.GetCtes(), func(n *pg.Node) bool {
		return len(n.GetCommonTableExpr().GetCtequery().GetSelectStmt().GetLockingClause()) > 0
	})
}

// with plans a statement whose WITH changes or locks rows; ok is false for others. A change
// of the rows that WITH locks, and that says nothing else of them, is one of its own: see
// LockedKeys.
func (p *Planner) with(ctx context.Context, q *syntax.Query, out *Plan) (ok bool, err error) {
	if q.Call {
		return false, nil
	}
	does := "changes"
	if w := clauseOf(q); !changesRows(w) {
		if !locksRows(w) {
			return false, nil
		}
		does = "locks"
		if q.Update != nil || q.Delete != nil {
			before, announced := *p, slices.Clone(p.params.Types)
			if err = p.planQuery(ctx, q, out); !isRefused(err) {
				return true, err
			}
			*p, *out = before, Plan{}
			p.params.Types = announced
		}
	}
	if q.Merge != nil {
		return true, syntax.Unsupported("MERGE with a WITH that "+does+" rows", "Use several statements in a transaction.")
	}
	w, rest := withOf(q)
	switch {
	case w.GetRecursive():
		return true, syntax.Unsupported("WITH RECURSIVE that "+does+" rows", "Leave RECURSIVE out, or use several statements.")
	case q.AsOf != nil:
		return true, syntax.Unsupported("a WITH that "+does+" rows with AS OF SYSTEM TIME", "Use several statements.")
	}
	p.parts = nil
	for _, n := range w.GetCtes() {
		if err := p.part(ctx, n.GetCommonTableExpr()); err != nil {
			return true, err
		}
	}
	out.With = &With{Parts: p.parts, Main: &Plan{}}
	if err := p.onePlan(ctx, rest, out.With.Main); err != nil {
		return true, err
	}
	out.Columns = out.With.Main.Columns
	return true, p.refuseWith(out.With)
}

// clauseOf is the WITH clause of a query.
func clauseOf(q *syntax.Query) *pg.WithClause {
	switch {
	case q.Select != nil:
		return q.Select.GetWithClause()
	case q.Insert != nil:
		return q.Insert.GetWithClause()
	case q.Update != nil:
		return q.Update.GetWithClause()
	case q.Merge != nil:
		return q.Merge.GetWithClause()
	default:
		return q.Delete.GetWithClause()
	}
}

// withInside is an INSERT with its WITH in front of the SELECT or VALUES that it adds, where
// it means the same.
func withInside(s *pg.InsertStmt) (*pg.InsertStmt, error) {
	if s.GetSelectStmt() == nil {
		return nil, syntax.Unsupported("WITH in front of INSERT ... DEFAULT VALUES", "Leave WITH out: nothing names its queries.")
	}
	out := proto.CloneOf(s)
	outer, sel := out.GetWithClause(), out.GetSelectStmt().GetSelectStmt()
	out.WithClause = nil
	inner := sel.GetWithClause()
	if inner == nil {
		sel.WithClause = outer
		return out, nil
	}
	for _, a := range outer.GetCtes() {
		for _, b := range inner.GetCtes() {
			if a.GetCommonTableExpr().GetCtename() == b.GetCommonTableExpr().GetCtename() {
				return nil, syntax.Unsupported("two queries in WITH of one name, in front of INSERT and of its SELECT", "Give them different names.")
			}
		}
	}
	if outer.GetRecursive() != inner.GetRecursive() {
		return nil, syntax.Unsupported("WITH and WITH RECURSIVE in front of one INSERT and its SELECT", "Put all queries into one WITH RECURSIVE.")
	}
	inner.Ctes = append(outer.GetCtes(), inner.GetCtes()...)
	return out, nil
}

// bindUnread plans the queries in WITH that no other names: they are not run, and what is
// wrong with them is an error all the same. The engine would not look at them.
func (p *Planner) bindUnread(ctx context.Context, s *pg.SelectStmt) error {
	named := map[string]bool{}
	for _, n := range s.GetWithClause().GetCtes() {
		named[n.GetCommonTableExpr().GetCtename()] = false
	}
	if len(named) == 0 {
		return nil
	}
	err := (&syntax.Query{Select: s}).Walk(func(n *pg.Node) (bool, error) {
		if r := n.GetRangeVar(); r != nil && r.GetSchemaname() == "" {
			named[r.GetRelname()] = true
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(s.GetWithClause().GetCtes(), func(n *pg.Node) bool { return !named[n.GetCommonTableExpr().GetCtename()] }) {
		return nil
	}
	probe := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, TargetList: []*pg.Node{resTarget(intNode(1))}}
	for _, n := range s.GetWithClause().GetCtes() {
		// All of them, or the probe would leave others unread and had to be probed in turn.
		alias := &pg.Alias{Aliasname: "nd_unread_" + strconv.Itoa(len(probe.FromClause))}
		r := &pg.RangeVar{Relname: n.GetCommonTableExpr().GetCtename(), Alias: alias, Inh: true, Relpersistence: "p", Location: -1}
		probe.FromClause = append(probe.FromClause, &pg.Node{Node: &pg.Node_RangeVar{RangeVar: r}})
	}
	probe.WithClause = s.GetWithClause()
	_, _, err = p.slow(ctx, probe)
	return err
}

// part plans a query in WITH.
func (p *Planner) part(ctx context.Context, c *pg.CommonTableExpr) error {
	name := c.GetCtename()
	position := syntax.Position(c.GetLocation())
	if slices.ContainsFunc(p.parts, func(t *Part) bool { return t.name == name }) {
		return fail("42712", position, "WITH query name %q specified more than once", name)
	}
	if c.GetSearchClause() != nil || c.GetCycleClause() != nil {
		return syntax.Unsupported("SEARCH or CYCLE in WITH", "")
	}
	query := proto.CloneOf(c.GetCtequery())
	q := &syntax.Query{Select: query.GetSelectStmt(), Insert: query.GetInsertStmt(), Update: query.GetUpdateStmt(), Delete: query.GetDeleteStmt()}
	if q.Select == nil && q.Insert == nil && q.Update == nil && q.Delete == nil {
		return syntax.Unsupported("this statement in WITH", "INSERT, UPDATE, DELETE and SELECT are.")
	}
	out := &Part{Plan: &Plan{}, name: name}
	if err := p.onePlan(ctx, q, out.Plan); err != nil {
		return err
	}
	columns := out.Plan.Columns
	given := names(c.GetAliascolnames())
	if len(given) > len(columns) {
		return fail("42P10", position, "WITH query %q has %d columns available but %d columns specified", name, len(columns), len(given))
	}
	if columns != nil {
		out.table = &duck.Table{Schema: partSchema, Name: strconv.Itoa(len(p.parts)), Ref: out, InOrder: true}
		for i, column := range columns {
			if i < len(given) {
				column.Name = given[i]
			}
			out.table.Columns = append(out.table.Columns, duck.TableColumn{Name: column.Name, Type: column.Type, Modifier: column.Modifier})
		}
	}
	p.parts = append(p.parts, out)
	return nil
}

// onePlan plans a query of a statement, in which the names of parts mean these.
func (p *Planner) onePlan(ctx context.Context, q *syntax.Query, out *Plan) error {
	p.view = nil
	if len(p.parts) > 0 {
		if err := p.nameParts(q); err != nil {
			return err
		}
	}
	return p.planQuery(ctx, q, out)
}

// nameParts has a query, which is changed, name parts by their numbers.
func (p *Planner) nameParts(q *syntax.Query) error {
	return q.Walk(func(n *pg.Node) (bool, error) {
		if c := n.GetCommonTableExpr(); c != nil {
			if p.partCalled(c.GetCtename()) >= 0 {
				return false, syntax.Unsupported("two queries in WITH of one name, of which one changes rows", "Give them different names.")
			}
		}
		r := n.GetRangeVar()
		if r == nil || r.GetSchemaname() != "" || r.GetCatalogname() != "" {
			return true, nil
		}
		at := p.partCalled(r.GetRelname())
		if at < 0 {
			return true, nil
		}
		if p.parts[at].table == nil {
			return false, fail("0A000", syntax.Position(r.GetLocation()), "WITH query %q does not have a RETURNING clause", r.GetRelname())
		}
		p.parts[at].Read = true
		if r.Alias == nil {
			r.Alias = &pg.Alias{Aliasname: r.GetRelname()}
		}
		r.Schemaname, r.Relname = partSchema, strconv.Itoa(at)
		return true, nil
	})
}

func (p *Planner) partCalled(name string) int {
	return slices.IndexFunc(p.parts, func(t *Part) bool { return t.name == name })
}

// partNumbered finds a part by what nameParts calls it.
func (p *Planner) partNumbered(schema, name string) (*duck.Table, bool) {
	i, err := strconv.Atoi(name)
	if schema != partSchema || err != nil || i >= len(p.parts) {
		return nil, false
	}
	return p.parts[i].table, true
}

// Changes reports whether the part changes rows.
func (t *Part) Changes() bool { return t.Plan.Insert != nil || t.Plan.Change != nil }

// MayStartAnew reports whether the statement may be run again after its main query.
func (w *With) MayStartAnew() bool {
	return slices.ContainsFunc(w.Parts, func(t *Part) bool { return !t.Read && t.Plan.Change != nil && t.Plan.Change.Slow != nil })
}

// plans are those that are run, in that order.
func (w *With) plans() []*Plan {
	var out, behind []*Plan
	for _, t := range w.Parts {
		switch {
		case t.Read:
			out = append(out, t.Plan)
		case t.Changes():
			behind = append(behind, t.Plan)
		}
	}
	return append(append(out, w.Main), behind...)
}

// refuseWith refuses what would not be as in PostgreSQL, where no query sees what another
// one changes: two that change rows of one table, but for an INSERT behind others.
func (p *Planner) refuseWith(w *With) error {
	if p.calls {
		return syntax.Unsupported("a call of a function of PL/pgSQL in a statement whose WITH changes or locks rows", "Use several statements.")
	}
	changed := map[cluster.ObjectID]bool{}
	for _, plan := range w.plans() {
		locking := plan.Select
		if plan.Insert != nil {
			locking = plan.Insert.Select
		}
		if locking != nil && locking.Lock != nil && locking.Table != nil && changed[locking.Table.ObjectID()] {
			return syntax.Unsupported("locking rows of a table that WITH changes", "Use several statements.")
		}
		var table *catalog.Table
		plain := false
		switch {
		case plan.Insert != nil:
			table, plain = plan.Insert.Table, plan.Insert.Conflict == nil
		case plan.Change != nil:
			table = plan.Change.Table
		case plan.Instead != nil:
			return syntax.Unsupported("INSTEAD OF triggers in a statement whose WITH changes or locks rows", "Use several statements.")
		default:
			continue
		}
		if changed[table.ObjectID()] && !plain {
			return syntax.Unsupported("changing rows of one table by several queries of one statement", "Use several statements in a transaction.")
		}
		changed[table.ObjectID()] = true
	}
	return nil
}

// Changing are the plans that change rows.
func (w *With) Changing() []*Plan {
	return slices.DeleteFunc(w.plans(), func(p *Plan) bool { return p.Insert == nil && p.Change == nil })
}
