package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// Select reads one table, or none, by the fast path.
type Select struct {
	Table   *catalog.Table // nil: one row without columns
	Access  Access
	Filter  Expr // nil: all rows
	Decoder *catalog.Decoder
	Output  []Expr
	// Group says that rows are added up; nil: each gives one.
	Group *Grouping
	// Sort orders in memory; used for rows that are looked up by key.
	Sort []SortKey
	// Ordered and Reverse say that the scan gives rows by key.
	Ordered, Reverse bool
	Limit, Offset    Expr     // int8, nil: none
	Lock             *Locking // nil: the rows are not locked
	// Program is for the nodes that have the rows: what Filter leaves of them, or what Group
	// makes of those; nil: they give rows.
	Program *Program
	from    *source // nil: not what a Program can be of
	// Apart says that all rows are read before anything is computed of them: a function
	// that is called may write to the table.
	Apart bool
}

// source is what a statement says of where its rows come from.
type source struct {
	alias string
	where *pg.Node
}

// SortKey is one expression of ORDER BY.
type SortKey struct {
	Expr       Expr
	Descending bool
	NullsFirst bool
}

// fastSelect plans a SELECT for Go, or returns errSlow.
func (p *Planner) fastSelect(s *pg.SelectStmt) (*Select, []Column, error) {
	if s.GetOp() != pg.SetOperation_SETOP_NONE || s.GetWithClause() != nil || len(s.GetDistinctClause()) > 0 || len(s.GetWindowClause()) > 0 || len(s.GetValuesLists()) > 0 ||
		s.GetLimitOption() == pg.LimitOption_LIMIT_OPTION_WITH_TIES || len(s.GetFromClause()) > 1 || len(s.GetTargetList()) == 0 {
		return nil, nil, errSlow
	}
	out := &Select{}
	var from *scope
	var shown, condition Expr
	var err error
	if len(s.GetFromClause()) == 1 {
		if out.Table, from, shown, err = p.from(s.GetFromClause()[0]); err != nil {
			return nil, nil, err
		}
	}
	if out.Lock, err = locking(s, from); err != nil {
		return nil, nil, err
	}
	c := p.compiler(from)
	if condition, err = c.where(s.GetWhereClause()); err != nil {
		return nil, nil, err
	}
	condition = both(shown, condition)
	columns, err := c.answers(s, out)
	if err != nil {
		return nil, nil, err
	}
	if err := p.limits(s, out); err != nil {
		return nil, nil, err
	}
	if out.Table == nil {
		out.Filter = condition
		return out, columns, nil
	}
	if err := p.guardSelect(out, from.relations[0].role); err != nil {
		return nil, nil, err
	}
	if r := from.relations[0]; shown == nil && r.shown == nil && out.Filter == nil { // no view, no policy
		out.from = &source{alias: r.alias, where: s.GetWhereClause()}
	}
	if out.Group != nil {
		if out.Group.Ends, err = out.ends(condition); err != nil {
			return nil, nil, err
		}
	}
	if err := out.choose(condition); err != nil {
		return nil, nil, err
	}
	p.tables = append(p.tables, out.Table)
	return out, columns, nil
}

// answers compiles what a SELECT answers, and in which order.
func (c *compiler) answers(s *pg.SelectStmt, out *Select) ([]Column, error) {
	switch {
	case !groups(s):
	case out.Table == nil || out.Lock != nil:
		return nil, errSlow
	default:
		return c.grouped(s, out)
	}
	columns, err := c.outputs(s.GetTargetList(), out)
	if err != nil {
		return nil, err
	}
	return columns, c.sortKeys(s, out, columns)
}

// from finds the one table of a FROM clause: of a view that shows rows of one, that. shown
// is the condition of the view; nil: there is none.
func (p *Planner) from(n *pg.Node) (table *catalog.Table, s *scope, shown Expr, err error) {
	r := n.GetRangeVar()
	if r == nil || r.GetCatalogname() != "" || r.GetSchemaname() == partSchema {
		return nil, nil, nil, errSlow
	}
	table, ok := p.Lookup(r.GetSchemaname(), r.GetRelname())
	if !ok { // or a system table, or an error that the slow path words
		return p.fromView(r)
	}
	s = tableScope(table, r.GetAlias().GetAliasname())
	s.relations[0].role, _ = catalog.RightsIn(r.GetSchemaname())
	if given := r.GetAlias().GetColnames(); len(given) > 0 {
		if s.relations[0].shown = called(table, given); s.relations[0].shown == nil {
			return nil, nil, nil, errSlow
		}
	}
	return table, s, nil, nil
}

// where compiles a condition; nil stays nil.
func (c *compiler) where(n *pg.Node) (Expr, error) {
	if n == nil {
		return nil, nil
	}
	e, err := c.expr(n)
	if err != nil {
		return nil, err
	}
	if t := e.Type(); t != datum.Bool && t != datum.Unknown {
		return nil, fail("42804", 0, "argument of WHERE must be type boolean, not type %s", t.SQLName())
	}
	if e, err = c.condition(e, n); err != nil {
		return nil, err
	}
	return nullIsFalse(e), nil
}

// outputs compiles a SELECT or RETURNING list into out.
func (c *compiler) outputs(targets []*pg.Node, out *Select) ([]Column, error) {
	var columns []Column
	for _, n := range targets {
		target := n.GetResTarget()
		if relation, ok := c.star(target.GetVal()); ok {
			refs, err := c.expandStar(relation)
			if err != nil {
				return nil, err
			}
			for _, ref := range refs {
				if ref.expr == nil {
					return nil, errSlow
				}
				out.Output = append(out.Output, ref.expr)
				columns = append(columns, c.columnOf(ref.expr, ref.name))
			}
			continue
		}
		fields, several, err := c.expandFields(target.GetVal())
		if err != nil {
			return nil, err
		}
		for _, f := range fields {
			out.Output = append(out.Output, f.expr)
			columns = append(columns, c.columnOf(f.expr, f.name))
		}
		if several {
			continue
		}
		e, err := c.expr(target.GetVal())
		if err != nil {
			return nil, err
		}
		if e.Type() == datum.Unknown {
			if e, err = coerce(e, datum.Text); err != nil {
				return nil, err
			}
		}
		name := target.GetName()
		if name == "" {
			name = outputName(target.GetVal())
		}
		out.Output = append(out.Output, e)
		columns = append(columns, c.columnOf(e, name))
	}
	return columns, nil
}

func (c *compiler) columnOf(e Expr, name string) Column {
	out := Column{Name: name, Type: e.Type(), Modifier: -1}
	if ref, ok := e.(*ColumnRef); ok {
		out.Modifier = ref.modifier
		if c.grouping != nil {
			if ref = c.grouping.column(ref); ref == nil {
				return out
			}
		}
		for _, r := range c.scope.relations {
			if r.shown == nil && ref.Index >= r.offset && ref.Index < r.offset+len(r.table.Columns) {
				out.Table, out.Index = r.table, ref.Index-r.offset
			}
		}
	}
	return out
}

// star recognises * and relation.*.
func star(n *pg.Node) (relation string, ok bool) {
	fields := n.GetColumnRef().GetFields()
	switch {
	case len(fields) == 1 && fields[0].GetAStar() != nil:
		return "", true
	case len(fields) == 2 && fields[1].GetAStar() != nil:
		return fields[0].GetString_().GetSval(), true
	default:
		return "", false
	}
}

// star is star of what may have the schema of its table in front.
func (c *compiler) star(n *pg.Node) (relation string, ok bool) {
	fields := n.GetColumnRef().GetFields()
	if len(fields) != 3 || fields[2].GetAStar() == nil || c.scope == nil {
		return star(n)
	}
	relation = fields[1].GetString_().GetSval()
	return relation, c.isOf(relation, fields[0].GetString_().GetSval())
}

func (c *compiler) expandStar(relation string) ([]shownColumn, error) {
	if c.scope == nil {
		return nil, fail("42601", 0, "SELECT * with no tables specified is not valid")
	}
	var refs []shownColumn
	if c.grouping != nil {
		return nil, errSlow
	}
	found := false
	for _, r := range c.scope.relations {
		if r.alias != relation && (relation != "" || r.qualifiedOnly) {
			continue
		}
		found = true
		refs = append(refs, r.columns()...)
	}
	if c.scope.more && (!found || relation == "") {
		return nil, errSlow
	}
	if !found {
		return nil, fail("42P01", 0, "missing FROM-clause entry for table %q", relation)
	}
	return refs, nil
}

// outputName is the name that PostgreSQL gives an unnamed expression.
func outputName(n *pg.Node) string { return rewrite.FigureName(n) }

// choose finds how the rows are read. Filter is what policies ask of them, before all else.
func (s *Select) choose(condition Expr) error {
	access, err := chooseAccess(s.Table, condition, asked{sort: s.rowOrder(), limited: s.Limit != nil && s.Group == nil, wanted: s.wanted(), again: s.Lock != nil})
	if err != nil {
		return err
	}
	s.Access, s.Filter = access.Access, guarded(s.Filter, access.Filter)
	if err := s.order(&access); err != nil {
		return err
	}
	if s.Decoder = s.Table.NewDecoder(s.wanted()); s.Access.Covering {
		s.Decoder = s.Access.Index.Index.NewDecoder(s.wanted())
	}
	return nil
}

// order plans ORDER BY: by the key if the scan gives that order, in memory for
// rows looked up by key, slow otherwise.
func (s *Select) order(access *chosen) error {
	switch {
	case len(s.rowOrder()) == 0:
		s.Ordered = s.arrival()
		return nil
	case s.Access.ByKey():
		return nil
	case s.Access.Index == nil:
		access.scanOrder = orderOf(keyOrder(s.Table, &s.Access), s.Sort)
	}
	switch {
	case access.fits:
		s.Ordered, s.Reverse, s.Sort = access.ordered, access.reverse, nil
	case len(s.Access.Points) > 0 || s.Lock != nil: // the slow path locks nothing
	default:
		return errSlow
	}
	return nil
}

// arrival reports whether all rows of a table are read whose keys were made up: by them,
// they come in the order in which they were written, as those of a heap do.
func (s *Select) arrival() bool {
	return s.Group == nil && s.Lock == nil && s.Filter == nil && s.Access.Index == nil && !s.Access.ByKey() && s.Table.Columns[s.Table.Key[0]].Hidden
}

// sortKeys compiles ORDER BY.
func (c *compiler) sortKeys(s *pg.SelectStmt, out *Select, columns []Column) error {
	if len(s.GetSortClause()) == 0 {
		return nil
	}
	for _, n := range s.GetSortClause() {
		by := n.GetSortBy()
		if len(by.GetUseOp()) > 0 {
			return errSlow
		}
		e, err := c.sortExpr(by.GetNode(), out, columns)
		if err != nil {
			return err
		}
		if t := e.Type(); t.Elem() == datum.JSON || t == datum.Unknown {
			return errSlow
		}
		key := SortKey{Expr: e, Descending: by.GetSortbyDir() == pg.SortByDir_SORTBY_DESC}
		key.NullsFirst = key.Descending
		switch by.GetSortbyNulls() {
		case pg.SortByNulls_SORTBY_NULLS_FIRST:
			key.NullsFirst = true
		case pg.SortByNulls_SORTBY_NULLS_LAST:
			key.NullsFirst = false
		}
		out.Sort = append(out.Sort, key)
	}
	return nil
}

// sortExpr resolves an item of ORDER BY: an output's name or number first.
func (c *compiler) sortExpr(n *pg.Node, out *Select, columns []Column) (Expr, error) {
	if i := n.GetAConst().GetIval(); i != nil {
		if i.GetIval() < 1 || int(i.GetIval()) > len(out.Output) {
			return nil, fail("42P10", c.position(n.GetAConst().GetLocation()), "ORDER BY position %d is not in select list", i.GetIval())
		}
		return out.Output[i.GetIval()-1], nil
	}
	if n.GetAConst() != nil {
		return nil, errSlow
	}
	if fields := n.GetColumnRef().GetFields(); len(fields) == 1 {
		found := -1
		for i, column := range columns {
			switch {
			case column.Name != fields[0].GetString_().GetSval():
			case found >= 0: // which is ambiguous unless they are the same
				return nil, errSlow
			default:
				found = i
			}
		}
		if found >= 0 {
			return out.Output[found], nil
		}
	}
	return c.expr(n)
}

func (p *Planner) limits(s *pg.SelectStmt, out *Select) error {
	c := p.compiler(nil)
	for _, l := range []struct {
		node *pg.Node
		to   *Expr
	}{{s.GetLimitCount(), &out.Limit}, {s.GetLimitOffset(), &out.Offset}} {
		if l.node == nil {
			continue
		}
		e, err := c.expr(l.node)
		if err != nil {
			return err
		}
		if *l.to, err = convert(e, datum.Int8, -1, datum.Assignment); err != nil {
			return err
		}
		if k, ok := (*l.to).(*Const); ok && k.Value.Null {
			*l.to = nil // LIMIT ALL
		}
	}
	return nil
}

// rowOrder is the order that is asked for of rows: that of groups is another.
func (s *Select) rowOrder() []SortKey {
	if s.Group != nil {
		return nil
	}
	return s.Sort
}

// wanted marks the columns that running s needs.
func (s *Select) wanted() []bool {
	wanted := make([]bool, len(s.Table.Columns))
	if s.Group != nil {
		s.Group.mark(wanted)
	} else {
		for _, e := range s.Output {
			markColumns(e, wanted)
		}
	}
	for _, k := range s.rowOrder() {
		markColumns(k.Expr, wanted)
	}
	if s.Filter != nil {
		markColumns(s.Filter, wanted)
	}
	return wanted
}
