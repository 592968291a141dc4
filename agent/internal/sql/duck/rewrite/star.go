package rewrite

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// item is a column of FROM as * has it, and how it is named.
type item struct {
	column
	node *pg.Node
}

// star expands * or t.* of s; ok=false leaves it to DuckDB.
func (r *rewriter) star(s *pg.SelectStmt, ref *pg.ColumnRef) (targets []*pg.Node, cols []column, ok bool) {
	var items []item
	if len(ref.Fields) > 1 {
		rel := r.scope.relation(ref.Fields[len(ref.Fields)-2].GetString_().GetSval())
		if rel == nil {
			return nil, nil, false
		}
		items, ok = rel.items()
	} else {
		items, ok = r.allItems(s.FromClause)
	}
	if !ok {
		return nil, nil, false
	}
	for _, it := range items {
		target := pg.MakeResTargetNodeWithVal(it.node, -1)
		if fields, _ := fieldNames(&pg.ColumnRef{Fields: it.node.GetColumnRef().GetFields()}); lastOf(fields) != it.name {
			target.GetResTarget().Name = ident(it.name)
		}
		it.scale = r.scaleOf(it.node)
		targets, cols = append(targets, target), append(cols, it.column)
	}
	return targets, cols, true
}

// items are the columns of t.*.
func (r *relation) items() (out []item, ok bool) {
	if !r.known || r.name == "" {
		return nil, false
	}
	for _, c := range r.columns {
		if c.hidden {
			continue
		}
		name := c.name
		if before := r.before(len(out), c.name); before > 0 { // as the engine calls it
			name += "_" + strconv.Itoa(before)
			if _, taken := r.column(name); taken {
				return nil, false
			}
		}
		out = append(out, item{c, pg.MakeColumnRefNode([]*pg.Node{str(r.name), str(name)}, -1)})
	}
	return out, true
}

// before counts the columns of a name among the first n that are not hidden.
func (r *relation) before(n int, name string) int {
	found := 0
	for _, c := range r.columns {
		switch {
		case c.hidden:
			continue
		case n == 0:
			return found
		case c.name == name:
			found++
		}
		n--
	}
	return found
}

// allItems are the columns of *: those of each FROM item, of which a join begins with the
// columns that USING has made of two.
func (r *rewriter) allItems(from []*pg.Node) (out []item, ok bool) {
	rels := r.scope.relations
	for _, n := range from {
		items, rest, ok := r.itemsOf(n, rels)
		if !ok {
			return nil, false
		}
		out, rels = append(out, items...), rest
	}
	return out, true
}

// itemsOf are the columns of a FROM item; rels are the relations of it and what follows, rest
// those of what follows.
func (r *rewriter) itemsOf(n *pg.Node, rels []*relation) (out []item, rest []*relation, ok bool) {
	j := n.GetJoinExpr()
	if j == nil {
		if len(rels) == 0 {
			return nil, nil, false
		}
		out, ok = rels[0].items()
		return out, rels[1:], ok
	}
	left, rels, ok := r.itemsOf(j.Larg, rels)
	if !ok {
		return nil, nil, false
	}
	right, rels, ok := r.itemsOf(j.Rarg, rels)
	names, known := r.merged[j]
	if !ok || !known {
		return nil, nil, false
	}
	for _, name := range names {
		named := func(o item) bool { return o.name == name }
		a, b := slices.IndexFunc(left, named), slices.IndexFunc(right, named)
		if a < 0 || b < 0 {
			return nil, nil, false
		}
		it := item{column: mergedColumn(j.Jointype, left[a].column, right[b].column), node: left[a].node}
		switch j.Jointype {
		case pg.JoinType_JOIN_RIGHT:
			it.node = right[b].node
		case pg.JoinType_JOIN_FULL:
			it.node = &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{left[a].node, right[b].node}}}}
		default:
		}
		out = append(out, it)
		left, right = slices.Delete(left, a, a+1), slices.Delete(right, b, b+1)
	}
	return append(append(out, left...), right...), rels, true
}

// mergedColumn is what USING makes of two columns.
func mergedColumn(t pg.JoinType, left, right column) column {
	out := left
	if t == pg.JoinType_JOIN_RIGHT {
		out = right
	}
	out.notNull = left.notNull && right.notNull && t == pg.JoinType_JOIN_INNER
	if left.typ != right.typ {
		out.scan, out.modifier, out.typ = nil, -1, mixed(left.typ, right.typ)
		if left.typ.IsNumber() && right.typ.IsNumber() {
			out.typ = wider(left.typ, right.typ)
		}
	}
	if t == pg.JoinType_JOIN_FULL {
		out.scan = nil
	}
	return out
}

// merge notes which columns a join makes one of two each, by USING or NATURAL.
func (r *rewriter) merge(j *pg.JoinExpr, left, right []*relation) error {
	if r.merged == nil {
		r.merged = map[*pg.JoinExpr][]string{}
	}
	here, there := &scope{relations: left, merged: r.scope.merged}, &scope{relations: right, merged: r.scope.merged}
	var names []string
	for _, n := range j.UsingClause {
		names = append(names, n.GetString_().GetSval())
	}
	if j.IsNatural {
		if !known(left) || !known(right) {
			return nil
		}
		names = shared(left, right)
	}
	r.merged[j] = names
	for _, name := range names {
		a, okA, err := here.side(name, "left")
		if err != nil {
			return err
		}
		b, okB, err := there.side(name, "right")
		if err != nil {
			return err
		}
		if !okA || !okB {
			continue // the engine knows more
		}
		if a.text || b.text {
			return unsupported(0, "a join by USING, or NATURAL, of a numeric without a precision: write JOIN ... ON a.%[1]s = b.%[1]s; this", name)
		}
		if a.typ == datum.Interval || b.typ == datum.Interval {
			return unsupported(0, "a join by USING, or NATURAL, of intervals: write JOIN ... ON a.%[1]s = b.%[1]s; this", name)
		}
		if r.scope.merged == nil {
			r.scope.merged = map[string]column{}
		}
		r.scope.merged[name] = mergedColumn(j.Jointype, a, b)
		if (j.Jointype == pg.JoinType_JOIN_INNER || j.Jointype == pg.JoinType_JOIN_LEFT) && isOf(b, right) {
			link(b, a)
		}
		if (j.Jointype == pg.JoinType_JOIN_INNER || j.Jointype == pg.JoinType_JOIN_RIGHT) && isOf(a, left) {
			link(a, b)
		}
	}
	return nil
}

// side finds the column of a side of a join; ok=false if it is not known which it is.
func (s *scope) side(name, of string) (c column, ok bool, err error) {
	c, ok = s.find(&pg.ColumnRef{Fields: []*pg.Node{str(name)}})
	switch {
	case ok || !known(s.relations):
		return c, ok, nil
	case s.has(name):
		return c, false, errorf("42702", 0, "common column name %q appears more than once in %s table", name, of)
	}
	return c, false, errorf("42703", 0, "column %q specified in USING clause does not exist in %s table", name, of)
}

func known(rels []*relation) bool {
	return !slices.ContainsFunc(rels, func(r *relation) bool { return !r.known })
}

// shared are the names of columns that both sides of a NATURAL JOIN have.
func shared(left, right []*relation) (names []string) {
	for _, a := range left {
		for _, c := range a.columns {
			has := func(b *relation) bool {
				other, ok := b.column(c.name)
				return ok && !other.hidden
			}
			if !c.hidden && slices.ContainsFunc(right, has) && !slices.Contains(names, c.name) {
				names = append(names, c.name)
			}
		}
	}
	return names
}
