package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// dependent adds to GROUP BY the columns that a statement uses of tables whose primary keys
// stand there: as in PostgreSQL a group has one value of each. Others are left as they are,
// and refused by the engine. out are the columns of s.
func (r *rewriter) dependent(s *pg.SelectStmt, out columns) {
	if !r.groupsByKeys(s, out) {
		r.groupsAsWritten(s, out)
	}
	grouped := r.grouped(s, out)
	if len(grouped) == 0 {
		return
	}
	use := func(ref *pg.ColumnRef) {
		rel, name, ok := r.scope.own(ref)
		if !ok || rel.scan == nil || grouped[rel][name] || !rel.keyedBy(grouped[rel]) {
			return
		}
		grouped[rel][name] = true
		by := pg.MakeColumnRefNode([]*pg.Node{str(rel.name), str(name)}, -1)
		r.takesText(by) // of one value each, whatever its form
		s.GroupClause = append(s.GroupClause, by)
	}
	for _, l := range [][]*pg.Node{s.DistinctClause, s.TargetList, s.WindowClause, s.SortClause, {s.HavingClause}} {
		for _, n := range l {
			outsideAggregates(n.ProtoReflect(), use)
		}
	}
}

// groupsAsWritten refuses to group by values that are equal and may be written otherwise, where
// they cannot be grouped by keys.
func (r *rewriter) groupsAsWritten(s *pg.SelectStmt, out columns) {
	var look func(n *pg.Node, inSet bool)
	look = func(n *pg.Node, inSet bool) {
		if within := append(n.GetGroupingSet().GetContent(), n.GetRowExpr().GetArgs()...); len(within) > 0 {
			for _, within := range within {
				look(within, inSet || n.GetGroupingSet() != nil)
			}
			return
		}
		if of := r.meant(n, s, out); inSet && n.GetGroupingSet() == nil && len(n.GetRowExpr().GetArgs()) == 0 && constantExpression(of) {
			err := unsupported(0, "a constant among grouping sets")
			err.Hint = "Leave it out, or group by it in a query around this one."
			r.refuse(err)
		}
		if of := r.meant(n, s, out); of.GetSubLink() == nil && r.unlike(of) {
			err := unsupported(0, "GROUP BY of %s values beside a subquery, or by grouping sets,", r.typeOf(of).SQLName())
			err.Hint = "Cast numerics to numeric(precision, scale), and others to text."
			r.refuse(err)
		}
	}
	for _, n := range s.GroupClause {
		look(n, false)
	}
}

// constantExpression reports whether an expression names no column, and is no subquery.
func constantExpression(n *pg.Node) bool {
	constant := true
	visit(pg.MakeListNode([]*pg.Node{n}).ProtoReflect(), func(n *pg.Node) {
		constant = constant && n.GetColumnRef() == nil && n.GetSubLink() == nil && n.GetParamRef() == nil
	})
	return constant
}

// grouped are the columns that stand in GROUP BY, of relations with a primary key; none if it
// has grouping sets, each of which lacks some.
func (r *rewriter) grouped(s *pg.SelectStmt, out columns) map[*relation]map[string]bool {
	var found map[*relation]map[string]bool
	for _, n := range s.GroupClause {
		if n.GetGroupingSet() != nil {
			return nil
		}
		for _, rel := range r.scope.relations {
			name, ok := r.groupedColumn(n, s, out, rel)
			if !ok || rel.scan == nil || len(rel.scan.Table.Key) == 0 {
				continue
			}
			if found == nil {
				found = map[*relation]map[string]bool{}
			}
			if found[rel] == nil {
				found[rel] = map[string]bool{}
			}
			found[rel][name] = true
		}
	}
	return found
}

// groupedColumn is the column of rel that an item of GROUP BY is: by its name, or as an output
// column's number or name. One that JOIN ... USING has made
// is of the side that has all of its values.
func (r *rewriter) groupedColumn(n *pg.Node, s *pg.SelectStmt, out columns, rel *relation) (name string, ok bool) {
	ref := n.GetColumnRef()
	if at := int(n.GetAConst().GetIval().GetIval()); at >= 1 && at <= len(s.TargetList) {
		ref = s.TargetList[at-1].GetResTarget().GetVal().GetColumnRef()
	} else if names, _ := fieldNames(&pg.ColumnRef{Fields: ref.GetFields()}); len(names) == 1 && !r.scope.has(names[0]) {
		i := slices.IndexFunc(out.list, func(c column) bool { return c.name == names[0] })
		if i >= 0 && i < len(s.TargetList) {
			ref = s.TargetList[i].GetResTarget().GetVal().GetColumnRef()
		}
	}
	if ref == nil {
		return "", false
	}
	names, star := fieldNames(ref)
	if star || len(names) == 0 || len(names) > 1 && names[len(names)-2] != rel.name {
		return "", false
	}
	name = names[len(names)-1]
	if c, merged := r.scope.merged[name]; merged && len(names) == 1 && c.scan != rel.scan {
		return "", false
	}
	_, ok = rel.column(name)
	return name, ok
}

// keyedBy reports whether all of a table's primary key is among some of its columns.
func (r *relation) keyedBy(names map[string]bool) bool {
	for _, k := range r.scan.Table.Key {
		if !slices.ContainsFunc(r.columns, func(c column) bool { return c.index == k && names[c.name] }) {
			return false
		}
	}
	return len(r.scan.Table.Key) > 0
}

// own finds the one FROM item of this very query that a column is of.
func (s *scope) own(ref *pg.ColumnRef) (rel *relation, name string, ok bool) {
	names, star := fieldNames(ref)
	if star || len(names) == 0 {
		return nil, "", false
	}
	name = names[len(names)-1]
	for _, r := range s.relations {
		if _, has := r.column(name); !has || len(names) > 1 && names[len(names)-2] != r.name {
			continue
		}
		if ok {
			return nil, "", false
		}
		rel, ok = r, true
	}
	return rel, name, ok
}

// has reports whether a FROM item of this query has a column of the name.
func (s *scope) has(name string) bool {
	return slices.ContainsFunc(s.relations, func(r *relation) bool { _, ok := r.column(name); return ok })
}

// outsideAggregates calls fn with the columns below m that are no arguments of aggregates.
func outsideAggregates(m protoreflect.Message, fn func(*pg.ColumnRef)) {
	if n, ok := m.Interface().(*pg.Node); ok {
		if f := n.GetFuncCall(); f != nil && f.Over == nil && aggregates[lastName(f.Funcname)] {
			return
		}
		if ref := n.GetColumnRef(); ref != nil {
			fn(ref)
		}
	}
	children(m, func(c protoreflect.Message) { outsideAggregates(c, fn) })
}

// ungrouped refuses columns beside a HAVING without a GROUP BY, which makes all rows one group.
func (r *rewriter) ungrouped(s *pg.SelectStmt) error {
	if s.HavingClause == nil || len(s.GroupClause) > 0 {
		return nil
	}
	var wrong error
	for _, n := range append(slices.Clone(s.TargetList), s.HavingClause) {
		if hasSubquery(n) {
			continue
		}
		outsideAggregates(n.ProtoReflect(), func(ref *pg.ColumnRef) {
			if rel, name, ok := r.scope.own(ref); ok && wrong == nil {
				wrong = errorf("42803", ref.Location, "column \"%s.%s\" must appear in the GROUP BY clause or be used in an aggregate function", rel.name, name)
			}
		})
	}
	return wrong
}
