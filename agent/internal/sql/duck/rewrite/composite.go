package rewrite

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Values of composite types are opaque to the engine: bytes that have the order of the values
// (datum.CompositeKey). What is made of them, or gives them, are functions of package builtin,
// which are told the form of the type.

// ofComposite calls one of those.
func ofComposite(name string, t datum.Type, args ...*pg.Node) *pg.Node {
	return pg.MakeFuncCallNode([]*pg.Node{str(name)}, append([]*pg.Node{text(datum.WriteForm(t))}, args...), -1)
}

// as is a node that is of a type.
func as(n *pg.Node, t datum.Type, modifier int32) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: n, TypeName: typeName(t, modifier), Location: -1}}}
}

// compositeCall is what a call of one of the functions becomes.
func (r *rewriter) compositeCall(f *pg.FuncCall, name string) (finish, error) {
	types := []datum.Type{datum.Text}
	var texts []func(*pg.Node) *pg.Node
	for _, a := range f.Args[1:] {
		t := r.typeOf(a)
		switch {
		case t.IsComposite():
			types = append(types, datum.Bytea)
			texts = append(texts, func(n *pg.Node) *pg.Node {
				return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text(`\x`), call("hex", n), -1)
			})
			continue
		case name == builtin.CompositeOf:
			t = datum.JSON
		case t == datum.Unknown:
			t = datum.Text
		}
		types = append(types, t)
		texts = append(texts, r.textOf(a, false))
	}
	c := builtin.Resolve(name, types)
	result, ok := FrameType(datum.Bytea, -1)
	if c == nil || !ok {
		return nil, unsupported(f.Location, "this use of a composite type")
	}
	if c.Result != datum.Bytea {
		result, _ = FrameType(c.Result, -1)
	}
	signature := text(c.Signature(r.zone()))
	return func(n *pg.Node) (*pg.Node, error) {
		args := []*pg.Node{signature, n.GetFuncCall().Args[0]}
		for i, a := range n.GetFuncCall().Args[1:] {
			args = append(args, texts[i](a))
		}
		out := call("nd_call_"+strconv.Itoa(len(args)-1), args...)
		if c.Result == datum.Bytea {
			return call("unhex", call("substr", out, integer(3))), nil
		}
		return cast(out, result.SQL()), nil
	}, nil
}

// stepType is the type of (value).field and value[i]; Unknown: this does not know.
func (r *rewriter) stepType(x *pg.A_Indirection) datum.Type {
	t := r.typeOf(x.Arg)
	for _, step := range x.Indirection {
		switch name, at := step.GetString_(), step.GetAIndices(); {
		case name != nil && t.IsComposite():
			i := t.CompositeType().Field(name.Sval)
			if i < 0 {
				return datum.Unknown
			}
			t = t.CompositeType().Fields[i].Type
		case at != nil && t.IsArray() && !at.IsSlice:
			t = t.Elem()
		default:
			return datum.Unknown
		}
	}
	return t
}

// beforeField takes the first step of (value).field; ok is false if it is none.
func (r *rewriter) beforeField(n *pg.Node, a *pg.A_Indirection) (ok bool, after finish, err error) {
	first := -1
	for i, step := range a.Indirection {
		if step.GetString_() != nil {
			first = i
			break
		}
	}
	if first < 0 {
		return false, nil, nil
	}
	arg := a.Arg
	if first > 0 {
		arg = &pg.Node{Node: &pg.Node_AIndirection{AIndirection: &pg.A_Indirection{Arg: a.Arg, Indirection: a.Indirection[:first]}}}
	}
	t := r.typeOf(arg)
	if !t.IsComposite() {
		return false, nil, nil
	}
	form, name := t.CompositeType(), a.Indirection[first].GetString_().Sval
	i := form.Field(name)
	if i < 0 {
		return true, nil, errorf("42703", arg.GetColumnRef().GetLocation(), "column \"%s\" not found in data type %s", name, form.Name)
	}
	out := fieldOf(arg, t, i)
	if rest := a.Indirection[first+1:]; len(rest) > 0 {
		n.Node = &pg.Node_AIndirection{AIndirection: &pg.A_Indirection{Arg: out, Indirection: rest}}
		after, err = r.beforeSubscript(n, n.GetAIndirection())
		return true, after, err
	}
	n.Node = out.Node
	after, err = r.beforeCast(n, n.GetTypeCast())
	return true, after, err
}

// fieldOf is a field of a value of a composite type.
func fieldOf(n *pg.Node, t datum.Type, i int) *pg.Node {
	f := &t.CompositeType().Fields[i]
	return as(as(ofComposite(builtin.CompositeField, t, n, integer(int64(i))), datum.Text, -1), f.Type, f.Modifier)
}

// compositeCast is a cast from or to a composite type; ok is false if it is none.
func (r *rewriter) compositeCast(to datum.Type, t *pg.TypeCast) (ok bool, after finish, err error) {
	arg := func(n *pg.Node) (*pg.Node, error) { return n.GetTypeCast().Arg, nil }
	if !to.IsComposite() {
		if t.Arg.GetRowExpr() != nil && !to.IsString() {
			return true, nil, errorf("42846", t.Location, "cannot cast type record to %s", to.SQLName())
		}
		from := r.typeOf(t.Arg)
		if !from.IsComposite() || !to.IsString() {
			return false, nil, nil
		}
		t.Arg = ofComposite(builtin.CompositeText, from, t.Arg)
		return false, nil, nil
	}
	if rel := r.rowNamed(t.Arg); rel != nil && t.Arg.GetColumnRef() != nil {
		items, known := rel.items()
		if !known {
			return true, nil, refuseRow()
		}
		row := &pg.RowExpr{Location: -1}
		for _, it := range items {
			row.Args = append(row.Args, it.node)
		}
		t.Arg = &pg.Node{Node: &pg.Node_RowExpr{RowExpr: row}}
	}
	if row := t.Arg.GetRowExpr(); row != nil {
		t.Arg, err = r.compositeRow(row, to)
		return true, arg, err
	}
	if f := t.Arg.GetFuncCall(); f != nil && builtin.GivesComposite(lastName(f.Funcname)) {
		return true, arg, nil
	}
	if _, isText := literal(t.Arg); isText || t.Arg.GetAConst().GetIsnull() || t.Arg.GetParamRef() != nil {
		return false, nil, nil
	}
	switch from := r.typeOf(t.Arg); {
	case from == to:
		return true, arg, nil
	case from.IsString():
		t.Arg = ofComposite(builtin.CompositeRead, to, t.Arg)
		return true, arg, nil
	case from == datum.Unknown:
		return true, nil, unsupported(t.Location, "a cast to %s of a value whose type is not known before the statement runs", to.SQLName())
	default:
		return true, nil, errorf("42846", t.Location, "cannot cast type %s to %s", from.SQLName(), to.SQLName())
	}
}

// compositeRow is ROW(...) as a value of a composite type.
func (r *rewriter) compositeRow(row *pg.RowExpr, t datum.Type) (*pg.Node, error) {
	form := t.CompositeType()
	if err := r.takeStars(row); err != nil {
		return nil, err
	}
	if len(row.Args) != len(form.Fields) { // or the analysis would have said so
		return nil, unsupported(row.Location, "this row as a value of type %s in this statement", form.Name)
	}
	list := &pg.A_ArrayExpr{Location: -1}
	for i, a := range row.Args {
		f := &form.Fields[i]
		if a.GetAConst().GetIsnull() {
			list.Elements = append(list.Elements, sqlNull())
			continue
		}
		if from := r.typeOf(a); from != f.Type || f.Modifier >= 0 {
			a = as(a, f.Type, f.Modifier)
		}
		list.Elements = append(list.Elements, castTo(a, "text"))
	}
	texts := &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: list}}
	return ofComposite(builtin.CompositeRow, t, as(texts, datum.Text|datum.Array, -1)), nil
}

// jsonFunctions make json of values.
var jsonFunctions = table(same(`to_json to_jsonb row_to_json json_build_array jsonb_build_array json_build_object jsonb_build_object
	json_agg jsonb_agg json_object_agg jsonb_object_agg`), nil)

// jsonOfComposites has functions of json take values of composite types as json.
func (r *rewriter) jsonOfComposites(n *pg.Node, f *pg.FuncCall) bool {
	name := lastName(f.Funcname)
	if !has(jsonFunctions, name) || f.AggDistinct {
		return false
	}
	for i, a := range f.Args {
		t := r.typeOf(a)
		if !t.IsComposite() {
			continue
		}
		f.Args[i] = as(ofComposite(builtin.CompositeJSON, t, a), datum.JSON, -1)
		switch {
		case len(f.Args) > 1:
		case name == "to_jsonb":
			n.Node = as(f.Args[0], datum.JSONB, -1).Node
			return true
		case name == "to_json", name == "row_to_json":
			n.Node = f.Args[0].Node
			return true
		}
	}
	return false
}

// inexact refuses what has the engine look whether values of a composite type are equal, if
// equal ones can have other bytes.
func inexact(location int32, t datum.Type) error {
	if !t.Elem().IsComposite() {
		return nil
	}
	is, exact := t.Comparable()
	switch {
	case !is:
		for _, f := range t.CompositeType().Fields {
			if ok, _ := f.Type.Comparable(); !ok {
				return errorf("42883", location, "could not identify a comparison function for type %s", f.Type.SQLName())
			}
		}
	case !exact:
		err := unsupported(location, "comparing values of type %s in this statement", t.SQLName())
		err.Hint = "Compare their fields: equal numerics, floats, intervals and the like can be written in several ways."
		return err
	}
	return nil
}

// compositeKeys refuses GROUP BY, DISTINCT and ORDER BY by values that the engine would take
// for different, and takes (value).* of the SELECT list apart.
func (r *rewriter) compositeKeys(s *pg.SelectStmt) error {
	var list []*pg.Node
	for _, n := range s.TargetList {
		x := n.GetResTarget().GetVal().GetAIndirection()
		steps := x.GetIndirection()
		if len(steps) == 0 || steps[len(steps)-1].GetAStar() == nil {
			list = append(list, n)
			continue
		}
		arg := x.Arg
		if len(steps) > 1 {
			arg = &pg.Node{Node: &pg.Node_AIndirection{AIndirection: &pg.A_Indirection{Arg: x.Arg, Indirection: steps[:len(steps)-1]}}}
		}
		t := r.typeOf(arg)
		if !t.IsComposite() {
			list = append(list, n)
			continue
		}
		for i, f := range t.CompositeType().Fields {
			list = append(list, pg.MakeResTargetNodeWithNameAndVal(f.Name, fieldOf(clone(arg), t, i), -1))
		}
	}
	s.TargetList = list
	keyed := len(s.DistinctClause) > 0
	for _, n := range s.TargetList {
		if err := inexact(-1, r.typeOf(n.GetResTarget().GetVal())); err != nil && keyed {
			return err
		}
	}
	for _, l := range [][]*pg.Node{s.GroupClause, s.SortClause} {
		for _, n := range l {
			by := n
			if b := n.GetSortBy(); b != nil {
				by = b.Node
			}
			if i := int(by.GetAConst().GetIval().GetIval()); i > 0 && i <= len(s.TargetList) {
				by = s.TargetList[i-1].GetResTarget().GetVal()
			}
			if err := inexact(-1, r.typeOf(by)); err != nil {
				return err
			}
		}
	}
	return nil
}

// compositeOperator refuses operators of composite types that the engine has otherwise, and
// makes ROW(...) beside a value one of its type.
func (r *rewriter) compositeOperator(e *pg.A_Expr) error {
	r.wholeBeside(e)
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	for _, side := range []struct {
		n *pg.Node
		t datum.Type
	}{{e.Rexpr, left}, {e.Lexpr, right}} {
		row := side.n.GetRowExpr()
		if row == nil || !side.t.IsComposite() {
			continue
		}
		form := side.t.CompositeType()
		for i, a := range row.Args {
			if i < len(form.Fields) && r.typeOf(a) != form.Fields[i].Type {
				return errorf("42804", -1, "cannot compare dissimilar column types %s and %s at record column %d", form.Fields[i].Type.SQLName(), r.typeOf(a).SQLName(), i+1)
			}
		}
		if len(row.Args) != len(form.Fields) {
			return errorf("42804", -1, "cannot compare record types with different numbers of columns")
		}
		side.n.Node = as(&pg.Node{Node: &pg.Node_RowExpr{RowExpr: row}}, side.t, -1).Node
	}
	types := []datum.Type{left, right}
	for _, n := range e.Rexpr.GetList().GetItems() {
		if n.GetRowExpr() != nil && left.IsComposite() {
			err := unsupported(e.Location, "a row without a type beside values of type %s in this statement", left.SQLName())
			err.Hint = "Cast it: ROW(...)::" + left.SQLName() + "."
			return err
		}
		types = append(types, r.typeOf(n))
	}
	for _, t := range types {
		if t.IsArray() && e.Kind != pg.A_Expr_Kind_AEXPR_OP {
			t = t.Elem()
		}
		if err := inexact(e.Location, t); err != nil {
			return err
		}
	}
	return nil
}

// populating is the type of the first argument of jsonb_populate_record and its sibling.
func (r *rewriter) populating(f *pg.FuncCall) (datum.Type, bool) {
	name := lastName(f.Funcname)
	if name != "json_populate_record" && name != "jsonb_populate_record" || len(f.Args) != 2 {
		return datum.Unknown, false
	}
	t := r.typeOf(f.Args[0])
	return t, t.IsComposite()
}

// populatedValue is jsonb_populate_record(null::t, j) as a value.
func populatedValue(f *pg.FuncCall, t datum.Type) (*pg.Node, error) {
	if base := f.Args[0].GetTypeCast(); base == nil || !base.Arg.GetAConst().GetIsnull() {
		err := unsupported(f.Location, "%s of a row in this statement", lastName(f.Funcname))
		err.Hint = "Give it NULL::type_name."
		return nil, err
	}
	of := "json"
	if lastName(f.Funcname) == "jsonb_populate_record" {
		of = "jsonb"
	}
	return as(ofComposite(builtin.CompositeOf, t, castTo(f.Args[1], of)), t, -1), nil
}

// unnested makes FROM unnest(array of a composite type) a subquery: a column for each field.
func (r *rewriter) unnested(f *pg.FuncCall, rf *pg.RangeFunction) (n *pg.Node, rels []*relation, ok bool, err error) {
	if f == nil || lastName(f.Funcname) != "unnest" || len(f.Args) != 1 || rf.Alias.GetAliasname() == elementsName {
		return nil, nil, false, nil
	}
	t := r.typeOf(f.Args[0])
	if !t.IsArray() || !t.Elem().IsComposite() {
		return nil, nil, false, nil
	}
	if rf.Ordinality {
		err := unsupported(f.Location, "WITH ORDINALITY of unnest of a composite type")
		err.Hint = "Select the elements by their numbers."
		return nil, nil, true, err
	}
	elements := &pg.RangeFunction{Functions: []*pg.Node{pg.MakeListNode([]*pg.Node{{Node: &pg.Node_FuncCall{FuncCall: f}}, nil})},
		Lateral: true, Alias: &pg.Alias{Aliasname: elementsName, Colnames: []*pg.Node{str("nd_element")}}}
	query := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		FromClause: []*pg.Node{{Node: &pg.Node_RangeFunction{RangeFunction: elements}}}}
	for i, field := range t.CompositeType().Fields {
		element := pg.MakeColumnRefNode([]*pg.Node{str(elementsName), str("nd_element")}, -1)
		query.TargetList = append(query.TargetList, pg.MakeResTargetNodeWithNameAndVal(field.Name, fieldOf(element, t.Elem(), i), -1))
	}
	alias := rf.Alias
	if alias == nil {
		alias = &pg.Alias{Aliasname: "unnest"}
	}
	sub := &pg.RangeSubselect{Lateral: true, Subquery: selectNode(query), Alias: alias}
	n, rels, err = r.subselect(&pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: sub}}, sub)
	return n, rels, true, err
}

// elementsName is what the elements are called that unnested takes apart.
const elementsName = "nd elements"

// compositeJSON is the json of a value that is the engine's already.
func (r *rewriter) compositeJSON(n *pg.Node, t datum.Type) *pg.Node {
	c := builtin.Resolve(builtin.CompositeJSON, []datum.Type{datum.Text, datum.Bytea})
	value := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text(`\x`), call("hex", n), -1)
	return cast(call("nd_call_2", text(c.Signature(r.zone())), text(datum.WriteForm(t)), value), "JSON")
}

// isCompositeJSON reports whether n is the json of a value of a composite type.
func isCompositeJSON(n *pg.Node) bool {
	f := n.GetTypeCast().GetArg().GetFuncCall()
	return f != nil && lastName(f.Funcname) == builtin.CompositeJSON
}

// wholeBeside makes the row of a relation beside a value of a composite type one of its type.
func (r *rewriter) wholeBeside(e *pg.A_Expr) {
	beside := append([]*pg.Node{e.Rexpr}, e.Rexpr.GetList().GetItems()...)
	for _, n := range beside {
		t := r.typeOf(n)
		if t.IsArray() {
			t = t.Elem()
		}
		if t.IsComposite() && e.Lexpr.GetColumnRef() != nil && r.rowNamed(e.Lexpr) != nil {
			e.Lexpr = as(e.Lexpr, t, -1)
			return
		}
	}
	if t := r.typeOf(e.Lexpr); t.IsComposite() && e.Rexpr.GetColumnRef() != nil && r.rowNamed(e.Rexpr) != nil {
		e.Rexpr = as(e.Rexpr, t, -1)
	}
}

// beforeComposite looks at calls of functions of composite types, and of those that take their
// values otherwise; ok is false of others.
func (r *rewriter) beforeComposite(n *pg.Node, f *pg.FuncCall) (ok bool, after finish, err error) {
	if name := lastName(f.Funcname); builtin.IsComposite(name) {
		after, err = r.compositeCall(f, name)
		return true, after, err
	}
	if r.jsonOfComposites(n, f) {
		after, err = r.before(n)
		return true, after, err
	}
	t, ok := r.populating(f)
	if !ok {
		return false, nil, nil
	}
	value, err := populatedValue(f, t)
	if err != nil {
		return true, nil, err
	}
	n.Node = value.Node
	after, err = r.before(n)
	return true, after, err
}

// beforeNull makes IS NULL and IS NOT NULL of a value of a composite type a call.
func (r *rewriter) beforeNull(n *pg.Node, t *pg.NullTest) (finish, error) {
	of := r.typeOf(t.Arg)
	if !of.IsComposite() {
		return nil, nil
	}
	n.Node = ofComposite(builtin.CompositeIs, of, t.Arg, boolean(t.Nulltesttype == pg.NullTestType_IS_NULL)).Node
	return r.compositeCall(n.GetFuncCall(), builtin.CompositeIs)
}
