package queryplan

import (
	"context"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Change is an UPDATE or a DELETE of one table.
type Change struct {
	Table  *catalog.Table
	Delete bool
	// Fast: rows are found by Access and Filter, and Set computes new values.
	Access Access
	Filter Expr
	Set    []Assignment
	// Keys, if not nil, name the rows instead of Access.
	Keys *LockedKeys
	// Slow, if not nil, gives the rows instead: all columns of the table, hidden
	// ones included, then the value of each column in SetColumns, then what RETURNING sees
	// of the other relations.
	Slow       duck.Prepared
	SetColumns []int
	Rules      *Rules // nil: of a DELETE
	// Guard is what policies ask of a row that Slow gives; Filter has it, too.
	Guard Expr
	// KeyChange says that a key column is set.
	KeyChange bool
	// Once says that a row which is found again is an error: of MERGE.
	Once bool
	// Entries are of the indexes whose entries may change.
	Entries   []*Entries
	Returning []Expr // over the new row, or the deleted one, and what Slow gives behind it
}

func (p *Planner) update(ctx context.Context, s *pg.UpdateStmt, out *Plan) error {
	if to := p.instead(s.GetRelation(), cluster.OnUpdate); to != nil {
		return p.updateInstead(ctx, s, to, out)
	}
	table, err := p.target(s.GetRelation(), "update")
	if err != nil {
		return err
	}
	ch := &Change{Table: table}
	if ch.Rules, err = p.rules(table); err != nil {
		return err
	}
	alias := s.GetRelation().GetAlias().GetAliasname()
	targets, err := p.wholeColumns(s.GetTargetList(), s.GetRelation(), table)
	if err != nil {
		return err
	}
	s = &pg.UpdateStmt{Relation: s.Relation, TargetList: targets, WhereClause: s.WhereClause, FromClause: s.FromClause, ReturningList: s.ReturningList, WithClause: s.WithClause}
	if err := p.setColumns(s, ch); err != nil {
		return err
	}
	announced := append([]datum.Type(nil), p.params.Types...)
	locked, err := p.lockedChange(ch, changeSource{s.GetRelation(), s.GetWithClause(), s.GetFromClause(), s.GetWhereClause()}, s.GetTargetList())
	switch {
	case locked:
	case s.GetWithClause() != nil, len(s.GetFromClause()) > 0:
		err = errSlow
	default:
		err = p.fastChange(ch, alias, s.GetWhereClause(), s.GetTargetList())
	}
	var beside *besides
	var others []Column
	if isSlow(err) {
		p.params.Types = announced
		beside, others, err = p.slowUpdate(ctx, s, ch)
	}
	if err == nil {
		err = p.guardChange(ch, p.view != nil || readsRows(s.GetTargetList(), s.GetWhereClause(), s.GetFromClause(), s.GetReturningList()))
	}
	if err == nil {
		ch.Returning, out.Columns, err = p.returning(s.GetReturningList(), p.returningScope(ch, alias, beside, others))
	}
	if err == nil {
		ch.Entries, err = entriesChangedBy(table, ch.SetColumns)
	}
	out.Change = ch
	return ch.Keys.explain(err)
}

func (p *Planner) delete(ctx context.Context, s *pg.DeleteStmt, out *Plan) error {
	if to := p.instead(s.GetRelation(), cluster.OnDelete); to != nil {
		return p.deleteInstead(ctx, s, to, out)
	}
	table, err := p.target(s.GetRelation(), "delete from")
	if err != nil {
		return err
	}
	ch := &Change{Table: table, Delete: true}
	alias := s.GetRelation().GetAlias().GetAliasname()
	announced := append([]datum.Type(nil), p.params.Types...)
	locked, err := p.lockedChange(ch, changeSource{s.GetRelation(), s.GetWithClause(), s.GetUsingClause(), s.GetWhereClause()}, nil)
	switch {
	case locked:
	case s.GetWithClause() != nil, len(s.GetUsingClause()) > 0:
		err = errSlow
	default:
		err = p.fastChange(ch, alias, s.GetWhereClause(), nil)
	}
	var beside *besides
	var others []Column
	if isSlow(err) {
		p.params.Types = announced
		beside, others, err = p.slowDelete(ctx, s, ch)
	}
	if err == nil {
		err = p.guardChange(ch, p.view != nil || readsRows(nil, s.GetWhereClause(), s.GetUsingClause(), s.GetReturningList()))
	}
	if err == nil {
		ch.Returning, out.Columns, err = p.returning(s.GetReturningList(), p.returningScope(ch, alias, beside, others))
	}
	if err == nil {
		ch.Entries, err = EntriesOf(table)
	}
	out.Change = ch
	return ch.Keys.explain(err)
}

func (p *Planner) fastChange(ch *Change, alias string, where *pg.Node, set []*pg.Node) error {
	c := p.compiler(p.changed(ch.Table, alias))
	condition, err := c.where(where)
	if err != nil {
		return err
	}
	if p.view != nil {
		if p.view.slow {
			return errSlow
		}
		condition = both(p.view.condition, condition)
	}
	defaults, err := p.defaults(ch.Table)
	if err != nil {
		return err
	}
	if ch.Set, err = c.assignments(set, ch.Table, defaults); err != nil {
		return err
	}
	access, err := chooseAccess(ch.Table, condition, asked{again: true})
	ch.Access, ch.Filter = access.Access, access.Filter
	return err
}

// setColumns finds the columns that an UPDATE sets.
func (p *Planner) setColumns(s *pg.UpdateStmt, ch *Change) error {
	seen := map[int]bool{}
	for _, n := range s.GetTargetList() {
		target := n.GetResTarget()
		i, err := p.compiler(nil).setColumn(target, ch.Table)
		if err != nil {
			return err
		}
		if seen[i] {
			return fail("42601", 0, "multiple assignments to same column %q", target.GetName())
		}
		seen[i] = true
		ch.SetColumns = append(ch.SetColumns, i)
		ch.KeyChange = ch.KeyChange || ch.Table.IsKey(i)
	}
	return nil
}

func (c *compiler) setColumn(target *pg.ResTarget, table *catalog.Table) (int, error) {
	i, err := c.view.writtenColumn(table, target, "update", c.position(target.GetLocation()))
	if err != nil {
		return 0, err
	}
	if len(target.GetIndirection()) > 0 {
		return 0, &syntax.Error{Code: "0A000", Message: "assignment to a part of a column is not supported", Position: c.position(target.GetLocation())}
	}
	return i, identitySet(target.GetVal(), &table.Columns[i])
}

// assignments compiles a SET list.
func (c *compiler) assignments(targets []*pg.Node, table *catalog.Table, defaults []Expr) ([]Assignment, error) {
	var out []Assignment
	for _, n := range targets {
		target := n.GetResTarget()
		i, err := c.setColumn(target, table)
		if err != nil {
			return nil, err
		}
		value := target.GetVal()
		if multi := value.GetMultiAssignRef(); multi != nil {
			if value = rowPart(multi); value == nil {
				return nil, errSlow
			}
		}
		if value.GetSetToDefault() != nil {
			out = append(out, Assignment{Column: i, Value: defaults[i]})
			continue
		}
		e, err := c.as(value, table.Columns[i].Type)
		if err != nil {
			return nil, err
		}
		if e, err = assign(e, table.Columns[i], c.position(location(value))); err != nil {
			return nil, err
		}
		out = append(out, Assignment{Column: i, Value: e})
	}
	return out, nil
}

// rowPart takes one value out of SET (a, b) = (1, 2); nil if the right side is a
// subquery.
func rowPart(m *pg.MultiAssignRef) *pg.Node {
	items := m.GetSource().GetRowExpr().GetArgs()
	if n := int(m.GetColno()); n >= 1 && n <= len(items) && len(items) == int(m.GetNcolumns()) {
		return items[n-1]
	}
	return nil
}

// setQuery is the name of the query in which SET (a, b) = (SELECT ...) stands for each column.
const setQuery = "nodedb_set"

// assignedPart takes one value out of SET (a, b) = (1, 2) or (SELECT ...). A query is there
// once for each column: it reads the same rows each time.
func assignedPart(m *pg.MultiAssignRef) (*pg.Node, error) {
	if part := rowPart(m); part != nil {
		return part, nil
	}
	link := m.GetSource().GetSubLink()
	query := link.GetSubselect().GetSelectStmt()
	if query == nil {
		return nil, fail("0A000", 0, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
	}
	if query.GetOp() == pg.SetOperation_SETOP_NONE && len(query.GetValuesLists()) == 0 {
		targets := query.GetTargetList()
		all := slices.ContainsFunc(targets, func(n *pg.Node) bool {
			fields := n.GetResTarget().GetVal().GetColumnRef().GetFields()
			return len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
		})
		if n := int(m.GetNcolumns()); !all && len(targets) != n {
			return nil, fail("42601", 0, "number of columns does not match number of values")
		}
	}
	if err := steady(query, "SET (...) = (SELECT ...)", "Use UPDATE ... FROM."); err != nil {
		return nil, err
	}
	alias := &pg.Alias{Aliasname: setQuery}
	for i := range m.GetNcolumns() {
		alias.Colnames = append(alias.Colnames, stringNode(setColumnName(i+1)))
	}
	out := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		TargetList: []*pg.Node{resTarget(pg.MakeColumnRefNode([]*pg.Node{stringNode(setQuery), stringNode(setColumnName(m.GetColno()))}, -1))},
		FromClause: []*pg.Node{{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{
			Subquery: proto.CloneOf(link.GetSubselect()), Alias: alias}}}}}
	return &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{SubLinkType: pg.SubLinkType_EXPR_SUBLINK, Location: -1,
		Subselect: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: out}}}}}, nil
}

func setColumnName(n int32) string { return "c" + strconv.Itoa(int(n)) }

// slowDelete makes the SELECT that finds the rows.
func (p *Planner) slowDelete(ctx context.Context, s *pg.DeleteStmt, ch *Change) (*besides, []Column, error) {
	sel := p.rowsOf(ch.Table, changeSource{s.GetRelation(), s.GetWithClause(), s.GetUsingClause(), s.GetWhereClause()})
	beside := p.beside(sel, s.GetUsingClause(), s.GetReturningList())
	var columns []Column
	var err error
	if ch.Slow, columns, err = p.slow(ctx, sel); err != nil {
		return nil, nil, err
	}
	return beside, columns[len(ch.Table.Columns):], nil
}

// slowUpdate makes the SELECT that computes the rows and their new values, and gives what it
// gives of the other relations.
func (p *Planner) slowUpdate(ctx context.Context, s *pg.UpdateStmt, ch *Change) (_ *besides, _ []Column, err error) {
	sel := p.rowsOf(ch.Table, changeSource{s.GetRelation(), s.GetWithClause(), s.GetFromClause(), s.GetWhereClause()})
	for i, n := range s.GetTargetList() {
		value := n.GetResTarget().GetVal()
		if multi := value.GetMultiAssignRef(); multi != nil {
			if value, err = assignedPart(multi); err != nil {
				return nil, nil, err
			}
		}
		if value.GetSetToDefault() != nil {
			if value = defaultNode(&ch.Table.Columns[ch.SetColumns[i]]); value == nil {
				return nil, nil, syntax.Unsupported("SET ... = DEFAULT of this column with a FROM clause or a complex expression", "")
			}
		}
		p.inferParam(value, ch.Table.Columns[ch.SetColumns[i]].Type)
		sel.TargetList = append(sel.TargetList, resTarget(typed(value, ch.Table.Columns[ch.SetColumns[i]].Type)))
	}
	beside := p.beside(sel, s.GetFromClause(), s.GetReturningList())
	prepared, columns, err := p.slow(ctx, sel)
	if err != nil {
		return nil, nil, err
	}
	columns = columns[len(ch.Table.Columns):]
	for i, c := range columns[:len(ch.SetColumns)] {
		column := ch.Table.Columns[ch.SetColumns[i]]
		if !Assignable(c.Type, column.Type) {
			err := fail("42804", 0, "column %q is of type %s but expression is of type %s", column.Name, column.Type.SQLName(), c.Type.SQLName())
			err.Hint = "You will need to rewrite or cast the expression."
			return nil, nil, err
		}
	}
	ch.Slow = prepared
	return beside, columns[len(ch.SetColumns):], nil
}

// defaultNode is the DEFAULT of a column as an expression; nil: it cannot be one.
func defaultNode(c *catalog.Column) *pg.Node {
	switch {
	case c.Identity || c.Generated != "" || c.User != nil && c.User.Domain != nil && c.Default == "":
		return nil
	case c.Default == "":
		return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true, Location: -1}}}
	}
	node, err := syntax.ParseExpression(c.Default)
	if err != nil {
		return nil
	}
	return node
}

// typed gives a bare string or null the type of the column that it goes into.
func typed(value *pg.Node, t datum.Type) *pg.Node {
	if row := value.GetRowExpr(); row != nil && t.IsComposite() {
		return madeRow(row, t)
	}
	if !bareString(value) && !bareNull(value) {
		return value
	}
	name := &pg.TypeName{Names: []*pg.Node{stringNode("pg_catalog"), stringNode(t.Elem().String())}, Typemod: -1, Location: -1}
	if t.Elem().IsEnum() || t.Elem().IsComposite() {
		name.Names = []*pg.Node{stringNode(syntax.EnumTypeName(uint32(t.Elem())))}
	}
	if t.IsArray() {
		name.ArrayBounds = []*pg.Node{{Node: &pg.Node_Integer{Integer: &pg.Integer{Ival: -1}}}}
	}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: value, TypeName: name, Location: -1}}}
}

func bareString(n *pg.Node) bool { return n.GetAConst().GetSval() != nil }
func bareNull(n *pg.Node) bool   { return n.GetAConst().GetIsnull() }

// inferParam gives a bare parameter without a type one.
func (p *Planner) inferParam(n *pg.Node, t datum.Type) {
	if n.GetParamRef() == nil {
		return
	}
	e, err := p.compiler(nil).param(n.GetParamRef())
	if param, ok := e.(*Param); ok && err == nil && param.Type() == datum.Unknown {
		p.params.Types[param.Index] = t
	}
}

// changeSource is where the rows of an UPDATE or DELETE come from.
type changeSource struct {
	relation *pg.RangeVar // the one that is changed
	with     *pg.WithClause
	from     []*pg.Node // FROM or USING
	where    *pg.Node
}

// alias is what the rows that are changed are called.
func (s *changeSource) alias() string {
	if alias := s.relation.GetAlias().GetAliasname(); alias != "" {
		return alias
	}
	return s.relation.GetRelname()
}

// rowsOf makes WITH ... SELECT t.every, t.column FROM t, others WHERE condition.
func (p *Planner) rowsOf(table *catalog.Table, of changeSource) *pg.SelectStmt {
	alias := of.alias()
	sel := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, WithClause: of.with, WhereClause: of.where}
	from := &pg.Node{Node: &pg.Node_RangeVar{RangeVar: notOfWith(of.relation, of.with, table)}}
	if p.view != nil {
		from = proto.CloneOf(p.view.rows)
		from.GetRangeSubselect().Alias = &pg.Alias{Aliasname: alias}
	}
	for i, c := range table.Columns {
		name := c.Name
		if p.view != nil {
			name = baseColumn(i)
		}
		sel.TargetList = append(sel.TargetList, resTarget(&pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{
			Fields: []*pg.Node{stringNode(alias), stringNode(name)}, Location: syntax.AsStored}}}))
	}
	sel.FromClause = append([]*pg.Node{from}, of.from...)
	return sel
}

// notOfWith names the table that is changed so that no query in WITH is meant: one of its
// name stands for itself everywhere but there.
func notOfWith(r *pg.RangeVar, w *pg.WithClause, table *catalog.Table) *pg.RangeVar {
	if r.GetSchemaname() != "" || !slices.ContainsFunc(w.GetCtes(), func(n *pg.Node) bool { return n.GetCommonTableExpr().GetCtename() == r.GetRelname() }) {
		return r
	}
	out := proto.CloneOf(r)
	out.Schemaname = table.Schema().Name
	if out.Alias == nil {
		out.Alias = &pg.Alias{Aliasname: r.GetRelname()}
	}
	return out
}

func resTarget(value *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: value, Location: -1}}}
}

func stringNode(s string) *pg.Node {
	return &pg.Node{Node: &pg.Node_String_{String_: &pg.String{Sval: s}}}
}

func intNode(i int32) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Ival{Ival: &pg.Integer{Ival: i}}, Location: -1}}}
}
