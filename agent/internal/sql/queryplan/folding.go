package queryplan

import (
	"cmp"
	"errors"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// folding puts values in the places of expressions of constants, for the slow path: what
// the engine computes of constants has other types, and fewer digits.
type folding struct {
	compiler *compiler
	// functions are those of users, which are no constants.
	functions RoutineFinder
	// fails is told of the first constants that cannot be computed where PostgreSQL computes
	// all of them; aside says that it may leave some out where this looks.
	fails *error
	aside bool
	// dead are expressions that are never reached, later the subqueries of those at hand, which
	// PostgreSQL plans behind them.
	dead  map[*pg.Node]bool
	later []*pg.SubLink
	// done are expressions that were looked at, late those whose values PostgreSQL computes when
	// rows are there.
	done, late map[*pg.Node]bool
	// only says that nothing but what fails is asked for.
	only bool
}

// valueConstants returns a query whose expressions of constants are their values. Those that
// cannot be computed stay what they are.
func (p *Planner) valueConstants(s *pg.SelectStmt) *pg.SelectStmt {
	s = proto.CloneOf(s)
	p.folding(&p.fails).query(s)
	return s
}

// folding makes one that tells fails of what cannot be computed.
func (p *Planner) folding(fails *error) *folding {
	typ := func(name syntax.TypeName) (catalog.Resolved, error) {
		if r, ok := numbered(name); ok {
			return r, nil
		}
		if p.Type != nil {
			return p.Type(name)
		}
		t, modifier, err := catalog.ResolveType(name)
		return catalog.Resolved{Type: t, Modifier: modifier}, err
	}
	return &folding{functions: p.Functions, fails: fails, dead: map[*pg.Node]bool{}, done: map[*pg.Node]bool{}, late: map[*pg.Node]bool{}, compiler: &compiler{params: &Params{}, elsewhere: true, typ: typ}}
}

// message looks for expressions below m.
func (k *folding) message(m protoreflect.Message) {
	switch x := m.Interface().(type) {
	case *pg.Node:
		k.node(x)
		return
	case *pg.SelectStmt:
		k.query(x)
		return
	case *pg.RangeFunction: // the functions themselves give rows
		for _, f := range x.GetFunctions() {
			for _, n := range f.GetList().GetItems() {
				name := outputName(n)
				if k.below(n.ProtoReflect()); n.GetFuncCall() != nil && outputName(n) != name && x.Alias == nil {
					x.Alias = &pg.Alias{Aliasname: name}
				}
			}
		}
		return
	case *pg.FuncCall:
		if x.GetAggWithinGroup() && !k.only { // the engine asks for constants of their types
			return
		}
		k.below(m)
		k.flatArguments(x)
		return
	case *pg.A_Expr:
		k.below(m)
		if kind := x.GetKind(); kind == pg.A_Expr_Kind_AEXPR_OP_ANY || kind == pg.A_Expr_Kind_AEXPR_OP_ALL {
			k.flatten(x.Rexpr)
		}
		return
	case *pg.ResTarget:
		name := cmp.Or(x.GetName(), outputName(x.GetVal()))
		if was := proto.CloneOf(x.GetVal()); was != nil {
			if k.node(x.Val); !proto.Equal(was, x.Val) && x.Val.GetSubLink() == nil {
				x.Name = name
			}
			return
		}
	case *pg.TypeName, *pg.RangeTableSample:
		return
	case *pg.CommonTableExpr: // of whose columns some may not be needed
		k.apart(m)
		return
	case *pg.SubLink:
		if x.GetTestexpr() != nil {
			k.node(x.Testexpr)
		}
		if k.aside {
			k.inner(x.GetSubselect().GetSelectStmt(), false)
			return
		}
		k.later = append(k.later, x)
		return
	}
	k.below(m)
}

// subqueries looks for expressions in those of what was looked at.
func (k *folding) subqueries() {
	later := k.later
	k.later = nil
	for _, x := range later {
		if s := x.GetSubselect().GetSelectStmt(); x.GetSubLinkType() == pg.SubLinkType_EXISTS_SUBLINK {
			k.exists(s)
		} else {
			k.inner(s, false)
		}
	}
}

// inner looks for expressions in a query within another; unread says that of its columns some
// may not be computed.
func (k *folding) inner(s *pg.SelectStmt, unread bool) {
	if s == nil {
		return
	}
	if !unread {
		k.query(s)
		return
	}
	switch {
	case s.GetOp() != pg.SetOperation_SETOP_NONE && !appends(s), plainDistinct(s), len(s.GetValuesLists()) > 1:
		k.query(s) // which computes all that it has
		return
	case s.GetOp() != pg.SetOperation_SETOP_NONE || len(s.GetValuesLists()) > 0:
		k.apart(s.ProtoReflect())
		return
	}
	k.narrowed(s, func(n *pg.Node) bool { return named(s, n) })
}

// exists looks for expressions in the query of EXISTS, of which PostgreSQL takes away all that does
// not decide whether there are rows.
func (k *folding) exists(s *pg.SelectStmt) {
	if s.GetOp() != pg.SetOperation_SETOP_NONE || len(s.GetValuesLists()) > 0 {
		k.inner(s, true)
		return
	}
	k.narrowed(s, func(*pg.Node) bool { return false })
}

// narrowed looks for expressions in a query, of whose columns only some are computed in any case.
func (k *folding) narrowed(s *pg.SelectStmt, computed func(*pg.Node) bool) {
	list := s.TargetList
	var first, rest []*pg.Node
	for _, n := range list {
		if computed(n) {
			first = append(first, n)
		} else {
			rest = append(rest, n)
		}
	}
	s.TargetList = first
	k.query(s)
	s.TargetList = list
	was := k.aside
	k.aside = true
	k.clause(rest)
	k.aside = was
}

// named reports whether ORDER BY or GROUP BY of a query says by the number or the name of a column
// that it is needed.
func named(s *pg.SelectStmt, column *pg.Node) bool {
	at := slices.Index(s.GetTargetList(), column)
	is := func(n *pg.Node) bool {
		if i := n.GetAConst().GetIval(); i != nil {
			return int(i.GetIval()) == at+1
		}
		name := columnName(n)
		return len(name) == 1 && name[0] == column.GetResTarget().GetName()
	}
	return slices.ContainsFunc(s.GetGroupClause(), is) ||
		slices.ContainsFunc(s.GetSortClause(), func(n *pg.Node) bool { return is(n.GetSortBy().GetNode()) })
}

// appends reports whether a set operation has a UNION ALL, whose sides PostgreSQL plans by themselves.
func appends(s *pg.SelectStmt) bool {
	if s.GetOp() == pg.SetOperation_SETOP_NONE {
		return false
	}
	return s.GetOp() == pg.SetOperation_SETOP_UNION && s.GetAll() || appends(s.GetLarg()) || appends(s.GetRarg())
}

// plainDistinct reports whether a query is SELECT DISTINCT without ON.
func plainDistinct(s *pg.SelectStmt) bool {
	d := s.GetDistinctClause()
	return len(d) == 1 && d[0].GetNode() == nil
}

// apart looks for expressions that may not be computed.
func (k *folding) apart(m protoreflect.Message) {
	was := k.aside
	k.aside = true
	if s, ok := m.Interface().(*pg.SelectStmt); ok {
		k.query(s)
	} else {
		k.below(m)
	}
	k.aside = was
}

func (k *folding) below(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Kind() != protoreflect.MessageKind:
		case fd.IsList():
			for i := range v.List().Len() {
				k.message(v.List().Get(i).Message())
			}
		default:
			k.message(v.Message())
		}
		return true
	})
}

// query looks for expressions in a SELECT, in the order of PostgreSQL's planner. Beside grouping
// sets an expression is what it says: one that stands among the sets is null in some of the
// groups, one of the same value is not.
func (k *folding) query(s *pg.SelectStmt) {
	outer := k.later
	k.later = nil
	k.clause(s.GetWithClause().GetCtes())
	for _, side := range []*pg.SelectStmt{s.GetLarg(), s.GetRarg()} {
		if side != nil {
			k.query(side)
		}
	}
	k.functionRows(s.GetFromClause())
	sets := !k.only && slices.ContainsFunc(s.GetGroupClause(), func(n *pg.Node) bool { return n.GetGroupingSet() != nil })
	if !sets {
		k.clause(s.GetTargetList(), s.GetSortClause(), s.GetGroupClause(), s.GetDistinctClause(), s.GetWindowClause())
	}
	k.joins(s.GetFromClause())
	k.quals(s.GetWhereClause())
	if !sets {
		k.quals(s.GetHavingClause())
	}
	k.clause([]*pg.Node{s.GetLimitOffset(), s.GetLimitCount()})
	k.clause(s.GetValuesLists())
	k.derived(s.GetFromClause(), k.empty(s))
	k.later = outer
}

// clause looks for expressions in lists of which PostgreSQL plans the subqueries behind all else.
func (k *folding) clause(lists ...[]*pg.Node) {
	for _, l := range lists {
		for _, n := range l {
			k.message(n.ProtoReflect())
		}
	}
	k.subqueries()
}

// functionRows looks at the functions of FROM.
func (k *folding) functionRows(l []*pg.Node) {
	for _, n := range l {
		if j := n.GetJoinExpr(); j != nil {
			k.functionRows([]*pg.Node{j.GetLarg(), j.GetRarg()})
		} else if n.GetRangeFunction() != nil {
			k.clause([]*pg.Node{n})
		}
	}
}

// joins looks at the conditions of joins, those within others first.
func (k *folding) joins(l []*pg.Node) {
	for _, n := range l {
		if j := n.GetJoinExpr(); j != nil {
			k.joins([]*pg.Node{j.GetLarg(), j.GetRarg()})
			k.clause([]*pg.Node{j.GetQuals()})
		}
	}
}

// empty reports whether the only item of FROM is not read, as WHERE is never true: PostgreSQL does
// not plan it then.
func (k *folding) empty(s *pg.SelectStmt) bool {
	if len(s.GetFromClause()) != 1 || s.GetFromClause()[0].GetJoinExpr() != nil || s.GetWhereClause() == nil {
		return false
	}
	v, ok := k.valueOf(s.GetWhereClause())
	return ok && !isTrue(v)
}

// derived looks at the queries of FROM, of which PostgreSQL computes VALUES alone if they are not
// read.
func (k *folding) derived(l []*pg.Node, unread bool) {
	for _, n := range l {
		if j := n.GetJoinExpr(); j != nil {
			k.derived([]*pg.Node{j.GetLarg(), j.GetRarg()}, unread)
		} else if s := n.GetRangeSubselect().GetSubquery().GetSelectStmt(); s == nil {
			continue
		} else if unread && len(s.GetValuesLists()) <= 1 {
			k.apart(s.ProtoReflect())
		} else {
			k.inner(s, true)
		}
	}
}

// node puts the value of n in its place, or those of what it is made of.
func (k *folding) node(n *pg.Node) {
	if k.done[n] {
		return
	}
	k.done[n] = true
	if k.dead[n] {
		was := k.aside
		k.aside = true
		defer func() { k.aside = was }()
	}
	if k.replace(n) {
		return
	}
	k.unreached(n)
	if k.replace(n) {
		return
	}
	k.below(n.ProtoReflect())
}

// replace puts the value of n in its place, if it has one.
func (k *folding) replace(n *pg.Node) bool {
	if !worth(n) && !(k.only && castsNumber(n)) || !k.constant(n) {
		return false
	}
	v, late, ok := k.computed(n)
	if ok = ok && readable(v); ok {
		k.late[n] = late || k.holdsLate(n)
		n.Node = castOf(v).Node
	}
	return ok
}

// readable reports whether the text of a value is read as that value: not so of what has wrapped
// around.
func readable(v datum.Datum) bool {
	if v.Null || v.Type != datum.Interval && v.Type != datum.Time {
		return true
	}
	again, err := datum.ParseText(v.Type, v.Text(), nil)
	return err == nil && datum.Compare(again, v) == 0
}

// holdsLate reports whether a part of n is a value that PostgreSQL computes when rows are there.
func (k *folding) holdsLate(n *pg.Node) bool {
	found := false
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) bool {
		x, ok := m.Interface().(*pg.Node)
		found = found || ok && k.late[x]
		return !found
	})
	return found
}

// computes reports whether the compiler has functions of a name that have one value for constants.
func computes(name string) bool {
	switch name {
	case "length", "char_length", "character_length", "octet_length", "abs", "similar_to_escape":
		return true
	}
	return builtin.Known(name) || builtin.ArrayFunctions[name] != "" || len(jsonb.Named(name)) > 0 || plainTexts[name] != nil
}

// worth reports whether an expression is more than a constant as it is written.
func worth(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_TypeCast:
		return x.TypeCast.GetArg().GetAConst() == nil
	case *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest, *pg.Node_AExpr, *pg.Node_CoalesceExpr,
		*pg.Node_CaseExpr, *pg.Node_MinMaxExpr, *pg.Node_FuncCall, *pg.Node_AIndirection:
		return true
	case *pg.Node_AArrayExpr: // the engine has no arrays of arrays
		return slices.ContainsFunc(x.AArrayExpr.GetElements(), func(e *pg.Node) bool {
			return e.GetAArrayExpr() != nil || e.GetTypeCast().GetTypeName().GetArrayBounds() != nil
		})
	}
	return false
}

// castsNumber reports whether n is a cast of a number as it is written, which may fail.
func castsNumber(n *pg.Node) bool {
	c := n.GetTypeCast().GetArg().GetAConst()
	return c.GetIval() != nil || c.GetFval() != nil
}

// constant reports whether an expression is made of constants, by what has one value for them
// always.
func (k *folding) constant(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case nil, *pg.Node_AConst, *pg.Node_String_:
		return true
	case *pg.Node_FuncCall:
		f := x.FuncCall
		called, ok := functionName(f)
		if !ok || !computes(called.Name) || called.Name == "timezone" || len(f.GetArgs()) == 0 || f.GetOver() != nil || f.GetAggWithinGroup() {
			return false
		}
		if k.functions != nil && len(k.functions(called)) > 0 {
			return false
		}
	case *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest, *pg.Node_AExpr, *pg.Node_CoalesceExpr, *pg.Node_CaseExpr,
		*pg.Node_CaseWhen, *pg.Node_MinMaxExpr, *pg.Node_AArrayExpr, *pg.Node_List, *pg.Node_TypeCast, *pg.Node_AIndirection, *pg.Node_AIndices, *pg.Node_NamedArgExpr:
	default:
		return false
	}
	all := true
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			each := func(m protoreflect.Message) {
				switch x := m.Interface().(type) {
				case *pg.Node:
					all = all && k.constant(x)
				case *pg.TypeName:
				default:
					look(m)
				}
			}
			switch {
			case fd.Kind() != protoreflect.MessageKind:
			case fd.IsList():
				for i := range v.List().Len() {
					each(v.List().Get(i).Message())
				}
			default:
				each(v.Message())
			}
			return all
		})
	}
	look(n.ProtoReflect())
	return all
}

// value computes an expression of constants; ok is false if it fails, if the fast path does
// not know it, or if its value depends on the session.
func (k *folding) value(n *pg.Node) (datum.Datum, bool) {
	v, _, ok := k.computed(n)
	return v, ok
}

// computed is value; isLate says that PostgreSQL computes it when rows are there.
func (k *folding) computed(n *pg.Node) (v datum.Datum, isLate, ok bool) {
	var failed error
	k.compiler.fails = &failed
	e, err := k.compiler.expr(n)
	if err == nil && failed != nil && !k.aside && *k.fails == nil {
		*k.fails = failed
	}
	if err != nil || failed != nil || limited(n) || !fixed(e) {
		return v, false, false
	}
	if t := e.Type(); t == datum.Unknown || !t.Storable() || t.Elem() == datum.Bpchar || t.Elem() == datum.Bit || t.Elem() == datum.Char {
		return v, false, false
	}
	if v, err = e.Eval(&Env{}); err != nil {
		return v, false, false
	}
	if v.Null {
		v = datum.MakeNull(e.Type())
	}
	return v, late(e), v.Type == e.Type()
}

// limited reports whether the value of an expression has the modifier of a type that it names.
func limited(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_TypeCast, *pg.Node_CoalesceExpr, *pg.Node_CaseExpr, *pg.Node_MinMaxExpr:
	case *pg.Node_AExpr:
		if x.AExpr.GetKind() != pg.A_Expr_Kind_AEXPR_NULLIF {
			return false
		}
	default:
		return false
	}
	found := false
	_ = syntax.EachCast(n, func(c *pg.TypeCast) error {
		found = found || len(c.GetTypeName().GetTypmods()) > 0
		return nil
	})
	return found
}

// fixed reports whether an expression has one value whatever the row, the session and the
// time are.
func fixed(e Expr) bool {
	switch e := e.(type) {
	case *Const:
		return true
	case *fn:
		if e.volatile || e.stable || e.moment || e.routine != nil || len(e.args) == 0 {
			return false
		}
	case *andExpr, *coalesceExpr, *caseExpr, *inExpr, *compareExpr, *rowCompare, *tupleExpr:
	default:
		return false
	}
	return !slices.ContainsFunc(children(e), func(c Expr) bool { return !fixed(c) })
}

// castOf is a value as it is written: 'text'::type.
func castOf(v datum.Datum) *pg.Node {
	t := v.Type.Elem()
	name := t.String()
	if t.IsEnum() || t.IsComposite() {
		name = syntax.EnumTypeName(uint32(t))
	}
	typ := &pg.TypeName{Names: []*pg.Node{stringNode(name)}, Typemod: -1, Location: -1}
	if v.Type.IsArray() {
		typ.ArrayBounds = []*pg.Node{{Node: &pg.Node_Integer{Integer: &pg.Integer{Ival: -1}}}}
	}
	literal := &pg.A_Const{Isnull: v.Null, Location: -1}
	if !v.Null {
		literal.Val = &pg.A_Const_Sval{Sval: &pg.String{Sval: v.Text()}}
	}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: &pg.Node{Node: &pg.Node_AConst{AConst: literal}}, TypeName: typ, Location: -1}}}
}

// settled is the constant that e is whatever the row, the session and the time are, or e. What
// PostgreSQL computes beforehand and cannot fails.
func settled(e Expr) Expr {
	if f, ok := e.(*fn); ok && f.strict && f.routine == nil && slices.ContainsFunc(f.args, nullConst) {
		return &Const{Value: datum.MakeNull(f.typ)}
	}
	if isConst(e) || !fixed(e) {
		return e
	}
	v, err := e.Eval(&Env{})
	var data *datum.Error
	switch {
	case errors.As(err, &data) && data.Code != "0A000" && !late(e):
		return &failing{typ: e.Type(), err: err}
	case err != nil:
		return e
	}
	if v.Null {
		v = datum.MakeNull(e.Type())
	}
	if v.Type != e.Type() {
		return e
	}
	return &Const{Value: v, late: late(e)}
}

// nullConst reports whether e is a null of which PostgreSQL knows when it plans the statement.
func nullConst(e Expr) bool {
	v, ok := knownAhead(e)
	return ok && v.Null
}

// fails reports whether e is what constants cannot make.
func fails(e Expr) bool {
	_, ok := e.(*failing)
	return ok
}

// late reports whether PostgreSQL computes a part of e when rows are there.
func late(e Expr) bool {
	switch e := e.(type) {
	case *Const:
		return e.late
	case *fn:
		return computedLate(e)
	case *rowCompare: // which it does not take for a function of constants
		return true
	}
	return slices.ContainsFunc(children(e), late)
}
