package syntax

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fields are what stands in the statements of a trigger beside columns.
type Fields interface {
	// Field is the number of the parameter that stands for row.column, or, without a
	// column, for a variable; 0: row is none.
	Field(row, column string, position int) (int, error)
	// Row are the parameters that stand for all columns of row; nil: row is none.
	Row(row string) []int
	// Whole is the parameter that stands for row as one value: as text, json or jsonb; 0: row
	// is none.
	Whole(row, as string) int
	// FromZero reports whether the elements of an array are counted from 0.
	FromZero(name string) bool
	// BesideTarget is called before the parts of INSERT in which names mean columns of the
	// table that it is of.
	BesideTarget()
	// Param is the number of the parameter that $n stands for; 0: that is n.
	Param(n int) int
}

// AsParameters has parameters stand for fields in a query.
func (q *Query) AsParameters(f Fields) error {
	if q.Insert != nil {
		for _, m := range []proto.Message{q.Insert.GetWithClause(), q.Insert.GetSelectStmt()} {
			if m.ProtoReflect().IsValid() {
				if err := fieldsIn(m.ProtoReflect(), f); err != nil {
					return err
				}
			}
		}
		f.BesideTarget()
	}
	for _, m := range q.messages() {
		if err := fieldsIn(m.ProtoReflect(), f); err != nil {
			return err
		}
	}
	return nil
}

// fieldsIn replaces the fields below m.
func fieldsIn(m protoreflect.Message, f Fields) (err error) {
	if n, ok := m.Interface().(*pg.Node); ok {
		done, err := replaceField(n, f)
		if done || err != nil {
			return err
		}
	}
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case d.Message() == nil || d.IsMap():
		case d.IsList():
			spread(v.List(), f)
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = fieldsIn(v.List().Get(i).Message(), f)
			}
		default:
			err = fieldsIn(v.Message(), f)
		}
		return err == nil
	})
	return err
}

// replaceField replaces n if it is a field, or a comparison of rows.
func replaceField(n *pg.Node, f Fields) (done bool, err error) {
	if e := n.GetAExpr(); e != nil && (e.GetKind() == pg.A_Expr_Kind_AEXPR_DISTINCT || e.GetKind() == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT) {
		left, right := f.Row(wholeRow(e.GetLexpr())), f.Row(wholeRow(e.GetRexpr()))
		if left != nil && right != nil {
			n.Node = eachDistinct(e, left, right)
			return true, nil
		}
	}
	if replaceWhole(n, f) {
		return true, nil
	}
	if p := n.GetParamRef(); p != nil {
		if number := f.Param(int(p.GetNumber())); number != 0 {
			n.Node = parameter(number, p.GetLocation()).GetNode()
		}
		return true, nil
	}
	r := n.GetColumnRef()
	if r == nil {
		return false, nil
	}
	names := texts(r.GetFields())
	number := 0
	switch {
	case names[len(names)-1] == "": // a star
		return true, nil
	case len(names) == 1:
		number, err = f.Field("", names[0], Position(r.GetLocation()))
	case len(names) == 2:
		number, err = f.Field(names[0], names[1], Position(r.GetLocation()))
	}
	if number != 0 {
		n.Node = parameter(number, r.GetLocation()).GetNode()
	}
	return true, err
}

// wholes are the functions that make one value of a row, and what that is.
var wholes = map[string]string{"to_jsonb": "jsonb", "to_json": "json", "row_to_json": "json"}

// replaceWhole replaces n if it makes something of a whole row.
func replaceWhole(n *pg.Node, f Fields) bool {
	row := func(n *pg.Node) *pg.Node {
		numbers := f.Row(wholeRow(n))
		if numbers == nil {
			return n
		}
		out := &pg.RowExpr{RowFormat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1}
		for _, number := range numbers {
			out.Args = append(out.Args, parameter(number, -1))
		}
		return &pg.Node{Node: &pg.Node_RowExpr{RowExpr: out}}
	}
	switch {
	case n.GetFuncCall() != nil:
		call := n.GetFuncCall()
		as := ""
		if names := texts(call.GetFuncname()); len(names) > 0 {
			as = wholes[names[len(names)-1]]
		}
		if as == "" || len(call.GetArgs()) != 1 {
			return false
		}
		if number := f.Whole(wholeRow(call.GetArgs()[0]), as); number != 0 {
			n.Node = parameter(number, call.GetLocation()).GetNode()
			return true
		}
	case n.GetTypeCast() != nil:
		cast := n.GetTypeCast()
		if number := f.Whole(wholeRow(cast.GetArg()), "text"); number != 0 {
			cast.Arg = parameter(number, cast.GetLocation())
			return true
		}
	case n.GetNullTest() != nil:
		t := n.GetNullTest()
		if whole := row(t.GetArg()); whole != t.GetArg() {
			t.Arg = whole
			return true
		}
	case n.GetAExpr().GetKind() == pg.A_Expr_Kind_AEXPR_OP && n.GetAExpr().GetLexpr() != nil:
		e := n.GetAExpr()
		if left, right := row(e.GetLexpr()), row(e.GetRexpr()); left != e.GetLexpr() && right != e.GetRexpr() {
			e.Lexpr, e.Rexpr = left, right
			return true
		}
	case n.GetAIndirection() != nil:
		fromOne(n.GetAIndirection(), f)
	}
	return false
}

// fromOne has subscripts of an array that is counted from 0 count from 1.
func fromOne(a *pg.A_Indirection, f Fields) {
	names := texts(a.GetArg().GetColumnRef().GetFields())
	if len(names) != 1 || !f.FromZero(names[0]) {
		return
	}
	one := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Ival{Ival: &pg.Integer{Ival: 1}}, Location: -1}}}
	for _, i := range a.GetIndirection() {
		at := i.GetAIndices()
		for _, bound := range []**pg.Node{&at.Lidx, &at.Uidx} {
			switch c := (*bound).GetAConst(); {
			case *bound == nil:
			case c.GetIval() != nil:
				c.Val = &pg.A_Const_Ival{Ival: &pg.Integer{Ival: c.GetIval().GetIval() + 1}}
			default:
				*bound = &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: pg.A_Expr_Kind_AEXPR_OP, Name: []*pg.Node{pg.MakeStrNode("+")}, Lexpr: *bound, Rexpr: one, Location: -1}}}
			}
		}
	}
}

func parameter(number int, location int32) *pg.Node {
	return &pg.Node{Node: &pg.Node_ParamRef{ParamRef: &pg.ParamRef{Number: int32(number), Location: location}}} //nolint:gosec // a few columns
}

// wholeRow is the name in name.* or, of a row that stands alone, name; "": it is neither.
func wholeRow(n *pg.Node) string {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 1 || len(fields) == 2 && fields[1].GetAStar() != nil {
		return fields[0].GetString_().GetSval()
	}
	return ""
}

// star is the name in name.*; "": it is none.
func star(n *pg.Node) string {
	if fields := n.GetColumnRef().GetFields(); len(fields) == 2 {
		return wholeRow(n)
	}
	return ""
}

// spread has row.* in a list be all of its columns.
func spread(list protoreflect.List, f Fields) {
	var out []*pg.Node
	found := false
	for i := range list.Len() {
		n, ok := list.Get(i).Message().Interface().(*pg.Node)
		if !ok {
			return
		}
		target := n.GetResTarget()
		whole := n
		if target != nil {
			whole = target.GetVal()
		}
		row := f.Row(star(whole))
		if row == nil {
			out = append(out, n)
			continue
		}
		found = true
		for _, number := range row {
			p := parameter(number, -1)
			if target != nil {
				p = &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: p, Location: -1}}}
			}
			out = append(out, p)
		}
	}
	if !found {
		return
	}
	list.Truncate(0)
	for _, n := range out {
		list.Append(protoreflect.ValueOfMessage(n.ProtoReflect()))
	}
}

// eachDistinct compares rows column by column.
func eachDistinct(e *pg.A_Expr, left, right []int) *pg.Node_BoolExpr {
	op := pg.BoolExprType_OR_EXPR
	if e.GetKind() == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT {
		op = pg.BoolExprType_AND_EXPR
	}
	out := &pg.BoolExpr{Boolop: op, Location: e.GetLocation()}
	for i := range min(len(left), len(right)) {
		out.Args = append(out.Args, &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: e.GetKind(), Name: e.GetName(),
			Lexpr: parameter(left[i], -1), Rexpr: parameter(right[i], -1), Location: -1}}})
	}
	return &pg.Node_BoolExpr{BoolExpr: out}
}

func aliasOf(r *pg.RangeVar) string {
	if r.GetAlias() != nil {
		return r.GetAlias().GetAliasname()
	}
	return r.GetRelname()
}

// EachName tells the relations that a query names, target of the one that INSERT is of, and
// the names that it gives to columns.
func (q *Query) EachName(relation func(schema, name, alias string, target bool), column func(string)) {
	each := func(m proto.Message) {
		if !m.ProtoReflect().IsValid() {
			return
		}
		_ = eachMessage(m.ProtoReflect(), func(m proto.Message) error {
			switch m := m.(type) {
			case *pg.RangeVar:
				relation(m.GetSchemaname(), m.GetRelname(), aliasOf(m), false)
			case *pg.Alias:
				for _, name := range texts(m.GetColnames()) {
					column(name)
				}
			case *pg.CommonTableExpr:
				for _, name := range texts(m.GetAliascolnames()) {
					column(name)
				}
			case *pg.RangeSubselect:
				for _, t := range m.GetSubquery().GetSelectStmt().GetTargetList() {
					if name := t.GetResTarget().GetName(); name != "" {
						column(name)
					}
				}
			case *pg.RangeFunction:
				if m.GetAlias() != nil {
					column(m.GetAlias().GetAliasname())
				}
			}
			return nil
		})
	}
	if q.Insert != nil {
		r := q.Insert.GetRelation()
		relation(r.GetSchemaname(), r.GetRelname(), aliasOf(r), true)
		each(q.Insert.GetWithClause())
		each(q.Insert.GetSelectStmt())
	}
	each(q.Select)
	each(q.Update)
	each(q.Delete)
	each(q.Merge)
}
