package rewrite

import (
	"math"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// constrain notes the conjuncts of n that narrow one of the relations. Only strict
// conditions are noted: they are not true of NULL, so that a row which an outer join
// would fill with NULLs in place of one that was left out fails them too.
func (r *rewriter) constrain(n *pg.Node, to []*relation) {
	if n == nil {
		return
	}
	switch x := n.Node.(type) {
	case *pg.Node_BoolExpr:
		if x.BoolExpr.Boolop == pg.BoolExprType_AND_EXPR {
			for _, a := range x.BoolExpr.Args {
				r.constrain(a, to)
			}
		}
	case *pg.Node_NullTest:
		if x.NullTest.Nulltesttype == pg.NullTestType_IS_NOT_NULL {
			if c, ok := r.plain(x.NullTest.Arg, to); ok {
				note(c, OpNotNull)
			}
		}
	case *pg.Node_ColumnRef: // WHERE flag
		if c, ok := r.plain(n, to); ok && c.typ == datum.Bool {
			note(c, OpEQ, Value{Literal: datum.MakeBool(true)})
		}
	case *pg.Node_AExpr:
		r.constrainExpr(x.AExpr, to)
	case *pg.Node_SubLink: // IN (SELECT ...)
		if op := lastName(x.SubLink.OperName); x.SubLink.SubLinkType == pg.SubLinkType_ANY_SUBLINK && (op == "" || op == "=") {
			if c, ok := r.plain(x.SubLink.Testexpr, to); ok {
				r.memberOf(x.SubLink.Subselect.GetSelectStmt(), c)
			}
		}
	}
}

// memberOf notes that rows matter only if the column is one of what the query gives.
func (r *rewriter) memberOf(s *pg.SelectStmt, c column) {
	if r.members == nil {
		r.members = map[*pg.SelectStmt]column{}
	}
	r.members[s] = c
}

// linkMembers links the column that has to be one of what a query gives.
func (r *rewriter) linkMembers(s *pg.SelectStmt, cols columns) {
	if c, ok := r.members[s]; ok && cols.known && len(cols.list) == 1 {
		link(c, cols.list[0])
	}
}

// joined notes an equality of two columns, of which the relations may have one or both.
func (r *rewriter) joined(e *pg.A_Expr, to []*relation) {
	for _, side := range [][2]*pg.Node{{e.Lexpr, e.Rexpr}, {e.Rexpr, e.Lexpr}} {
		ref := side[1].GetColumnRef()
		if ref == nil {
			continue
		}
		if c, ok := r.plain(side[0], to); ok {
			if from, ok := r.scope.find(ref); ok {
				link(c, from)
			}
		}
	}
}

// link notes that rows of c's table matter only where c is equal to a value of another table's
// column, of which from has no other values. Types whose equal values may have other keys are
// left out.
func link(c, from column) {
	if from.scan == nil || from.scan == c.scan || from.grown || c.text || from.text {
		return
	}
	a, b := c.scan.Table.Columns[c.index].Type, from.scan.Table.Columns[from.index].Type
	switch {
	case a.IsInt() && b.IsInt(), a.IsString() && b.IsString() && a != datum.Bpchar && b != datum.Bpchar:
	case a != b || a.IsFloat() || a.IsArray() || a == datum.Bpchar || a == datum.JSONB || a == datum.JSON:
		return
	}
	c.scan.Links = append(c.scan.Links, Link{Column: c.index, From: from.scan.Slot, FromColumn: from.index})
}

func note(c column, op Op, values ...Value) {
	c.scan.Constraints = append(c.scan.Constraints, Constraint{Column: c.index, Op: op, Values: values})
}

// plain resolves n to a table column of one of the relations.
func (r *rewriter) plain(n *pg.Node, to []*relation) (column, bool) {
	ref := n.GetColumnRef()
	if ref == nil {
		return column{}, false
	}
	s := r.scope
	c, ok := s.find(ref)
	if !ok || !isOf(c, to) {
		return column{}, false
	}
	return c, true
}

// isOf reports whether a column is one of a table that is among the relations: itself, or
// behind queries that pass its rows.
func isOf(c column, to []*relation) bool {
	return c.scan != nil && slices.ContainsFunc(to, func(rel *relation) bool {
		return rel.scan == c.scan || c.passed && slices.ContainsFunc(rel.columns, func(o column) bool {
			return o.passed && o.scan == c.scan && o.index == c.index
		})
	})
}

// pass notes which columns of a query in FROM are those of rows that it passes one by one: what
// is said of them around it can be said of its tables.
func (r *rewriter) pass(s *pg.SelectStmt, out columns) {
	passes := len(s.GroupClause)+len(s.DistinctClause)+len(s.WindowClause)+len(s.LockingClause) == 0 &&
		s.HavingClause == nil && s.LimitCount == nil && s.LimitOffset == nil
	for _, n := range s.TargetList {
		each := func(n *pg.Node) {
			if f := n.GetFuncCall(); f != nil && (f.Over != nil || f.AggWithinGroup || aggregates[lastName(f.Funcname)] || OfRows(lastName(f.Funcname))) {
				passes = false
			}
		}
		visit(n.ProtoReflect(), each)
	}
	for i := range out.list {
		c := &out.list[i]
		c.passed = passes && isOf(*c, r.scope.relations)
	}
}

func (r *rewriter) constrainExpr(e *pg.A_Expr, to []*relation) {
	op := lastName(e.Name)
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		ops := map[string][2]Op{"=": {OpEQ, OpEQ}, "<": {OpLT, OpGT}, "<=": {OpLE, OpGE}, ">": {OpGT, OpLT}, ">=": {OpGE, OpLE}}
		pair, ok := ops[op]
		if !ok || e.Lexpr == nil {
			return
		}
		if c, ok := r.plain(e.Lexpr, to); ok {
			if v, ok := value(c, e.Rexpr); ok {
				note(c, pair[0], v)
			}
		} else if c, ok := r.plain(e.Rexpr, to); ok {
			if v, ok := value(c, e.Lexpr); ok {
				note(c, pair[1], v)
			}
		}
		if op == "=" {
			r.joined(e, to)
		}
	case pg.A_Expr_Kind_AEXPR_IN:
		if op == "=" {
			r.constrainList(e, to, e.Rexpr.GetList().GetItems())
		}
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		if op != "=" {
			return
		}
		if a := e.Rexpr.GetAArrayExpr(); a != nil {
			r.constrainList(e, to, a.Elements)
		} else if c, ok := r.plain(e.Lexpr, to); ok {
			if v, ok := arrayParam(c, e.Rexpr); ok {
				note(c, OpIn, v)
			}
		}
	case pg.A_Expr_Kind_AEXPR_BETWEEN:
		bounds := e.Rexpr.GetList().GetItems()
		if c, ok := r.plain(e.Lexpr, to); ok && len(bounds) == 2 {
			if v, ok := value(c, bounds[0]); ok {
				note(c, OpGE, v)
			}
			if v, ok := value(c, bounds[1]); ok {
				note(c, OpLE, v)
			}
		}
	default:
	}
}

// arrayParam is $1 or $1::type[] of = ANY ($1).
func arrayParam(c column, n *pg.Node) (Value, bool) {
	if t := n.GetTypeCast(); t != nil {
		if to, _ := castType(t.TypeName); to != c.typ|datum.Array {
			return Value{}, false
		}
		n = t.Arg
	}
	p := n.GetParamRef()
	return Value{Param: int(p.GetNumber()), Elems: true}, p != nil
}

func (r *rewriter) constrainList(e *pg.A_Expr, to []*relation, items []*pg.Node) {
	c, ok := r.plain(e.Lexpr, to)
	if !ok {
		return
	}
	values := make([]Value, len(items))
	for i, n := range items {
		if values[i], ok = value(c, n); !ok {
			return
		}
	}
	note(c, OpIn, values...)
}

// value returns n as a value of c's type, if comparing with it means the same as
// comparing with n.
func value(c column, n *pg.Node) (Value, bool) {
	if p := n.GetParamRef(); p != nil {
		return Value{Param: int(p.Number)}, true
	}
	if t := n.GetTypeCast(); t != nil {
		// The cast must be to the column's own type; a parameter that is cast is
		// converted when its value is known.
		to, mods := castType(t.TypeName)
		if to != c.typ || mods {
			return Value{}, false
		}
		if p := t.Arg.GetParamRef(); p != nil {
			return Value{Param: int(p.Number)}, true
		}
		s, ok := literal(t.Arg)
		if !ok {
			return Value{}, false
		}
		return parsed(c.typ, s)
	}
	a := n.GetAConst()
	if a == nil || a.Isnull {
		return Value{}, false
	}
	switch v := a.Val.(type) {
	case *pg.A_Const_Sval:
		return parsed(c.typ, v.Sval.Sval)
	case *pg.A_Const_Ival:
		return number(c.typ, strconv.Itoa(int(v.Ival.Ival)))
	case *pg.A_Const_Fval:
		return number(c.typ, v.Fval.Fval)
	case *pg.A_Const_Boolval:
		if c.typ == datum.Bool {
			return Value{Literal: datum.MakeBool(v.Boolval.Boolval)}, true
		}
	}
	return Value{}, false
}

// parsed reads a string literal, which takes the column's type. Types whose text
// depends on the session's time zone are left to DuckDB.
func parsed(t datum.Type, s string) (Value, bool) {
	if t == datum.Timestamptz || t.IsArray() {
		return Value{}, false
	}
	d, err := datum.ParseText(t, s, nil)
	return Value{Literal: d}, err == nil
}

// number reads a number for a column; an integer column takes integers only.
func number(t datum.Type, s string) (Value, bool) {
	switch {
	case t.IsInt(), t == datum.OID, t == datum.Numeric:
	case t == datum.Float8:
		if f, err := strconv.ParseFloat(s, 64); err != nil || math.Abs(f) > 1<<53 {
			return Value{}, false
		}
	default:
		return Value{}, false
	}
	d, err := datum.ParseText(t, s, nil)
	return Value{Literal: d}, err == nil
}
