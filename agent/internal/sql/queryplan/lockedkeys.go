package queryplan

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// LockedKeys gives the keys of the rows that a Change applies to: those of a subquery
// with FOR UPDATE or the like, as job queues have it.
type LockedKeys struct {
	Select *Select
	Column int  // of Select: the table's one key column
	One    bool // = (SELECT ...), not IN (SELECT ...)

	// Of one in FROM or WITH: what it is called there, and what columns it has.
	alias   string
	columns []Column
}

// explain says of an error that comes from naming another column of the subquery than the
// key that this is what cannot be done.
func (k *LockedKeys) explain(err error) error {
	var e *syntax.Error
	if k == nil || k.alias == "" || !errors.As(err, &e) {
		return err
	}
	theirs := e.Code == "42P01" && strings.HasSuffix(e.Message, strconv.Quote(k.alias)) ||
		e.Code == "42703" && slices.ContainsFunc(k.columns, func(c Column) bool { return strings.Contains(e.Message, strconv.Quote(c.Name)) })
	if !theirs {
		return err
	}
	out := syntax.Unsupported("naming a column of "+k.alias+", which locks rows, anywhere but in the comparison of the key",
		"Name the column of the row that is changed, or lock the rows by a statement of its own.")
	out.Position = e.Position
	return out
}

// lockingSubquery takes key IN (SELECT ... FOR UPDATE), or key = (...), out of a
// condition. rest is what else has to hold; nil: nothing.
func lockingSubquery(where *pg.Node, table *catalog.Table) (sub *pg.SelectStmt, one bool, rest *pg.Node) {
	parts := []*pg.Node{where}
	and := where.GetBoolExpr()
	if and != nil && and.GetBoolop() == pg.BoolExprType_AND_EXPR {
		parts = and.GetArgs()
	}
	var others []*pg.Node
	for _, part := range parts {
		if found, single := subqueryOf(part, table); found != nil && sub == nil {
			sub, one = found, single
			continue
		}
		others = append(others, part)
	}
	return sub, one, allOf(others)
}

// keyColumn finds the column of a subquery that names the rows: the one that is called
// so, or the only one. -1: there is none of the type.
func keyColumn(columns []Column, name string, t datum.Type) int {
	for i, c := range columns {
		if c.Type == t && (c.Name == name || name == "" && len(columns) == 1) {
			return i
		}
	}
	return -1
}

func subqueryOf(n *pg.Node, table *catalog.Table) (sub *pg.SelectStmt, one bool) {
	link, column := n.GetSubLink(), n.GetSubLink().GetTestexpr()
	switch e := n.GetAExpr(); {
	case link != nil && (link.GetSubLinkType() != pg.SubLinkType_ANY_SUBLINK || len(link.GetOperName()) > 0):
		return nil, false
	case link != nil:
	case e != nil && e.GetKind() == pg.A_Expr_Kind_AEXPR_OP && len(e.GetName()) == 1 && e.GetName()[0].GetString_().GetSval() == "=":
		if link, column, one = e.GetRexpr().GetSubLink(), e.GetLexpr(), true; link.GetSubLinkType() != pg.SubLinkType_EXPR_SUBLINK {
			return nil, false
		}
	default:
		return nil, false
	}
	fields := column.GetColumnRef().GetFields()
	sub = link.GetSubselect().GetSelectStmt()
	if len(table.Key) != 1 || len(fields) == 0 || len(sub.GetLockingClause()) == 0 ||
		fields[len(fields)-1].GetString_().GetSval() != table.Columns[table.Key[0]].Name {
		return nil, false
	}
	return sub, one
}

// joined makes IN (SELECT ...) of the other way in which job queues have it: FROM a
// subquery, or the name of one in WITH, and key = its column. nil: it is something else.
func joined(with *pg.WithClause, from []*pg.Node, where *pg.Node, table *catalog.Table) (sub *pg.SelectStmt, name, column string, rest *pg.Node) {
	if len(from) != 1 || len(table.Key) != 1 || with.GetRecursive() || len(with.GetCtes()) > 1 {
		return nil, "", "", nil
	}
	switch r := from[0]; {
	case r.GetRangeSubselect() != nil && with == nil:
		sub, name = r.GetRangeSubselect().GetSubquery().GetSelectStmt(), r.GetRangeSubselect().GetAlias().GetAliasname()
	case r.GetRangeVar() != nil && len(with.GetCtes()) == 1:
		cte := with.GetCtes()[0].GetCommonTableExpr()
		if cte.GetCtename() != r.GetRangeVar().GetRelname() || len(cte.GetAliascolnames()) > 0 {
			return nil, "", "", nil
		}
		if sub, name = cte.GetCtequery().GetSelectStmt(), cte.GetCtename(); r.GetRangeVar().GetAlias() != nil {
			name = r.GetRangeVar().GetAlias().GetAliasname()
		}
	}
	if len(sub.GetLockingClause()) == 0 {
		return nil, "", "", nil
	}
	parts := []*pg.Node{where}
	if and := where.GetBoolExpr(); and.GetBoolop() == pg.BoolExprType_AND_EXPR {
		parts = and.GetArgs()
	}
	for i, part := range parts {
		e := part.GetAExpr()
		if e.GetKind() != pg.A_Expr_Kind_AEXPR_OP || len(e.GetName()) != 1 || e.GetName()[0].GetString_().GetSval() != "=" {
			continue
		}
		for _, sides := range [][2]*pg.Node{{e.GetLexpr(), e.GetRexpr()}, {e.GetRexpr(), e.GetLexpr()}} {
			key, theirs := columnName(sides[0]), columnName(sides[1])
			if len(key) == 0 || len(theirs) != 2 || theirs[0] != name || key[len(key)-1] != table.Columns[table.Key[0]].Name || len(key) == 2 && key[0] == name {
				continue
			}
			return sub, name, theirs[1], allOf(append(append([]*pg.Node(nil), parts[:i]...), parts[i+1:]...))
		}
	}
	return nil, "", "", nil
}

func columnName(n *pg.Node) []string {
	var out []string
	for _, f := range n.GetColumnRef().GetFields() {
		out = append(out, f.GetString_().GetSval())
	}
	return out
}

// allOf is the conjunction of conditions; nil for none.
func allOf(parts []*pg.Node) *pg.Node {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	default:
		return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_AND_EXPR, Args: parts}}}
	}
}

// lockedChange plans an UPDATE or DELETE whose rows a locking subquery names; ok is false
// for others.
func (p *Planner) lockedChange(ch *Change, from changeSource, set []*pg.Node) (ok bool, err error) {
	if p.view != nil {
		return false, nil
	}
	column, one := "", false
	sub, name, named, rest := joined(from.with, from.from, from.where, ch.Table)
	switch {
	case sub != nil:
		column = named
	case from.with != nil || len(from.from) > 0:
		return false, nil
	default:
		name = ""
		if sub, one, rest = lockingSubquery(from.where, ch.Table); sub == nil {
			return false, nil
		}
	}
	alias := from.relation.GetAlias().GetAliasname()
	if err := refuseLocking(sub); err != nil {
		return true, err
	}
	sel, columns, err := p.fastSelect(sub)
	at := keyColumn(columns, column, ch.Table.Columns[ch.Table.Key[0]].Type)
	if isSlow(err) || err == nil && (sel.Table == nil || sel.Table.ID() != ch.Table.ID() || at < 0) {
		return true, syntax.Unsupported(strongest(sub.GetLockingClause()).String()+" of this subquery",
			"Select the primary key of the rows of the same collection, by simple conditions, or lock them by a statement of its own.")
	}
	if err != nil {
		return true, err
	}
	ch.Keys = &LockedKeys{Select: sel, Column: at, One: one, alias: name, columns: columns}
	if err := p.fastChange(ch, alias, rest, set); err != nil {
		if isSlow(err) {
			err = syntax.Unsupported("a subquery with "+strongest(sub.GetLockingClause()).String()+" beside this condition or expression", "Lock the rows by a statement of its own.")
		}
		return true, err
	}
	// The keys are the subquery's: whatever else is said of them is looked at in each row.
	ch.Access = Access{}
	ch.Filter, err = p.compiler(tableScope(ch.Table, alias)).where(rest)
	return true, err
}
