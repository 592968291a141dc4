package queryplan

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// throughView is the view by which a statement changes rows of a table, as PostgreSQL does
// with views that show rows of one table or view.
type throughView struct {
	view  *catalog.View
	table *catalog.Table
	role  string // whose policies count for its rows; "": the session's
	// shown are the columns, condition is what the rows are that it shows; nil: all.
	shown     []shownColumn
	condition Expr
	// slow says that Go does not compute the condition.
	slow bool
	// options are the conditions that what is written has to meet.
	options []Check
	// rows is the view, for the slow path, with the columns of the table as baseColumn
	// calls them.
	rows *pg.Node
}

// baseColumn is what a column of the table is called in the rows of a view.
func baseColumn(i int) string { return "nodedb base " + strconv.Itoa(i) }

// notThrough says why no rows are changed through a view with the query, "" if they are.
func notThrough(s *pg.SelectStmt) string {
	const is = " are not automatically updatable."
	windows := func(f *pg.FuncCall) bool { return f.GetOver() != nil }
	switch {
	case len(s.GetDistinctClause()) > 0:
		return "Views containing DISTINCT" + is
	case len(s.GetGroupClause()) > 0:
		return "Views containing GROUP BY" + is
	case s.GetHavingClause() != nil:
		return "Views containing HAVING" + is
	case s.GetOp() != pg.SetOperation_SETOP_NONE:
		return "Views containing UNION, INTERSECT, or EXCEPT" + is
	case s.GetWithClause() != nil:
		return "Views containing WITH" + is
	case s.GetLimitCount() != nil || s.GetLimitOffset() != nil:
		return "Views containing LIMIT or OFFSET" + is
	case calls(s.GetTargetList(), windows):
		return "Views that return window functions" + is
	case calls(s.GetTargetList(), aggregates):
		return "Views that return aggregate functions" + is
	case len(s.GetFromClause()) != 1 || s.GetFromClause()[0].GetRangeVar() == nil:
		return "Views that do not select from a single table or view" + is
	}
	return ""
}

// CheckOption refuses WITH CHECK OPTION of a view through which no rows are changed.
func CheckOption(s *pg.SelectStmt) error {
	why := notThrough(s)
	if why == "" {
		return nil
	}
	err := fail("0A000", 0, "WITH CHECK OPTION is supported only on automatically updatable views")
	err.Hint = why
	return err
}

// ThroughView reports whether rows may be changed through a view with the query.
func ThroughView(s *pg.SelectStmt) bool { return notThrough(s) == "" }

// how PostgreSQL says what a statement does to a view, and by what trigger it could.
var throughHints = map[string][2]string{
	"insert into": {"inserting into", "INSERT"}, "update": {"updating", "UPDATE"}, "delete from": {"deleting from", "DELETE"},
}

func cannotChange(v *catalog.View, verb, detail string) error {
	words := throughHints[verb]
	err := fail("55000", 0, "cannot %s view %q", verb, v.Name())
	err.Detail = detail
	err.Hint = "To enable " + words[0] + " the view, provide an INSTEAD OF " + words[1] + " trigger or an unconditional ON " + words[1] + " DO INSTEAD rule."
	return err
}

// through plans the view by which a statement changes rows. cascaded says that a view over
// it has what is written meet the conditions of all below.
func (p *Planner) through(v *catalog.View, verb string, cascaded bool) (*throughView, error) {
	why := notThrough(v.Query)
	if why != "" {
		return nil, cannotChange(v, verb, why)
	}
	out := &throughView{view: v}
	r := v.Query.GetFromClause()[0].GetRangeVar()
	cascaded = cascaded || v.Desc.View.CheckOption == "CASCADED"
	s, err := p.throughFrom(r, out, verb, cascaded)
	if err != nil {
		return nil, err
	}
	c := p.compiler(s)
	c.elsewhere = true
	where, err := c.where(v.Query.GetWhereClause())
	if err != nil && !isSlow(err) {
		return nil, err
	}
	out.slow = out.slow || err != nil
	out.condition = both(out.condition, where)
	if where != nil && (cascaded || v.Desc.View.CheckOption != "") {
		out.options = append(out.options, Check{Name: v.Name(), Value: where})
	}
	some := false
	for i, n := range v.Query.GetTargetList() {
		column := shownColumn{name: v.Columns[i].Name, column: -1}
		if column.expr, err = c.expr(n.GetResTarget().GetVal()); err != nil {
			column.expr = nil
		}
		if name := columnName(n.GetResTarget().GetVal()); len(name) > 0 {
			column.column = s.relations[0].written(name[len(name)-1])
		}
		some = some || column.column >= 0
		out.shown = append(out.shown, column)
	}
	if !some && verb != "delete from" {
		return nil, cannotChange(v, verb, "Views that have no updatable columns are not automatically updatable.")
	}
	out.rows = throughRows(v, out)
	return out, nil
}

// throughFrom fills out with what is below the view: a table, or another view.
func (p *Planner) throughFrom(r *pg.RangeVar, out *throughView, verb string, cascaded bool) (*scope, error) {
	alias := r.GetAlias().GetAliasname()
	table, ok := p.Lookup(r.GetSchemaname(), r.GetRelname())
	if ok && table.Desc.View == nil {
		out.table = table
		out.role, _ = catalog.RightsIn(r.GetSchemaname())
		s := tableScope(table, alias)
		if given := r.GetAlias().GetColnames(); len(given) > 0 {
			s.relations[0].shown = called(table, given)
		}
		out.rows = tableRows(r, table)
		return s, nil
	}
	v, ok := p.View(r.GetSchemaname(), r.GetRelname())
	if !ok {
		return nil, cannotChange(out.view, verb, "Views that do not select from a single table or view are not automatically updatable.")
	}
	if err := refuseInstead(v, verb); err != nil {
		return nil, err
	}
	below, err := p.through(v, verb, cascaded)
	if err != nil {
		return nil, err
	}
	out.table, out.role, out.condition, out.slow, out.options, out.rows = below.table, below.role, below.condition, below.slow, below.options, proto.CloneOf(below.rows)
	out.rows.GetRangeSubselect().Alias = r.GetAlias()
	shown := below.shown
	for i, n := range names(r.GetAlias().GetColnames()) {
		shown[i].name = n
	}
	s := tableScope(below.table, alias)
	s.relations[0].shown = shown
	return s, nil
}

// called are the columns of a table under the names of an alias; nil: it has fewer.
func called(table *catalog.Table, given []*pg.Node) []shownColumn {
	r := relation{table: table}
	out := r.columns()
	if len(given) > len(out) {
		return nil
	}
	for i, n := range names(given) {
		out[i].name = n
	}
	return out
}

// tableRows is a table for throughRows.
func tableRows(r *pg.RangeVar, table *catalog.Table) *pg.Node {
	in := &pg.RangeVar{Schemaname: r.GetSchemaname(), Relname: r.GetRelname(), Inh: true, Relpersistence: "p", Alias: &pg.Alias{Aliasname: "t"}, Location: -1}
	sel := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: in}}}}
	given, n := names(r.GetAlias().GetColnames()), 0
	for _, c := range table.Columns {
		if c.Hidden {
			continue
		}
		name := c.Name
		if n < len(given) {
			name = given[n]
		}
		n++
		sel.TargetList = append(sel.TargetList, namedTarget(name, "t", c.Name))
	}
	for i, c := range table.Columns {
		sel.TargetList = append(sel.TargetList, namedTarget(baseColumn(i), "t", c.Name))
	}
	return subselect(sel, r.GetAlias())
}

// throughRows is the view in FROM, with the columns of the table beside its own.
func throughRows(v *catalog.View, t *throughView) *pg.Node {
	sel := proto.CloneOf(v.Query)
	sel.SortClause, sel.FromClause = nil, []*pg.Node{t.rows}
	for i, n := range sel.GetTargetList() {
		n.GetResTarget().Name = v.Columns[i].Name
	}
	for i := range t.table.Columns {
		sel.TargetList = append(sel.TargetList, namedTarget(baseColumn(i), t.rows.GetRangeSubselect().GetAlias().GetAliasname(), baseColumn(i)))
	}
	return subselect(sel, &pg.Alias{Aliasname: v.Name()})
}

func subselect(s *pg.SelectStmt, alias *pg.Alias) *pg.Node {
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{
		Subquery: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}, Alias: &pg.Alias{Aliasname: alias.GetAliasname()}}}}
}

func namedTarget(name, of, column string) *pg.Node {
	n := resTarget(&pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{stringNode(of), stringNode(column)}, Location: -1}}})
	n.GetResTarget().Name = name
	return n
}

// written is the column of the table that a statement writes by the name; -1: none.
func (r *relation) written(name string) int {
	if r.shown == nil {
		i, ok := r.table.ColumnIndex(name)
		if !ok || r.table.Columns[i].Hidden {
			return -1
		}
		return i
	}
	for i := range r.shown {
		if r.shown[i].name == name {
			return r.shown[i].column
		}
	}
	return -1
}

// writtenColumn finds the column of the table that a statement names, by way of the view
// if there is one.
func (t *throughView) writtenColumn(table *catalog.Table, target *pg.ResTarget, verb string, position int) (int, error) {
	if t == nil {
		i, ok := table.ColumnIndex(target.GetName())
		if !ok {
			return 0, fail("42703", position, "column %q of relation %q does not exist", target.GetName(), table.Name())
		}
		return i, nil
	}
	for i := range t.shown {
		if t.shown[i].name != target.GetName() {
			continue
		}
		if t.shown[i].column < 0 {
			err := fail("0A000", 0, "cannot %s column %q of view %q", verb, target.GetName(), t.view.Name())
			err.Detail = "View columns that are not columns of their base relation are not updatable."
			return 0, err
		}
		return t.shown[i].column, nil
	}
	return 0, fail("42703", position, "column %q of relation %q does not exist", target.GetName(), t.view.Name())
}

// changed is the scope of the row that a statement changes.
func (p *Planner) changed(table *catalog.Table, alias string) *scope {
	if p.view == nil {
		return tableScope(table, alias)
	}
	if alias == "" {
		alias = p.view.view.Name()
	}
	s := tableScope(table, alias)
	s.relations[0].shown = p.view.shown
	return s
}

// rules are those of the table, and of the view.
func (p *Planner) rules(table *catalog.Table) (*Rules, error) {
	rules, err := RulesOf(table)
	if err == nil {
		p.uses(rules.Uses)
	}
	if err != nil || p.view == nil || len(p.view.options) == 0 {
		return rules, err
	}
	if p.view.slow {
		return nil, syntax.Unsupported("a view with this condition and CHECK OPTION", "Simple conditions of a row can be checked.")
	}
	out := *rules
	out.Options = p.view.options
	return &out, nil
}

// insertColumns are the columns of an INSERT without a list: all of the view, or as many as
// there are values.
func (t *throughView) insertColumns(values int) ([]int, error) {
	var out []int
	for i := range t.shown {
		if i == values {
			break
		}
		column, err := t.writtenColumn(t.table, &pg.ResTarget{Name: t.shown[i].name}, "insert into", 0)
		if err != nil {
			return nil, err
		}
		out = append(out, column)
	}
	return out, nil
}

// valuesWidth is how many values an INSERT gives for a row, -1 if that is not known here.
func valuesWidth(s *pg.InsertStmt) int {
	sel := s.GetSelectStmt().GetSelectStmt()
	if sel == nil { // DEFAULT VALUES
		return 0
	}
	if lists := sel.GetValuesLists(); len(lists) > 0 {
		return len(lists[0].GetList().GetItems())
	}
	if outputs, ok := outputNames(sel); ok {
		return len(outputs)
	}
	return -1
}
