package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
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
	var list []*pg.Node
	for _, d := range rf.Coldeflist {
		def := d.GetColumnDef()
		value, err := member(def.GetColname(), def.GetTypeName())
		if err != nil {
			return nil, nil, err
		}
		list = append(list, pg.MakeResTargetNodeWithNameAndVal(def.GetColname(), value, -1))
	}
	return r.ofJSON(f, of, several, list, rf.Alias)
}

// populated makes FROM jsonb_populate_record(null::t, j), and its siblings, a subquery, as
// recordSet does: its columns are those of table t.
func (r *rewriter) populated(f *pg.FuncCall, rf *pg.RangeFunction) (*pg.Node, []*relation, error) {
	name := lastName(f.Funcname)
	of, several := strings.CutSuffix(name, "_populate_recordset")
	if !several {
		of = strings.TrimSuffix(name, "_populate_record")
	}
	if len(f.Args) != 2 {
		return nil, nil, errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
	}
	base := f.Args[0].GetTypeCast()
	if base == nil || base.Arg.GetAConst() == nil || !base.Arg.GetAConst().Isnull || rf.Ordinality {
		err := unsupported(f.Location, "%s of a row, or WITH ORDINALITY", name)
		err.Hint = "Give it NULL::table_name."
		return nil, nil, err
	}
	var list []*pg.Node
	add := func(name string, t datum.Type, modifier int32) error {
		value, err := member(name, typeName(t, modifier))
		list = append(list, pg.MakeResTargetNodeWithNameAndVal(name, value, -1))
		return err
	}
	if t, _ := castType(base.TypeName); t.IsComposite() {
		for _, c := range t.CompositeType().Fields {
			if err := add(c.Name, c.Type, c.Modifier); err != nil {
				return nil, nil, err
			}
		}
	} else {
		schema := ""
		if names := base.TypeName.Names; len(names) > 1 {
			schema = names[len(names)-2].GetString_().GetSval()
		}
		table, ok := r.in.Resolve(schema, lastName(base.TypeName.Names))
		if !ok {
			return nil, nil, errorf("42704", base.TypeName.Location, "type \"%s\" does not exist", lastName(base.TypeName.Names))
		}
		for _, c := range table.Columns {
			if c.Hidden {
				continue
			}
			if err := add(c.Name, c.Type, c.Modifier); err != nil {
				return nil, nil, err
			}
		}
	}
	f.Args = f.Args[1:]
	return r.ofJSON(f, of, several, list, rf.Alias)
}

// ofJSON makes a subquery of the columns in list, which are of o.value: each element of the
// json, or the json itself.
func (r *rewriter) ofJSON(f *pg.FuncCall, of string, several bool, list []*pg.Node, alias *pg.Alias) (*pg.Node, []*relation, error) {
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
	outer.TargetList = list
	if alias == nil {
		alias = &pg.Alias{Aliasname: lastName(f.Funcname)}
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
	to := func(value *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: value, TypeName: t, Location: -1}}}
	}
	own := func(name string, args ...*pg.Node) *pg.Node {
		return pg.MakeFuncCallNode([]*pg.Node{str(name)}, args, -1)
	}
	typ, _ := castType(t)
	isJSON := typ.Elem() == datum.JSON || typ.Elem() == datum.JSONB
	limited := (typ.Elem() == datum.Varchar || typ.Elem() == datum.Bpchar) && len(t.GetTypmods()) > 0
	switch {
	case typ.IsComposite():
		return as(ofComposite(builtin.CompositeOf, typ, get("->")), typ, -1), nil
	case typ.IsArray() && limited:
		return nil, unsupported(t.GetLocation(), "an array of character types of limited length in a row of json")
	case typ.IsArray():
		return to(own(builtin.JSONArrayText, get("->"), boolean(isJSON))), nil
	case limited:
		return to(own(builtin.JSONLimited, get("->>"), integer(int64(modifiers(t)[0])), text(typ.SQLName()))), nil
	case isJSON: // JSON's null is SQL's there
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Location: -1, Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Location: -1,
			Expr:   &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: get("->>"), Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}}},
			Result: to(get("->"))}}}}}}}, nil
	}
	return to(get("->>")), nil
}

// typeName names a type as statements do.
func typeName(t datum.Type, modifier int32) *pg.TypeName {
	out := &pg.TypeName{Names: []*pg.Node{str(t.Elem().String())}, Typemod: -1, Location: -1}
	if t.Elem().IsEnum() || t.Elem().IsComposite() {
		out.Names = []*pg.Node{str(syntax.EnumTypeName(uint32(t.Elem())))}
	}
	if t.IsArray() {
		out.ArrayBounds = []*pg.Node{{Node: &pg.Node_Integer{Integer: &pg.Integer{Ival: -1}}}}
	}
	if modifier < 0 {
		return out
	}
	const header = 4 // what PostgreSQL adds to lengths and numerics
	switch e := t.Elem(); {
	case e == datum.Numeric:
		out.Typmods = []*pg.Node{integer(int64(modifier-header) >> 16 & 0xffff), integer(int64(modifier-header) & 0x7ff)}
	case e == datum.Varchar || e == datum.Bpchar:
		out.Typmods = []*pg.Node{integer(int64(modifier - header))}
	case precise(e) || e.IsBits():
		out.Typmods = []*pg.Node{integer(int64(modifier))}
	}
	return out
}
