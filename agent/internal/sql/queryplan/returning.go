package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// besides are the relations that stand beside the one that an UPDATE or DELETE changes:
// RETURNING sees their columns, behind those of the row.
type besides struct {
	aliases []string
	// joined says that there is a join whose columns are not simply those of its sides.
	joined bool
}

// add takes a FROM item.
func (b *besides) add(n *pg.Node) {
	switch {
	case n.GetRangeVar() != nil:
		alias := n.GetRangeVar().GetAlias().GetAliasname()
		if alias == "" {
			alias = n.GetRangeVar().GetRelname()
		}
		b.aliases = append(b.aliases, alias)
	case n.GetRangeSubselect() != nil:
		b.aliases = append(b.aliases, n.GetRangeSubselect().GetAlias().GetAliasname())
	case n.GetRangeFunction().GetAlias() != nil:
		b.aliases = append(b.aliases, n.GetRangeFunction().GetAlias().GetAliasname())
	case n.GetJoinExpr() != nil:
		j := n.GetJoinExpr()
		b.joined = b.joined || j.GetIsNatural() || len(j.GetUsingClause()) > 0 || j.GetAlias() != nil
		b.add(j.GetLarg())
		b.add(j.GetRarg())
	default:
		b.joined = true
	}
}

// beside has sel give what RETURNING sees of the other relations, each behind a column that
// is its mark.
func (p *Planner) beside(sel *pg.SelectStmt, others, returning []*pg.Node) *besides {
	out := &besides{}
	if len(returning) == 0 {
		return out
	}
	for _, n := range others {
		out.add(n)
	}
	if out.joined {
		out.aliases = nil
	}
	for _, alias := range out.aliases {
		mark := resTarget(intNode(0))
		mark.GetResTarget().Name = besideMark
		every := resTarget(&pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{
			Fields: []*pg.Node{stringNode(alias), {Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}, Location: -1}}})
		sel.TargetList = append(sel.TargetList, mark, every)
	}
	return out
}

// besideMark is the name of the columns that stand before those of a relation.
const besideMark = "#beside"

// returningScope is what RETURNING of a change sees. columns are what the slow path gives
// of the other relations, behind the marks.
func (p *Planner) returningScope(ch *Change, alias string, b *besides, columns []Column) *scope {
	s := p.changed(ch.Table, alias)
	if b == nil {
		return ch.Keys.beside(s)
	}
	s.more = b.joined
	at := -1
	for i, c := range columns {
		if c.Name == besideMark {
			at++
			s.relations = append(s.relations, relation{alias: b.aliases[at], shown: []shownColumn{}})
			continue
		}
		r := &s.relations[len(s.relations)-1]
		ref := &ColumnRef{Index: len(ch.Table.Columns) + i, typ: c.Type, modifier: c.Modifier, name: c.Name}
		r.shown = append(r.shown, shownColumn{name: c.Name, expr: ref, column: -1})
	}
	return s
}

// beside has names of the subquery's columns be refused, and not mean the table's.
func (k *LockedKeys) beside(s *scope) *scope {
	if k == nil || k.alias == "" {
		return s
	}
	r := relation{alias: k.alias, shown: []shownColumn{}}
	for _, c := range k.columns {
		r.shown = append(r.shown, shownColumn{name: c.Name, column: -1})
	}
	s.relations = append(s.relations, r)
	return s
}
