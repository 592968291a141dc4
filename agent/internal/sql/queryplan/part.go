package queryplan

import (
	"cmp"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// wholeColumns makes assignments to parts of columns, as SET a[1] = x, SET a[2:3] = y or
// SET doc['k'] = z, ones of whole columns, several parts of one after another. Without such
// targets are returned.
func (p *Planner) wholeColumns(targets []*pg.Node, of *pg.RangeVar, table *catalog.Table) ([]*pg.Node, error) {
	var list []*pg.Node
	values := map[string]*pg.Node{} // by column: what it becomes
	parts := false
	for _, n := range targets {
		t := n.GetResTarget()
		if len(t.GetIndirection()) == 0 {
			list = append(list, n)
			continue
		}
		parts = true
		before, again := values[t.GetName()]
		if !again {
			relation := cmp.Or(of.GetAlias().GetAliasname(), of.GetRelname())
			before = pg.MakeColumnRefNode([]*pg.Node{stringNode(relation), stringNode(t.GetName())}, t.GetLocation())
		}
		after, err := p.withPart(t, before, table)
		if err != nil {
			return nil, err
		}
		if values[t.GetName()] = after; again {
			for _, o := range list {
				if r := o.GetResTarget(); r.GetName() == t.GetName() {
					r.Val = after
				}
			}
			continue
		}
		list = append(list, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: t.GetName(), Val: after, Location: t.GetLocation()}}})
	}
	if !parts {
		return targets, nil
	}
	return list, nil
}

// withPart is a column, whose value is before, with the part that t names set to t's value.
func (p *Planner) withPart(t *pg.ResTarget, before *pg.Node, table *catalog.Table) (*pg.Node, error) {
	refuse := func(what string) error {
		return &syntax.Error{Code: "0A000", Message: what + " is not supported", Position: p.compiler(nil).position(t.GetLocation()), Hint: "Set the whole column."}
	}
	if i, ok := table.ColumnIndex(t.GetName()); ok && t.GetIndirection()[0].GetString_() != nil && t.GetVal().GetMultiAssignRef() == nil && t.GetVal().GetSetToDefault() == nil {
		return fieldOfColumn(t, before, &table.Columns[i])
	}
	at := t.GetIndirection()[0].GetAIndices()
	i, ok := table.ColumnIndex(t.GetName())
	if !ok || at == nil || t.GetVal().GetMultiAssignRef() != nil || t.GetVal().GetSetToDefault() != nil {
		return nil, refuse("this assignment to a part of a column")
	}
	column := table.Columns[i].Type
	call := func(name string, args ...*pg.Node) *pg.Node {
		return pg.MakeFuncCallNode([]*pg.Node{stringNode(name)}, args, t.GetLocation())
	}
	switch {
	case column.IsVector():
		return nil, refuse("assignment to a part of a vector")
	case column.IsArray():
		form, at, ok := subscripts(t.GetIndirection())
		switch {
		case !ok:
			return nil, refuse("this assignment to a part of a column")
		case form != "":
			return call(builtin.AssignSlice, append([]*pg.Node{before, typed(t.GetVal(), column), pg.MakeAConstStrNode(form, -1)}, at...)...), nil
		}
		return call(builtin.AssignElement, append([]*pg.Node{before, typed(t.GetVal(), column.Elem())}, at...)...), nil
	case len(t.GetIndirection()) > 1:
		return nil, refuse("this assignment to a part of a column")
	case column == datum.JSONB && !at.GetIsSlice() && at.GetUidx().GetAConst().GetSval() != nil:
		empty := typed(pg.MakeAConstStrNode("{}", -1), datum.JSONB)
		key := &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: &pg.A_ArrayExpr{Elements: []*pg.Node{at.GetUidx()}}}}
		whole := &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{before, empty}}}}
		return call("jsonb_set", whole, key, typed(t.GetVal(), datum.JSONB)), nil
	case column == datum.JSONB:
		return nil, refuse("assignment to a part of a jsonb by something else than a key")
	}
	return nil, fail("42804", p.compiler(nil).position(t.GetLocation()), "cannot subscript type %s because it does not support subscripting", column.SQLName())
}
