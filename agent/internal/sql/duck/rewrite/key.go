package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Numerics that are texts are equal where their order keys are: 1.5 and 1.50 are one group.
// What is shown of a group is one of its texts.

// keyOf has the order key of a numeric stand in its place.
func (r *rewriter) keyOf(n *pg.Node) *pg.Node {
	if r.keyed == nil {
		r.keyed = map[*pg.Node]func(*pg.Node) *pg.Node{}
	}
	switch r.typeOf(n) {
	case datum.JSONB:
		r.keyed[n] = ordered
		return n
	case datum.Interval:
		r.keyed[n] = spanOf
		return n
	}
	form := r.writtenText(n)
	r.keyed[n] = func(n *pg.Node) *pg.Node { return r.orderKey(form(n)) }
	return n
}

// unlike reports whether equal values of n may be different ones to the engine.
func (r *rewriter) unlike(n *pg.Node) bool {
	t := r.typeOf(n)
	return r.writes(n) || (t == datum.JSONB || t == datum.Interval) && n.GetSubLink() == nil && n.GetAConst() == nil
}

// meant is the expression that an item of GROUP BY or DISTINCT ON means: that of an output
// column, by its number or its name, or itself.
func (r *rewriter) meant(n *pg.Node, s *pg.SelectStmt, out columns) *pg.Node {
	if at := int(n.GetAConst().GetIval().GetIval()); at >= 1 && at <= len(s.TargetList) {
		return s.TargetList[at-1].GetResTarget().GetVal()
	}
	names, _ := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()})
	if len(names) == 1 && !r.scope.has(names[0]) && len(out.list) == len(s.TargetList) {
		if i := slices.IndexFunc(out.list, func(c column) bool { return c.name == names[0] }); i >= 0 {
			return s.TargetList[i].GetResTarget().GetVal()
		}
	}
	return n
}

// groupsByKeys groups by the order keys of numerics that are written, and shows one of each
// group. done=false: it cannot, and nothing is changed.
func (r *rewriter) groupsByKeys(s *pg.SelectStmt, out columns) (done bool) {
	if !out.known || len(out.list) != len(s.TargetList) {
		return false
	}
	var items []*pg.Node
	at := map[int]bool{}
	for i, n := range s.GroupClause {
		of := r.meant(n, s, out)
		switch {
		case n.GetGroupingSet() != nil:
			return false
		case of.GetSubLink() == nil && r.unlike(of):
			items = append(items, clone(of))
			at[i] = true
		}
	}
	if len(items) == 0 {
		return false
	}
	shown := [][]*pg.Node{s.TargetList, s.DistinctClause, s.WindowClause, s.SortClause, {s.HavingClause}}
	for _, l := range shown {
		for _, n := range l {
			if hasSubquery(n) {
				return false
			}
		}
	}
	for i := range s.GroupClause {
		if at[i] {
			s.GroupClause[i] = r.keyOf(clone(r.meant(s.GroupClause[i], s, out)))
		}
	}
	for i, n := range s.TargetList {
		t := n.GetResTarget()
		if r.showOne(t.ProtoReflect(), items); t.Name == "" {
			t.Name = ident(out.list[i].name)
		}
	}
	for _, n := range s.SortClause {
		names, _ := fieldNames(&pg.ColumnRef{Fields: n.GetSortBy().GetNode().GetColumnRef().GetFields()})
		if len(names) == 1 && slices.ContainsFunc(out.list, func(c column) bool { return c.name == names[0] }) {
			continue // an output column
		}
		r.showOne(n.ProtoReflect(), items)
	}
	for _, l := range [][]*pg.Node{s.DistinctClause, s.WindowClause, {s.HavingClause}} {
		for _, n := range l {
			r.showAt(n, items)
		}
	}
	return true
}

func hasSubquery(n *pg.Node) bool {
	found := n.GetSubLink() != nil
	if n != nil {
		visit(n.ProtoReflect(), func(n *pg.Node) { found = found || n.GetSubLink() != nil })
	}
	return found
}

// showOne has one value of a group stand for each of the items below m, other than in
// aggregates.
func (r *rewriter) showOne(m protoreflect.Message, items []*pg.Node) {
	children(m, func(c protoreflect.Message) {
		if n, ok := c.Interface().(*pg.Node); ok {
			r.showAt(n, items)
			return
		}
		r.showOne(c, items)
	})
}

func (r *rewriter) showAt(n *pg.Node, items []*pg.Node) {
	if n == nil || n.Node == nil {
		return
	}
	if f := n.GetFuncCall(); f != nil && f.Over == nil && aggregates[lastName(f.Funcname)] {
		return
	}
	if slices.ContainsFunc(items, func(item *pg.Node) bool { return r.sameExpression(n, item) }) {
		n.Node = call("any_value", &pg.Node{Node: n.Node}).Node
		return
	}
	r.showOne(n.ProtoReflect(), items)
}

// sameExpression reports whether two expressions are the same but for where they stand.
func (r *rewriter) sameExpression(a, b *pg.Node) bool {
	if x, y := a.GetColumnRef(), b.GetColumnRef(); x != nil && y != nil {
		relX, nameX, okX := r.scope.own(x)
		relY, nameY, okY := r.scope.own(y)
		return okX && okY && relX == relY && nameX == nameY
	}
	return proto.Equal(placeless(a), placeless(b))
}

// placeless is a copy without the locations of its parts.
func placeless(n *pg.Node) *pg.Node {
	n = clone(n)
	var clear func(m protoreflect.Message)
	clear = func(m protoreflect.Message) {
		if fd := m.Descriptor().Fields().ByName("location"); fd != nil {
			m.Clear(fd)
		}
		children(m, clear)
	}
	clear(n.ProtoReflect())
	return n
}

// groupsWritten reports whether GROUP BY has a numeric that could be written and is not
// grouped by its order key.
func (r *rewriter) groupsWritten(s *pg.SelectStmt, out columns) bool {
	return slices.ContainsFunc(s.GroupClause, func(n *pg.Node) bool { return r.groupWritten(n, s, out) })
}

func (r *rewriter) groupWritten(n *pg.Node, s *pg.SelectStmt, out columns) bool {
	if within := append(n.GetGroupingSet().GetContent(), n.GetRowExpr().GetArgs()...); len(within) > 0 {
		return slices.ContainsFunc(within, func(n *pg.Node) bool { return r.groupWritten(n, s, out) })
	}
	of := r.meant(n, s, out)
	return !r.textual[n] && r.writes(of) || of != n && of.GetSubLink() != nil
}

// distinctWritten has DISTINCT tell the order keys of columns that are written.
func (r *rewriter) distinctWritten(s *pg.SelectStmt, cols columns) {
	if len(s.DistinctClause) == 0 {
		return
	}
	if all := s.DistinctClause[0].GetNode() == nil; all {
		if !slices.ContainsFunc(cols.list, func(c column) bool { return c.text || c.typ == datum.JSONB || c.typ == datum.Interval }) {
			return
		}
		s.DistinctClause = nil
		for i := range s.TargetList {
			s.DistinctClause = append(s.DistinctClause, integer(int64(i+1)))
		}
	}
	r.scope.distinct = false
	for i, n := range s.DistinctClause {
		if of := r.meant(n, s, cols); of.GetSubLink() == nil && r.unlike(of) {
			s.DistinctClause[i] = r.keyOf(clone(of))
		}
	}
}
