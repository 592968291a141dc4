package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
)

// recordSet makes FROM jsonb_to_recordset(j) AS t(a int, b text), and its siblings, a subquery:
// a field of each element for each column, read as its text is.
func (r *rewriter) recordSet(f *pg.FuncCall, rf *pg.RangeFunction) (*pg.Node, []*relation, error) {
	name := lastName(f.Funcname)
	of, several := strings.CutSuffix(name, "_to_recordset")
	if !several {
		of, _ = strings.CutSuffix(name, "_to_record")
	}
	switch {
	case of != "json" && of != "jsonb":
		return nil, nil, unsupported(f.Location, "a column definition list of %s", name)
	case len(f.Args) != 1:
		return nil, nil, errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
	case rf.Ordinality:
		return nil, nil, errorf("42601", f.Location, "WITH ORDINALITY cannot be used with a column definition list")
	}
	inner := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	if several {
		elements := pg.MakeFuncCallNode([]*pg.Node{str(of + "_array_elements")}, f.Args, f.Location)
		inner.TargetList = []*pg.Node{pg.MakeResTargetNodeWithNameAndVal("value", object(several, pg.MakeColumnRefNode([]*pg.Node{str("e"), str("value")}, -1)), -1)}
		inner.FromClause = []*pg.Node{{Node: &pg.Node_RangeFunction{RangeFunction: &pg.RangeFunction{
			Functions: []*pg.Node{pg.MakeListNode([]*pg.Node{elements, nil})}, Alias: &pg.Alias{Aliasname: "e", Colnames: []*pg.Node{str("value")}}}}}}
	} else {
		arg := &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: f.Args[0], TypeName: &pg.TypeName{Names: []*pg.Node{str(of)}, Typemod: -1, Location: -1}, Location: -1}}}
		inner.TargetList = []*pg.Node{pg.MakeResTargetNodeWithNameAndVal("value", object(several, arg), -1)}
	}
	outer := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		FromClause: []*pg.Node{{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(inner), Alias: &pg.Alias{Aliasname: "o"}}}}}}
	for _, d := range rf.Coldeflist {
		def := d.GetColumnDef()
		value, err := member(def.GetColname(), def.GetTypeName())
		if err != nil {
			return nil, nil, err
		}
		outer.TargetList = append(outer.TargetList, pg.MakeResTargetNodeWithNameAndVal(def.GetColname(), value, -1))
	}
	alias := &pg.Alias{Aliasname: name}
	if rf.Alias != nil {
		alias = rf.Alias
	}
	sub := &pg.RangeSubselect{Lateral: true, Subquery: selectNode(outer), Alias: alias}
	return r.subselect(&pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: sub}}, sub)
}

// object is a json value that has to be an object.
func object(several bool, value *pg.Node) *pg.Node {
	name := builtin.JSONRecord
	if several {
		name = builtin.JSONRecords
	}
	return pg.MakeFuncCallNode([]*pg.Node{str(name)}, []*pg.Node{value}, -1)
}

// member is the field of o.value as a column of a type.
func member(name string, t *pg.TypeName) (*pg.Node, error) {
	get := func(operator string) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(operator)}, pg.MakeColumnRefNode([]*pg.Node{str("o"), str("value")}, -1), text(name), -1)
	}
	switch typ := lastName(t.GetNames()); {
	case len(t.GetArrayBounds()) > 0:
		return nil, unsupported(t.GetLocation(), "an array in a column definition list")
	case typ == "varchar" && len(t.GetTypmods()) > 0 || typ == "bpchar":
		return nil, unsupported(t.GetLocation(), "character types of limited length in a column definition list")
	case typ == "json" || typ == "jsonb": // JSON's null is SQL's there
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Location: -1, Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Location: -1,
			Expr:   &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: get("->>"), Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}}},
			Result: &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: get("->"), TypeName: t, Location: -1}}}}}}}}}}, nil
	}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: get("->>"), TypeName: t, Location: -1}}}, nil
}
