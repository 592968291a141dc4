package rewrite

import (
	"fmt"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// What the columns of a side of a set operation become.
type form uint8

const (
	asItIs form = iota
	asText
	asDecimal
	asFloat
	asLength // an interval
	asNull
	asWide // of the same scale, with all digits that there can be
)

// unites says what numerics are in a union of two columns: texts if they have scales of their
// own on either side, which is known of all of them.
func (r *rewriter) unites(left, right column) (out column, l, rt form) {
	written := func(c column) bool { return c.text || c.typ.IsInt() || c.typ == datum.Numeric && c.scale >= 0 }
	if left.null && right.typ == datum.Numeric {
		left.typ, left.scale = datum.Numeric, max(right.scale, 0)
	}
	if right.null && left.typ == datum.Numeric {
		right.typ, right.scale = datum.Numeric, max(left.scale, 0)
	}
	exact := left.typ == datum.Numeric && (right.typ == datum.Numeric || right.typ.IsInt()) || right.typ == datum.Numeric && left.typ.IsInt()
	other := func(c column, f form) form {
		if c.text {
			return f
		}
		return asItIs
	}
	switch {
	case exact && r.mayWrite && written(left) && written(right) && (left.text || right.text || left.scale != right.scale):
		to := func(c column) form {
			if c.text {
				return asItIs
			}
			return asText
		}
		return column{typ: datum.Numeric, text: true, scale: -1}, to(left), to(right)
	case exact && left.scale == right.scale && !left.text && !right.text:
		null := func(c column) form { // of no type, or all digits that there can be were shown
			if c.null && left.null != right.null {
				return asNull
			}
			return asItIs
		}
		return column{typ: datum.Numeric, scale: left.scale}, null(left), null(right)
	case left.typ.IsFloat() || right.typ.IsFloat():
		return column{scale: -1}, other(left, asFloat), other(right, asFloat)
	}
	return column{scale: -1}, other(left, asDecimal), other(right, asDecimal)
}

// manyScales reports whether equal numerics of two columns may be written otherwise.
func manyScales(left, right column) bool {
	if left.text || right.text {
		return true
	}
	exact := left.typ == datum.Numeric && right.typ == datum.Numeric
	return exact && left.scale != right.scale && !left.null && !right.null
}

// grows refuses a numeric of a recursive query that has other digits with each round: the engine
// gives all of them the scale of the first.
func grows(first, next column) error {
	if first.scale >= 0 && (next.null || next.typ == datum.Numeric && first.scale == next.scale) {
		return nil
	}
	err := unsupported(0, "a numeric of several scales in a recursive query")
	err.Hint = "Cast it to the same numeric(precision, scale) in both parts."
	return err
}

// The names of what a set operation is in a query around it.
const (
	sideName   = "nd_side"
	sideColumn = "nd_"
)

func sideRef(i int) *pg.Node {
	return pg.MakeColumnRefNode([]*pg.Node{str(sideName), str(sideColumn + strconv.Itoa(i+1))}, -1)
}

// around makes FROM of a query that is rewritten, of so many columns.
func around(s *pg.SelectStmt, columns int) *pg.Node {
	alias := &pg.Alias{Aliasname: sideName}
	for i := range columns {
		alias.Colnames = append(alias.Colnames, str(sideColumn+strconv.Itoa(i+1)))
	}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: selectNode(s), Alias: alias}}}
}

// side gives the columns of a side of a set operation other forms.
func (r *rewriter) side(s *pg.SelectStmt, cols columns, forms []form) *pg.SelectStmt {
	if !slices.ContainsFunc(forms, func(f form) bool { return f != asItIs }) {
		return s
	}
	out := &pg.SelectStmt{FromClause: []*pg.Node{around(s, len(cols.list))}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for i := range cols.list {
		n := sideRef(i)
		switch forms[i] {
		case asText:
			n = cast(n, "VARCHAR")
		case asDecimal:
			n = r.asDecimal(n)
		case asNull:
			n = null()
		case asLength:
			n = oneSigned(n)
		case asFloat:
			n = cast(n, "DOUBLE")
		case asWide:
			n = cast(n, fmt.Sprintf("DECIMAL(38,%d)", cols.list[i].scale))
		case asItIs:
		}
		out.TargetList = append(out.TargetList, pg.MakeResTargetNodeWithNameAndVal(ident(cols.list[i].name), n, -1))
	}
	return out
}

// overUnion puts a query around a union whose numerics are texts, where it tells equal ones
// or orders them.
func (r *rewriter) overUnion(s *pg.SelectStmt, out columns) error {
	keyed := func(c column) bool { return c.text || c.typ == datum.Interval && s.Op == pg.SetOperation_SETOP_UNION }
	if !slices.ContainsFunc(out.list, keyed) || s.All && len(s.SortClause) == 0 {
		return nil
	}
	if err := positions(s.SortClause, "ORDER BY", out); err != nil {
		return err
	}
	value := func(i int) *pg.Node {
		if out.list[i].text {
			return r.orderKey(sideRef(i))
		}
		if out.list[i].typ == datum.Interval {
			return spanOf(sideRef(i))
		}
		return sideRef(i)
	}
	for _, n := range s.SortClause {
		by := n.GetSortBy()
		i := int(by.Node.GetAConst().GetIval().GetIval()) - 1
		if by.Node.GetColumnRef() != nil {
			names, _ := fieldNames(by.Node.GetColumnRef())
			i = slices.IndexFunc(out.list, func(c column) bool { return len(names) == 1 && c.name == names[0] })
		}
		if i < 0 {
			return errorf("0A000", by.Location, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
		}
		by.Node = value(i)
		r.made[by.Node] = true
	}
	inner := &pg.SelectStmt{Op: s.Op, All: true, Larg: s.Larg, Rarg: s.Rarg, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT}
	for i, c := range out.list {
		if !s.All {
			s.DistinctClause = append(s.DistinctClause, value(i))
		}
		s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(ident(c.name), sideRef(i), -1))
	}
	s.Op, s.All, s.Larg, s.Rarg = pg.SetOperation_SETOP_NONE, false, nil, nil
	s.FromClause = []*pg.Node{around(inner, len(out.list))}
	return nil
}

// scaleOfAll is how many digits behind the point all values of a column of VALUES have.
func (r *rewriter) scaleOfAll(s *pg.SelectStmt, k int) int {
	scale := -1
	for i, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		if k >= len(items) {
			return -1
		}
		if at := r.scaleOf(items[k]); i == 0 {
			scale = at
		} else if at != scale {
			return -1
		}
	}
	return scale
}
