package queryplan

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// fieldUse says as what the value of a field is used.
type fieldUse uint8

const (
	anyValue fieldUse = iota // of type jsonb
	asText
	asNumber
	asBool
)

// each resolves the fields that expressions name, and the queries in them.
func (r *fieldResolver) each(l *fieldLevel, use fieldUse, list ...*pg.Node) error {
	for _, n := range list {
		if n == nil {
			continue
		}
		if err := r.value(n, l, use); err != nil {
			return err
		}
	}
	return nil
}

// value resolves one expression, in place.
func (r *fieldResolver) value(n *pg.Node, l *fieldLevel, use fieldUse) error {
	if path, position, ok := fieldPath(n); ok {
		field, err := l.field(path, position)
		if field != nil {
			n.Node = used(field, use).Node
		}
		return err
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_TypeCast:
		return r.each(l, castUse(x.TypeCast), x.TypeCast.GetArg())
	case *pg.Node_BoolExpr:
		return r.each(l, asBool, x.BoolExpr.GetArgs()...)
	case *pg.Node_BooleanTest:
		return r.each(l, asBool, x.BooleanTest.GetArg())
	case *pg.Node_AExpr:
		return r.operator(x.AExpr, l)
	case *pg.Node_FuncCall:
		return r.call(x.FuncCall, l)
	case *pg.Node_CaseExpr:
		return r.caseOf(x.CaseExpr, l)
	case *pg.Node_CoalesceExpr:
		return r.alike(x.CoalesceExpr.Args, l)
	case *pg.Node_MinMaxExpr:
		return r.alike(x.MinMaxExpr.Args, l)
	case *pg.Node_SelectStmt:
		return r.query(x.SelectStmt, l)
	case *pg.Node_SubLink:
		return r.subLink(x.SubLink, l)
	}
	return syntax.Walk(n, func(below *pg.Node) (bool, error) {
		if below == n {
			return true, nil
		}
		return false, r.value(below, l, anyValue)
	})
}

// fieldPath takes names and subscripts apart: a.b, a[0].b.
func fieldPath(n *pg.Node) (path []string, position int, ok bool) {
	var rest []*pg.Node
	if i := n.GetAIndirection(); i != nil {
		n, rest = i.GetArg(), i.GetIndirection()
	}
	ref := n.GetColumnRef()
	if ref == nil {
		return nil, 0, false
	}
	for _, f := range ref.GetFields() {
		if f.GetString_() == nil {
			return nil, 0, false // a star
		}
		path = append(path, f.GetString_().GetSval())
	}
	path, ok = steps(path, rest)
	return path, syntax.Position(ref.GetLocation()), ok
}

// fieldName is the name that PostgreSQL gives an output: behind names the last one.
func fieldName(n *pg.Node) string {
	if i := n.GetAIndirection(); i != nil {
		for at := len(i.GetIndirection()) - 1; at >= 0; at-- {
			if s := i.GetIndirection()[at].GetString_(); s != nil {
				return s.GetSval()
			}
		}
		return fieldName(i.GetArg())
	}
	return outputName(n)
}

// steps appends subscripts that are constants to a path.
func steps(path []string, indirection []*pg.Node) ([]string, bool) {
	for _, i := range indirection {
		index := i.GetAIndices()
		switch {
		case i.GetString_() != nil:
			path = append(path, i.GetString_().GetSval())
		case index == nil || index.GetIsSlice():
			return nil, false
		case index.GetUidx().GetAConst().GetSval() != nil:
			path = append(path, index.GetUidx().GetAConst().GetSval().GetSval())
		default:
			n, ok := integerOf(index.GetUidx())
			if !ok {
				return nil, false
			}
			path = append(path, n)
		}
	}
	return path, true
}

// integerOf is the text of an integer that may have a sign.
func integerOf(n *pg.Node) (string, bool) {
	if e := n.GetAExpr(); e != nil && e.GetLexpr() == nil && operatorName(e) == "-" {
		s, ok := integerOf(e.GetRexpr())
		return "-" + s, ok
	}
	k := n.GetAConst()
	switch {
	case k.GetIval() != nil:
		return strconv.Itoa(int(k.GetIval().GetIval())), true
	default: // the parser has 0 as an integer without a value
		return "0", k != nil && !k.GetIsnull() && k.GetVal() == nil
	}
}

// used is a field as what it is used as.
func used(field *pg.Node, use fieldUse) *pg.Node {
	switch use {
	case asText:
		return callNode(documentText, field)
	case asNumber:
		return callNode(documentNumber, field)
	case asBool:
		return callNode(documentBool, field)
	default:
		return field
	}
}

// castUse is what a cast takes a field as: its characters, but of json.
func castUse(c *pg.TypeCast) fieldUse {
	names := c.GetTypeName().GetNames()
	if len(names) > 0 {
		switch names[len(names)-1].GetString_().GetSval() {
		case "jsonb", "json":
			return anyValue
		}
	}
	return asText
}

// isField reports whether n was made of a field that is used as it is.
func isField(n *pg.Node) bool {
	names := n.GetFuncCall().GetFuncname()
	return len(names) == 1 && names[0].GetString_().GetSval() == documentField
}

// fieldUses are the functions that take texts, numbers or truth values.
var fieldUses = map[string]fieldUse{ //nolint:gochecknoglobals // a table
	"lower": asText, "upper": asText, "length": asText, "char_length": asText, "character_length": asText, "octet_length": asText,
	"initcap": asText, "md5": asText, "btrim": asText, "ltrim": asText, "rtrim": asText, "trim": asText, "replace": asText, "left": asText,
	"right": asText, "substring": asText, "substr": asText, "strpos": asText, "position": asText, "starts_with": asText, "split_part": asText,
	"concat": asText, "concat_ws": asText, "string_agg": asText, "regexp_replace": asText, "regexp_match": asText, "regexp_like": asText,
	"reverse": asText, "repeat": asText, "lpad": asText, "rpad": asText, "like_escape": asText, "to_date": asText, "to_timestamp": asText,
	"sum": asNumber, "avg": asNumber, "abs": asNumber, "round": asNumber, "ceil": asNumber, "ceiling": asNumber, "floor": asNumber,
	"trunc": asNumber, "sqrt": asNumber, "power": asNumber, "pow": asNumber, "mod": asNumber, "sign": asNumber, "exp": asNumber, "ln": asNumber,
	"log": asNumber, "stddev": asNumber, "stddev_pop": asNumber, "stddev_samp": asNumber, "variance": asNumber, "var_pop": asNumber,
	"var_samp": asNumber, "bool_and": asBool, "bool_or": asBool, "every": asBool,
}

func (r *fieldResolver) call(f *pg.FuncCall, l *fieldLevel) error {
	names := f.GetFuncname()
	if err := r.each(l, fieldUses[names[len(names)-1].GetString_().GetSval()], f.GetArgs()...); err != nil {
		return err
	}
	for _, n := range f.GetAggOrder() {
		if err := r.each(l, anyValue, n.GetSortBy().GetNode()); err != nil {
			return err
		}
	}
	if err := r.each(l, asBool, f.GetAggFilter()); err != nil {
		return err
	}
	if over := f.GetOver(); over != nil {
		list := over.GetPartitionClause()
		for _, n := range over.GetOrderClause() {
			list = append(list, n.GetSortBy().GetNode())
		}
		return r.each(l, anyValue, list...)
	}
	return nil
}

func (r *fieldResolver) operator(e *pg.A_Expr, l *fieldLevel) error {
	switch e.GetKind() {
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		return r.each(l, asText, e.GetLexpr(), e.GetRexpr())
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		list := e.GetRexpr().GetList().GetItems()
		all := append([]*pg.Node{e.GetLexpr()}, list...)
		err := r.alike(all, l)
		e.Lexpr = all[0]
		copy(list, all[1:])
		return err
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		return r.quantified(e, l)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF:
		return r.compared(e, l)
	}
	switch operatorName(e) {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		return r.compared(e, l)
	case "~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*":
		return r.each(l, asText, e.GetLexpr(), e.GetRexpr())
	case "*", "/", "%", "^", "+", "|/", "@":
		return r.each(l, asNumber, e.GetLexpr(), e.GetRexpr())
	case "-":
		if bareString(e.GetRexpr()) || e.GetRexpr().GetTypeCast().GetTypeName().GetArrayBounds() != nil {
			return r.each(l, anyValue, e.GetLexpr()) // fields or elements are taken away
		}
		return r.each(l, asNumber, e.GetLexpr(), e.GetRexpr())
	case "||":
		if castUse(e.GetRexpr().GetTypeCast()) == anyValue || castUse(e.GetLexpr().GetTypeCast()) == anyValue {
			return r.each(l, anyValue, e.GetLexpr(), e.GetRexpr())
		}
		return r.each(l, asText, e.GetLexpr(), e.GetRexpr())
	}
	return r.each(l, anyValue, e.GetLexpr(), e.GetRexpr())
}

// compared resolves two expressions that are to be of one type.
func (r *fieldResolver) compared(e *pg.A_Expr, l *fieldLevel) error {
	if a, b := e.GetLexpr().GetRowExpr().GetArgs(), e.GetRexpr().GetRowExpr().GetArgs(); len(a) > 0 && len(a) == len(b) {
		for i := range a {
			if err := r.alike([]*pg.Node{a[i], b[i]}, l); err != nil {
				return err
			}
		}
		return nil
	}
	return r.alike([]*pg.Node{e.GetLexpr(), e.GetRexpr()}, l)
}

// alike resolves expressions that are to be of one type: that is jsonb if one is a field.
func (r *fieldResolver) alike(list []*pg.Node, l *fieldLevel) error {
	if err := r.each(l, anyValue, list...); err != nil {
		return err
	}
	found := false
	for _, n := range list {
		found = found || isField(n)
	}
	for _, n := range list {
		if found && !isField(n) {
			n.Node = jsonOf(&pg.Node{Node: n.Node}).Node
		}
	}
	return nil
}

// quantified resolves field = ANY (array): by the elements as they are in the document.
func (r *fieldResolver) quantified(e *pg.A_Expr, l *fieldLevel) error {
	if a := e.GetRexpr().GetAArrayExpr(); a != nil {
		all := append([]*pg.Node{e.GetLexpr()}, a.GetElements()...)
		return r.alike(all, l)
	}
	use := asText
	if c := e.GetRexpr().GetTypeCast(); c != nil {
		if name, err := syntax.ConvertType(c.GetTypeName()); err == nil {
			if t, ok := datum.TypeByName(name.Name); ok && t.IsNumber() {
				use = asNumber
			} else if t == datum.Bool {
				use = asBool
			} else if t == datum.JSONB {
				use = anyValue
			}
		}
	}
	if p := e.GetRexpr().GetParamRef(); p != nil && int(p.GetNumber()) <= len(r.planner.Params) && p.GetNumber() > 0 {
		if t := r.planner.Params[p.GetNumber()-1].Elem(); t.IsNumber() {
			use = asNumber
		} else if t == datum.Bool {
			use = asBool
		}
	}
	if err := r.each(l, use, e.GetLexpr()); err != nil {
		return err
	}
	return r.each(l, anyValue, e.GetRexpr())
}

func (r *fieldResolver) caseOf(c *pg.CaseExpr, l *fieldLevel) error {
	var results []*pg.Node
	subjects := []*pg.Node{}
	if c.GetArg() != nil {
		subjects = append(subjects, c.GetArg())
	}
	for _, w := range c.GetArgs() {
		when := w.GetCaseWhen()
		results = append(results, when.GetResult())
		if c.GetArg() != nil {
			subjects = append(subjects, when.GetExpr())
		} else if err := r.each(l, asBool, when.GetExpr()); err != nil {
			return err
		}
	}
	if c.GetDefresult() != nil {
		results = append(results, c.GetDefresult())
	}
	if err := r.alike(subjects, l); err != nil {
		return err
	}
	return r.alike(results, l)
}

// subLink resolves a query in an expression: what a field is looked for in is jsonb.
func (r *fieldResolver) subLink(s *pg.SubLink, l *fieldLevel) error {
	sub := s.GetSubselect().GetSelectStmt()
	if err := r.query(sub, l); err != nil {
		return err
	}
	test := s.GetTestexpr()
	if test == nil {
		return nil
	}
	targets := sub.GetTargetList()
	if err := r.each(l, anyValue, test); err != nil || len(targets) != 1 {
		return err
	}
	target := targets[0].GetResTarget()
	switch {
	case isField(test) && !isField(target.GetVal()):
		target.Val = jsonOf(target.GetVal())
	case !isField(test) && isField(target.GetVal()):
		test.Node = jsonOf(&pg.Node{Node: test.Node}).Node
	}
	return nil
}

// jsonConst is a constant of type jsonb.
func jsonConst(text string) *pg.Node {
	name := &pg.TypeName{Names: []*pg.Node{stringNode("pg_catalog"), stringNode("jsonb")}, Typemod: -1, Location: -1}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: stringConst(text), TypeName: name, Location: -1}}}
}

// jsonOf makes jsonb of an expression.
func jsonOf(n *pg.Node) *pg.Node {
	k := n.GetAConst()
	switch {
	case isField(n), k.GetIsnull():
		return n
	case k.GetSval() != nil:
		return jsonConst(datum.QuoteJSON(k.GetSval().GetSval()))
	}
	return callNode("to_jsonb", n)
}
